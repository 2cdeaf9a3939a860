"""Batch norm over the molecules of all processes, so that a batch gives the same on any number of devices."""

import torch
from torch import Tensor, nn

from molclr.distributed import sum_over_processes


class SynchronisedBatchNorm(nn.BatchNorm1d):
    """nn.BatchNorm1d whose mean and variance in training are those of the rows of all processes. On any device."""

    momentum: float
    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor

    def forward(self, h: Tensor, sizes: Tensor | None = None) -> Tensor:
        """h: float (num_rows, channels), row i counted sizes[i] times, (num_rows,); without `sizes` once."""
        if not self.training:
            return super().forward(h)
        with torch.autocast(h.device.type, enabled=False):  # Sums of many terms.
            x = h.to(self.weight.dtype)
            sizes = x.new_ones(len(x)) if sizes is None else sizes.to(x.dtype)
            total = sum_over_processes(torch.cat([sizes.sum().unsqueeze(0), sizes @ x]))
            count, mean = total[0].detach(), total[1:] / total[0].detach()
            centred = x - mean
            variance = sum_over_processes(sizes @ centred.square()) / count
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            return torch.addcmul(self.bias, centred, self.weight * (variance + self.eps).rsqrt()).to(h.dtype)


def synchronise_batch_norm(model: nn.Module) -> None:
    """Replace every nn.BatchNorm1d in `model` by a synchronised one with the same weights and statistics."""
    for parent in list(model.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, nn.BatchNorm1d):
                synchronised = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum)
                synchronised.load_state_dict(norm.state_dict())
                setattr(parent, name, synchronised)
