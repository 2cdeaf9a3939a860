"""Objects of the user's own modules, named as my_package.module:name.

Such a path is taken from a configuration or a command line, never from a file that somebody else made: importing runs code.
"""

import importlib
import os
import re
import sys
from typing import Any

from molclr.errors import MolclrError


def is_dotted_path(name: str) -> bool:
    """Is this the path of an object, such as my_package.module:name?"""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name) is not None


def load_object(path: str) -> Any:
    """Import the object at a path for which `is_dotted_path` holds; modules in the working directory are found too.

    Raises MolclrError if the module cannot be found or does not have the name. Other errors of the import pass through.
    """
    module, _, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
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
