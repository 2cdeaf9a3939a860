"""Views of padded batches: the augmentations of `molclr.models.augment` on neighbour slots, with bitwise equal choices."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from molclr.batch import MASK
from molclr.models.augment import AUGMENTATIONS, UNREACHABLE, AugmentationFunction, Items, Molecules, lose, view_keys
from molclr.models.fast.slots import SlotBatch


class Limits(NamedTuple):
    """Upper bounds: atoms and bonds per molecule of a corpus, and quotas for which an augmentation needs distances."""

    atoms: int
    bonds: int
    quota: int


def limits_of(counts: Tensor, steps: list[tuple[AugmentationFunction, float]]) -> Limits:
    """Compute the limits for `SlotTables.counts` of a corpus and the augmentations of a view (`augmentation_steps`).

    The augmentations of the package need distances to their ratio of atoms, those of a user perhaps to all atoms.
    """
    atoms, bonds, _ = counts.amax(dim=0).tolist()
    needed = (ratio if function in AUGMENTATIONS.values() else 1.0 for function, ratio in steps)
    return Limits(atoms, bonds, int(max(needed, default=0.0) * atoms))


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
    element, chirality = batch.atoms.unbind(1)
    x = torch.stack([element.masked_fill(lost.masked, MASK), chirality.masked_fill(lost.masked, 0)], dim=-1)
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
    """Return the two atoms of each bond in ascending order: int64 (2, M). Both are the last atom, a padding, for padding."""
    bonds, padding = len(batch.bond_place), len(batch.atoms) - 1
    earlier, later = (batch.atoms.new_full((bonds + 1,), padding) for _ in range(2))  # the last item is for empty slots
    for slots in (batch.bonds, batch.wide):
        atom = slots.atom[:, None].expand_as(slots.neighbour)
        bond = torch.where(slots.present & (atom < slots.neighbour), slots.bond, bonds).flatten()
        # In one dimension: with two, a deterministic scatter waits for a GPU.
        earlier.scatter_(0, bond, atom.flatten())
        later.scatter_(0, bond, slots.neighbour.flatten())
    return torch.stack([earlier, later])[:, :-1]


def slot_distances(batch: SlotBatch, origin: Tensor, max_quota: int) -> Tensor:
    """Compute distances in bonds, int64 (V, A), from the atoms `origin`, int64 (V, B); UNREACHABLE from `max_quota` on."""
    atoms = len(batch.atoms)
    inside = batch.molecule < len(batch.rows)
    origin_of = F.pad(origin, (0, 1), value=-1)[:, batch.molecule]
    at_origin = inside & (origin_of == torch.arange(atoms, device=origin.device))
    distance = torch.where(at_origin, 0, UNREACHABLE)
    for _ in range(max_quota - 1):
        nearest = torch.where(batch.bonds.present, distance[:, batch.bonds.neighbour], UNREACHABLE).amin(-1)
        if len(batch.wide.atom):
            of_wide = torch.where(batch.wide.present, distance[:, batch.wide.neighbour], UNREACHABLE).amin(-1)
            nearest = torch.where(batch.is_wide, nearest.minimum(of_wide[:, batch.wide_row]), nearest)
        distance = distance.minimum(nearest + 1)
    return distance
