"""The molecules of a benchmark with labels and subsets, in memory."""

from dataclasses import dataclass
from os import PathLike

import numpy as np

from molclr.data.molecules import read_molecules, target_columns
from molclr.data.subsets import subset_indices
from molclr.errors import MolclrError


@dataclass(frozen=True)
class LabelledMolecules:
    """All molecules of a molecule table, in order.

    rows: int64 (n,), raw row numbers. smiles: n canonical SMILES. labels: float64 (n, targets), NaN where missing.
    targets: names of the targets. subsets: positions of the molecules of train, valid and test, int64.
    """

    rows: np.ndarray
    smiles: list[str]
    labels: np.ndarray
    targets: list[str]
    subsets: dict[str, np.ndarray]


def read_labelled(molecules: str | PathLike[str], split: str | PathLike[str]) -> LabelledMolecules:
    """Read a molecule table and its split.

    Raises MolclrError if they have different molecules, if a subset is empty, or if the training set has no labels.
    """
    table, targets = read_molecules(molecules), target_columns(molecules)
    rows = table["row"].to_numpy()
    labels = table[targets].to_numpy(np.float64)
    if np.isnan(labels).all():
        raise MolclrError(f"'{molecules}' has no labels; name the columns with labels in 'molclr canonicalize'.")
    subsets = subset_indices(rows, split)
    for name, members in subsets.items():
        if not len(members):
            raise MolclrError(f"The split '{split}' has no molecules in {name}; make it again.")
    if np.isnan(labels[subsets["train"]]).all():
        raise MolclrError(f"No training molecule of '{split}' has a label; canonicalize '{molecules}' with --labelled.")
    return LabelledMolecules(rows, table["smiles"].to_list(), labels, targets, subsets)
