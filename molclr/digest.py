"""Digests of the meaning of code: what the workflow compares to know whether a job has to run again.

Comments, docstrings and formatting do not count, nor does the version of Python that computes the digest. Modules are found and
read, never run, and this module needs the standard library alone.
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
"""Modules that cannot change a result: values of the configuration arrive as parameters, the others only tell.

The command line is left out as well, since rules name the modules below it: a new option would run every job again. But it
hands options over, so an edit to it can change a result without Snakemake or DVC running the job again; `snakemake --forceall`
does so.
"""
SKIPPED_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}
"""Fields of syntax trees without a meaning of their own."""
HEX_DIGITS = 16


def code_digest(*names: str) -> str:
    """Digest the meaning of modules, of all modules of the same packages that they import, and the bytes of data files.

    names: modules that Python can import ("molclr.training.pretrain", "my_package.gat"), or data files beside the code of this
    package ("molclr/data/catalogue.yaml"). Raises MolclrError for a name that is not there.
    """
    modules, files = [name for name in names if "/" not in name], [name for name in names if "/" in name]
    lines = [f"{module} {meaning}" for module, meaning in _closure(modules).items()]
    lines += [f"{name} {bytes_digest(_bytes_of(PACKAGE.parent / name))}" for name in files]
    return bytes_digest("\n".join(sorted(lines)).encode())


def modules_behind(*modules: str) -> list[str]:
    """Names of `modules` and of all modules of the same packages that they import, directly or not."""
    return sorted(_closure(modules))


def files_behind(*modules: str) -> list[Path]:
    """Files of `modules` and of all modules of the same packages that they import."""
    specs = (_spec(module) for module in modules_behind(*modules))
    return [Path(spec.origin) for spec in specs if spec and spec.origin]


def imported_modules(module: str) -> list[str]:
    """Modules of the same package that a module imports, anywhere in it."""
    return _read(module)[1]


def _closure(modules: Iterable[str]) -> dict[str, str]:
    """The digest of each of `modules` and of what they import."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and module not in DECIDES_NOTHING:
            found[module], imported = _read(module)
            waiting += imported
    return found


def _read(module: str) -> tuple[str, list[str]]:
    """The digest of a module's meaning, and the modules of its package that it imports."""
    spec = _spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise MolclrError(f"There is no module '{module}' with Python code; correct its name, or install its package.")
    package = module.rpartition(".")[0] if spec.submodule_search_locations is None else module
    digest, names = _parsed(_bytes_of(Path(spec.origin)), module, package)
    top = module.partition(".")[0]
    return digest, [name for name in names if name != module and _is_module_of(top, name)]


@cache
def _parsed(source: bytes, module: str, package: str) -> tuple[str, list[str]]:
    """The digest of code that stands in `package`, and all dotted names that it may import."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise MolclrError(f"The code of '{module}' is not Python ({error.msg}, line {error.lineno}).") from None
    names = {parent for name in [module, *_imports(tree, package)] for parent in _with_parents(name)}
    return bytes_digest("".join(_meaning(tree)).encode()), sorted(names)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Dotted names that code in `package` imports; some may be attributes of modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(filter(None, [*above, node.module]))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    """A dotted name and the packages above it, whose code runs when it is imported."""
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _is_module_of(top: str, name: str) -> bool:
    """Whether a dotted name is a module with Python code in the package `top`."""
    if name.partition(".")[0] != top:
        return False
    spec = _spec(name)
    return spec is not None and spec.origin is not None and spec.origin.endswith(".py")


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is; unlike importlib.util.find_spec, without running the packages above it."""
    above, _, name = module.rpartition(".")
    if not above:
        return importlib.util.find_spec(name) if name else None
    package = _spec(above)
    if package is None or package.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(module, package.submodule_search_locations)


def _meaning(value: object) -> Iterator[str]:
    """A syntax tree as text that is the same in every version of Python."""
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
        yield f"{type(value).__name__} {value!a},"  # not repr, which asks a version's table of characters


def _statements(nodes: list) -> list:
    """Nodes without docstrings, of whatever they stand below, and `pass`."""
    return [
        node
        for node in nodes
        if not (isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and _is_text(node.value)))
    ]


def _joined(nodes: list) -> list:
    """Parts of an f-string, adjacent texts as one: versions of Python cut them differently."""
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
        raise MolclrError(f"There is no file '{path}' of which a digest could be made.") from None


def bytes_digest(data: bytes) -> str:
    """Digest bytes as they are."""
    return hashlib.sha256(data).hexdigest()[:HEX_DIGITS]
