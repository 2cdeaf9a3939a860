"""The part of a page about the data: audit, leakage, and rejected rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from molclr.data.subsets import SUBSETS
from molclr.evaluation.report.results import Results
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.text import MINUS, listed

NAMES = {
    "duplicates": "repeated",
    "undefined_stereo": "undefined stereo",
    "in_corpus": "in the corpus",
    "scaffold_in_corpus": "scaffold in the corpus",
    "acyclic": "without a scaffold",
}
"""Column of a table -> its heading, if they differ."""
NARROW = "\N{NARROW NO-BREAK SPACE}"
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
    reasons: list[str]
    """Why rows of a benchmark were rejected, and how many, for benchmarks with rejected rows."""
    leakage: pd.DataFrame | None
    rejected: dict[str, tuple[int, list[RejectedRow]]]
    """Data set -> number of rejected rows, and the first of them, where there are any."""
    others: list[str]
    """Sentences about data sets without rejected rows or without a table of them."""


def data_part(results: Results, structures: Structures) -> DataPart:
    """Make the part of the page about the data."""
    known = {name: table for name, table in results.rejected.items() if table is not None}
    rejected = {name: (len(table), rejected_rows(table, structures)) for name, table in known.items() if len(table)}
    others = without_rejected(list(results.rejected), list(known), list(rejected))
    return DataPart(_datasets(results), _reasons(results), _named(results, "leakage.csv"), rejected, others)


def without_rejected(names: list[str], known: list[str], rejected: list[str]) -> list[str]:
    """Say of which data sets no row was rejected, and of which the table of rejected rows is missing.

    names: data sets of the run; known: those with a table; rejected: those with rows in it.
    """
    if not known:
        return ["The tables of rejected rows are missing here."]
    none, missing = [name for name in known if name not in rejected], [name for name in names if name not in known]
    sentences = [f"No row of {listed(none)} was rejected."] if none else []
    return sentences + ([f"The tables of rejected rows of {listed(missing)} are missing here."] if missing else [])


def rejected_rows(table: pd.DataFrame, structures: Structures) -> list[RejectedRow]:
    """Return the first rows of a table of rejected rows."""
    return [
        RejectedRow(row.row, row.smiles, row.reason, structures.number(row.smiles))
        for row in table.head(MOST_REJECTED).itertuples(index=False)
    ]


def _datasets(results: Results) -> pd.DataFrame | None:
    """Read the audit of the benchmarks; statistics of the labels share a column, and so do the sizes of the subsets.

    The number of rows is left out; it is the sum of the molecules and the rejected rows. Reasons are listed below the table.
    """
    table = _named(results, "datasets.csv")
    if table is None:
        return None
    rows = [row._asdict() for row in table.itertuples(index=False)]
    labels, subsets = (
        [_labels(row) for row in rows],
        [f"{row['train']:,} / {row['valid']:,} / {row['test']:,}" for row in rows],
    )
    shown = table.drop(columns=["rows", "reasons", "positives", "mean", "std", *SUBSETS], errors="ignore")
    return shown.assign(
        labels=labels, **{"training / validation / test": [text.replace(" ", NARROW) for text in subsets]}
    )


def _reasons(results: Results) -> list[str]:
    table = results.optional_table("datasets.csv")
    known = [] if table is None else table.dropna(subset="reasons").itertuples()
    return [f"{row.benchmark}: {row.reasons}" for row in known]


def _labels(row: dict[str, Any]) -> str:
    """Describe the labels of a benchmark by the statistics in a row of its audit."""
    if not pd.isna(row.get("positives", np.nan)):
        return f"{100 * row['positives']:.1f} % positive"
    if not pd.isna(row.get("mean", np.nan)):
        return f"mean\N{NO-BREAK SPACE}{row['mean']:,.4g}, std\N{NO-BREAK SPACE}{row['std']:,.4g}".replace("-", MINUS)
    return ""


def _named(results: Results, name: str) -> pd.DataFrame | None:
    """Read a table, with headings for readers and without empty columns."""
    table = results.optional_table(name)
    return None if table is None else table.dropna(axis="columns", how="all").rename(columns=NAMES)
