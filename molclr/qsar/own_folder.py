"""Folders that a command replaces only if all their files are its own."""

import re
from contextlib import AbstractContextManager
from pathlib import Path

from molclr.errors import MolclrError
from molclr.files import new_folder

DRAWING = re.compile(r".*\.svg")
"""The names of the files of a folder of drawings."""


def own_folder(path: Path, mark: str, own: re.Pattern[str], replace: bool) -> AbstractContextManager[Path]:
    """Return the context of `molclr.files.new_folder`, which replaces a folder only if all its files are named as `own`.

    Raises MolclrError, before anything is made, if `path` has a file of the user.
    """
    if replace and path.is_dir():
        others = [each.name for each in sorted(path.iterdir()) if each.is_dir() or not own.fullmatch(each.name)]
        if others:
            raise MolclrError(
                f"'{path}' also has other files, such as '{others[0]}', so it is not replaced; move them, or choose another "
                "folder."
            )
    return new_folder(path, mark, replace)
