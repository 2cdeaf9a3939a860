"""The three augmentations of the paper (Methods, 'Molecule graph augmentation'), each on a whole batch at once.

A view keeps every atom: one that is masked or removed becomes a mask token and stays in the pool. What a view loses is bonds,
always in both directions. Shares are rounded down molecule by molecule. All tensors are on the CPU.
"""

import torch
from torch import Tensor

from molclr.batch import MASK, GraphBatch
from molclr.config import Augmentation


def augment(graphs: GraphBatch, settings: Augmentation, generator: torch.Generator) -> GraphBatch:
    """One random view of `graphs`. In `mix` the shares of masking and deletion include what the subgraph took."""
    masked = torch.zeros(len(graphs.x), dtype=torch.bool)
    deleted = torch.zeros(graphs.num_bonds, dtype=torch.bool)
    if settings.composition != "node":
        share = torch.full((graphs.num_graphs,), settings.subgraph_removal, dtype=torch.float64)
        if settings.composition == "mix":
            share *= torch.rand(graphs.num_graphs, generator=generator, dtype=torch.float64)
        masked = removed_subgraph(graphs, share, generator)
        deleted = masked[_bonds(graphs)].any(dim=0)
        if settings.composition == "subgraph" and not settings.subgraph_keeps_rings:
            deleted |= ring_closures(graphs)
    if settings.composition != "subgraph":
        masked = masked_atoms(graphs, settings.atom_masking, generator, masked)
        deleted = deleted_bonds(graphs, settings.bond_deletion, generator, deleted)
    return view(graphs, masked, deleted)


def masked_atoms(graphs: GraphBatch, ratio: float, generator: torch.Generator, already: Tensor) -> Tensor:
    """Atom masking: bool (num_atoms,), a random `ratio` of each molecule's atoms, `already` masked ones among them.

    At least one atom (for a ratio above 0), but never all: a molecule of one atom stays as it is.
    """
    atoms = torch.bincount(graphs.batch, minlength=graphs.num_graphs)
    quota = _share(atoms, ratio)
    if ratio > 0:
        quota = quota.clamp(min=1).minimum(atoms - 1)
    return _choose(graphs.batch, quota, generator, already)


def deleted_bonds(graphs: GraphBatch, ratio: float, generator: torch.Generator, already: Tensor) -> Tensor:
    """Bond deletion: bool (num_bonds,), a random `ratio` of each molecule's bonds, `already` deleted ones among them."""
    molecule = graphs.batch[_bonds(graphs)[0]]
    bonds = torch.bincount(molecule, minlength=graphs.num_graphs)
    return _choose(molecule, _share(bonds, ratio), generator, already)


def removed_subgraph(graphs: GraphBatch, share: Tensor, generator: torch.Generator) -> Tensor:
    """Subgraph removal: bool (num_atoms,), breadth first from a random atom of each molecule up to `share` of its atoms.

    share: float64 (num_graphs,). Where the last ring of neighbours is larger than what is left, a random part of it goes. A
    subgraph is connected: in a salt it ends with the ion that it began in.
    """
    atoms = torch.bincount(graphs.batch, minlength=graphs.num_graphs)
    first = atoms.cumsum(0) - atoms
    left = _share(atoms, share)
    origin = first + (torch.rand(graphs.num_graphs, generator=generator, dtype=torch.float64) * atoms).long()

    taken = torch.zeros(len(graphs.x), dtype=torch.bool)
    frontier = origin[left > 0]
    source, target = graphs.edge_index
    while len(frontier):
        molecule = graphs.batch[frontier]
        chosen = frontier[_choose(molecule, left, generator, torch.zeros(len(frontier), dtype=torch.bool))]
        taken[chosen] = True
        left = left - torch.bincount(graphs.batch[chosen], minlength=graphs.num_graphs)
        # From here on only edges matter that leave what is taken, in molecules that have something left to take.
        open_edges = ~taken[target] & (left > 0)[graphs.batch[target]]
        source, target = source[open_edges], target[open_edges]
        frontier = target[taken[source]].unique()
    return taken


def ring_closures(graphs: GraphBatch) -> Tensor:
    """Bonds that close a ring in the order of the SMILES: bool (num_bonds,). The official subgraph removal loses them all.

    An atom is written after the one that it hangs on, its latest neighbour so far; a bond to an earlier one closes a ring.
    """
    earlier, later = _bonds(graphs).sort(dim=0).values
    parent = torch.full((len(graphs.x),), -1).scatter_reduce_(0, later, earlier, "amax")
    return earlier != parent[later]


def view(graphs: GraphBatch, masked: Tensor, deleted: Tensor) -> GraphBatch:
    """`graphs` with mask tokens for the atoms `masked`, bool (num_atoms,), and without the bonds `deleted`, bool (num_bonds,)."""
    x = graphs.x.clone()
    x[masked] = torch.tensor([MASK, 0])
    kept = (~deleted).repeat(2)
    return graphs._replace(x=x, edge_index=graphs.edge_index[:, kept], edge_attr=graphs.edge_attr[kept])


def _bonds(graphs: GraphBatch) -> Tensor:
    """The two atoms of each bond: int64 (2, num_bonds)."""
    return graphs.edge_index[:, : graphs.num_bonds]


def _share(counts: Tensor, ratio: float | Tensor) -> Tensor:
    return (counts.double() * ratio).long()


def _choose(group: Tensor, quota: Tensor, generator: torch.Generator, already: Tensor) -> Tensor:
    """Choose quota[g] random items of each group g: bool (num_items,). Items that are `already` in count first and stay.

    group: int64 (num_items,), the group of each item. quota: int64 (num_groups,).
    """
    key = torch.rand(len(group), generator=generator, dtype=torch.float64).masked_fill_(already, -0.5)
    order = (group + 0.5 * key).argsort()
    sizes = torch.bincount(group, minlength=len(quota))
    rank = torch.empty_like(group)
    rank[order] = torch.arange(len(group)) - (sizes.cumsum(0) - sizes)[group[order]]
    return (rank < quota[group]) | already
