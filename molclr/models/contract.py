"""Checks that encoders and augmentations outside this package do what docs/extending.md asks for, on a few molecules."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import Augmentation
from molclr.errors import MolclrError
from molclr.models.augment import (
    AUGMENTATIONS,
    UNREACHABLE,
    AugmentationFunction,
    Items,
    Lost,
    Molecules,
    augmentation_steps,
    delete_bonds,
    lose,
    mask_atoms,
    molecules_of,
    name_of,
    view_keys,
)
from molclr.models.batch_norm import BatchNorm

CHECKED = 16
"""Molecules of a check."""
TOLERANCE = 0.001
"""Largest difference of h between two batch sizes that is taken for rounding, as a fraction of the largest number in h."""
PADDING = 3
"""Atoms and bonds of padding in a check."""
RATIO_BEFORE = 0.25
"""Fraction of atoms that is masked, and of bonds that is deleted, before the augmentation that is checked."""


@torch.no_grad()
def require_independence(encoder: nn.Module, graphs: GraphBatch) -> None:
    """Raise MolclrError if h of the first molecule, or of the first half of a batch, differs from that in the whole batch.

    encoder: in evaluation mode, with the attribute `name`. graphs: at least two molecules.
    """
    batch = graphs.first(min(graphs.num_graphs, CHECKED))
    with torch.autocast(graphs.x.device.type, enabled=False):
        together, *parts = (encoder.forward(*batch.first(n)) for n in (batch.num_graphs, 1, batch.num_graphs // 2))
    finite = together[together.isfinite()]
    tolerance = TOLERANCE * float(finite.abs().max()) if len(finite) else 0.0
    if not all(torch.allclose(part, together[: len(part)], rtol=0, atol=tolerance, equal_nan=True) for part in parts):
        raise MolclrError(
            f"'{encoder.name}' returned another h for the same molecules in a smaller batch; in evaluation mode, h of a molecule "
            "must depend neither on the other molecules (as with a norm over the whole batch) nor on random numbers. See "
            "docs/extending.md."
        )


def require_synchronized(encoder: nn.Module) -> None:
    """Raise MolclrError if batch norm in an encoder normalizes by the molecules of one process alone."""
    for name, module in encoder.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, BatchNorm | nn.SyncBatchNorm):
            raise MolclrError(
                f"'{name}' of '{encoder.name}' is a {type(module).__name__}, which normalizes by the molecules of one process "
                "alone; with several processes, use molclr.models.batch_norm.BatchNorm. See docs/extending.md."
            )


def require_pure(graphs: GraphBatch, settings: Augmentation) -> None:
    """Raise MolclrError if an augmentation outside this package restores what is lost, or depends on more than the keys.

    What a molecule loses must depend neither on random numbers nor on the other molecules nor on padding. Raises MolclrError also
    for an unknown augmentation.
    """
    batch = graphs.first(min(graphs.num_graphs, CHECKED))
    whole, half = molecules_of(batch), molecules_of(batch.first((batch.num_graphs + 1) // 2))
    for augmentation, ratio in augmentation_steps(settings):
        if augmentation in AUGMENTATIONS.values():
            continue
        before, found = _before_and_after(augmentation, ratio, whole)
        if any((earlier & ~later).any() for earlier, later in zip(before, found, strict=True)):
            raise MolclrError(
                f"The augmentation {name_of(augmentation)} restored an atom or a bond that was masked or deleted before; return "
                "those in `lost` too. See docs/extending.md."
            )
        if not _agree(found, _before_and_after(augmentation, ratio, half)[1]):
            raise MolclrError(
                f"The augmentation {name_of(augmentation)} returned another result for the same molecules and keys in a smaller "
                "batch; make random choices from `keys` alone. See docs/extending.md."
            )
        if not _agree(found, _before_and_after(augmentation, ratio, _padded(whole))[1]):
            raise MolclrError(
                f"The augmentation {name_of(augmentation)} returned another result for a batch with padding, which batches on a "
                "GPU have; compute quotas from `sizes`. See docs/extending.md."
            )


def _before_and_after(augmentation: AugmentationFunction, ratio: float, molecules: Molecules) -> tuple[Lost, Lost]:
    """Return what atom masking and bond deletion lose, and what they and then `augmentation` lose."""
    keys = view_keys(0, torch.arange(len(molecules.atoms.sizes)))
    steps: list[tuple[AugmentationFunction, float]] = [(mask_atoms, RATIO_BEFORE), (delete_bonds, RATIO_BEFORE)]
    return lose(molecules, steps, keys), lose(molecules, [*steps, (augmentation, ratio)], keys)


def _agree(found: Lost, other: Lost) -> bool:
    """Return whether the same atoms and bonds are lost, as far as both batches have them."""
    sizes = [min(len(ours), len(theirs)) for ours, theirs in zip(found, other, strict=True)]
    return all(torch.equal(ours[:n], theirs[:n]) for ours, theirs, n in zip(found, other, sizes, strict=True))


def _padded(molecules: Molecules) -> Molecules:
    """Add padding as on a GPU: one more molecule of size 0, whose bonds end at its last atom."""

    def distances(origin: Tensor, quota: Tensor) -> Tensor:
        return F.pad(molecules.distances(origin[..., :-1], quota[..., :-1]), (0, PADDING), value=UNREACHABLE)

    atoms = _padded_items(molecules.atoms)
    ends = F.pad(molecules.ends, (0, PADDING), value=len(atoms.group) - 1)
    return Molecules(atoms, _padded_items(molecules.bonds), ends, distances)


def _padded_items(items: Items) -> Items:
    group = F.pad(items.group, (0, PADDING), value=len(items.sizes))
    first = F.pad(items.first, (0, 1), value=len(items.group))
    return Items(group, first, F.pad(items.sizes, (0, 1)), torch.cat([items.place, torch.arange(PADDING)]))
