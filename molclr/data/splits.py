"""Split schemes, which divide the molecules of a benchmark into training, validation and test.

A scheme keeps the rows of a molecule together, which are those with equal canonical SMILES. Salts, charge states and tautomers of
a compound are different molecules, so they may be in different subsets, unless they are in one group of the scheme. To add a
scheme, add an entry to SCHEMES (docs/extending.md).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TypeAlias

import numpy as np

from molclr.chem.butina import butina_clusters
from molclr.chem.scaffold import scaffolds
from molclr.data.molecules import read_molecules
from molclr.data.subsets import SUBSETS
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.files import csv_writer, replacing
from molclr.progress import say

WORDS = {
    **dict(zip(SUBSETS, SUBSETS, strict=True)),
    "training": "train",
    "val": "valid",
    "validation": "valid",
    "testing": "test",
}
"""Words for the subsets in a column of a raw table, in lower case."""
Subsets: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Ascending indices of the training, validation and test molecules: three int64 arrays that partition all molecules."""


def write_split(
    molecules: str | PathLike[str], output_csv: str | PathLike[str], scheme: str, seed: int = 0
) -> dict[str, int]:
    """Assign every molecule of a table to train, valid or test (80 : 10 : 10); write the split and return the sizes.

    `output_csv` has row,subset with raw row numbers. scheme: a name in SCHEMES; the scaffold split does not depend on `seed`.
    Raises MolclrError for an unknown scheme, if a subset would be empty, and if the scheme does not assign each molecule once.
    """
    assign = find_scheme(scheme)
    table = read_molecules(molecules)
    if len(table) < len(SUBSETS):
        raise MolclrError(f"'{molecules}' has {len(table)} molecules; a split needs at least {len(SUBSETS)}.")
    smiles = table["smiles"].to_list()
    parts = [np.asarray(indices) for indices in assign(smiles, seed)]
    _require_partition(scheme, smiles, parts)
    for subset, indices in zip(SUBSETS, parts, strict=True):
        if len(indices) == 0:
            different = len(set(smiles))
            kinds = f" ({different} different)" if different < len(table) else ""
            other = "" if scheme == "random" else ", or a random split"
            raise MolclrError(
                f"The {scheme} split of the {len(table)} molecules{kinds} in '{molecules}' leaves {subset} empty; "
                f"use more molecules{other}."
            )
    names = np.empty(len(table), object)
    for subset, indices in zip(SUBSETS, parts, strict=True):
        names[indices] = subset
    return _write(output_csv, table["row"].to_list(), names.tolist())


def _require_partition(scheme: str, smiles: Sequence[str], parts: Sequence[np.ndarray]) -> None:
    """Raise MolclrError, which blames the scheme, unless each molecule is in one of three `parts`, with all its rows."""
    fault, count = f"The split scheme '{scheme}' is wrong: it", len(smiles)
    if len(parts) != len(SUBSETS) or any(part.dtype.kind != "i" for part in parts if part.size):
        raise MolclrError(
            f"{fault} must return three arrays of integers, the training, validation and test molecules; correct it."
        )
    indices = np.concatenate(parts).astype(np.int64)
    if len(outside := indices[(indices < 0) | (indices >= count)]):
        raise MolclrError(
            f"{fault} returned the index {outside[0]}; those of {count} molecules are 0 to {count - 1}; correct it."
        )
    times = np.bincount(indices, minlength=count)
    for chosen, fate in ((times == 0, "leaves out"), (times > 1, "repeats")):
        if chosen.any():
            raise MolclrError(
                f"{fault} {fate} {chosen.sum()} of {count} molecules, such as {smiles[int(chosen.argmax())]}; correct it."
            )
    subset_of: dict[str, int] = {}
    for subset, part in enumerate(parts):
        for text in (smiles[place] for place in part.tolist()):
            if subset_of.setdefault(text, subset) != subset:
                raise MolclrError(f"{fault} puts rows of the molecule {text} into different subsets; correct it.")


def write_given_split(
    molecules: str | PathLike[str],
    output_csv: str | PathLike[str],
    raw_csv: str | PathLike[str],
    column: str,
    seed: int = 0,
) -> dict[str, int]:
    """Write the split that a column of the raw table defines, in the format of `write_split`; return the sizes.

    raw_csv: the table from which the molecule table was made. column: has one of WORDS in each row, in any case; if no accepted
    molecule is in valid, a tenth of the training molecules is drawn with `seed`, which is reported. Repeated molecules may be in
    different subsets. Raises MolclrError for other values, and if a subset is empty.
    """
    table = read_molecules(molecules)
    rows = table["row"].to_list()
    names = _given_subsets(molecules, rows, raw_csv, column)
    if "valid" not in names:
        _draw_validation(table["smiles"].to_list(), names, seed)
        drawn = names.count("valid")
        say(f"'{column}' has no validation molecules: {drawn} training molecules, drawn at random, become validation")
    for subset in SUBSETS:
        if subset not in names:
            raise MolclrError(
                f"The column '{column}' of '{raw_csv}' assigns no accepted molecule to {subset}; change the column."
            )
    return _write(output_csv, rows, names)


def _given_subsets(
    molecules: str | PathLike[str], rows: Sequence[int], raw_csv: str | PathLike[str], column: str
) -> list[str]:
    """Return the subset that a column of the raw table names for each of its `rows`, those of the molecule table."""
    words = read_column(raw_csv, column)
    if rows and rows[-1] >= len(words):
        raise MolclrError(
            f"'{molecules}' was not made from '{raw_csv}', which has only {len(words)} rows; give the table it was made from."
        )
    names = [WORDS.get(words[row].strip().lower(), "") for row in rows]
    if "" in names:
        row = rows[names.index("")]
        raise MolclrError(
            f"Row {row} of '{raw_csv}' has '{words[row].strip()}' in the column '{column}'; "
            f"write one of {', '.join(SUBSETS)}."
        )
    return names


def read_column(raw: str | PathLike[str], column: str) -> list[str]:
    """Return the text of a column in every row of a raw table; an empty string where a row is too short.

    Raises MolclrError for a missing or ambiguous column, or another file.
    """
    with open_table(raw) as table:
        if table.columns.count(column) != 1:
            trouble = "several columns" if column in table.columns else "no column"
            raise MolclrError(
                f"'{raw}' has {trouble} '{column}'; its columns are: {', '.join(table.columns)[:200]}. Name the one that "
                f"contains the split (in a configuration: split_column)."
            )
        place = table.columns.index(column)
        return [fields[place] if place < len(fields) else "" for fields in table.rows()]


def _draw_validation(smiles: Sequence[str], names: list[str], seed: int) -> None:
    """Move a tenth of the training molecules to validation, at random and with all training rows of a molecule."""
    training = [place for place, name in enumerate(names) if name == "train"]
    for index in random_split([smiles[place] for place in training], seed)[1].tolist():
        names[training[index]] = "valid"


def _write(output_csv: str | PathLike[str], rows: Sequence[int], subsets: Sequence[str]) -> dict[str, int]:
    """Write `row,subset` and return the sizes."""
    with replacing(output_csv) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv_writer(file)
        writer.writerow(["row", "subset"])
        writer.writerows(zip(rows, subsets, strict=True))
    return {subset: subsets.count(subset) for subset in SUBSETS}


def scaffold_split(smiles: Sequence[str], train: float = 0.8, valid: float = 0.1) -> Subsets:
    """Split so that molecules with the same scaffold stay together, deterministically; see `split_groups`.

    Raises RejectedMolecule like `read_molecule`.
    """
    return split_groups(scaffolds(smiles), train, valid)


def split_groups(groups: Sequence[str], train: float = 0.8, valid: float = 0.1) -> Subsets:
    """Split so that members of a group stay together, as MoleculeNet and the official MolCLR code do for scaffolds.

    Groups are assigned from the largest to the smallest, of equal size the one with the later first member first: to training if
    they fit there, else to validation if they fit there, else to test. The test set thus has the rare scaffolds.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)

    train_end = train * len(groups)
    valid_end = (train + valid) * len(groups)
    subsets: tuple[list[int], list[int], list[int]] = ([], [], [])
    in_train, in_valid, in_test = subsets
    for indices in sorted(members.values(), key=lambda indices: (len(indices), indices[0]), reverse=True):
        if len(in_train) + len(indices) <= train_end:
            in_train += indices
        elif len(in_train) + len(in_valid) + len(indices) <= valid_end:
            in_valid += indices
        else:
            in_test += indices
    first, second, third = (np.array(sorted(subset), np.int64) for subset in subsets)
    return first, second, third


def random_split(smiles: Sequence[str], seed: int) -> Subsets:
    """Split at random with `seed`, and keep the rows of a molecule together.

    Molecules are assigned in random order: with all their rows to test if they fit there, else to validation if they fit there,
    else to training.
    """
    tenth = max(1, len(smiles) // 10)
    rows_of: dict[str, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(smiles))[::-1].tolist():
        rows_of.setdefault(smiles[index], []).append(index)
    subsets: tuple[list[int], list[int], list[int]] = ([], [], [])
    train, valid, test = subsets
    for rows in rows_of.values():
        next((subset for subset in (test, valid) if len(subset) + len(rows) <= tenth), train).extend(rows)
    first, second, third = (np.array(sorted(subset), np.int64) for subset in subsets)
    return first, second, third


def butina_split(smiles: Sequence[str], seed: int) -> Subsets:
    """Split so that clusters of similar molecules stay together, the largest in training; `seed` orders those of one size.

    Raises MolclrError like `butina_clusters`.
    """
    clusters = butina_clusters(smiles)
    order = np.random.default_rng(seed).permutation(len(smiles))
    first, second, third = (np.sort(order[part]) for part in split_groups([clusters[place] for place in order]))
    return first, second, third


GROUPS: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "scaffold": scaffolds,
    "butina": butina_clusters,
    "random": list,
}
"""Name of a scheme -> function from canonical SMILES to groups, one per molecule, which the scheme keeps together."""


def groups_of(scheme: str, smiles: Sequence[str]) -> list[str]:
    """Return the group of each molecule, given by canonical SMILES: that of the scheme, its scaffold if the scheme has none."""
    return GROUPS.get(scheme, scaffolds)(smiles)


SCHEMES: dict[str, Callable[[Sequence[str], int], Subsets]] = {
    "scaffold": lambda smiles, seed: scaffold_split(smiles),  # deterministic
    "butina": butina_split,
    "random": random_split,
}
"""Name -> function (canonical SMILES, seed) -> subsets. Schemes keep the rows of a molecule together."""


def find_scheme(name: str) -> Callable[[Sequence[str], int], Subsets]:
    """Look up a scheme by its name. Raises MolclrError if it is unknown."""
    if name not in SCHEMES:
        raise MolclrError(
            f"Unknown split scheme '{name}'; choose {', '.join(SCHEMES)} (or given, for a benchmark in own_benchmarks)."
        )
    return SCHEMES[name]
