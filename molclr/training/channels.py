"""Dead channels: channels of an encoder that have the same value for all atoms and so carry no information."""

from collections.abc import Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.batch import GraphBatch

DEAD_BELOW = 1e-6
"""Variance, relative to the largest variance of a channel in the layer, below which a channel is dead.

It corresponds to a thousandth of the standard deviation. Channels whose weights decayed to zero are far below.
"""


def dead_channels(encoder: nn.Module, batches: Iterable[GraphBatch]) -> list[float]:
    """Compute the fraction of dead channels of each layer over the atoms of `batches`.

    Channels are measured after batch norm and, except in the last layer, ReLU. encoder: has its batch norms in `norms`, whose
    inputs are (rows, channels) without padding; for an encoder without `norms` the result is []. batches: on the device of the
    encoder, with a few hundred molecules or more in total.
    """
    moments = [_Moments() for _ in getattr(encoder, "norms", [])]
    if not moments:
        return []
    hooks = [
        norm.register_forward_hook(partial(_observe, observer, last=observer is moments[-1]))
        for norm, observer in zip(encoder.norms, moments, strict=True)  # type: ignore[arg-type]
    ]
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                encoder(*batch)
    finally:
        encoder.train(training)
        for hook in hooks:
            hook.remove()
    return [observer.dead() for observer in moments]


class _Moments:
    """The number, sum and sum of squares of the rows of a layer, in double precision."""

    def __init__(self) -> None:
        self.rows = 0
        self.sum = self.squares = torch.zeros(())

    def add(self, h: Tensor) -> None:
        """Add the rows of h, (rows, channels)."""
        h = h.double()
        self.rows += len(h)
        self.sum, self.squares = self.sum.to(h) + h.sum(0), self.squares.to(h) + h.square().sum(0)

    def dead(self) -> float:
        """Return the fraction of dead channels."""
        variance = self.squares / self.rows - (self.sum / self.rows).square()
        return float((variance <= DEAD_BELOW * variance.max()).double().mean())


def _observe(moments: _Moments, module: nn.Module, arguments: tuple, output: Tensor, last: bool) -> None:
    moments.add(output if last else F.relu(output))
