"""Checks that encoders and augmentations outside this package do what docs/extending.md asks for, on a few molecules."""

import torch
from torch import nn

from molclr.batch import GraphBatch
from molclr.config import Augmentation
from molclr.errors import MolclrError
from molclr.models.augment import (
    AUGMENTATIONS,
    AugmentationFunction,
    Lost,
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
TOLERANCE = 0.01
"""Largest difference of h between two batch sizes that is taken for rounding, as a fraction of the largest number in h."""
RATIO_BEFORE = 0.25
"""Fraction of atoms that is masked, and of bonds that is deleted, before the augmentation that is checked."""


@torch.no_grad()
def require_independence(encoder: nn.Module, graphs: GraphBatch) -> None:
    """Raise MolclrError if h of the first molecules of a batch differs from that of these molecules alone.

    encoder: in evaluation mode, with the attribute `name`. graphs: at least two molecules.
    """
    batch = graphs.first(min(graphs.num_graphs, CHECKED))
    half = batch.first(batch.num_graphs // 2)
    with torch.autocast(graphs.x.device.type, enabled=False):
        together, alone = (encoder.forward(*each)[: half.num_graphs] for each in (batch, half))
    finite = together[together.isfinite()]
    tolerance = TOLERANCE * float(finite.abs().max()) if len(finite) else 0.0
    if not torch.allclose(alone, together, rtol=0, atol=tolerance, equal_nan=True):
        raise MolclrError(
            f"'{encoder.name}' returned another h for the same molecules in a smaller batch; in evaluation mode, h of a molecule "
            "must depend neither on the other molecules nor on random numbers. See docs/extending.md."
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

    What a molecule loses must depend neither on random numbers nor on the other molecules. Raises MolclrError also for an
    unknown augmentation.
    """
    batch = graphs.first(min(graphs.num_graphs, CHECKED))
    half = batch.first((batch.num_graphs + 1) // 2)
    for augmentation, ratio in augmentation_steps(settings):
        if augmentation in AUGMENTATIONS.values():
            continue
        (before, found), (_, alone) = (_before_and_after(augmentation, ratio, each) for each in (batch, half))
        if any((earlier & ~later).any() for earlier, later in zip(before, found, strict=True)):
            raise MolclrError(
                f"The augmentation {name_of(augmentation)} restored an atom or a bond that was masked or deleted before; return "
                "those in `lost` too. See docs/extending.md."
            )
        if any(not torch.equal(part[: len(small)], small) for part, small in zip(found, alone, strict=True)):
            raise MolclrError(
                f"The augmentation {name_of(augmentation)} returned another result for the same molecules and keys in a smaller "
                "batch; make random choices from `keys` alone. See docs/extending.md."
            )


def _before_and_after(augmentation: AugmentationFunction, ratio: float, graphs: GraphBatch) -> tuple[Lost, Lost]:
    """Return what atom masking and bond deletion lose, and what they and then `augmentation` lose."""
    molecules, keys = molecules_of(graphs), view_keys(0, torch.arange(graphs.num_graphs))
    steps: list[tuple[AugmentationFunction, float]] = [(mask_atoms, RATIO_BEFORE), (delete_bonds, RATIO_BEFORE)]
    return lose(molecules, steps, keys), lose(molecules, [*steps, (augmentation, ratio)], keys)
