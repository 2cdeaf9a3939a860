"""Dead channels: channels of an encoder that are the same for every atom, so that the next layer learns nothing from them."""

from collections.abc import Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.batch import GraphBatch

DEAD_BELOW = 1e-6
"""Variance, as a fraction of that of the layer's most variable channel, below which a channel is dead.

A channel of a thousandth of the standard deviation of another moves nothing; a weight that starved is far below that.
"""


def dead_channels(encoder: nn.Module, batches: Iterable[GraphBatch]) -> list[float]:
    """For each layer the fraction of channels that hardly vary over the atoms of `batches`, as the next layer sees them.

    That is behind batch norm and, in all layers but the last, ReLU. `encoder`: in evaluation mode, with its batch norms in
    `norms`, which are given (rows, channels) without padding; of an encoder without them nothing is known: []. `batches`: on the
    device of the encoder, some hundred molecules in all or more.
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
    """Number, sum and sum of squares of the rows of a layer, in double precision."""

    def __init__(self) -> None:
        self.rows = 0
        self.sum = self.squares = torch.zeros(())

    def add(self, h: Tensor) -> None:
        """h: (rows, channels)."""
        h = h.double()
        self.rows += len(h)
        self.sum, self.squares = self.sum.to(h) + h.sum(0), self.squares.to(h) + h.square().sum(0)

    def dead(self) -> float:
        """The fraction of channels that hardly vary."""
        variance = self.squares / self.rows - (self.sum / self.rows).square()
        return float((variance <= DEAD_BELOW * variance.max()).double().mean())


def _observe(moments: _Moments, module: nn.Module, arguments: tuple, output: Tensor, last: bool) -> None:
    moments.add(output if last else F.relu(output))
