"""Aggregation over neighbours as products with sparse matrices, from the rows of one layer to those of the next."""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from molclr.models.encoder import BOND_DIRECTIONS, BOND_TYPES, SELF_LOOP
from molclr.models.fast.classes import Classes, distinct_atoms, refinements


class SparseMap:
    """A constant sparse matrix that can be multiplied by dense matrices."""

    def __init__(self, rows: Tensor, columns: Tensor, weight: Tensor, shape: tuple[int, int], symmetric: bool) -> None:
        """rows, ascending, and columns: int64 (num_entries,); weight: float (num_entries,). Repeated entries are summed."""
        self.matrix = self.transposed = _csr(rows, columns, weight, shape)
        if not symmetric:
            order = columns.argsort(stable=True)
            self.transposed = _csr(columns[order], rows[order], weight[order], (shape[1], shape[0]))

    def __call__(self, x: Tensor, term: Tensor | None = None) -> Tensor:
        """Multiply by x, float (shape[1], channels), and add `term`, float (shape[0], channels) like the result."""
        return _Product.apply(self, x, term)


def _csr(rows: Tensor, columns: Tensor, weight: Tensor, shape: tuple[int, int]) -> Tensor:
    begin = F.pad(torch.bincount(rows, minlength=shape[0]).cumsum(0), (1, 0))
    with warnings.catch_warnings():  # whatever filters the user has set
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        # Columns may be unsorted and repeated: the product allows this, the check of invariants does not.
        return torch.sparse_csr_tensor(begin, columns, weight, shape, check_invariants=False)


class _Product(torch.autograd.Function):
    """The product of a SparseMap and a dense matrix."""

    @staticmethod
    def forward(ctx: Any, sparse: SparseMap, x: Tensor, term: Tensor | None) -> Tensor:
        ctx.sparse = sparse
        matrix = sparse.matrix
        with torch.autocast(x.device.type, enabled=False):  # PyTorch has no sparse product in bfloat16.
            if term is None:
                return matrix @ x.to(matrix.dtype)
            return torch.addmm(term.to(matrix.dtype), matrix, x.to(matrix.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor | None]:
        transposed = ctx.sparse.transposed
        of_x = transposed @ gradient.to(transposed.dtype).contiguous()
        return None, of_x, gradient if ctx.needs_input_grad[2] else None


class Aggregation:
    """The aggregation of one layer, from one row per class `before` to one row per class `after`.

    sum: weighted sums over the neighbours of each atom and the atom itself, from the rows before to the rows after.
    bond_counts: float (rows after, BOND_TYPES + BOND_DIRECTIONS), the weighted number of bonds (with the self-loop) of each
    type and each direction. The sum of bond embeddings over the neighbours is the product of this and the embedding table.
    """

    def __init__(self, edges: "Edges", before: Classes, after: Classes) -> None:
        """Atoms of one class in `after` must have neighbours of the same classes in `before`."""
        self.before, self.after = before, after
        of_first = after.first[after.of_atom[edges.target]] == edges.target
        rows, columns = after.of_atom[edges.target[of_first]], before.of_atom[edges.source[of_first]]
        shape = len(after.first), len(before.first)
        self.sum = SparseMap(
            rows, columns, edges.weight[of_first], shape, symmetric=before.all_distinct and after.all_distinct
        )
        self.bond_counts = edges.bond_counts[after.first]

    @property
    def widens(self) -> bool:
        """Whether there are more rows after the layer than before."""
        return len(self.after.first) > len(self.before.first)


class Edges:
    """The bonds of a batch in both directions and a self-loop for every atom, sorted by target.

    weight: float (num_edges,). bond_counts: float (num_atoms, BOND_TYPES + BOND_DIRECTIONS), see Aggregation.
    """

    def __init__(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, normalize: bool, dtype: torch.dtype) -> None:
        """x, edge_index, edge_attr: see molclr.batch.GraphBatch.

        With `normalize`, an edge has the weight 1 / sqrt(d_i d_j), where the degrees d include the self-loop (Kipf & Welling,
        2017); otherwise 1.
        """
        num_atoms, device = len(x), x.device
        loops = torch.arange(num_atoms, device=device)
        target = torch.cat([edge_index[1], loops])
        source = torch.cat([edge_index[0], loops])
        order = (target * num_atoms + source).argsort()
        self.target, self.source = target[order], source[order]
        loop_attr = torch.tensor([[SELF_LOOP, 0]], device=device).expand(num_atoms, 2)
        bond_type, direction = torch.cat([edge_attr, loop_attr])[order].unbind(1)
        self.bond = bond_type * BOND_DIRECTIONS + direction

        self.atoms = distinct_atoms(num_atoms, device)
        self.features = x[:, 0] * 4 + x[:, 1]
        self.weight = torch.ones(len(order), device=device, dtype=dtype)
        if normalize:
            degree = torch.bincount(target, minlength=num_atoms)
            self.features += degree << 32  # Weights depend on degrees, so classes do too.
            scale = degree.to(dtype).rsqrt()
            self.weight = scale[self.target] * scale[self.source]

        self.bond_counts = torch.zeros(num_atoms, BOND_TYPES + BOND_DIRECTIONS, device=device, dtype=dtype)
        flat = self.bond_counts.view(-1)
        row = self.target * self.bond_counts.shape[1]
        flat.index_add_(0, row + bond_type, self.weight)
        flat.index_add_(0, row + BOND_TYPES + direction, self.weight)


def aggregations(edges: Edges, layers: int, shared: int) -> list[Aggregation]:
    """Return the aggregation of each layer; the first `shared` layers use Weisfeiler-Lehman classes where that is faster.

    The input of these layers has one row per class of the layer before, and the input of later layers one row per atom.
    """
    rows = [edges.atoms] * (layers + 1)
    if shared:
        classes = refinements(edges.features, edges.source, edges.target, edges.bond, shared)
        rows = [*classes, *rows][: layers + 1]
    before = [*rows[:shared], *[edges.atoms] * (layers - shared)]
    found = list[Aggregation]()
    for pair in zip(before, rows[1:], strict=True):
        known = found and found[-1].before is pair[0] and found[-1].after is pair[1]
        found.append(found[-1] if known else Aggregation(edges, *pair))
    return found


def pooling(batch: Tensor, num_graphs: int, classes: Classes, dtype: torch.dtype) -> SparseMap:
    """Return the mean over the atoms of each graph as a map from one row per class to one row per graph.

    batch: int64 (num_atoms,), ascending, the graph of each atom.
    """
    weight = torch.bincount(batch, minlength=num_graphs).to(dtype).reciprocal()[batch]
    return SparseMap(batch, classes.of_atom, weight, (num_graphs, len(classes.first)), symmetric=False)
