"""Progress of long loops: a bar on a terminal, occasional lines in a log."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 20.0


def progress(
    iterable: Iterable[T], total: int | None = None, label: str = "", unit: str = "it", silent: bool = False
) -> Iterator[T]:
    """Yield the items of `iterable` and print the progress on standard error. total: number of items, if it has no length."""
    if silent:
        yield from iterable
        return
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if sys.stderr.isatty():
        yield from tqdm(iterable, total=total, desc=label, unit=unit, leave=False)
        return
    start = last = time.monotonic()
    for done, item in enumerate(iterable):
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            of_total = f"/{total}" if total is not None else ""
            print(f"{label}: {done}{of_total} {unit}, {done / (now - start):.1f} {unit}/s", file=sys.stderr, flush=True)
            last = now
        yield item


def say(*lines: str) -> None:
    """Tell the user lines on standard error."""
    for line in lines:
        print(f"molclr: {line}", file=sys.stderr, flush=True)
