"""Where tensors are computed: device, threads and precision, as the configuration says."""

import contextlib
import os

import torch

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
    return device


def mixed_precision(settings: Compute, device: torch.device) -> contextlib.AbstractContextManager:
    """Context of a forward pass: bfloat16 where the configuration asks for it, else nothing."""
    if settings.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
