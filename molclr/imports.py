"""Import of objects in user modules by dotted paths such as my_package.module:name.

A path may come from a configuration or a command line, never from a file of another person, because importing runs code.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterable
from typing import Any

from molclr.errors import MolclrError


def is_dotted_path(name: str) -> bool:
    """Return whether a name is the path of an object, such as my_package.module:name."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name) is not None


def modules_of(names: Iterable[str]) -> list[str]:
    """Return the modules of those names that are paths, sorted; add the working directory to Python's search path."""
    _look_in_working_directory()
    return sorted({name.partition(":")[0] for name in names if is_dotted_path(name)})


def load_object(path: str) -> Any:
    """Import the object at a dotted path (see `is_dotted_path`), also from modules in the working directory.

    Raises MolclrError if the module cannot be found or does not have the name. Other errors of the import are raised unchanged.
    """
    module, _, name = path.partition(":")
    _look_in_working_directory()
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if not (error.name and (module + ".").startswith(error.name + ".")):
            raise
        raise MolclrError(
            f"'{path}' cannot be imported: there is no module '{error.name}'; install it, or run from its folder."
        ) from None
    except AttributeError:
        raise MolclrError(f"'{path}' cannot be imported: the module '{module}' has no '{name}'.") from None


def _look_in_working_directory() -> None:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
