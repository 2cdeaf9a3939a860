"""The molecules of a benchmark with labels and subsets, in memory."""

from collections import Counter
from dataclasses import dataclass
from os import PathLike

import numpy as np

from molclr.data.molecules import read_molecules, target_columns
from molclr.data.subsets import subset_indices
from molclr.errors import MolclrError
from molclr.progress import counted, say

TARGETS_NAMED = 5
"""The most targets that a warning names."""


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

    @property
    def in_several_subsets(self) -> list[str]:
        """The SMILES of molecules that have rows in more than one subset, in order of the SMILES."""
        own = [{self.smiles[place] for place in places} for places in self.subsets.values()]
        times = Counter(text for smiles in own for text in smiles)
        return sorted(text for text, count in times.items() if count > 1)


def read_labelled(
    molecules: str | PathLike[str], split: str | PathLike[str], fate: str = "models fitted to these do not predict it"
) -> LabelledMolecules:
    """Read a molecule table and its split.

    Prints a warning about targets for which the training molecules have no labels or all the same label, and about molecules in
    several subsets, as a split in a column may have. fate: what becomes of a target without training labels, for the warning.
    Raises MolclrError if the files have different molecules, if a subset is empty, or if the training set has no labels.
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
    _warn_of_targets(labels[subsets["train"]], targets, fate)
    data = LabelledMolecules(rows, table["smiles"].to_list(), labels, targets, subsets)
    if repeated := data.in_several_subsets:
        say(
            f"warning: {counted(len(repeated), 'molecule')}, such as {repeated[0]}, {'has' if len(repeated) == 1 else 'have'} "
            "rows in more than one of train, valid and test, "
            "so scores of known molecules look better than those of new ones"
        )
    return data


def _warn_of_targets(labels: np.ndarray, targets: list[str], fate: str) -> None:
    """Warn about targets without different labels. labels: float64 (n, targets) of training molecules, NaN where missing."""
    known = ~np.isnan(labels)
    lowest = np.where(known, labels, np.inf).min(axis=0)
    highest = np.where(known, labels, -np.inf).max(axis=0)
    missing = [target for target, any_known in zip(targets, known.any(axis=0), strict=True) if not any_known]
    equal = [target for target, low, high in zip(targets, lowest, highest, strict=True) if low == high]
    if missing:
        say(f"warning: no training molecule has a label of {_listed(missing)}, so {fate}")
    if equal:
        say(
            f"warning: all training molecules have the same label of {_listed(equal)}, from which nothing can be learned"
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:TARGETS_NAMED])
    return shown + (f" and {len(names) - TARGETS_NAMED} other targets" if len(names) > TARGETS_NAMED else "")
