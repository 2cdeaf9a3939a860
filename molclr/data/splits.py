"""Splits: which molecules of a benchmark are learned from, which choose the epoch, and which are predicted."""

import csv
from collections.abc import Sequence
from os import PathLike
from typing import Literal

import numpy as np
import pandas as pd

from molclr.chem.scaffold import scaffold_split
from molclr.data.molecules import read_molecules
from molclr.errors import MolclrError
from molclr.files import replacing

Scheme = Literal["scaffold", "random"]
SUBSETS = ("train", "valid", "test")


def write_split(
    molecules: str | PathLike[str], output_csv: str | PathLike[str], scheme: Scheme, seed: int = 0
) -> dict[str, int]:
    """Put every molecule of a table in train, valid or test, 80 : 10 : 10; write `row,subset` and return their sizes.

    `row` is the raw row number. `seed` decides the random scheme; the scaffold scheme is deterministic. Rows of one molecule
    share a subset in either.
    Raises MolclrError if a subset would be empty.
    """
    table = read_molecules(molecules)
    if len(table) < len(SUBSETS):
        raise MolclrError(f"'{molecules}' has {len(table)} molecules; a split needs at least {len(SUBSETS)}.")
    smiles = table["smiles"].to_list()
    parts = scaffold_split(smiles) if scheme == "scaffold" else random_split(smiles, seed)
    for subset, indices in zip(SUBSETS, parts, strict=True):
        if len(indices) == 0:
            raise MolclrError(
                f"The {scheme} split of the {len(table)} molecules of '{molecules}' leaves none for {subset}; "
                f"take more molecules{', or split at random' * (scheme == 'scaffold')}."
            )

    names = np.empty(len(table), object)
    for subset, indices in zip(SUBSETS, parts, strict=True):
        names[indices] = subset
    with replacing(output_csv) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "subset"])
        writer.writerows(zip(table["row"].to_list(), names, strict=True))
    return {subset: len(indices) for subset, indices in zip(SUBSETS, parts, strict=True)}


def random_split(smiles: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ascending indices of the training, validation and test molecules: int64 arrays that part range(len(smiles)).

    Molecules are taken in random order. Each goes, with all its rows, to test if they fit there, else to validation if they fit
    there, else to training.
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


def read_split(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Raw row numbers of each subset: int64 arrays. Raises MolclrError if there is no such file or it is no split."""
    try:
        table = pd.read_csv(path, dtype={"row": np.int64})
    except FileNotFoundError:
        raise MolclrError(f"There is no split '{path}'; 'molclr split' makes one of a molecule table.") from None
    except ValueError:  # not even a table of whole numbers
        table = pd.DataFrame()
    is_split = list(table.columns) == ["row", "subset"] and table["subset"].isin(SUBSETS).all()
    if not is_split or table["row"].duplicated().any():
        raise MolclrError(f"'{path}' does not put each row in one of {', '.join(SUBSETS)}; make the split again.")
    return {subset: table["row"][table["subset"] == subset].to_numpy() for subset in SUBSETS}


def subset_indices(rows: np.ndarray, path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Positions of each subset's molecules in `rows`, int64 (n,), the raw row numbers of a molecule table.

    Raises MolclrError if the split is not one of this table.
    """
    split = read_split(path)
    if not np.array_equal(np.sort(np.concatenate(list(split.values()))), np.sort(rows)):
        raise MolclrError(f"The split '{path}' is of other molecules than the table; make it again.")
    order = np.argsort(rows)
    return {subset: order[np.searchsorted(rows, members, sorter=order)] for subset, members in split.items()}
