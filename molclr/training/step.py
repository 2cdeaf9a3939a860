"""One training step on any device: forward, backward, and an update unless the loss or gradient is not finite."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from molclr.batch import map_tensors, tensors_in
from molclr.distributed import sum_gradients

WARM_UP = 3
"""Steps before a CUDA graph is captured, in which PyTorch and its compiler initialize themselves."""


class Step:
    """A training step without synchronization with the device.

    Losses are summed on the device. A step whose loss or gradient is not finite sets the flag `failed` there, after which no step
    changes the weights. The caller reads the flag from time to time; `good` shows which step failed.

    loss_sum: float64 (), over the good steps. good: int64 (), steps before the first that failed. failed: float32 (), 0 or 1.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, loss_of: Callable[..., Tensor]) -> None:
        """loss_of(*inputs): the loss, float32 (), of one batch. optimizer: a fused Adam, which supports such a flag."""
        self.parameters, self.optimizer, self.loss_of = list(model.parameters()), optimizer, loss_of
        device = self.parameters[0].device
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.good = torch.zeros((), dtype=torch.int64, device=device)
        self.failed = torch.zeros((), device=device)
        optimizer.found_inf = self.failed  # type: ignore[attr-defined]  # as torch.amp.GradScaler does

    def __call__(self, *inputs: Any) -> None:
        """Train on one batch."""
        self.optimizer.zero_grad()
        loss = self.loss_of(*inputs)
        loss.backward()
        sum_gradients(self.parameters)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        finite = loss.detach().isfinite() & norm.isfinite()
        self.failed.copy_(torch.where(finite, self.failed, 1.0))
        self.optimizer.step()
        self.loss_sum += torch.where(self.failed > 0, 0.0, loss.detach())
        self.good += self.failed == 0

    def begin(self, loss_sum: float) -> None:
        """Reset the counter and the flag, and set the sum of losses to `loss_sum`."""
        self.loss_sum.fill_(loss_sum)
        self.good.zero_()
        self.failed.zero_()


class CapturedStep:
    """A `Step` that is captured as a CUDA graph in the first call and replayed in later calls.

    A replay launches all kernels of the step at once. Inputs must keep their shapes; they are copied to the graph's memory.
    """

    def __init__(self, step: Step, model: nn.Module) -> None:
        self.step, self.model = step, model
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Any) -> None:
        """Train on one batch."""
        if self.graph is None:
            self._capture(inputs)
        for place, value in zip(tensors_in(self.inputs), tensors_in(inputs), strict=True):
            place.copy_(value, non_blocking=True)
        assert self.graph is not None
        self.graph.replay()

    def _capture(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = map_tensors(inputs, torch.clone)
        state = [*self.model.buffers(), self.step.loss_sum, self.step.good]
        before, random = [tensor.clone() for tensor in state], torch.cuda.get_rng_state()
        self.step.optimizer._warned_capturable_if_run_uncaptured = True  # It will be captured.
        self.step.failed.fill_(1)  # No weight is updated; what warming up changes otherwise is restored below.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.step(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
        self.step.failed.zero_()
        torch.cuda.set_rng_state(random)
        self.graph = torch.cuda.CUDAGraph()
        # Other threads may prepare batches meanwhile.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.step(*self.inputs)
