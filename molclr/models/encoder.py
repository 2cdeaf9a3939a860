"""The encoders of the paper: five layers of GIN or GCN, mean pooling, and a linear map to the representation h.

Both follow torch-geometric's conventions (`x, edge_index, edge_attr, batch`). A graph is undirected: every bond is there in
both directions, so the adjacency matrix is symmetric and is its own transpose in the backward pass.
"""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.config import EncoderName, EncoderShape

# What is used of it, the product with a dense matrix, has been stable for years.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

ATOM_TYPES = 119
"""118 elements and the mask."""
CHIRALITY_TAGS = 3
BOND_TYPES = 5
"""Four bond types and the self-loop."""
SELF_LOOP = 4
BOND_DIRECTIONS = 3


class Neighbourhood:
    """What one batch's bonds contribute to message passing; computed once, used by every layer.

    adjacency: float CSR (num_atoms, num_atoms), self-loops included, symmetric; each entry times its weight.
    bond_counts: float (num_atoms, BOND_TYPES + BOND_DIRECTIONS), how many of an atom's bonds (self-loop included) have each
    type and each direction. The sum of bond embeddings over the neighbours is this times the embedding tables.
    """

    def __init__(self, edge_index: Tensor, edge_attr: Tensor, num_atoms: int, normalize: bool) -> None:
        """edge_index: int64 (2, num_edges); edge_attr: int64 (num_edges, 2).

        With `normalize`, an edge counts 1 / sqrt(d_i d_j) with degrees d that include the self-loop (Kipf & Welling, 2017).
        """
        device = edge_index.device
        loops = torch.arange(num_atoms, device=device)
        target = torch.cat([edge_index[1], loops])
        source = torch.cat([edge_index[0], loops])
        order = (target * num_atoms + source).argsort()
        target, source = target[order], source[order]
        degree = torch.bincount(target, minlength=num_atoms)
        crow = F.pad(degree.cumsum(0), (1, 0))

        weight = torch.ones(len(target), device=device)
        if normalize:
            scale = degree.to(torch.float32).rsqrt()
            weight = scale[target] * scale[source]
        self.adjacency = torch.sparse_csr_tensor(crow, source, weight, (num_atoms, num_atoms), check_invariants=False)

        loop_attr = torch.tensor([[SELF_LOOP, 0]], device=device).expand(num_atoms, 2)
        bond_type, direction = torch.cat([edge_attr, loop_attr])[order].unbind(1)
        self.bond_counts = torch.zeros(num_atoms, BOND_TYPES + BOND_DIRECTIONS, device=device)
        flat = self.bond_counts.view(-1)
        row = target * self.bond_counts.shape[1]
        flat.index_add_(0, row + bond_type, weight)
        flat.index_add_(0, row + BOND_TYPES + direction, weight)

    def sum(self, x: Tensor) -> Tensor:
        """Weighted sum of x, float (num_atoms, channels), over each atom's neighbours and itself."""
        return _SymmetricProduct.apply(self.adjacency, x)


class _SymmetricProduct(torch.autograd.Function):
    """A @ x for a symmetric sparse A that needs no gradient."""

    @staticmethod
    def forward(ctx: Any, adjacency: Tensor, x: Tensor) -> Tensor:
        ctx.adjacency = adjacency
        with torch.autocast(x.device.type, enabled=False):  # There is no sparse product in bfloat16.
            return adjacency @ x.float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, ctx.adjacency @ gradient.float().contiguous()


class GINLayer(nn.Module):
    """Graph isomorphism layer with bond embeddings: MLP(sum over neighbours and itself of h_j + e_ij) (paper, eq. 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bond_embedding = _bond_embedding(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, neighbourhood: Neighbourhood) -> Tensor:
        """h: float (num_atoms, width). Returns the same shape."""
        return self.mlp(neighbourhood.sum(h) + neighbourhood.bond_counts @ self.bond_embedding)


class GCNLayer(nn.Module):
    """Graph convolution: sum over neighbours and itself of W h_j + e_ij, where e_ij is one number a bond."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bond_embedding = _bond_embedding(1)
        self.linear = nn.Linear(width, width)

    def forward(self, h: Tensor, neighbourhood: Neighbourhood) -> Tensor:
        """h: float (num_atoms, width). Returns the same shape."""
        messages = neighbourhood.sum(F.linear(h, self.linear.weight)) + neighbourhood.bond_counts @ self.bond_embedding
        return messages + self.linear.bias


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
        self.norms = nn.ModuleList(nn.BatchNorm1d(shape.width) for _ in range(shape.layers))
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
        neighbourhood = Neighbourhood(edge_index, edge_attr, len(x), normalize)
        h = self.atom_embedding(x[:, 0]) + self.chirality_embedding(x[:, 1])
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            h = norm(layer(h, neighbourhood))
            if i < len(self.layers) - 1:
                h = F.relu(h)
            h = dropout(h, self.dropout) if self.training else h
        return self.readout(mean_pool(h, batch, num_graphs))


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


def mean_pool(h: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    """Mean of h, float (num_atoms, width), over the atoms of each graph: float (num_graphs, width)."""
    h = h.float()  # Sums of many terms; in bfloat16 they would lose half their digits.
    total = h.new_zeros(num_graphs, h.shape[1]).index_add(0, batch, h)
    return total / torch.bincount(batch, minlength=num_graphs).unsqueeze(1)
