"""Pages of the documentation site that are made from other files: README, changelog, commands, API reference.

mkdocs calls the functions whose names begin with `on_`. Links are written as a reader of the repository needs them; here they
are resolved to pages of the site. A link to a file that does not exist stays as it is, and the strict build rejects it.
"""

import contextlib
import functools
import io
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from molclr import cli

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "results/published/README.md": "published.md",
}
"""Pages that lie outside docs/, by their path in the repository."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API reference to the navigation, with one section for each package."""
    sections: dict[str, list[Any]] = {}
    for module in modules():
        package = module.rpartition(".")[0] if module.count(".") > 1 else "molclr"
        sections.setdefault(package, []).append({module.removeprefix("molclr."): reference_of(module)})
    assert config.nav is not None
    config.nav.append({"API reference": [{package: pages} for package, pages in sorted(sections.items())]})
    config.watch.extend(str(REPOSITORY / path) for path in [*PAGES, "molclr"])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/, published figures, and one page for each module."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(REPOSITORY / path)))
    for figure in (REPOSITORY / "results/published").glob("*/*.png"):
        path = figure.relative_to(REPOSITORY).as_posix()
        files.append(File.generated(config, path, abs_src_path=str(figure)))
    files.append(File.generated(config, "commands.md", content=commands()))
    for module in modules():
        files.append(File.generated(config, reference_of(module), content=f"# {module}\n\n::: {module}\n"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Resolve links to files of the repository."""
    return re.sub(
        r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)|!\[([^\]]*)\]\(([^)\s]+)\)",
        lambda link: _resolve(link, page, files),
        markdown,
    )


def _resolve(link: re.Match[str], page: Page, files: Files) -> str:
    label, target = (link[1], link[2]) if link[2] else (link[3], link[4])
    path, _, anchor = target.partition("#")
    if not path or ":" in path:
        return link[0]
    source = {uri: path for path, uri in PAGES.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    uri = _page_of(path)
    if files.get_file_from_path(uri) is None:
        return label if (REPOSITORY / path).exists() else link[0]
    relative = posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")
    return f"{'' if link[2] else '!'}[{label}]({relative}{'#' if anchor else ''}{anchor})"


def _page_of(path: str) -> str:
    """Return the address in the site of a file of the repository."""
    if path.startswith("molclr/") and path.endswith(".py"):
        return reference_of(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    return PAGES.get(path, path.removeprefix("docs/"))


def modules() -> list[str]:
    """List the modules of the package that have public names."""
    names = []
    for directory, folders, file_names in os.walk(REPOSITORY / "molclr"):
        folders[:] = sorted(folder for folder in folders if folder != "__pycache__")
        for name in sorted(set(file_names) - {"__main__.py"}):
            file = Path(directory, name)
            if name.endswith(".py") and re.search(r"^(def|class|[A-Z_]+\b.*=) *[^_]", file.read_text(), re.MULTILINE):
                names.append(".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"))
    return names


def reference_of(module: str) -> str:
    """Make the page of a module."""
    return f"reference/{module}.md"


@functools.cache
def commands() -> str:
    """Return the output of `molclr --help` and the help of every command as Markdown."""
    overview = help_of()
    names = re.findall(r"^ {2,4}([a-z][a-z-]*(?: [a-z]+)?)(?: {2,}.*)?$", overview, re.MULTILINE)
    sections = [f"## molclr {name}\n\n```text\n{help_of(*name.split())}```\n" for name in names]
    return "\n".join(["# Command line", "", f"```text\n{overview}```", "", *sections])


def help_of(*command: str) -> str:
    """Return the help of a command; without one, that of `molclr`."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main([*command, "--help"])
    return f"{printed.getvalue().rstrip()}\n"
