"""Compressions and text encodings of raw tables."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from molclr.errors import MolclrError

COMPRESSIONS: dict[bytes, Callable] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
"""First bytes of a file -> the function that opens it."""

Open = Callable[[], BinaryIO]
"""Opens the decompressed bytes of a table at their beginning."""


@contextmanager
def errors_of_content(name: str) -> Iterator[None]:
    """Context that turns errors of decoders and archives into MolclrError, which names the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise MolclrError(f"'{name}' is not text ({error.reason}); save it as CSV in UTF-8.") from None
    except (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException) as error:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
            raise  # an error of the machine, not of the content
        raise MolclrError(f"'{name}' is damaged or cut short ({error}); get the file again.") from None


def decompressed(path: Path, name: str, notes: list[str]) -> tuple[Open, Path]:
    """Return a function that opens the decompressed content, and the file name without the suffix of the compression."""
    with path.open("rb") as file:
        magic = file.read(6)
    inner = Path(name)
    for beginning, opener in COMPRESSIONS.items():
        if magic.startswith(beginning):
            return partial(opener, path, "rb"), inner.with_suffix("")
    if magic.startswith(b"PK\x05\x06"):
        raise MolclrError(f"'{name}' is an archive without files; name a table.")
    if not magic.startswith(b"PK\x03\x04"):
        return lambda: path.open("rb"), inner
    with _errors_of_archive(name), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.namelist() if not member.endswith("/") and "__MACOSX" not in member]
    if "xl/workbook.xml" in members:
        return lambda: path.open("rb"), inner.with_suffix(".xlsx")
    if len(members) != 1:
        raise MolclrError(f"'{name}' is an archive of {len(members)} files; unpack it and name one of them.")
    notes.append(f"'{members[0]}' in the archive")
    return partial(_member, path, members[0], name), Path(members[0])


def _member(path: Path, member: str, name: str) -> BinaryIO:
    with _errors_of_archive(name):
        return cast(BinaryIO, zipfile.ZipFile(path).open(member))


@contextmanager
def _errors_of_archive(name: str) -> Iterator[None]:
    """Context that turns the RuntimeError of zipfile for encrypted archives and unknown compressions into MolclrError."""
    try:
        yield
    except RuntimeError as error:
        raise MolclrError(f"'{name}' cannot be unpacked ({error}); unpack it and name the table in it.") from None


def encoding_of(opened: Open, beginning: bytes, notes: list[str]) -> str:
    """Return the encoding of a text: UTF-16 if it has a mark or many zero bytes, else UTF-8 if it is valid, else Windows-1252."""
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        notes.append("in UTF-16")
        return "utf-16"
    if beginning[1::2].count(0) > len(beginning) // 4:
        notes.append("in UTF-16")
        return "utf-16-le"
    if beginning[::2].count(0) > len(beginning) // 4:
        notes.append("in UTF-16")
        return "utf-16-be"
    decoder = getincrementaldecoder("utf-8")()
    try:
        with opened() as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        notes.append("not in UTF-8, read as Windows-1252")
        return "cp1252"
    return "utf-8-sig"
