"""Batch norm over the rows of all processes, where a row may stand for several equal ones."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.distributed import processes, sum_over_processes


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that takes a row and how often it is there, and is the same on any number of processes."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, h: Tensor, sizes: Tensor | None = None) -> Tensor:
        """What nn.BatchNorm1d gives for h, float (num_rows, channels), if row i were there sizes[i] times.

        In training, mean and variance are those of the rows of all processes.
        """
        if not self.training or (sizes is None and processes() == 1):
            return super().forward(h)
        if sizes is None:
            sizes = torch.ones(len(h), dtype=torch.int64, device=h.device)
        total = sum_over_processes(sizes.sum()).to(self.weight.dtype)
        share = sizes.to(self.weight.dtype) / total
        with torch.autocast(h.device.type, enabled=False):  # Sums of many terms.
            out, mean, variance = _WeightedBatchNorm.apply(h.to(share.dtype), share, self.weight, self.bias, self.eps)
        self.num_batches_tracked += 1
        # As nn.BatchNorm1d does, behind autograd's back: that of an earlier view may hold them, but in training uses neither.
        self.running_mean.data.lerp_(mean, self.momentum)
        self.running_var.data.lerp_(variance * (total / (total - 1)), self.momentum)
        return out.to(h.dtype)


class _WeightedBatchNorm(torch.autograd.Function):
    """Batch norm in which a row counts its share of the batch; also mean and (biased) variance, without gradients."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, share: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = sum_over_processes(share @ h)
        variance = sum_over_processes(share @ (h - mean).square_())
        ctx.save_for_backward(h, share, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(h, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, None, Tensor, Tensor, None]:
        h, share, weight, mean, variance = ctx.saved_tensors
        scale = (variance + ctx.eps).rsqrt()
        # As if the statistics were constants ...
        gradients = _gradients_on_cpu if h.device.type == "cpu" else _gradients
        of_h, of_weight, of_bias = gradients(gradient, h, weight, mean, variance, ctx.eps)
        # ... and through them, where a row has its share: weight * scale * (every_bias + every_weight * scale * (h - mean)).
        every_weight, every_bias = sum_over_processes(torch.stack([of_weight, of_bias]))
        slope = weight * scale.square() * every_weight
        of_statistics = torch.addcmul(weight * scale * every_bias - slope * mean, h, slope)
        return of_h.addcmul_(of_statistics, share.unsqueeze(1), value=-1), None, of_weight, of_bias, None


def _gradients(
    gradient: Tensor, h: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of h, of the weight and of the bias where mean and variance, float (channels,), are constants."""
    scale = (variance + eps).rsqrt()
    normalized = (h - mean) * scale
    return gradient * (weight * scale), (gradient * normalized).sum(dim=0), gradient.sum(dim=0)


def _gradients_on_cpu(
    gradient: Tensor, h: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What `_gradients` gives, in half the time. (On CUDA, PyTorch's function fails unless it computes the statistics.)"""
    return torch.ops.aten.native_batch_norm_backward(
        gradient, h, weight, mean, variance, None, None, False, eps, [True, True, True]
    )
