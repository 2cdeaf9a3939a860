"""Import of objects in user modules by dotted paths such as my_package.module:name.

A path may come from a configuration or a command line, never from a file of another person, because importing runs code.
"""

import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterable
from typing import Any

from molclr.errors import MolclrError


def is_dotted_path(name: str) -> bool:
    """Return whether a name is the path of an object, such as my_package.module:name."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name) is not None


def unknown(kind: str, name: str, known: Iterable[str], example: str) -> str:
    """Return a sentence, without its stop, if a name is neither in `known` nor a dotted path; else an empty string."""
    if is_dotted_path(name) or name in known:
        return ""
    return f"Unknown {kind} '{name}'; choose {', '.join(known)}, or give the path of your own, such as {example}"


def search_working_directory() -> None:
    """Let Python find modules in the working directory, after all others. Programs call it once; the library does not."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def modules_of(names: Iterable[str]) -> list[str]:
    """Return the modules of those names that are paths, sorted."""
    return sorted({name.partition(":")[0] for name in names if is_dotted_path(name)})


def load_object(path: str) -> Any:
    """Import the object at a dotted path (see `is_dotted_path`).

    Raises MolclrError if the module cannot be found or does not have the name. Other errors of the import are raised unchanged.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if not (error.name and (module + ".").startswith(error.name + ".")):
            raise
        raise MolclrError(
            f"'{path}' cannot be imported: there is no module '{error.name}'; install it, run 'molclr' in its folder, or "
            "set PYTHONPATH."
        ) from None
    except AttributeError:
        raise MolclrError(
            f"'{path}' cannot be imported: the module '{module}' has no '{name}'; correct the name."
        ) from None


def load_function(path: str, *arguments: str) -> Any:
    """Import a function or class at a dotted path, which is called with these positional arguments.

    Raises MolclrError like `load_object`, and if it cannot be called with these arguments.
    """
    function = load_object(path)
    require_callable(function, f"'{path}'", *arguments)
    return function


def require_callable(function: Any, name: str, *arguments: str) -> None:
    """Raise MolclrError, which uses `name`, if a function cannot be called with these positional arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise MolclrError(
            f"{name} cannot be called with the positional arguments {', '.join(arguments)} ({error}); see docs/extending.md."
        ) from None
    except ValueError:  # Some functions written in C have no signature.
        return
