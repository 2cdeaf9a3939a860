"""Losses of pre-training. The paper uses the normalized temperature-scaled cross-entropy (eq. 4; Chen et al., 2020).

To add a loss, add an entry to LOSSES or give the path of your own function in the configuration (docs/extending.md).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from molclr.errors import MolclrError
from molclr.imports import load_function, unknown

ContrastiveLoss = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
"""Function (first, second, temperature) -> (loss, contrastive accuracy), both of shape ().

first, second: float (num_graphs, channels), the projections of two views; row i of both belongs to molecule i.
"""


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Compute the NT-Xent loss and the contrastive accuracy of two views of the same molecules.

    first, second: float (num_graphs, channels), row i of both from molecule i; normalized here. Each of the 2 B vectors has
    its partner as the positive and the other 2 (B - 1) as negatives. Returns the mean loss and the contrastive accuracy
    (fraction of vectors whose most similar other vector is their partner), both of shape ().
    """
    count = len(first)
    z = F.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * count, device=z.device).roll(count)
    accuracy = (similarity.detach().argmax(dim=1) == partner).float().mean()
    return F.cross_entropy(similarity, partner), accuracy


LOSSES: dict[str, ContrastiveLoss] = {"nt_xent": nt_xent}
"""The losses that a configuration can name."""


def find_loss(name: str) -> ContrastiveLoss:
    """Look up a loss by its name in LOSSES or its dotted path, such as my_package.losses:cross_view.

    Raises MolclrError for an unknown name. The loss of a path raises it if it does not return what a ContrastiveLoss does.
    """
    if problem := unknown("loss of pre-training", name, LOSSES, "my_package.losses:cross_view"):
        raise MolclrError(f"{problem}.")
    if name in LOSSES:
        return LOSSES[name]
    own = load_function(name, "first", "second", "temperature")

    def checked(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        found = own(first, second, temperature)
        if not isinstance(found, tuple) or [getattr(part, "shape", None) for part in found] != [(), ()]:
            raise MolclrError(
                f"'{name}' must return two tensors of shape (): the loss and the contrastive accuracy; correct it."
            )
        return found

    return checked
