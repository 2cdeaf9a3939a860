"""GIN and GCN as sparse and dense matrix products, with one row for all atoms that have the same vector.

The sum over neighbours is a sparse product with the adjacency matrix, and the sum of bond embeddings is a product of bond counts
and the embedding table, because e_ij enters linearly. Equal vectors are computed once (molclr.models.fast.classes).
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.models.encoder import GCN, GIN, GCNLayer, GINLayer, GraphEncoder
from molclr.models.fast.aggregation import Aggregation, Edges, aggregations, pooling

NARROW = 128
"""Number of channels below which computing all vectors is faster than finding the equal ones."""


def gin_layer(layer: GINLayer, h: Tensor, aggregation: Aggregation) -> Tensor:
    """Compute a GINLayer. h: float (rows before, hidden_dim) of `aggregation`. Returns float (rows after, hidden_dim)."""
    first, second = cast(nn.Linear, layer.mlp[0]), layer.mlp[2]
    if aggregation.widens:  # The linear map commutes with the sum; it is cheaper with fewer rows.
        bonds = aggregation.bond_counts @ F.linear(layer.bond_embedding, first.weight)
        hidden = aggregation.sum(F.linear(h, first.weight), bonds + first.bias)
    else:
        hidden = first(aggregation.sum(h, aggregation.bond_counts @ layer.bond_embedding))
    return second(F.relu(hidden))


def gcn_layer(layer: GCNLayer, h: Tensor, aggregation: Aggregation) -> Tensor:
    """Compute a GCNLayer. h: float (rows before, hidden_dim) of `aggregation`. Returns float (rows after, hidden_dim)."""
    bonds = aggregation.bond_counts @ layer.bond_embedding + layer.linear.bias
    return aggregation.sum(F.linear(h, layer.linear.weight), bonds)


LAYERS: dict[type[nn.Module], Callable[[Any, Tensor, Aggregation], Tensor]] = {GINLayer: gin_layer, GCNLayer: gcn_layer}


class FastEncoder(GraphEncoder):
    """An encoder with a faster forward pass on CPUs; on other devices it runs the definition.

    Every bond must be present in both directions; otherwise gradients are wrong, because the adjacency matrix is used as its own
    transpose.
    """

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor, num_graphs: int | None = None
    ) -> Tensor:
        """See `GraphEncoder`."""
        if x.device.type != "cpu":
            return super().forward(x, edge_index, edge_attr, batch, num_graphs)
        if num_graphs is None:
            num_graphs = int(batch[-1]) + 1
        normalize = isinstance(self, GCN) and self.shape.gcn_normalization
        edges = Edges(x, edge_index, edge_attr, normalize, self.readout.weight.dtype)
        dropping = self.training and self.dropout > 0
        shared = 0 if self.shape.hidden_dim < NARROW else 1 if dropping else len(self.layers)
        passes = aggregations(edges, len(self.layers), shared)
        atoms = x[passes[0].before.first]
        h = self.atom_embedding(atoms[:, 0]) + self.chirality_embedding(atoms[:, 1])
        for i, (layer, norm, aggregation) in enumerate(zip(self.layers, self.norms, passes, strict=True)):
            h = norm(LAYERS[type(layer)](layer, h, aggregation), aggregation.after.sizes)
            if i < len(self.layers) - 1:
                h = F.relu(h)
            if dropping:
                h = dropout(aggregation.after.each_atom(h), self.dropout)
        classes = edges.atoms if dropping else passes[-1].after
        return self.readout(pooling(batch, num_graphs, classes, edges.weight.dtype)(h))


class FastGIN(FastEncoder, GIN):
    """GIN with the faster forward pass."""


class FastGCN(FastEncoder, GCN):
    """GCN with the faster forward pass."""


def dropout(h: Tensor, ratio: float) -> Tensor:
    """Set a random fraction `ratio` of h, rounded to 1/65536, to zero and scale up the rest, like F.dropout.

    16 random bits per number make this faster: on a CPU, F.dropout spends more time on random numbers than a graph convolution of
    32 molecules takes.
    """
    if ratio == 0:
        return h
    count, dropped = h.numel(), round(ratio * 65536)
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    kept = (bits.view(h.shape) >= dropped - 32768).to(h.dtype)
    return h * kept.mul_(65536 / (65536 - dropped))
