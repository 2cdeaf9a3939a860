"""A batch of molecular graphs as tensors, the interface between data and models."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

MASK = 118
"""Atom feature of a masked atom; 0 to 117 are atomic number - 1."""


class GraphBatch(NamedTuple):
    """A batch of molecular graphs in the conventions of torch-geometric; `encoder(*batch)` embeds them.

    x: int64 (num_atoms, 2), atomic number - 1 (MASK if masked) and chirality tag (unspecified, clockwise, counter-clockwise).
    edge_index: int64 (2, 2 * num_bonds). Bond k is the edge k and, in the opposite direction, the edge k + num_bonds.
    edge_attr: int64 (2 * num_bonds, 2), bond type (single, double, triple, aromatic) and direction (none, up, down).
    batch: int64 (num_atoms,), ascending: the molecule of each atom.
    num_graphs: number of molecules.
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    batch: Tensor
    num_graphs: int

    @property
    def num_bonds(self) -> int:
        """Number of bonds, half the number of edges."""
        return self.edge_index.shape[1] // 2

    def first(self, count: int) -> "GraphBatch":
        """Return the first `count` molecules as a batch of their own."""
        atoms = int((self.batch < count).sum())
        kept = self.edge_index[0] < atoms
        return GraphBatch(self.x[:atoms], self.edge_index[:, kept], self.edge_attr[kept], self.batch[:atoms], count)

    def to(self, device: torch.device) -> "GraphBatch":
        """Copy the batch to `device`."""
        x, edge_index, edge_attr, batch = (tensor.to(device, non_blocking=True) for tensor in self[:4])
        return GraphBatch(x, edge_index, edge_attr, batch, self.num_graphs)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors_in(part)


def map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply `function` to all tensors in nested tuples."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple):
        parts = [map_tensors(part, function) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
