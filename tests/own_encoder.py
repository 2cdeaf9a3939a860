"""An encoder of one's own, as docs/extending.md shows: a graph attention network of torch-geometric."""

import torch
from torch import nn
from torch_geometric.nn import GATConv, global_mean_pool


class GAT(nn.Module):
    """Graph attention with bond features (Velickovic et al., ICLR 2018)."""

    def __init__(self, shape, dropout):
        super().__init__()
        self.atoms, self.chirality = nn.Embedding(119, shape.hidden_dim), nn.Embedding(3, shape.hidden_dim)
        self.bonds = nn.Embedding(4 * 3, shape.hidden_dim)
        self.layers = nn.ModuleList(
            GATConv(shape.hidden_dim, shape.hidden_dim, edge_dim=shape.hidden_dim, dropout=dropout)
            for _ in range(shape.layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(shape.hidden_dim) for _ in range(shape.layers))
        self.readout = nn.Linear(shape.hidden_dim, shape.embedding_dim)

    def forward(self, x, edge_index, edge_attr, batch, num_graphs):
        h = self.atoms(x[:, 0]) + self.chirality(x[:, 1])
        bonds = self.bonds(edge_attr[:, 0] * 3 + edge_attr[:, 1])
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = torch.relu(norm(layer(h, edge_index, bonds)))
        return self.readout(global_mean_pool(h, batch, num_graphs))


def no_module(shape, dropout):
    """Not an encoder."""
    return shape


class PerAtom(GAT):
    """One vector per atom."""

    def forward(self, x, edge_index, edge_attr, batch, num_graphs):
        return super().forward(x, edge_index, edge_attr, torch.arange(len(x)), len(x))


class Wide(GAT):
    """One number too many."""

    def forward(self, *graphs):
        return nn.functional.pad(super().forward(*graphs), (0, 1))


class Pair(GAT):
    """Two outputs."""

    def forward(self, *graphs):
        return super().forward(*graphs), graphs[0]


class OfData(GAT):
    """The argument that models of torch-geometric often take."""

    def forward(self, data):
        return data.x


class RF(GAT):
    """The name of a baseline."""


def without_arguments():
    """Not called so."""


class Centred(GAT):
    """The mean of the batch is subtracted."""

    def forward(self, *graphs):
        h = super().forward(*graphs)
        return h - h.mean(dim=0)


class NormedTogether(GAT):
    """A norm over all atoms of the batch, which is what LayerNorm of torch-geometric is by default."""

    def forward(self, x, *graphs):
        h = super().forward(x, *graphs)
        return h * (1 + 0.1 * x[:, 0].float().mean())


class Noisy(GAT):
    """Dropout in evaluation, too."""

    def forward(self, *graphs):
        return nn.functional.dropout(super().forward(*graphs), 0.5)


def unmask(molecules, lost, ratio, keys):
    """An augmentation that forgets those before it."""
    return lost._replace(masked=lost.masked & False)
