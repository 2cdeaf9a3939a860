"""Batch norm with row weights and statistics over all processes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.distributed import processes, sum_over_processes


class BatchNorm(nn.BatchNorm1d):
    """Batch norm in which a row can represent several equal rows, synchronized between processes."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, h: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Normalize h, float (num_rows, channels), like nn.BatchNorm1d on a batch that contains row i sizes[i] times.

        sizes: int64 (num_rows,); None for 1. In training, mean and variance are computed over the rows of all processes.
        """
        if not self.training or (sizes is None and processes() == 1):
            return super().forward(h)
        if sizes is None:
            sizes = torch.ones(len(h), dtype=torch.int64, device=h.device)
        total = sum_over_processes(sizes.sum()).to(self.weight.dtype)
        fraction = sizes.to(self.weight.dtype) / total
        with torch.autocast(h.device.type, enabled=False):  # Sums of many terms need single precision.
            out, mean, variance = _WeightedBatchNorm.apply(
                h.to(fraction.dtype), fraction, self.weight, self.bias, self.eps
            )
        self.num_batches_tracked += 1
        # Like nn.BatchNorm1d, update without autograd: the graph of an earlier view may have saved the running statistics, but
        # its backward pass does not use them.
        self.running_mean.data.lerp_(mean, self.momentum)
        self.running_var.data.lerp_(variance * (total / (total - 1)), self.momentum)
        return out.to(h.dtype)


class _WeightedBatchNorm(torch.autograd.Function):
    """Batch norm with the weight `fraction`, float (num_rows,), of each row; sums to 1 over all processes.

    Also returns the mean and the biased variance, float (channels,), without gradients.
    """

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, fraction: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = sum_over_processes(fraction @ h)
        variance = sum_over_processes(fraction @ (h - mean).square_())
        ctx.save_for_backward(h, fraction, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(h, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, None, Tensor, Tensor, None]:
        h, fraction, weight, mean, variance = ctx.saved_tensors
        scale = (variance + ctx.eps).rsqrt()
        # The gradients for constant statistics ...
        gradients = _gradients_on_cpu if h.device.type == "cpu" else _gradients
        of_h, of_weight, of_bias = gradients(gradient, h, weight, mean, variance, ctx.eps)
        # ... and, for h, those through the statistics: -fraction * weight * scale * (all_bias + all_weight * scale * (h - mean)).
        all_weight, all_bias = sum_over_processes(torch.stack([of_weight, of_bias]))
        slope = weight * scale.square() * all_weight
        of_statistics = torch.addcmul(weight * scale * all_bias - slope * mean, h, slope)
        return of_h.addcmul_(of_statistics, fraction.unsqueeze(1), value=-1), None, of_weight, of_bias, None


def _gradients(
    gradient: Tensor, h: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of h, weight and bias for a constant mean and variance, both float (channels,)."""
    scale = (variance + eps).rsqrt()
    normalized = (h - mean) * scale
    return gradient * (weight * scale), (gradient * normalized).sum(dim=0), gradient.sum(dim=0)


def _gradients_on_cpu(
    gradient: Tensor, h: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the same as `_gradients` in half the time. (On CUDA, PyTorch's function fails without statistics of its own.)"""
    return torch.ops.aten.native_batch_norm_backward(
        gradient, h, weight, mean, variance, None, None, False, eps, [True, True, True]
    )
