"""Contributions of the atoms of a molecule to a prediction.

The contribution of an atom is the prediction for the molecule minus the prediction for the molecule with that atom masked, in the
unit of the prediction: positive where the atom raises it. Networks and the representation see the mask token of pre-training in
place of the atom, whose bonds stay; in networks from scratch, the mask token is zero. Models on ECFP4 counts lack the
substructures that contain the atom (`molclr.qsar.queries`). For an ensemble or a forest, it is the mean of this difference over
networks or trees.

The mask token stands for an unknown atom, not for a missing one. Contributions are relative to an unknown atom and therefore do
not add up to the prediction.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from molclr.config import Compute
from molclr.progress import progress
from molclr.qsar.model_folder import ModelFolder
from molclr.qsar.queries import MaskedQueries
from molclr.training.device import prepare, unchanged_torch

MOLECULES_AT_A_TIME = 64


class Explanation(NamedTuple):
    """The prediction for a molecule, and the contributions of its atoms in the order of its canonical SMILES.

    Standard deviations are those over networks or trees; NaN for a support vector machine or a single network.
    """

    mean: np.ndarray
    """float64 (targets,)"""
    std: np.ndarray
    """float64 (targets,)"""
    atoms: np.ndarray
    """float64 (num_atoms, targets), the contributions; with explicit hydrogens, those follow the atoms of the SMILES"""
    atoms_std: np.ndarray
    """float64 (num_atoms, targets)"""


@unchanged_torch()
def explain(
    model: ModelFolder,
    smiles: Sequence[str],
    name: str | None = None,
    compute: Compute | None = None,
    silent: bool = False,
) -> list[Explanation]:
    """Explain the predictions for molecules, given as canonical SMILES, by the model `name`; None for the chosen one.

    A molecule and its masked copies are predicted in one batch, unless it is large. silent: show no progress. Raises MolclrError
    if the folder has no such model.
    """
    device = prepare(compute or Compute())
    found = list[Explanation]()
    firsts = range(0, len(smiles), MOLECULES_AT_A_TIME)
    for first in progress(firsts, label="explain", unit=f"{MOLECULES_AT_A_TIME} molecules", silent=silent):
        queries = MaskedQueries(smiles[first : first + MOLECULES_AT_A_TIME], model.explicit_hydrogens)
        is_whole = queries.whole == np.arange(len(queries.whole))

        def contributions(
            values: np.ndarray, queries: MaskedQueries = queries, is_whole: np.ndarray = is_whole
        ) -> np.ndarray:
            """Keep predictions of whole molecules; subtract those of masked ones from them: (networks or trees, rows, ...)."""
            change = values[:, queries.whole] - values
            change[:, is_whole] = values[:, is_whole]
            return change

        mean, std = model.predict_queries(queries, model.name_of(name), device, contributions)
        rows = np.flatnonzero(is_whole)[1:]
        for ours, our_std in zip(np.split(mean, rows), np.split(std, rows), strict=True):
            found.append(Explanation(ours[0], our_std[0], ours[1:], our_std[1:]))
    return found
