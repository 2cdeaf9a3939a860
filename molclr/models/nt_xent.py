"""The losses of pre-training; the paper's is the normalised temperature-scaled cross-entropy (eq. 4; Chen et al., 2020).

To add a loss, add an entry to LOSSES, or name the path of a function of your own (docs/extending.md).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from molclr.errors import MolclrError
from molclr.imports import is_dotted_path, load_object

ContrastiveLoss = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
"""Takes the projections of two views, float (num_graphs, channels), row i of both from molecule i, and the temperature.

Returns the loss and the contrastive accuracy, both of shape ().
"""


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Contrastive loss of two views of the same molecules, and how often it picks the right partner.

    first, second: float (num_graphs, channels), row i of both from molecule i; normalised here. Each of the 2 B vectors has
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
    """Return the loss of a name in the table, or at a dotted path such as my_package.losses:cross_view.

    Raises MolclrError if there is none.
    """
    if is_dotted_path(name):
        return load_object(name)
    if name not in LOSSES:
        raise MolclrError(
            f"There is no loss '{name}' (pretrain.loss); take {' or '.join(LOSSES)}, or the path of a function of your own, "
            "such as my_package.losses:cross_view."
        )
    return LOSSES[name]
