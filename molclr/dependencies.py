"""Which files of this package decide a result: what the workflow names as inputs, so that an edit re-runs what it changes."""

import ast
import os
from pathlib import Path

PACKAGE = Path(__file__).parent
DECIDES_NOTHING = {"config", "errors", "progress"}
"""Modules that cannot change a result: values of the configuration arrive as parameters, the others only speak.

The command line, cli.py, is left out as well, since rules name the modules below it: a new option would make everything anew.
But it hands options over, and so an edit to it can change a result that neither Snakemake nor DVC then makes anew; whoever does
that says so with `snakemake --forceall`.
"""


def source_files(*modules: str) -> list[str]:
    """Files of `modules` (such as "training.pretrain") and of all modules of the package that they import.

    Paths are relative to the working directory, sorted. Raises FileNotFoundError for a module that is not there.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found or module in DECIDES_NOTHING:
            continue
        found[module] = _file(module)
        waiting += imported_modules(found[module])
    return sorted(os.path.relpath(path) for path in found.values())


def package_file(name: str) -> str:
    """Path of a data file of the package, such as "data/catalogue.yaml", relative to the working directory."""
    return os.path.relpath(PACKAGE / name)


def imported_modules(path: Path) -> list[str]:
    """Modules of the package that the file imports, anywhere in it, without the package's name."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names if _exists(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            modules += [name for name in below if _exists(name)] or [node.module] * _exists(node.module)
    return [name.removeprefix("molclr.") for name in modules]


def _exists(name: str) -> bool:
    """Is it a module below the package, such as molclr.data.store?"""
    place = PACKAGE.parent.joinpath(*name.split("."))
    return name.startswith("molclr.") and (place.with_suffix(".py").is_file() or place.is_dir())


def _file(module: str) -> Path:
    place = PACKAGE.joinpath(*module.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not path.is_file():
        raise FileNotFoundError(path)
    return path
