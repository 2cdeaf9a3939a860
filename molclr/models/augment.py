"""Augmentations of molecular graphs (paper, Methods, 'Molecule graph augmentation') as pure functions of integer keys.

A view keeps every atom: one that is masked or removed becomes a mask token and stays in the pool. What a view loses is bonds,
always in both directions. Every random choice is a hash of (seed, epoch and view; molecule; atom or bond), so a view does not
depend on the device, on the number of processes or on the other molecules of the batch. The functions on tensors never ask
the device for a value, except `edge_distances` and what builds on GraphBatch. Where a shape begins with `...`, there may be
leading dimensions, for example one for two views.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from molclr.batch import MASK, GraphBatch
from molclr.config import Augmentation
from molclr.errors import MolclrError
from molclr.hashing import hash64
from molclr.imports import is_dotted_path, load_object

ATOM_MASK, BOND_DELETION, SUBGRAPH_ORIGIN, SUBGRAPH_FRACTION, SUBGRAPH_RING = range(5)
"""Purposes of hashes: each random choice has a number of its own."""
PRIORITY_BITS = 40
DISTANCE_BITS = 16
UNREACHABLE = (1 << DISTANCE_BITS) - 1
"""Distance of an atom that no path leads to; a molecule has at most 1,000 atoms."""


class Items(NamedTuple):
    """The atoms or the bonds of a batch, molecule after molecule.

    group: int64 (n,), ascending, the molecule of each item. first: int64 (num_groups,), the index of each molecule's first item.
    sizes: int64 (num_groups,), the number of its items. place: int64 (n,), the place of each item within its molecule.
    A padded batch has one more group, the last: it holds the padding and has the size 0, so nothing is chosen from it.
    largest: size of the largest molecule of the whole corpus where a GPU wants to know it; see `choose_by_counting`.
    """

    group: Tensor
    first: Tensor
    sizes: Tensor
    place: Tensor
    largest: int | None = None


class Molecules(NamedTuple):
    """What augmentations know of a batch.

    ends: int64 (2, num_bonds), the two atoms of each bond.
    distances: a function of origin, int64 (..., num_groups), an atom of each molecule, and of quota, int64 (..., num_groups),
    which returns int64 (..., num_atoms), the number of bonds between each atom and its molecule's origin. Atoms as far away as
    the quota, or further, may be UNREACHABLE: that many nearer ones exist in every connected graph.
    """

    atoms: Items
    bonds: Items
    ends: Tensor
    distances: Callable[[Tensor, Tensor], Tensor]


class Lost(NamedTuple):
    """What a view has lost so far: bool (..., num_atoms) and bool (..., num_bonds)."""

    masked: Tensor
    deleted: Tensor


AugmentationFunction = Callable[[Molecules, Lost, float, Tensor], Lost]
"""Takes what the augmentations before it took, a ratio from 0 to 1 (exclusive) and keys, int64 (..., num_groups)."""


def view_keys(stream: int | Tensor, molecules: Tensor) -> Tensor:
    """A key for each molecule, int64 (..., num_graphs).

    stream: a seed that differs between epochs and views; an int, or int64 that broadcasts with `molecules`, for example of shape
    () or (2, 1). molecules: int64 (num_graphs,), positions in the corpus.
    """
    if isinstance(stream, int):
        stream = torch.full((), stream, dtype=torch.int64, device=molecules.device)
    return hash64(hash64(stream) + molecules)


def molecule_keys(keys: Tensor, purpose: int) -> Tensor:
    """A hash of each molecule for one purpose: int64 like `keys`, int64 (..., num_groups)."""
    return hash64(keys + purpose)


def item_keys(keys: Tensor, group: Tensor, place: Tensor, purpose: int) -> Tensor:
    """A hash of each atom or bond for one purpose: int64 (..., n).

    keys: int64 (..., num_groups), see `view_keys`. group, place: int64 (n,), see `Items`.
    """
    return hash64(molecule_keys(keys, purpose)[..., group] + place)


def choose(group: Tensor, first: Tensor, quota: Tensor, priority: Tensor) -> Tensor:
    """Choose the quota[g] items with the smallest priority in each group g: bool (..., n); of equal ones, the first.

    group: int64 (n,), ascending. first: int64 (num_groups,), the index of each group's first item.
    quota: int64 (..., num_groups). priority: int64 (..., n), from 0 to 2**40 - 1.
    """
    order = (group << PRIORITY_BITS | priority).argsort(dim=-1, stable=True)
    rank = torch.arange(len(group), device=group.device) - first[group]  # of the items in that order
    chosen = (rank < quota[..., group]).expand_as(order)
    return torch.empty_like(chosen, memory_format=torch.contiguous_format).scatter_(-1, order, chosen)


def choose_by_counting(items: Items, largest: int, quota: Tensor, priority: Tensor) -> Tensor:
    """The same choice as `choose`, by counting the items of the molecule that come before each: bool (..., n).

    A CPU sorts faster. A compiler for GPUs makes one kernel of this, without a sort of the whole batch.
    """
    other = items.first[items.group][:, None] + torch.arange(largest, device=priority.device)
    inside = torch.arange(largest, device=priority.device) < items.sizes[items.group][:, None]
    theirs, ours = priority[..., other.clamp(max=len(items.group) - 1)], priority[..., None]
    earlier = other < torch.arange(len(items.group), device=priority.device)[:, None]
    before = inside & ((theirs < ours) | ((theirs == ours) & earlier))
    return before.sum(dim=-1) < quota[..., items.group]


def _choose_from(items: Items, quota: Tensor, priority: Tensor) -> Tensor:
    if items.largest is None:
        return choose(items.group, items.first, quota, priority)
    return choose_by_counting(items, items.largest, quota, priority)


def mask_atoms(molecules: Molecules, lost: Lost, ratio: float, keys: Tensor) -> Lost:
    """Atom masking: a random `ratio` of each molecule's atoms, those already masked among them.

    At least one atom (for a ratio above 0), but never all: a molecule of one atom stays as it is.
    """
    sizes = molecules.atoms.sizes
    quota = _floor(sizes, ratio)
    if ratio > 0:
        quota = quota.clamp(min=1).minimum(sizes - 1)
    return lost._replace(masked=_choose_more(molecules.atoms, lost.masked, quota, keys, ATOM_MASK))


def delete_bonds(molecules: Molecules, lost: Lost, ratio: float, keys: Tensor) -> Lost:
    """Bond deletion: a random `ratio` of each molecule's bonds, those already deleted among them."""
    quota = _floor(molecules.bonds.sizes, ratio)
    return lost._replace(deleted=_choose_more(molecules.bonds, lost.deleted, quota, keys, BOND_DELETION))


def remove_subgraph(molecules: Molecules, lost: Lost, ratio: float | Tensor, keys: Tensor) -> Lost:
    """Subgraph removal: the `ratio` of atoms nearest to a random origin are masked, and all their bonds deleted.

    ratio: a number or float64 (..., num_groups). Among the last, equally distant atoms the choice is random. A subgraph is
    connected: in a salt it ends with the ion that it began in.
    """
    atoms = molecules.atoms
    quota = _floor(atoms.sizes, ratio)
    random = molecule_keys(keys, SUBGRAPH_ORIGIN) >> 32 & (1 << 32) - 1
    distance = molecules.distances(atoms.first + (random * atoms.sizes >> 32), quota)
    tie_bits = PRIORITY_BITS - DISTANCE_BITS
    ties = item_keys(keys, atoms.group, atoms.place, SUBGRAPH_RING) & (1 << tie_bits) - 1
    nearest = _choose_from(atoms, quota, distance << tie_bits | ties)
    removed = nearest & (distance < UNREACHABLE)
    return Lost(lost.masked | removed, lost.deleted | removed[..., molecules.ends].any(dim=-2))


def remove_subgraph_up_to(molecules: Molecules, lost: Lost, ratio: float, keys: Tensor) -> Lost:
    """Subgraph removal of a random fraction of each molecule's atoms, uniform between 0 and `ratio`."""
    random = molecule_keys(keys, SUBGRAPH_FRACTION) >> 11 & (1 << 53) - 1
    return remove_subgraph(molecules, lost, random.double() * 2.0**-53 * ratio, keys)


def remove_subgraph_and_rings(molecules: Molecules, lost: Lost, ratio: float, keys: Tensor) -> Lost:
    """Subgraph removal as in the official code, which also deletes every bond that closes a ring."""
    masked, deleted = remove_subgraph(molecules, lost, ratio, keys)
    return Lost(masked, deleted | ring_closures(molecules.ends, len(molecules.atoms.group)))


AUGMENTATIONS: dict[str, AugmentationFunction] = {
    "atom_masking": mask_atoms,
    "bond_deletion": delete_bonds,
    "subgraph_removal": remove_subgraph,
    "subgraph_removal_up_to": remove_subgraph_up_to,
    "subgraph_removal_official": remove_subgraph_and_rings,
}
"""The augmentations that a configuration can name."""


def augmentation_steps(settings: Augmentation) -> list[tuple[AugmentationFunction, float]]:
    """The augmentations of a view with their ratios, in order.

    The compositions are presets: `node` is atom masking and bond deletion; `subgraph` is subgraph removal; `mix` removes a
    subgraph of random size first, and the other two then include what it took. Raises MolclrError for an unknown augmentation.
    """
    if not isinstance(settings.composition, str):
        return [(_function(name), ratio) for step in settings.composition for name, ratio in step.items()]
    node = [(mask_atoms, settings.atom_masking), (delete_bonds, settings.bond_deletion)]
    subgraph = remove_subgraph if settings.subgraph_keeps_rings else remove_subgraph_and_rings
    presets: dict[str, list[tuple[AugmentationFunction, float]]] = {
        "node": [*node],
        "subgraph": [(subgraph, settings.subgraph_removal)],
        "mix": [(remove_subgraph_up_to, settings.subgraph_removal), *node],
    }
    return presets[settings.composition]


def _function(name: str) -> AugmentationFunction:
    """The augmentation of a name in the table, or of a dotted path such as my_package.views:swap_atoms."""
    if is_dotted_path(name):
        return load_object(name)
    if name not in AUGMENTATIONS:
        raise MolclrError(
            f"There is no augmentation '{name}' (pretrain.augmentation.composition); take one of "
            f"{', '.join(AUGMENTATIONS)}, or the path of your own, such as my_package.views:swap_atoms."
        )
    return AUGMENTATIONS[name]


def lose(molecules: Molecules, steps: list[tuple[AugmentationFunction, float]], keys: Tensor) -> Lost:
    """What the views with these keys, int64 (..., num_groups), lose: bool (..., num_atoms) and bool (..., num_bonds).

    steps: see `augmentation_steps`.
    """
    device, views = keys.device, keys.shape[:-1]
    lost = Lost(
        torch.zeros(*views, len(molecules.atoms.group), dtype=torch.bool, device=device),
        torch.zeros(*views, len(molecules.bonds.group), dtype=torch.bool, device=device),
    )
    for augmentation, ratio in steps:
        lost = augmentation(molecules, lost, ratio, keys)
    return lost


def augment(graphs: GraphBatch, settings: Augmentation, keys: Tensor) -> GraphBatch:
    """The view of `graphs` that `keys`, int64 (num_graphs,), decide; see `view_keys`."""
    return view(graphs, *lose(molecules_of(graphs), augmentation_steps(settings), keys))


def molecules_of(graphs: GraphBatch) -> Molecules:
    """What augmentations know of a batch whose bonds are in the order of their molecules."""
    ends = graphs.edge_index[:, : graphs.num_bonds]

    def distances(origin: Tensor, quota: Tensor) -> Tensor:
        return edge_distances(graphs.edge_index, len(graphs.x), origin, quota)

    return Molecules(
        atoms=_items(graphs.batch, graphs.num_graphs),
        bonds=_items(graphs.batch[ends[0]], graphs.num_graphs),
        ends=ends,
        distances=distances,
    )


def edge_distances(edge_index: Tensor, num_atoms: int, origin: Tensor, quota: Tensor) -> Tensor:
    """Distances in bonds from the atoms `origin`, int64 (num_graphs,): int64 (num_atoms,); see `Molecules`.

    edge_index: int64 (2, num_edges), every bond in both directions.
    """
    source, target = edge_index
    distance = torch.full((num_atoms,), UNREACHABLE, device=edge_index.device)
    distance[origin] = 0
    for bonds in range(1, int(quota.max())):
        reached = target[(distance[source] == bonds - 1) & (distance[target] == UNREACHABLE)]
        if not len(reached):
            break
        distance[reached] = bonds
    return distance


def ring_closures(ends: Tensor, num_atoms: int) -> Tensor:
    """Bonds that close a ring in the order of the SMILES: bool (num_bonds,); ends: int64 (2, num_bonds).

    An atom is written after the one that it hangs on, its latest neighbour so far; a bond to an earlier one closes a ring.
    """
    earlier, later = ends.amin(dim=0), ends.amax(dim=0)
    parent = torch.full((num_atoms,), -1, device=ends.device).scatter_reduce_(0, later, earlier, "amax")
    return earlier != parent[later]


def view(graphs: GraphBatch, masked: Tensor, deleted: Tensor) -> GraphBatch:
    """`graphs` with mask tokens for the atoms `masked`, bool (num_atoms,), and without the bonds `deleted`, bool (num_bonds,)."""
    x = graphs.x.clone()
    x[masked] = torch.tensor([MASK, 0], device=x.device)
    kept = (~deleted).repeat(2)
    return graphs._replace(x=x, edge_index=graphs.edge_index[:, kept], edge_attr=graphs.edge_attr[kept])


def _items(group: Tensor, num_groups: int) -> Items:
    sizes = torch.bincount(group, minlength=num_groups)
    first = sizes.cumsum(0) - sizes
    return Items(group, first, sizes, torch.arange(len(group), device=group.device) - first[group])


def _floor(sizes: Tensor, ratio: float | Tensor) -> Tensor:
    """How many items of each molecule a ratio is, rounded down in double precision: int64."""
    return (sizes.double() * ratio).long()


def _choose_more(items: Items, already: Tensor, quota: Tensor, keys: Tensor, purpose: int) -> Tensor:
    """Choose quota[g] random items of each molecule g: bool (..., n). Items that are `already` chosen count first and stay."""
    random = item_keys(keys, items.group, items.place, purpose) & (1 << PRIORITY_BITS - 1) - 1
    priority = torch.where(already, 0, 1 + random)
    return _choose_from(items, quota, priority) | already
