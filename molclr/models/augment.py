"""Augmentations of molecular graphs (paper, Methods, 'Molecule graph augmentation') as pure functions of integer keys.

A view keeps every atom: a masked or removed atom becomes a mask token, which message passing and pooling include. Bonds are
deleted, always in both directions. Every random choice is a hash of (seed, epoch and view; molecule; atom or bond), so a view
does not depend on the device, the number of processes or the other molecules in the batch. The functions on tensors do not
synchronize with the device, except `edge_distances` and the functions of a GraphBatch. A shape that starts with `...` allows
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
from molclr.imports import load_function, unknown

ATOM_MASK, BOND_DELETION, SUBGRAPH_ORIGIN, SUBGRAPH_FRACTION, SUBGRAPH_RING = range(5)
"""Identifiers that make the hashes of different random choices independent."""
PRIORITY_BITS = 40
COUNTED = 128
"""Atoms or bonds of the largest molecule up to which counting is faster than sorting on a GPU."""
DISTANCE_BITS = 16
UNREACHABLE = (1 << DISTANCE_BITS) - 1
"""Distance of an atom that is not connected to the origin. Real distances are below 1,000, the largest number of atoms."""


class Items(NamedTuple):
    """The atoms or the bonds of a batch, grouped by molecule.

    group: int64 (n,), ascending, the molecule of each item. first: int64 (num_groups,), the index of each molecule's first item.
    sizes: int64 (num_groups,), the number of items per molecule. place: int64 (n,), the index of each item in its molecule.
    In a padded batch, one more group at the end holds the padding. Its size is 0, so that nothing is chosen from it, and its
    bonds end at its atoms.
    largest: the size of the largest molecule of the corpus, for `choose_by_counting` on GPUs; otherwise None.
    """

    group: Tensor
    first: Tensor
    sizes: Tensor
    place: Tensor
    largest: int | None = None


class Molecules(NamedTuple):
    """The input of augmentations: the structure of the molecules in a batch.

    ends: int64 (2, num_bonds), the two atoms of each bond.
    distances: function (origin, quota) -> int64 (..., num_atoms), the number of bonds between each atom and the origin of its
    molecule. origin: int64 (..., num_groups), the index in the batch of one atom per molecule. quota: int64 (..., num_groups);
    atoms at this distance or further may be UNREACHABLE, because a connected graph has at least `quota` atoms that are nearer.
    """

    atoms: Items
    bonds: Items
    ends: Tensor
    distances: Callable[[Tensor, Tensor], Tensor]


class Lost(NamedTuple):
    """The masked atoms, bool (..., num_atoms), and the deleted bonds, bool (..., num_bonds), of views."""

    masked: Tensor
    deleted: Tensor


AugmentationFunction = Callable[[Molecules, Lost, float, Tensor], Lost]
"""Function (molecules, lost, ratio, keys) -> lost.

`lost` is the result of the augmentations before this one; 0 <= ratio < 1; keys: int64 (..., num_groups).
"""


def view_keys(stream: int | Tensor, molecules: Tensor) -> Tensor:
    """Return one key per molecule: int64 (..., num_graphs).

    stream: seed that differs between epochs and views, an int or an int64 tensor that broadcasts with `molecules`, for example
    of shape () or (2, 1). molecules: int64 (num_graphs,), positions in the corpus.
    """
    if isinstance(stream, int):
        stream = torch.full((), stream, dtype=torch.int64, device=molecules.device)
    return hash64(hash64(stream) + molecules)


def molecule_keys(keys: Tensor, purpose: int) -> Tensor:
    """Hash the keys of molecules, int64 (..., num_groups), for one purpose: int64 (..., num_groups)."""
    return hash64(keys + purpose)


def item_keys(keys: Tensor, group: Tensor, place: Tensor, purpose: int) -> Tensor:
    """Return one hash per atom or bond for one purpose: int64 (..., n).

    keys: int64 (..., num_groups), see `view_keys`. group, place: int64 (n,), see `Items`.
    """
    return hash64(molecule_keys(keys, purpose)[..., group] + place)


def choose(group: Tensor, first: Tensor, quota: Tensor, priority: Tensor) -> Tensor:
    """Choose the quota[g] items with the smallest priority in each group g: bool (..., n). Ties go to the first item.

    group: int64 (n,), ascending. first: int64 (num_groups,), the index of each group's first item.
    quota: int64 (..., num_groups). priority: int64 (..., n), from 0 to 2**40 - 1.
    """
    order = (group << PRIORITY_BITS | priority).argsort(dim=-1, stable=True)
    if order.device.type != "cpu":  # A deterministic scatter in two dimensions waits for a GPU.
        return order.argsort(dim=-1) - first[group] < quota[..., group]
    rank = torch.arange(len(group)) - first[group]  # within the group, in that order
    chosen = (rank < quota[..., group]).expand_as(order)
    return torch.empty_like(chosen, memory_format=torch.contiguous_format).scatter_(-1, order, chosen)


def choose_by_counting(items: Items, largest: int, quota: Tensor, priority: Tensor) -> Tensor:
    """Make the same choice as `choose` by counting the items of the molecule that precede each item: bool (..., n).

    A compiler for GPUs turns this into one kernel without a sort of the whole batch. On a CPU, sorting is faster.
    """
    other = items.first[items.group][:, None] + torch.arange(largest, device=priority.device)
    inside = torch.arange(largest, device=priority.device) < items.sizes[items.group][:, None]
    theirs, ours = priority[..., other.clamp(max=len(items.group) - 1)], priority[..., None]
    earlier = other < torch.arange(len(items.group), device=priority.device)[:, None]
    before = inside & ((theirs < ours) | ((theirs == ours) & earlier))
    return before.sum(dim=-1) < quota[..., items.group]


def _choose_from(items: Items, quota: Tensor, priority: Tensor) -> Tensor:
    if items.largest is None or items.largest > COUNTED:
        return choose(items.group, items.first, quota, priority)
    return choose_by_counting(items, items.largest, quota, priority)


def mask_atoms(molecules: Molecules, lost: Lost, ratio: float, keys: Tensor) -> Lost:
    """Atom masking: mask a random fraction `ratio` of each molecule's atoms, including those that are already masked.

    For a ratio above 0 at least one atom is masked, but never all: a molecule with one atom is unchanged.
    """
    sizes = molecules.atoms.sizes
    quota = _floor(sizes, ratio)
    if ratio > 0:
        quota = quota.clamp(min=1).minimum(sizes - 1)
    return lost._replace(masked=_choose_more(molecules.atoms, lost.masked, quota, keys, ATOM_MASK))


def delete_bonds(molecules: Molecules, lost: Lost, ratio: float, keys: Tensor) -> Lost:
    """Bond deletion: delete a random fraction `ratio` of each molecule's bonds, including those that are already deleted."""
    quota = _floor(molecules.bonds.sizes, ratio)
    return lost._replace(deleted=_choose_more(molecules.bonds, lost.deleted, quota, keys, BOND_DELETION))


def remove_subgraph(molecules: Molecules, lost: Lost, ratio: float | Tensor, keys: Tensor) -> Lost:
    """Subgraph removal: mask the fraction `ratio` of atoms nearest to a random origin and delete all their bonds.

    ratio: float or float64 (..., num_groups). Ties at the largest distance are broken at random. The subgraph is connected:
    in a salt it does not extend beyond the ion of the origin.
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
    """Subgraph removal with a random ratio for each molecule, uniform between 0 and `ratio`."""
    random = molecule_keys(keys, SUBGRAPH_FRACTION) >> 11 & (1 << 53) - 1
    return remove_subgraph(molecules, lost, random.double() * 2.0**-53 * ratio, keys)


def remove_subgraph_and_rings(molecules: Molecules, lost: Lost, ratio: float, keys: Tensor) -> Lost:
    """Subgraph removal as in the official code, which also deletes all ring-closing bonds."""
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
    """Return the augmentations of a view with their ratios, in the order in which they are applied.

    A composition is a list of augmentations or a preset: `node` is atom masking and bond deletion; `subgraph` is subgraph
    removal; `mix` is the removal of a subgraph of random size, then atom masking and bond deletion, whose ratios include the
    removed atoms and bonds. Raises MolclrError for an unknown augmentation.
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
    """Look up an augmentation by its name in AUGMENTATIONS or its dotted path, such as my_package.views:swap_atoms."""
    if problem := unknown("augmentation", name, AUGMENTATIONS, "my_package.views:swap_atoms"):
        raise MolclrError(f"{problem}.")
    return AUGMENTATIONS.get(name) or load_function(name, "molecules", "lost", "ratio", "keys")


def lose(molecules: Molecules, steps: list[tuple[AugmentationFunction, float]], keys: Tensor) -> Lost:
    """Apply the augmentations `steps` (see `augmentation_steps`) to the views with `keys`, int64 (..., num_groups).

    Raises MolclrError if one does not return a Lost of the types and shapes of its argument.
    """
    device, views = keys.device, keys.shape[:-1]
    lost = Lost(
        torch.zeros(*views, len(molecules.atoms.group), dtype=torch.bool, device=device),
        torch.zeros(*views, len(molecules.bonds.group), dtype=torch.bool, device=device),
    )
    for augmentation, ratio in steps:
        lost = _required(augmentation, augmentation(molecules, lost, ratio, keys), lost)
    return lost


def _required(augmentation: AugmentationFunction, found: object, like: Lost) -> Lost:
    """Return `found`, the result of an augmentation. Raises MolclrError unless it has the types and shapes of `like`."""
    name = name_of(augmentation)
    if not isinstance(found, Lost):
        raise MolclrError(
            f"The augmentation {name} returned a {type(found).__name__}, not a molclr.models.augment.Lost; correct it."
        )
    for part, tensor, other in zip(Lost._fields, found, like, strict=True):
        if not isinstance(tensor, Tensor) or tensor.dtype != torch.bool or tensor.shape != other.shape:
            is_now = f"{tensor.dtype} {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise MolclrError(
                f"The augmentation {name} returned '{part}' as {is_now}; correct it to bool {tuple(other.shape)}."
            )
    return found


def name_of(augmentation: AugmentationFunction) -> str:
    """Return what an augmentation is called in messages."""
    return getattr(augmentation, "__qualname__", "of the configuration")


def augment(graphs: GraphBatch, settings: Augmentation, keys: Tensor) -> GraphBatch:
    """Return the view of `graphs` that is determined by `keys`, int64 (num_graphs,), from `view_keys`."""
    return view(graphs, *lose(molecules_of(graphs), augmentation_steps(settings), keys))


def molecules_of(graphs: GraphBatch) -> Molecules:
    """Build the input of augmentations from a batch whose bonds are sorted by molecule."""
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
    """Compute distances in bonds from the atoms `origin`, int64 (..., num_graphs): int64 (..., num_atoms). See `Molecules`.

    edge_index: int64 (2, num_edges), every bond in both directions.
    """
    if origin.dim() > 1:
        return torch.stack([edge_distances(edge_index, num_atoms, of_view, quota) for of_view in origin])
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
    """Find the ring-closing bonds in the atom order of the SMILES: bool (num_bonds,). ends: int64 (2, num_bonds).

    The spanning tree of a SMILES connects each atom to its latest preceding neighbour. A bond to any other preceding atom
    closes a ring.
    """
    earlier, later = ends.amin(dim=0), ends.amax(dim=0)
    parent = torch.full((num_atoms,), -1, device=ends.device).scatter_reduce_(0, later, earlier, "amax")
    return earlier != parent[later]


def view(graphs: GraphBatch, masked: Tensor, deleted: Tensor) -> GraphBatch:
    """Replace the atoms `masked`, bool (num_atoms,), by mask tokens and delete the bonds `deleted`, bool (num_bonds,)."""
    x = graphs.x.clone()
    x[masked] = torch.tensor([MASK, 0], device=x.device)
    kept = (~deleted).repeat(2)
    return graphs._replace(x=x, edge_index=graphs.edge_index[:, kept], edge_attr=graphs.edge_attr[kept])


def _items(group: Tensor, num_groups: int) -> Items:
    sizes = torch.bincount(group, minlength=num_groups)
    first = sizes.cumsum(0) - sizes
    return Items(group, first, sizes, torch.arange(len(group), device=group.device) - first[group])


def _floor(sizes: Tensor, ratio: float | Tensor) -> Tensor:
    """Return the number of items that is a fraction `ratio` of each molecule, rounded down in double precision: int64."""
    return (sizes.double() * ratio).long()


def _choose_more(items: Items, already: Tensor, quota: Tensor, keys: Tensor, purpose: int) -> Tensor:
    """Choose quota[g] random items of each molecule g: bool (..., n). Items that are `already` chosen count and stay chosen."""
    random = item_keys(keys, items.group, items.place, purpose) & (1 << PRIORITY_BITS - 1) - 1
    priority = torch.where(already, 0, 1 + random)
    return _choose_from(items, quota, priority) | already
