"""Views of padded batches: the augmentations of `molclr.models.augment` on neighbour slots, with bitwise equal choices."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from molclr.batch import MASK
from molclr.models.augment import UNREACHABLE, AugmentationFunction, Items, Molecules, lose, view_keys
from molclr.models.fast.slots import SlotBatch


class Limits(NamedTuple):
    """Upper bounds: atoms and bonds per molecule of a corpus, and atoms that an augmentation removes from a molecule."""

    atoms: int
    bonds: int
    quota: int


def limits_of(counts: np.ndarray, steps: list[tuple[AugmentationFunction, float]]) -> Limits:
    """Compute the limits for `SlotTables.counts` of a corpus and the augmentations of a view (`augmentation_steps`)."""
    atoms, bonds, _ = counts.max(axis=0, initial=0).tolist()
    return Limits(atoms, bonds, int(max([0.0, *(ratio for _, ratio in steps)]) * atoms))


def slot_views(
    batch: SlotBatch,
    steps: list[tuple[AugmentationFunction, float]],
    streams: Tensor,
    limits: Limits,
    find_distances: Callable[[SlotBatch, Tensor, int], Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Make one view of `batch` for each of `streams`, int64 (V,): the arguments x, kept and wide_kept of `represent`.

    steps: see `augmentation_steps`. limits: those of the corpus and these steps.
    find_distances: `slot_distances` or a version of it that is wrapped for a compiler.
    """
    keys = view_keys(streams[:, None], torch.cat([batch.rows, batch.rows.new_full((1,), -1)]))
    lost = lose(_molecules_of(batch, limits, find_distances or slot_distances), steps, keys)
    x = torch.where(lost.masked[..., None], batch.atoms.new_tensor([MASK, 0]), batch.atoms)
    kept, wide_kept = (bonds.present & ~lost.deleted[:, bonds.bond] for bonds in (batch.bonds, batch.wide))
    return x, kept, wide_kept


def _molecules_of(
    batch: SlotBatch, limits: Limits, find_distances: Callable[[SlotBatch, Tensor, int], Tensor]
) -> Molecules:
    """Build the input of augmentations from a padded batch, with the padding as one more molecule of size 0."""

    def distances(origin: Tensor, quota: Tensor) -> Tensor:
        return find_distances(batch, origin[..., :-1], limits.quota)

    return Molecules(
        atoms=_items(batch.molecule, batch.atom_counts, batch.place, limits.atoms),
        bonds=_items(batch.bond_molecule, batch.bond_counts, batch.bond_place, limits.bonds),
        ends=_ends(batch),
        distances=distances,
    )


def _items(group: Tensor, counts: Tensor, place: Tensor, largest: int) -> Items:
    ends = counts.cumsum(0)
    first = torch.cat([ends - counts, ends[-1:]])
    return Items(group, first, torch.cat([counts, counts.new_zeros(1)]), place, largest)


def _ends(batch: SlotBatch) -> Tensor:
    """Return the two atoms of each bond in ascending order: int64 (2, M); 0 for padding."""
    ends = batch.atoms.new_zeros(2, len(batch.bond_place) + 1)  # the last column collects empty slots
    for bonds in (batch.bonds, batch.wide):
        atom = bonds.atom[:, None].expand_as(bonds.neighbour)
        bond = torch.where(bonds.present & (atom < bonds.neighbour), bonds.bond, len(batch.bond_place))
        ends.scatter_(1, bond.flatten().expand(2, -1), torch.stack([atom, bonds.neighbour]).flatten(1))
    return ends[:, :-1]


def slot_distances(batch: SlotBatch, origin: Tensor, max_quota: int) -> Tensor:
    """Compute distances in bonds, int64 (V, A), from the atoms `origin`, int64 (V, B); UNREACHABLE from `max_quota` on."""
    atoms = len(batch.atoms)
    at_origin = torch.zeros(len(origin), atoms, dtype=torch.bool, device=origin.device)
    at_origin.scatter_(1, origin.clamp(max=atoms - 1), batch.atom_counts.expand_as(origin) > 0)
    distance = torch.where(at_origin, 0, UNREACHABLE)
    for _ in range(max_quota - 1):
        nearest = torch.where(batch.bonds.present, distance[:, batch.bonds.neighbour], UNREACHABLE).amin(-1)
        if len(batch.wide.atom):
            of_wide = torch.where(batch.wide.present, distance[:, batch.wide.neighbour], UNREACHABLE).amin(-1)
            nearest = nearest.scatter_reduce(1, batch.wide.atom.expand_as(of_wide), of_wide, "amin")
        distance = distance.minimum(nearest + 1)
    return distance
