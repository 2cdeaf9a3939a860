"""GIN and GCN as the paper defines them, on plain tensors: message passing, mean pooling and a linear map to h.

This module is the reference definition. `molclr.models.fast` contains faster implementations, which are tested to give equal
results. Arguments follow the conventions of torch-geometric; see `molclr.batch.GraphBatch` for their columns.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.config import EncoderShape
from molclr.models.batch_norm import BatchNorm

ATOM_TYPES = 119
"""118 elements and the mask token."""
CHIRALITY_TAGS = 3
BOND_TYPES = 5
"""Four bond types and the self-loop."""
SELF_LOOP = 4
BOND_DIRECTIONS = 3


class GINLayer(nn.Module):
    """Graph isomorphism layer with bond embeddings (paper, eq. 2).

    h_i' = MLP(sum of h_j + e_ij over the neighbours j of atom i and i itself)
    """

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.bond_embedding = _bond_embedding(hidden_dim)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_dim, 2 * hidden_dim), nn.ReLU(), nn.Linear(2 * hidden_dim, hidden_dim)
        )

    def forward(self, h: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Update h, float (num_atoms, hidden_dim), by one round of message passing. Edges include self-loops."""
        source, target = edge_index
        return self.mlp(_sum_by_target(h[source] + _embed_bonds(self.bond_embedding, edge_attr), target, len(h)))


class GCNLayer(nn.Module):
    """Graph convolution (Kipf & Welling, 2017) with a scalar bond embedding e_ij.

    h_i' = b + sum of w_ij (W h_j + e_ij) over the neighbours j of atom i and i itself

    w_ij = 1 / sqrt(d_i d_j), where the degrees d include the self-loop; in the official code w_ij = 1.
    """

    def __init__(self, hidden_dim: int, normalize: bool) -> None:
        super().__init__()
        self.normalize = normalize
        self.bond_embedding = _bond_embedding(1)
        self.linear = nn.Linear(hidden_dim, hidden_dim)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Update h, float (num_atoms, hidden_dim), by one round of message passing. Edges include self-loops."""
        source, target = edge_index
        messages = F.linear(h, self.linear.weight)[source] + _embed_bonds(self.bond_embedding, edge_attr)
        if self.normalize:
            degree = _sum_by_target(torch.ones_like(messages[:, :1]), target, len(h))
            messages = messages * (degree[source] * degree[target]).rsqrt()
        return _sum_by_target(messages, target, len(h)) + self.linear.bias


class GraphEncoder(nn.Module):
    """Map atoms and bonds to the representation h of each molecule. GIN and GCN define the layers."""

    name: str
    """The key in `molclr.models.encoders.ENCODERS`, or the path of a user's class."""

    def __init__(self, shape: EncoderShape, dropout: float = 0.0) -> None:
        """Make an encoder with new weights.

        dropout: probability of setting a channel of an atom to zero after each layer, in training.
        """
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.atom_embedding = nn.Embedding(ATOM_TYPES, shape.hidden_dim)
        self.chirality_embedding = nn.Embedding(CHIRALITY_TAGS, shape.hidden_dim)
        nn.init.xavier_uniform_(self.atom_embedding.weight)
        nn.init.xavier_uniform_(self.chirality_embedding.weight)
        self.layers = nn.ModuleList(self.make_layer() for _ in range(shape.layers))
        self.norms = nn.ModuleList(BatchNorm(shape.hidden_dim) for _ in range(shape.layers))
        self.readout = nn.Linear(shape.hidden_dim, shape.embedding_dim)

    def make_layer(self) -> nn.Module:
        """Make one layer of message passing."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor, num_graphs: int | None = None
    ) -> Tensor:
        """Compute the representation h of a batch of graphs: float (num_graphs, embedding_dim).

        x, edge_index, edge_attr, batch: see `molclr.batch.GraphBatch`; every bond is present in both directions.
        num_graphs: default batch[-1] + 1.
        """
        loops = torch.arange(len(x), device=x.device)
        edge_index = torch.cat([edge_index, loops.expand(2, -1)], dim=1)
        edge_attr = torch.cat([edge_attr, edge_attr.new_tensor([SELF_LOOP, 0]).expand(len(x), 2)])
        h = self.atom_embedding(x[:, 0]) + self.chirality_embedding(x[:, 1])
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            h = norm(layer(h, edge_index, edge_attr))
            h = F.dropout(F.relu(h) if i < len(self.layers) - 1 else h, self.dropout, self.training)
        num_graphs = int(batch[-1]) + 1 if num_graphs is None else num_graphs
        atoms = _sum_by_target(torch.ones_like(h[:, :1]), batch, num_graphs)
        return self.readout(_sum_by_target(h, batch, num_graphs) / atoms)


class GIN(GraphEncoder):
    """The graph isomorphism network of the paper."""

    name = "gin"

    def make_layer(self) -> nn.Module:
        """Make one layer of message passing."""
        return GINLayer(self.shape.hidden_dim)


class GCN(GraphEncoder):
    """The graph convolutional network of the paper."""

    name = "gcn"

    def make_layer(self) -> nn.Module:
        """Make one layer of message passing."""
        return GCNLayer(self.shape.hidden_dim, self.shape.gcn_normalization)


def _bond_embedding(channels: int) -> nn.Parameter:
    """Make the embeddings of bond types, then of bond directions: float (BOND_TYPES + BOND_DIRECTIONS, channels)."""
    types, directions = torch.empty(BOND_TYPES, channels), torch.empty(BOND_DIRECTIONS, channels)
    return nn.Parameter(torch.cat([nn.init.xavier_uniform_(types), nn.init.xavier_uniform_(directions)]))


def _embed_bonds(table: Tensor, edge_attr: Tensor) -> Tensor:
    """Return e_ij of each edge, the sum of the embeddings of its type and direction: float (num_edges, channels)."""
    return table[edge_attr[:, 0]] + table[BOND_TYPES + edge_attr[:, 1]]


def _sum_by_target(rows: Tensor, target: Tensor, count: int) -> Tensor:
    """Sum the rows, float (n, channels), that have the same target, int64 (n,): float (count, channels)."""
    return rows.new_zeros(count, rows.shape[1]).index_add(0, target, rows)
