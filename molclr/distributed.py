"""Data-parallel training in several processes with one device each. In a single process, the functions here have no effect.

Start the processes with `torchrun -m molclr pretrain ...`. They communicate by NCCL between GPUs and by Gloo between CPUs.
All processes start with the same weights and apply the same summed gradients, so their weights stay equal.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the process group of torchrun, if torchrun started this process."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def joined() -> bool:
    """Return whether this process is in a process group, which may have only one member."""
    return dist.is_initialized()


def processes() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if joined() else 1


def rank() -> int:
    """Return the number of this process, from 0. Process 0 writes the files."""
    return dist.get_rank() if joined() else 0


def wait_for_all() -> None:
    """Wait until all processes have called this function."""
    any_process(False)


def any_process(value: bool) -> bool:
    """Return whether `value` is true in any process."""
    return max(_all_values(int(value))) == 1


def same_everywhere(value: int) -> bool:
    """Return whether all processes have the same value."""
    return len(set(_all_values(value))) == 1


def _all_values(value: int) -> list[int]:
    """Return the values of all processes."""
    values = torch.zeros(processes(), dtype=torch.int64)
    values[rank()] = value
    return sum_over_processes(values).tolist()


def own_slice(items: int) -> slice:
    """Return this process's slice of `items` items. Slices are consecutive, and their lengths differ by at most one."""
    return slice(items * rank() // processes(), items * (rank() + 1) // processes())


def gather_rows(part: Tensor, items: int) -> Tensor:
    """Collect the rows of all processes, float (items, channels); `part` has this process's rows, own_slice(items).

    The gradient covers only the rows of this process, so each process must compute the loss of the whole batch.
    """
    return _Gather.apply(part, items) if joined() else part


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, items: int) -> Tensor:
        ctx.own = own_slice(items)
        whole = part.new_zeros(items, *part.shape[1:])
        whole[ctx.own] = part
        return sum_over_processes(whole)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[ctx.own], None


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Replace `tensor` by its sum over all processes, without gradient; return it."""
    if joined():
        dist.all_reduce(tensor)
    return tensor


def all_sum(tensor: Tensor) -> Tensor:
    """Sum a tensor over all processes. The gradient is summed over the processes, too."""
    return _AllSum.apply(tensor) if joined() else tensor


class _AllSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return sum_over_processes(tensor.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient.clone())


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their sums over all processes, with one collective operation."""
    if not joined():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, total in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(total.view_as(gradient))
