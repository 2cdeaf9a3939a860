"""Digests of the meaning of code, by which the workflow decides whether a job has to run again.

Digests do not depend on comments, docstrings, formatting or the version of Python that computes them. Modules are read, never
run, and this module needs only the standard library.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from molclr.errors import MolclrError

PACKAGE = Path(__file__).parent
DECIDES_NOTHING = {"molclr", "molclr.config", "molclr.digest", "molclr.errors", "molclr.progress"}
"""Modules that do not affect results: `molclr.config` validates values, which are parameters of rules, and computes no part of a
result from them; the others print messages, define errors or compute these digests.

Rules do not name the command line either, because then each new option would run all jobs again. It passes options on, so an edit
of it can change results without Snakemake or DVC running the jobs again; `snakemake --forceall` does so.
"""
INSTALLED = {"site-packages", "dist-packages"}
"""Names of folders with packages that pip installed."""
SKIPPED_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}
"""Fields of syntax trees that carry no meaning."""
HEX_DIGITS = 16


def code_digest(*names: str) -> str:
    """Compute a digest of modules, of all modules that they import from the same packages, and of data files.

    A user's module also counts with what it imports from the folder that contains its package. names: importable modules
    ("molclr.training.pretrain", "my_package.gat"), or data files of this package ("molclr/data/catalogue.yaml"), of which all
    bytes count. Raises MolclrError if a module or file does not exist.
    """
    return bytes_digest("\n".join(sorted(code_of(*names).values())).encode())


def code_of(*names: str) -> dict[str, str]:
    """Return the parts of `code_digest`: the name of each module or file -> "NAME DIGEST"."""
    files = {name: bytes_digest(_bytes_of(PACKAGE.parent / name)) for name in names if "/" in name}
    digests = _closure(name for name in names if "/" not in name) | files
    return {name: f"{name} {digests[name]}" for name in sorted(digests)}


def modules_behind(*modules: str) -> list[str]:
    """List `modules` and all modules that they import from the same packages, directly or indirectly."""
    return sorted(_closure(modules))


def files_behind(*modules: str) -> list[Path]:
    """List the files of `modules` and of all modules that they import from the same packages."""
    specs = (_spec(module) for module in modules_behind(*modules))
    return [Path(spec.origin) for spec in specs if spec and spec.origin]


def _closure(modules: Iterable[str]) -> dict[str, str]:
    """Compute module -> digest for `modules` and all modules that they import, except those in DECIDES_NOTHING."""
    found: dict[str, str] = {}
    named = list(modules)
    waiting = [*named]
    while waiting:
        module = waiting.pop()
        if module not in found and (module in named or module not in DECIDES_NOTHING):
            found[module], imported = _read(module)
            waiting += imported
    return found


def _read(module: str) -> tuple[str, list[str]]:
    """Return the digest of a module, and the modules that it imports and that count for it."""
    path, is_package = _file_of(module)
    digest, names = _parsed(_bytes_of(path), module, module if is_package else module.rpartition(".")[0])
    return digest, [name for name in names if name != module and _counts_for(module, name)]


def _file_of(module: str) -> tuple[Path, bool]:
    """Return the file of a module, and whether it is a package. Raises MolclrError if there is no such module."""
    spec = _spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise MolclrError(f"There is no Python module '{module}'; correct its name, or install its package.")
    return Path(spec.origin), spec.submodule_search_locations is not None


def read_tree(module: str) -> ast.Module:
    """Return the syntax tree of a module. Raises MolclrError if there is no such module or its code is not Python."""
    return _tree(_bytes_of(_file_of(module)[0]), module)


def _tree(source: bytes, module: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise MolclrError(
            f"The code of '{module}' is not Python ({error.msg}, line {error.lineno}); correct it."
        ) from None


@cache
def _parsed(source: bytes, module: str, package: str) -> tuple[str, list[str]]:
    """Return the digest of the code of a module in `package`, and all dotted names that it may import."""
    tree = _tree(source, module)
    names = {parent for name in [module, *_imports(tree, package)] for parent in _with_parents(name)}
    return bytes_digest("".join(_meaning(tree)).encode()), sorted(names)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the dotted names that code in `package` imports; some may be attributes of modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(filter(None, [*above, node.module]))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    """Yield a dotted name and its parent packages, whose code runs at import."""
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _counts_for(module: str, name: str) -> bool:
    """Return whether a dotted name is a Python module in the package of `module` or, for a user's module, in the same folder."""
    ours, theirs = (dotted.partition(".")[0] for dotted in (module, name))
    if theirs != ours and (PACKAGE.name in (ours, theirs) or not _folders_of(ours) & _folders_of(theirs)):
        return False
    spec = _spec(name)
    return spec is not None and spec.origin is not None and spec.origin.endswith(".py")


def _folders_of(top: str) -> set[Path]:
    """Return the folders in which a package or module without a package lies, except those of installed packages."""
    spec = _spec(top)
    places = map(Path, (spec.submodule_search_locations or [spec.origin or ""]) if spec else [])
    return {place.parent for place in places if place.is_absolute() and place.parent.name not in INSTALLED}


def _spec(module: str) -> ModuleSpec | None:
    """Find the spec of a module; unlike importlib.util.find_spec, without running its parent packages."""
    above, _, name = module.rpartition(".")
    if not above:
        return importlib.util.find_spec(name) if name else None
    package = _spec(above)
    if package is None or package.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(module, package.submodule_search_locations)


def _meaning(value: object) -> Iterator[str]:
    """Yield a syntax tree as text that is the same in all versions of Python."""
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for field in sorted(set(value._fields) - SKIPPED_FIELDS):
            content = getattr(value, field, None)
            if isinstance(content, list):
                content = _joined(content) if isinstance(value, ast.JoinedStr) else _statements(content)
            if content is not None and content != []:
                yield f" {field}="
                yield from _meaning(content)
        yield ")"
    elif isinstance(value, list):
        yield "["
        for item in value:
            yield from _meaning(item)
        yield "]"
    else:
        yield f"{type(value).__name__} {value!a},"  # not repr, which depends on the version's Unicode tables


def _statements(nodes: list) -> list:
    """Remove docstrings, other strings that are statements, and `pass`."""
    return [
        node
        for node in nodes
        if not (isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and _is_text(node.value)))
    ]


def _joined(nodes: list) -> list:
    """Merge adjacent texts of an f-string, which versions of Python split differently."""
    found: list = []
    for node in nodes:
        if _is_text(node) and found and _is_text(found[-1]):
            found[-1] = ast.Constant(found[-1].value + node.value)
        elif not (_is_text(node) and node.value == ""):
            found.append(node)
    return found


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise MolclrError(
            f"The file '{path}' cannot be read, so its digest cannot be computed; restore it, or allow reading."
        ) from None


def bytes_digest(data: bytes) -> str:
    """Return a digest of bytes: the first HEX_DIGITS digits of their SHA-256."""
    return hashlib.sha256(data).hexdigest()[:HEX_DIGITS]
