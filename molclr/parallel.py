"""Parallel map over several processes, in order and with bounded memory."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

from molclr.errors import MolclrError

Part = TypeVar("Part")
Result = TypeVar("Result")


def ordered_map(work: Callable[[Part], Result], parts: Iterable[Part], processes: int) -> Iterator[Result]:
    """Yield `work(part)` for each part, in order. With `processes` 1, the work is done in this process.

    At most two parts per process are pending, so memory use does not grow with the number of parts. Raises MolclrError if a
    process dies, for example because memory is exhausted.
    """
    if processes == 1:
        yield from map(work, parts)
        return
    waiting: deque[Future[Result]] = deque()
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)  # Only the main process handles Ctrl-C.
    with ProcessPoolExecutor(processes, get_context("spawn"), ignore) as pool:
        try:
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise MolclrError(
                f"One of {processes} processes died, perhaps because memory ran out; use fewer."
            ) from None
