"""Parallel map over several processes, in order and with bounded memory."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
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
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin) as pool:
        try:
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise MolclrError(
                f"One of {processes} processes died, perhaps for lack of memory; start again with a smaller --processes."
            ) from None


def available_cores() -> int:
    """Return the number of cores that this process may use; on systems that do not say, that of the machine."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _begin() -> None:
    """Let the parent process handle Ctrl-C, and end this worker with it, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
