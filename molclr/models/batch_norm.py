"""Batch norm of a batch in which rows stand for several equal ones."""

from typing import Any

import torch
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that takes a row and how often it is there."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, h: Tensor, sizes: Tensor | None = None) -> Tensor:
        """What nn.BatchNorm1d gives for h, float (num_rows, channels), if row i were there sizes[i] times."""
        if sizes is None or not self.training:
            return super().forward(h)
        total = int(sizes.sum())
        share = sizes.to(self.weight.dtype) / total
        out, mean, variance = _WeightedBatchNorm.apply(h.to(share.dtype), share, self.weight, self.bias, self.eps)
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (total / (total - 1)), self.momentum)
        return out


class _WeightedBatchNorm(torch.autograd.Function):
    """Batch norm in which a row counts its share of the batch; also mean and (biased) variance, without gradients."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, share: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = share @ h
        centred = h - mean
        variance = share @ centred.square()
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(centred, share, weight, scale)
        ctx.mark_non_differentiable(mean, variance)
        return torch.addcmul(bias, centred, weight * scale), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, None, Tensor, Tensor, None]:
        centred, share, weight, scale = ctx.saved_tensors
        of_bias = gradient.sum(dim=0)
        of_weight = (gradient * centred).sum(dim=0) * scale
        # Through the statistics, a row has its share of what the whole batch asks of them.
        of_statistics = torch.addcmul(of_bias, centred, scale * of_weight)
        of_h = torch.addcmul(gradient, of_statistics, share.unsqueeze(1), value=-1).mul_(weight * scale)
        return of_h, None, of_weight, of_bias, None
