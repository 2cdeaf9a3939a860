"""Messages for the user: `say` writes lines and `progress` shows long loops, both on standard error.

Standard output has only what a command was asked for, which other programs may read; `print` in molclr/cli writes it.
"""

import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing import current_process
from typing import NamedTuple, TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 20.0
WARNING = "warning: "
"""Beginning of lines of `say` that are warnings."""


class PythonCall(NamedTuple):
    """A call from a Python program."""

    verbose: bool
    hidden: str
    """A text that is removed from lines, such as a temporary folder."""


_call: ContextVar[PythonCall | None] = ContextVar("call", default=None)


def progress(
    iterable: Iterable[T], total: int | None = None, label: str = "", unit: str = "it", silent: bool = False
) -> Iterator[T]:
    """Yield the items of `iterable` and print the progress on standard error. total: number of items, if it has no length.

    In the context `called_from_python`, there are bars but no lines.
    """
    if silent or (_call.get() and not _shows_bars()):
        yield from iterable
        return
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if _shows_bars():
        yield from _bar()(iterable, total=total, desc=label, unit=unit, leave=False)
        return
    start = last = time.monotonic()
    for done, item in enumerate(iterable):
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            of_total = f"/{total}" if total is not None else ""
            print(f"{label}: {done}{of_total} {unit}, {done / (now - start):.1f} {unit}/s", file=sys.stderr, flush=True)
            last = now
        yield item


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as 1 row or 3 rows."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def say(*lines: str, every_process: bool = False) -> None:
    """Print lines for the user on standard error; see `called_from_python` for calls from a Python program.

    Of the processes that torchrun started, only the first prints, unless `every_process`.
    """
    if not every_process and os.environ.get("RANK", "0") != "0":
        return
    call = _call.get()
    for line in lines:
        line = line.replace(call.hidden, "") if call else line
        if call and line.startswith(WARNING):
            warnings.warn(line.removeprefix(WARNING), stacklevel=2)
        elif not call or call.verbose:
            print(f"molclr: {line}", file=sys.stderr, flush=True)


@contextmanager
def called_from_python(verbose: bool = False, hidden: str = "") -> Iterator[None]:
    """Context of a call from a Python program: lines of `say` that are warnings become a UserWarning.

    verbose, hidden: print other lines of `say`, without the text `hidden`. Progress is shown as a bar on a terminal or in a
    notebook, and not at all elsewhere.
    """
    token = _call.set(PythonCall(verbose, hidden))
    try:
        yield
    finally:
        _call.reset(token)


def _shows_bars() -> bool:
    """Return whether a bar can be seen. Worker processes show none, because several bars would overwrite each other."""
    return (sys.stderr.isatty() or _in_notebook()) and current_process().name == "MainProcess"


def _in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config


def _bar() -> type[tqdm]:
    """Return tqdm, or its form for notebooks where ipywidgets are installed."""
    if not _in_notebook():
        return tqdm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets, and about the module being experimental
        from tqdm.auto import tqdm as notebook_tqdm
    return notebook_tqdm
