"""Baselines of benchmarks/pretrain.py: the plain algorithm in torch-geometric, and its matrix products alone."""

import random
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, Dataset
from torch_geometric.loader import DataLoader
from torch_geometric.nn import MessagePassing, global_mean_pool
from torch_geometric.utils import add_self_loops, degree

from molclr.config import EncoderShape

MASK, SELF_LOOP = 118, 4


class Views(Dataset):
    """Two views of each graph, made like those of the official code: a quarter of atoms masked, a quarter of bonds deleted."""

    def __init__(self, graphs: list[Data]) -> None:
        super().__init__()
        self.graphs = graphs

    def len(self) -> int:
        """Number of molecules."""
        return len(self.graphs)

    def get(self, index: int) -> tuple[Data, Data]:
        """Make two random views of a molecule."""
        return self._view(self.graphs[index]), self._view(self.graphs[index])

    def _view(self, graph: Data) -> Data:
        atoms, bonds = graph.num_nodes, graph.num_edges // 2
        x = graph.x.clone()
        for atom in random.sample(range(atoms), max(1, atoms // 4)):
            x[atom] = torch.tensor([MASK, 0])
        deleted = set(random.sample(range(bonds), bonds // 4))
        kept = [edge for edge in range(2 * bonds) if edge % bonds not in deleted]
        return Data(x, graph.edge_index[:, kept], graph.edge_attr[kept])


def endless_loader(graphs: list[Data], batch_size: int) -> Iterator[tuple[Batch, Batch]]:
    """Yield batches of two views without end, epoch after epoch."""
    loader = DataLoader(Views(graphs), batch_size, shuffle=True, drop_last=True)
    while True:
        yield from loader


class GINConv(MessagePassing):
    """The paper's eq. 2, with one message per edge. (GINEConv in torch-geometric has an additional ReLU in the message.)"""

    def __init__(self, width: int) -> None:
        super().__init__(aggr="add")
        self.bond_type, self.direction = nn.Embedding(5, width), nn.Embedding(3, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Update h, float (num_atoms, width). Edges include self-loops."""
        return self.mlp(self.propagate(edge_index, x=h, bond=_embed(self, edge_attr)))

    def message(self, x_j: Tensor, bond: Tensor) -> Tensor:
        """Compute the message of each edge."""
        return x_j + bond


class GCNConv(MessagePassing):
    """The convolution of Kipf & Welling with a scalar bond embedding."""

    def __init__(self, width: int) -> None:
        super().__init__(aggr="add")
        self.bond_type, self.direction = nn.Embedding(5, 1), nn.Embedding(3, 1)
        self.linear, self.bias = nn.Linear(width, width, bias=False), nn.Parameter(torch.zeros(width))

    def forward(self, h: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Update h, float (num_atoms, width). Edges include self-loops."""
        scale = degree(edge_index[1], len(h)).rsqrt()
        weight = scale[edge_index[0]] * scale[edge_index[1]]
        return self.propagate(edge_index, x=self.linear(h), bond=_embed(self, edge_attr), weight=weight) + self.bias

    def message(self, x_j: Tensor, bond: Tensor, weight: Tensor) -> Tensor:
        """Compute the message of each edge."""
        return weight.unsqueeze(1) * (x_j + bond)


def _embed(layer: GINConv | GCNConv, edge_attr: Tensor) -> Tensor:
    return layer.bond_type(edge_attr[:, 0]) + layer.direction(edge_attr[:, 1])


class Model(nn.Module):
    """Encoder and projection head."""

    def __init__(self, name: str, shape: EncoderShape, projection: int) -> None:
        super().__init__()
        self.atom, self.chirality = nn.Embedding(119, shape.hidden_dim), nn.Embedding(3, shape.hidden_dim)
        convolution = GINConv if name == "gin" else GCNConv
        self.layers = nn.ModuleList(convolution(shape.hidden_dim) for _ in range(shape.layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(shape.hidden_dim) for _ in range(shape.layers))
        self.readout = nn.Linear(shape.hidden_dim, shape.embedding_dim)
        self.projection = nn.Sequential(
            nn.Linear(shape.embedding_dim, shape.embedding_dim), nn.ReLU(), nn.Linear(shape.embedding_dim, projection)
        )

    def forward(self, graphs: Batch) -> Tensor:
        """Compute the projection z of one view of a batch."""
        h = self.atom(graphs.x[:, 0]) + self.chirality(graphs.x[:, 1])
        edge_index, _ = add_self_loops(graphs.edge_index, num_nodes=len(h))
        loops = torch.tensor([[SELF_LOOP, 0]]).expand(len(h), 2)
        edge_attr = torch.cat([graphs.edge_attr, loops])
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            h = norm(layer(h, edge_index, edge_attr))
            h = h.relu() if i < len(self.layers) - 1 else h
        return self.projection(self.readout(global_mean_pool(h, graphs.batch)))


def matrix_products(name: str, shape: EncoderShape, projection: int, atoms: int, molecules: int) -> Callable[[], None]:
    """Return a function that computes only the dense products of one training step of the plain algorithm.

    For both views, these are the output, the gradient of the weight and the gradient of the input of each linear layer (the last
    not for the first layer, where the gradients of the embeddings need it per kind of atom only), and three products of NT-Xent.
    """
    width, feature = shape.hidden_dim, shape.embedding_dim
    layer = [(atoms, width, 2 * width), (atoms, 2 * width, width)] if name == "gin" else [(atoms, width, width)]
    heads = [(molecules, width, feature), (molecules, feature, feature), (molecules, feature, projection)]
    linear = layer * shape.layers + heads
    products = [product for i, size in enumerate(linear) for product in _of_layer(*size, input_gradient=i > 0)] * 2
    products += _of_layer(2 * molecules, projection, 2 * molecules, input_gradient=True)
    random_matrices = {shape: torch.randn(shape) for product in products for shape in product}
    outputs = {(m, n): torch.empty(m, n) for (m, _), (_, n) in products}

    def run() -> None:
        for first, second in products:
            torch.mm(random_matrices[first], random_matrices[second], out=outputs[first[0], second[1]])

    return run


def _of_layer(rows: int, inputs: int, outputs: int, input_gradient: bool) -> list[tuple[tuple[int, int], ...]]:
    """List the shapes of the factors in a linear layer: output, gradient of the weight, gradient of the input."""
    products = [((rows, inputs), (inputs, outputs)), ((outputs, rows), (rows, inputs))]
    return products + [((rows, outputs), (outputs, inputs))] * input_gradient
