"""Batch norm of a batch in which rows stand for several equal ones."""

from typing import Any

import torch
from torch import Tensor, nn


def batch_norm(norm: nn.BatchNorm1d, h: Tensor, sizes: Tensor) -> Tensor:
    """What `norm` gives for h, float (num_rows, channels), if row i were there sizes[i] times; its statistics too."""
    total = int(sizes.sum())
    if not norm.training or total == len(h):
        return norm(h)
    share = sizes.to(norm.weight.dtype) / total
    out, mean, variance = _WeightedBatchNorm.apply(h.to(share.dtype), share, norm.weight, norm.bias, norm.eps)
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (total / (total - 1)), norm.momentum)
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
