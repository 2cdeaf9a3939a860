"""The device, threads and precision of a computation."""

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator

import torch
from threadpoolctl import threadpool_info

from molclr.config import Compute
from molclr.errors import MolclrError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The environment variable with which products on a GPU are deterministic."""


def prepare(settings: Compute) -> torch.device:
    """Set the number of threads, and deterministic kernels on a GPU; return the device.

    These settings of PyTorch concern the whole process; see `unchanged_torch`. Raises MolclrError if the device is not available.
    """
    torch.set_num_threads(settings.threads)
    device = usable_device(settings.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        # Use deterministic kernels where they exist; PyTorch warns about operations without one.
        os.environ.setdefault(WORKSPACE, ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling each new tensor would cost a kernel.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


@contextlib.contextmanager
def unchanged_torch() -> Iterator[None]:
    """Context manager or decorator that restores on exit what `prepare` sets and the random state, for calls from a program.

    The settings concern the whole process, so calls in several threads at once may restore them in the wrong order.
    """
    threads, workspace = torch.get_num_threads(), os.environ.get(WORKSPACE)
    deterministic, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    gpu = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
    random, random_on_gpu = torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        if now != (deterministic, warns):  # Setting it imports PyTorch's compiler, which takes seconds.
            torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
        if torch.cuda.is_initialized():
            torch.cuda.set_device(gpu)
        torch.set_rng_state(random)
        if random_on_gpu is not None:
            torch.cuda.set_rng_state(random_on_gpu)


def usable_device(name: str | torch.device) -> torch.device:
    """Return the device of that name; auto is a GPU if there is one. Raises MolclrError if it cannot be used here.

    With torchrun, each process on a machine uses the GPU whose number is its LOCAL_RANK.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise MolclrError(
            f"The device '{name}' cannot be used ({reason}); set 'device' to auto, cpu or a GPU of this machine, such as cuda:0."
        ) from None
    return device


def mixed_precision(settings: Compute, device: torch.device) -> contextlib.AbstractContextManager:
    """Return the autocast context of a forward pass: bfloat16 if configured, otherwise a context without effect."""
    if settings.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def dtype_of(settings: Compute) -> torch.dtype:
    """Return the data type of matrix products."""
    return torch.float32 if settings.precision == "float32" else torch.bfloat16


_this_thread = threading.local()
_PAUSE_HARD = 2
"""omp_pause_hard of OpenMP 5.0: release all resources of a runtime, including its threads."""


@contextlib.contextmanager
def flushing_subnormals() -> Iterator[None]:
    """Context manager or decorator that makes CPUs treat subnormal numbers as zero; restores the previous mode on exit.

    A trained network has weights that decayed to subnormal numbers (below 1.2e-38 in single precision), which make a CPU many
    times slower. The mode is set per thread and inherited by new threads. PyTorch's OpenMP workers keep the mode with which they
    started, so they are ended here and restarted by the next computation, which takes about 10 ms on entry and on exit. If the
    OpenMP runtime cannot end them (before OpenMP 5.0), only the present thread changes its mode.
    """
    if getattr(_this_thread, "flushes", False):
        yield
        return
    before = _flushes()
    torch.set_flush_denormal(True)
    _end_workers()
    _this_thread.flushes = True
    try:
        yield
    finally:
        _this_thread.flushes = False
        torch.set_flush_denormal(before)
        _end_workers()


def _flushes() -> bool:
    """Return whether this thread treats subnormal numbers as zero. PyTorch has no function that returns the mode."""
    smallest = torch.ones(1, dtype=torch.int32).view(torch.float32)
    return not (smallest * 2**20).item()


def _end_workers() -> None:
    """End the OpenMP worker threads of this thread."""
    for pause in _pauses():
        pause(_PAUSE_HARD)


@functools.cache
def _pauses() -> list[Callable[[int], int]]:
    """Return omp_pause_resource_all of each OpenMP runtime in the process (that of PyTorch, perhaps that of scikit-learn)."""
    runtimes = [ctypes.CDLL(info["filepath"]) for info in threadpool_info() if info["user_api"] == "openmp"]
    return [runtime.omp_pause_resource_all for runtime in runtimes if hasattr(runtime, "omp_pause_resource_all")]
