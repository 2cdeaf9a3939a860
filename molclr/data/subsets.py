"""Split files, which assign the molecules of a table to training, validation and test."""

from os import PathLike

import numpy as np
import pandas as pd

from molclr.errors import MolclrError

SUBSETS = ("train", "valid", "test")


def read_split(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read the raw row numbers of each subset: int64 arrays. Raises MolclrError if the file is missing or not a split."""
    try:
        table = pd.read_csv(path, dtype={"row": np.int64})
    except FileNotFoundError:
        raise MolclrError(f"The split '{path}' does not exist; make it with 'molclr split'.") from None
    except ValueError:  # not a table with row numbers
        table = pd.DataFrame()
    is_split = list(table.columns) == ["row", "subset"] and table["subset"].isin(SUBSETS).all()
    if not is_split or table["row"].duplicated().any():
        raise MolclrError(f"'{path}' does not assign each row to one of {', '.join(SUBSETS)}; make the split again.")
    return {subset: table["row"][table["subset"] == subset].to_numpy() for subset in SUBSETS}


def subset_indices(rows: np.ndarray, path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Find the positions of each subset's molecules in `rows`, int64 (n,), the raw row numbers of a molecule table.

    Raises MolclrError if the split has other rows.
    """
    split = read_split(path)
    if not np.array_equal(np.sort(np.concatenate(list(split.values()))), np.sort(rows)):
        raise MolclrError(f"The split '{path}' was made from another molecule table; make it again.")
    order = np.argsort(rows)
    return {subset: order[np.searchsorted(rows, members, sorter=order)] for subset, members in split.items()}
