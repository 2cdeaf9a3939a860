"""The part of a page about the data: audit, leakage, and rejected rows."""

from dataclasses import dataclass

import pandas as pd

from molclr.evaluation.report.results import Results
from molclr.evaluation.report.structures import Structures

NAMES = {
    "duplicates": "repeated",
    "undefined_stereo": "undefined stereo",
    "mean": "mean label",
    "std": "std of labels",
    "in_corpus": "in the corpus",
    "scaffold_in_corpus": "scaffold in the corpus",
    "acyclic": "without a scaffold",
}
"""Column of a table -> its heading, if they differ."""
MOST_REJECTED = 12
"""Rejected rows of a data set that are listed."""


@dataclass(frozen=True)
class RejectedRow:
    """A rejected row; RDKit may be unable to draw it."""

    row: int
    smiles: str
    reason: str
    structure: int


@dataclass(frozen=True)
class DataPart:
    """What the page shows of the data."""

    audit: pd.DataFrame | None
    leakage: pd.DataFrame | None
    rejected: dict[str, tuple[int, list[RejectedRow]]]
    """Data set -> number of rejected rows, and the first of them."""


def data_part(results: Results, structures: Structures) -> DataPart:
    """Make the part of the page about the data."""
    rejected = {name: (len(table), rejected_rows(table, structures)) for name, table in results.rejected.items()}
    return DataPart(_named(results, "datasets.csv"), _named(results, "leakage.csv"), rejected)


def rejected_rows(table: pd.DataFrame, structures: Structures) -> list[RejectedRow]:
    """Return the first rows of a table of rejected rows."""
    return [
        RejectedRow(row.row, row.smiles, row.reason, structures.number(row.smiles))
        for row in table.head(MOST_REJECTED).itertuples(index=False)
    ]


def _named(results: Results, name: str) -> pd.DataFrame | None:
    """Read a table, with headings for readers and without empty columns."""
    table = results.optional_table(name)
    return None if table is None else table.dropna(axis="columns", how="all").rename(columns=NAMES)
