"""Atomic writing of files, and locks and digests of them."""

import csv
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from molclr.errors import MolclrError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` on success, remove it on failure.

    The file and its name are flushed to the disk, so that neither a killed process nor a power cut leaves an incomplete file. The
    temporary path has the same suffix, for writers that choose a format by it. Parent folders are created. Errors such as a full
    disk name the file. Raises MolclrError if `path` exists and is not a regular file, such as /dev/null.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise MolclrError(f"'{path}' is not a regular file, so it cannot be replaced; choose another path.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # Some writers make files that only their owner can read.
        _flush(temporary)
        os.replace(temporary, target)
        _flush(target.parent)
    except OSError as error:
        if error.filename in (None, os.fspath(temporary)):
            error.filename = os.fspath(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | os.PathLike[str], mark: str, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder next to `path`; rename it to `path` on success, remove it and keep the old folder on failure.

    replace: whether a folder that contains the file `mark`, by which such folders are recognized, may be replaced. Raises
    MolclrError, before anything is made, if `path` exists and is neither an empty folder nor one that may be replaced.
    """
    target = Path(path).resolve()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        if not (target / mark).is_file():
            raise MolclrError(f"'{path}' exists and has no {mark}, so it is not replaced; choose another folder.")
        if not replace:
            raise MolclrError(
                f"'{path}' exists; choose another folder, or replace it with --force (in Python force=True)."
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (target.with_name(f".{target.name}.{secrets.token_hex(4)}") for _ in range(2))
    try:
        temporary.mkdir()
        yield temporary
        if not replace and target.exists() and not (target.is_dir() and not any(target.iterdir())):
            target = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
            os.replace(temporary, target)
            raise MolclrError(f"'{path}' was made meanwhile, so it is not replaced; the new folder is '{target}'.")
        if target.exists():
            os.replace(target, old)
        os.replace(temporary, target)
        _flush(target.parent)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """Flush the content of a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Compute the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(folder: Path, before_waiting: Callable[[], None]) -> Iterator[None]:
    """Lock a folder, which is created if missing; the operating system releases the lock when this process ends.

    before_waiting: called if another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            before_waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class _Lines:
    """A file whose lines end with a line feed. csv.writer quotes carriage returns only if they are part of its line ends."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + "\n")


def csv_writer(file: IO[str]) -> Any:
    """Return a writer of CSV with line feeds, which quotes fields with line feeds or carriage returns."""
    return csv.writer(_Lines(file))


def write_rows(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one or more `rows` as CSV, with the keys of the first row as the header."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(_Lines(file), list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
