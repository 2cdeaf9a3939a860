"""Pages of the documentation site that are made from other files: README, changelog, keys, commands, API reference.

mkdocs calls the functions whose names begin with `on_`. Links are written as a reader of the repository needs them; here they
are resolved to pages of the site. A link to a file that does not exist stays as it is, and the strict build rejects it.
"""

import contextlib
import functools
import io
import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from molclr import cli
from molclr.config import Config

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "results/published/README.md": "published.md",
}
"""Pages that lie outside docs/, by their path in the repository."""
KEYS = (
    "The table of all keys is part of the documentation site, generated from [molclr/config.py](../molclr/config.py)."
)
"""The sentence of docs/configuration.md that the table replaces."""
NOT_TO_SET = {"released"}
"""Keys that hold what another one said."""


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
    """Resolve links to files of the repository, and put the table of keys where it belongs."""
    if KEYS in markdown:
        markdown = markdown.replace(KEYS, "\n".join(tables_of_keys()))
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
    """The address in the site of a file of the repository."""
    if path.startswith("molclr/") and path.endswith(".py"):
        return reference_of(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    return PAGES.get(path, path.removeprefix("docs/"))


def modules() -> list[str]:
    """Names of the modules of the package that have something public."""
    names = []
    for directory, folders, file_names in os.walk(REPOSITORY / "molclr"):
        folders[:] = sorted(folder for folder in folders if folder != "__pycache__")
        for name in sorted(set(file_names) - {"__main__.py"}):
            file = Path(directory, name)
            if name.endswith(".py") and re.search(r"^(def|class|[A-Z_]+\b.*=) *[^_]", file.read_text(), re.MULTILINE):
                names.append(".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"))
    return names


def reference_of(module: str) -> str:
    """The page of a module."""
    return f"reference/{module}.md"


@functools.cache
def commands() -> str:
    """Markdown: what `molclr --help` says, and the help of every command that it lists."""
    overview = help_of()
    names = re.findall(r"^ {2,4}([a-z][a-z-]*(?: [a-z]+)?)(?: {2,}.*)?$", overview, re.MULTILINE)
    sections = [f"## molclr {name}\n\n```text\n{help_of(*name.split())}```\n" for name in names]
    return "\n".join(["# Command line", "", f"```text\n{overview}```", "", *sections])


def help_of(*command: str) -> str:
    """The help of a command, or without one that of `molclr`."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main([*command, "--help"])
    return f"{printed.getvalue().rstrip()}\n"


def tables_of_keys() -> Iterator[str]:
    """Markdown: every key with its default, its values and its description, in one table for each section."""
    schema = Config.model_json_schema()
    yield from _table("", schema, schema["$defs"])


def _table(section: str, schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    nested = []
    yield f"\n### {f'`{section}`' if section else 'Top level'}\n"
    yield f"{schema['description'].splitlines()[0]}\n"
    yield "| key | default | values | description |"
    yield "|---|---|---|---|"
    for key, entry in schema["properties"].items():
        reference = entry.get("$ref") or entry.get("additionalProperties", {}).get("$ref")
        if key in NOT_TO_SET:
            continue
        if reference:
            name = key if "$ref" in entry else f"{key}.NAME"
            nested.append((".".join(filter(None, [section, name])), definitions[reference.rpartition("/")[2]]))
        yield _row(key, entry, key in schema.get("required", []))
    for name, definition in nested:
        yield from _table(name, definition, definitions)


def _row(key: str, entry: dict[str, Any], required: bool) -> str:
    default = "section" if "$ref" in entry else "required" if required else f"`{_in_yaml(entry.get('default'))}`"
    values = "keys below" if "$ref" in entry else _values(entry)
    return f"| `{key}` | {default} | {values} | {entry['description'].replace('|', '/')} |"


def _in_yaml(value: Any) -> str:
    """A default as a configuration has it; 1.0e-5 instead of 1e-05, which YAML 1.1 takes for text."""
    if isinstance(value, float) and 0 < abs(value) < 1e-2:
        digits, exponent = f"{value:.1e}".split("e")
        return f"{digits}e{int(exponent)}"
    return value if value and isinstance(value, str) else json.dumps(value)


def _values(entry: dict[str, Any]) -> str:
    """What a key may be, in words."""
    if "anyOf" in entry:
        return " or ".join(_values(one) for one in entry["anyOf"])
    if "enum" in entry or "const" in entry:
        return ", ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    kind = {"array": "list", "object": "mapping", "boolean": "`true`, `false`"}.get(entry["type"], entry["type"])
    if entry["type"] == "array" and "items" in entry:
        kind += f" of {_values(entry['items'])}s"
    limits = [f"{sign} {entry[name]:g}" for name, sign in LIMITS.items() if name in entry]
    return " ".join([kind, ", ".join(limits)]).strip()


LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
