"""Molecule tables: canonical SMILES and labels of a data set, and tables of the rows that were rejected with the reason.

`molclr.data.canonicalize` makes both; with a split, they are the files of a benchmark.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molclr.errors import MolclrError

OWN_COLUMNS = ("row", "smiles")
"""Columns of a molecule table that are not targets."""
MOLECULES_PER_PART = 2000
"""Molecules that a process handles at a time."""


@dataclass(frozen=True)
class BenchmarkFiles:
    """The files of a benchmark that the workflow makes before training."""

    name: str
    molecules: Path
    rejected: Path
    split: Path


class AcceptedRow(NamedTuple):
    """An accepted row of a raw table. smiles: canonical. labels: NaN where missing."""

    row: int
    raw_smiles: str
    smiles: str
    labels: list[float]


class Rejection(NamedTuple):
    """A rejected row, as it is written to the table of rejected rows."""

    row: int
    smiles: str
    reason: str


def read_molecules(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a molecule table: `row`, `smiles` and the targets, NaN where missing. Raises MolclrError for another file."""
    return open_molecules(path).read().to_pandas()


def open_molecules(path: str | PathLike[str]) -> pq.ParquetFile:
    """Open a molecule table to read it in parts. Raises MolclrError for another file."""
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise MolclrError(f"The molecule table '{path}' does not exist; make it with 'molclr canonicalize'.") from None
    except pa.ArrowInvalid:
        file = None
    if file is None or not _has_its_columns(file.schema_arrow):
        raise MolclrError(f"'{path}' is not a molecule table; make one with 'molclr canonicalize'.")
    return file


def is_other_parquet(path: str | PathLike[str]) -> bool:
    """Return whether a file is an intact Parquet table, but not a molecule table."""
    try:
        return not _has_its_columns(pq.read_schema(path))
    except pa.ArrowInvalid:
        return False


def _has_its_columns(schema: pa.Schema) -> bool:
    if not {*OWN_COLUMNS} <= {*schema.names}:
        return False
    row, smiles = (schema.field(name).type for name in OWN_COLUMNS)
    targets = (field.type for field in schema if field.name not in OWN_COLUMNS)
    numbers = all(pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in targets)
    return pa.types.is_integer(row) and (pa.types.is_string(smiles) or pa.types.is_large_string(smiles)) and numbers


def read_rejections(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a table of rejected rows: `row`, `smiles` and `reason`. Raises MolclrError for a missing or another file."""
    try:
        table = pd.read_csv(path, keep_default_na=False)
    except FileNotFoundError:
        raise MolclrError(
            f"The table of rejected rows '{path}' does not exist; make it with 'molclr canonicalize'."
        ) from None
    except ValueError:  # not even text, or empty
        table = pd.DataFrame()
    if (*table.columns,) != Rejection._fields:
        raise MolclrError(f"'{path}' is not a table of rejected rows; give the one made by 'molclr canonicalize'.")
    return table


def target_columns(path: str | PathLike[str]) -> list[str]:
    """List the targets of a molecule table."""
    return [name for name in pq.read_schema(path).names if name not in OWN_COLUMNS]
