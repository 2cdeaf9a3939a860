"""The Python examples of a page and their outputs: `python docs/examples.py docs/python.md` runs them and renews the outputs."""

import contextlib
import io
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
TABLES = ("freesolv.csv", "bbbp.csv")
"""Tables of tests/fixtures that the examples read."""
_EXAMPLE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", re.MULTILINE | re.DOTALL)


def renewed(page: str) -> str:
    """Run the Python blocks of a page, in order, and return it with what they print as a text block below each."""
    names: dict[str, Any] = {}

    def renew(example: re.Match[str]) -> str:
        printed = _run(example[1], names)
        return f"```python\n{example[1]}```\n" + (f"\n```text\n{printed}```\n" if printed else "")

    with _folder_with_tables():
        return _EXAMPLE.sub(renew, page)


def _run(code: str, names: dict[str, Any]) -> str:
    """Run code; return what it prints, warnings included."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")  # as molclr does
        warnings.showwarning = lambda message, category, *rest: print(f"{category.__name__}: {message}")
        exec(compile(code, "example", "exec"), names)
    return printed.getvalue()


@contextlib.contextmanager
def _folder_with_tables() -> Iterator[None]:
    before = Path.cwd()
    with TemporaryDirectory() as folder:
        for name in TABLES:
            shutil.copy(REPOSITORY / "tests/fixtures" / name, folder)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
