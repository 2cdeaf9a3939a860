"""The encoders of the paper: five layers of GIN or GCN, mean pooling, and a linear map to the representation h.

Both follow torch-geometric's conventions (`x, edge_index, edge_attr, batch`). A graph is undirected: every bond is there in
both directions, so the adjacency matrix is symmetric and is its own transpose in the backward pass.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.config import EncoderName, EncoderShape
from molclr.models.batch_norm import BatchNorm
from molclr.models.neighbourhood import BOND_DIRECTIONS, BOND_TYPES, Edges, Neighbourhood, neighbourhoods, pooling

ATOM_TYPES = 119
"""118 elements and the mask."""
CHIRALITY_TAGS = 3
NARROW = 128
"""Channels of an atom below which a vector is computed sooner than it is known to be another's too."""


class GINLayer(nn.Module):
    """Graph isomorphism layer with bond embeddings: MLP(sum over neighbours and itself of h_j + e_ij) (paper, eq. 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bond_embedding = _bond_embedding(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, neighbourhood: Neighbourhood) -> Tensor:
        """h: float (rows before, width) of `neighbourhood`. Returns float (rows after, width)."""
        first, second = cast(nn.Linear, self.mlp[0]), self.mlp[2]
        if neighbourhood.widens:  # A product commutes with the sum; it is cheaper with fewer rows.
            bonds = neighbourhood.bond_counts @ F.linear(self.bond_embedding, first.weight)
            hidden = neighbourhood.sum(F.linear(h, first.weight), bonds + first.bias)
        else:
            hidden = first(neighbourhood.sum(h, neighbourhood.bond_counts @ self.bond_embedding))
        return second(F.relu(hidden))


class GCNLayer(nn.Module):
    """Graph convolution: sum over neighbours and itself of W h_j + e_ij, where e_ij is one number a bond."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bond_embedding = _bond_embedding(1)
        self.linear = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor, neighbourhood: Neighbourhood) -> Tensor:
        """h: float (rows before, width) of `neighbourhood`. Returns float (rows after, width)."""
        bonds = neighbourhood.bond_counts @ self.bond_embedding + self.linear.bias
        return neighbourhood.sum(F.linear(h, self.linear.weight), bonds)


def _bond_embedding(width: int) -> nn.Parameter:
    """Embeddings of bond types, below them of bond directions: float (BOND_TYPES + BOND_DIRECTIONS, width)."""
    types, directions = torch.empty(BOND_TYPES, width), torch.empty(BOND_DIRECTIONS, width)
    return nn.Parameter(torch.cat([nn.init.xavier_uniform_(types), nn.init.xavier_uniform_(directions)]))


LAYERS: dict[EncoderName, type[GINLayer] | type[GCNLayer]] = {"gin": GINLayer, "gcn": GCNLayer}


class Encoder(nn.Module):
    """Atoms and bonds to the representation h of each molecule."""

    def __init__(self, name: EncoderName, shape: EncoderShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.name, self.shape, self.dropout = name, shape, dropout
        self.atom_embedding = nn.Embedding(ATOM_TYPES, shape.width)
        self.chirality_embedding = nn.Embedding(CHIRALITY_TAGS, shape.width)
        nn.init.xavier_uniform_(self.atom_embedding.weight)
        nn.init.xavier_uniform_(self.chirality_embedding.weight)
        self.layers = nn.ModuleList(LAYERS[name](shape.width) for _ in range(shape.layers))
        self.norms = nn.ModuleList(BatchNorm(shape.width) for _ in range(shape.layers))
        self.readout = nn.Linear(shape.width, shape.feature)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor, num_graphs: int | None = None
    ) -> Tensor:
        """Embed a batch of graphs: h, float (num_graphs, feature). See molclr.batch.GraphBatch for the arguments.

        Every bond has to be there in both directions, or gradients are wrong. Without `num_graphs` the last atom's
        molecule is the last.
        """
        if num_graphs is None:
            num_graphs = int(batch[-1]) + 1
        normalize = self.name == "gcn" and self.shape.gcn_normalization
        edges = Edges(x, edge_index, edge_attr, normalize, self.readout.weight.dtype)
        dropping = self.training and self.dropout > 0
        shared = 0 if self.shape.width < NARROW else 1 if dropping else len(self.layers)
        passes = neighbourhoods(edges, len(self.layers), shared)
        atoms = x[passes[0].before.first]
        h = self.atom_embedding(atoms[:, 0]) + self.chirality_embedding(atoms[:, 1])
        for i, (layer, norm, neighbourhood) in enumerate(zip(self.layers, self.norms, passes, strict=True)):
            h = norm(layer(h, neighbourhood), neighbourhood.after.sizes)
            if i < len(self.layers) - 1:
                h = F.relu(h)
            if dropping:
                h = dropout(neighbourhood.after.each_atom(h), self.dropout)
        classes = edges.atoms if dropping else passes[-1].after
        return self.readout(pooling(batch, num_graphs, classes, edges.weight.dtype)(h))


def dropout(h: Tensor, ratio: float) -> Tensor:
    """Set a random `ratio` of h to zero, to 1/65536, and scale up the rest, as F.dropout does.

    On a CPU that spends more time on its random numbers than on a graph convolution of 32 molecules; 16 bits each do.
    """
    if ratio == 0 or h.device.type != "cpu":
        return F.dropout(h, ratio)
    count, dropped = h.numel(), round(ratio * 65536)
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    kept = (bits.view(h.shape) >= dropped - 32768).to(h.dtype)
    return h * kept.mul_(65536 / (65536 - dropped))
