"""The normalised temperature-scaled cross-entropy (paper, eq. 4; Chen et al., 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Contrastive loss of two views of the same molecules, and how often it picks the right partner.

    first, second: float (num_graphs, channels), row i of both from molecule i; normalised here. Each of the 2 B vectors has
    its partner as the positive and the other 2 (B - 1) as negatives. Returns the mean loss and the contrastive accuracy
    (share of vectors whose most similar other vector is their partner), both of shape ().
    """
    count = len(first)
    z = F.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * count, device=z.device).roll(count)
    accuracy = (similarity.detach().argmax(dim=1) == partner).float().mean()
    return F.cross_entropy(similarity, partner), accuracy
