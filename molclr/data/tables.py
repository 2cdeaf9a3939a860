"""Opening raw tables: text, spreadsheets and structure files, as columns and rows of text.

The content determines the form of a file; only a few suffixes, such as .smi and .tsv, matter.
"""

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from molclr.data.encodings import decompressed, errors_of_content
from molclr.data.forms import SAMPLE_BYTES, RawTable, form_of
from molclr.errors import MolclrError

STANDARD_INPUT = "-"


@contextmanager
def open_table(path: str | PathLike[str], name: str | None = None) -> Iterator[RawTable]:
    """Open a table: text with commas, semicolons, tabs or bars, lines of SMILES, Parquet, Excel or SDF, compressed or not.

    name: what the table is called in messages; None for its path. A source that can be read only once, such as a pipe or "-"
    (standard input), is copied to a temporary file. Raises MolclrError if the file is not such a table.
    """
    path, name = Path(path), name_of(path) if name is None else name
    if _can_be_read_once(path):
        with NamedTemporaryFile(prefix="molclr-") as copy:
            _copy(path, copy)
            copy.flush()
            yield _table(Path(copy.name), name)
        return
    if not path.exists():
        raise MolclrError(f"There is no file '{path}'; correct the path.")
    if path.is_dir():
        raise MolclrError(f"'{path}' is a folder; name a table in it.")
    yield _table(path, name)


def name_of(path: str | PathLike[str]) -> str:
    """Return what a table is called in messages."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


def kept_table(table: Path, work: Path) -> Path:
    """Return the path of a table that can be read several times: `table` itself, or a copy of a pipe in the folder `work`.

    Open it by the `name_of` the table, because the user knows nothing of the copy.
    """
    if not _can_be_read_once(table):
        return table
    with (work / "table").open("wb") as copy:
        _copy(table, copy)
    return work / "table"


def _can_be_read_once(path: Path) -> bool:
    """Return whether the source is a pipe, a device or standard input."""
    return str(path) == STANDARD_INPUT or (path.exists() and not path.is_file() and not path.is_dir())


def _copy(source: Path, copy: IO[bytes]) -> None:
    """Copy the bytes of a pipe or of standard input."""
    if str(source) == STANDARD_INPUT:
        shutil.copyfileobj(sys.stdin.buffer, copy)
    else:
        with source.open("rb") as pipe:
            shutil.copyfileobj(pipe, copy)


def free_names(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Return `names`, prefixed with underscores where necessary to differ from the names that are `taken`."""
    used = set(taken)
    found = []
    for name in names:
        while name in used:
            name = f"_{name}"
        used.add(name)
        found.append(name)
    return found


def _table(path: Path, name: str) -> RawTable:
    """Return the table of a file that can be read several times."""
    notes: list[str] = []
    with errors_of_content(name):
        opened, inner = decompressed(path, name, notes)
        with opened() as stream:
            beginning = stream.read(SAMPLE_BYTES)
        return form_of(beginning, inner)(opened, name, inner, beginning, notes)
