"""Where tensors are computed: device, threads and precision, as the configuration says."""

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


def prepare(settings: Compute) -> torch.device:
    """Set the number of threads and return the device. Raises MolclrError when the device is not there.

    Of several processes on a machine, which torchrun numbers, each takes the GPU of its number.
    """
    torch.set_num_threads(settings.threads)
    name = settings.device
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
            f"The device '{name}' cannot be used ({reason}); set 'device' to auto, cpu or a GPU."
        ) from None
    if device.type == "cuda":
        torch.cuda.set_device(device)
        # Where a deterministic kernel exists; PyTorch warns of the sums that have none.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Otherwise each new tensor costs a kernel.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def mixed_precision(settings: Compute, device: torch.device) -> contextlib.AbstractContextManager:
    """Context of a forward pass: bfloat16 where the configuration asks for it, else nothing."""
    if settings.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def dtype_of(settings: Compute) -> torch.dtype:
    """The type in which products are computed."""
    return torch.float32 if settings.precision == "float32" else torch.bfloat16


_this_thread = threading.local()
_PAUSE_HARD = 2
"""omp_pause_hard of OpenMP 5.0: let go of everything that a runtime holds, its threads too."""


@contextlib.contextmanager
def flushing_subnormals() -> Iterator[None]:
    """Context, or decorator, in which CPUs take subnormal numbers for zero; afterwards the caller's mode is restored.

    A trained network has weights that decayed to subnormal numbers (below 1.2e-38 in single precision), with which a CPU
    computes many times slower. The mode belongs to a thread, and a thread inherits it from the one that starts it. PyTorch's
    OpenMP workers keep the mode they began with, so they are dismissed here, and start anew with the next computation: some
    10 ms on entering and on leaving. Where the OpenMP runtime cannot dismiss them (before OpenMP 5.0), only this thread changes
    its mode.
    """
    if getattr(_this_thread, "flushes", False):
        yield
        return
    before = _flushes()
    torch.set_flush_denormal(True)
    _dismiss_workers()
    _this_thread.flushes = True
    try:
        yield
    finally:
        _this_thread.flushes = False
        torch.set_flush_denormal(before)
        _dismiss_workers()


def _flushes() -> bool:
    """Does this thread take subnormal numbers for zero? PyTorch sets the mode and does not tell it."""
    smallest = torch.ones(1, dtype=torch.int32).view(torch.float32)
    return not (smallest * 2**20).item()


def _dismiss_workers() -> None:
    """End the OpenMP threads that work for this one."""
    for pause in _pauses():
        pause(_PAUSE_HARD)


@functools.cache
def _pauses() -> list[Callable[[int], int]]:
    """omp_pause_resource_all of each OpenMP runtime in this process: PyTorch's, perhaps scikit-learn's."""
    runtimes = [ctypes.CDLL(info["filepath"]) for info in threadpool_info() if info["user_api"] == "openmp"]
    return [runtime.omp_pause_resource_all for runtime in runtimes if hasattr(runtime, "omp_pause_resource_all")]
