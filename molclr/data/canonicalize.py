"""Conversion of a raw table to a molecule table, and to a table of rejected rows with their reasons."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from molclr.data.columns import NO_COLUMNS, ChosenColumns, Columns, choose_columns
from molclr.data.forms import RawTable
from molclr.data.labels import DecimalSign
from molclr.data.molecules import AcceptedRow, Rejection
from molclr.data.parts import Part, read_parts
from molclr.data.repeats import FirstRows
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.files import csv_writer, replacing
from molclr.progress import say


@dataclass(frozen=True)
class Selection:
    """What is read of a raw table, and which rows are rejected. By default, columns are found and all rows are read."""

    smiles_column: str | None = None
    """None: found by its name or content."""
    targets: Sequence[str] | None = None
    """Columns with labels; None: found, as `molclr.data.columns.choose_columns` describes."""
    decimal: DecimalSign | None = None
    """The decimal sign of labels; None: found."""
    split_column: str | None = None
    """A column that is not a target."""
    limit: int | None = None
    """Read only this number of rows, evenly spaced."""
    drop_first: bool = False
    """Reject the first row, which the official reader loses."""
    labelled: bool = False
    """Reject rows without any label."""
    unique: bool = False
    """Reject all but the first occurrence of a molecule."""
    desalt: bool = False
    """Keep only the largest organic part of salts and mixtures."""


EVERYTHING = Selection()


def canonicalize(
    raw: str | PathLike[str],
    output_parquet: str | PathLike[str],
    rejected_csv: str | PathLike[str],
    selection: Selection = EVERYTHING,
    *,
    processes: int = 1,
    name: str | None = None,
    advise: bool = True,
) -> tuple[int, int]:
    """Write the molecule table of a raw table, and its rejected rows with their reasons; return the number of each.

    raw: a table that `molclr.data.tables.open_table` reads; "-" is standard input. output_parquet: has, in the order of the raw
    table, `row` int64 (number of the raw row), `smiles` (canonical) and one float64 column per target, NaN where the label is
    missing. rejected_csv: has `row,smiles,reason`. processes: has no effect on the files. name: what `raw` is called in messages;
    None for its path. advise: whether to name the option --desalt if there are salts.

    Reports on standard error what was used and rejected. Raises MolclrError, and writes neither file, if `raw` is not such a
    table, has no rows, or all its rows are rejected.
    """
    _require_different(raw, output_parquet, rejected_csv)
    if selection.limit is not None and selection.limit < 1:
        raise MolclrError(f"The limit of {selection.limit} rows leaves nothing of '{raw}'; it must be at least 1.")
    with (
        open_table(raw, name) as table,
        replacing(output_parquet) as table_path,
        replacing(rejected_csv) as rejected_path,
    ):
        chosen = _chosen(table, selection)
        counts = _write(
            _parts(chosen, selection, processes), chosen.columns, selection.unique, table_path, rejected_path
        )
        counts.require_molecules(table.name)
    counts.report(selection.desalt, advise)
    return counts.accepted, counts.rejected


def _require_different(*paths: str | PathLike[str]) -> None:
    """Raise MolclrError unless the raw table and both outputs are different files."""
    if len({Path(path).resolve() for path in paths}) < len(paths):
        raise MolclrError("'{}', '{}' and '{}' must be three different files; name others.".format(*paths))


def _chosen(table: RawTable, selection: Selection) -> ChosenColumns:
    """Choose the columns, and report the choice."""
    columns = selection.smiles_column, selection.targets, selection.decimal, selection.split_column
    chosen = choose_columns(table, *columns)
    say(*chosen.report)
    if selection.labelled and not chosen.columns.targets:
        advice = NO_COLUMNS if table.is_lines else "name yours with --targets"
        raise MolclrError(f"'{table.name}' has no column with labels; {advice}.")
    return chosen


def _parts(chosen: ChosenColumns, selection: Selection, processes: int) -> Iterator[Part[list[str]]]:
    """Read the selected rows."""
    return read_parts(
        chosen,
        list,
        processes,
        f"canonicalize {chosen.table.name}",
        selection.desalt,
        limit=selection.limit,
        drop_first=selection.drop_first,
        labelled=selection.labelled,
    )


def _write(
    parts: Iterable[Part[list[str]]], columns: Columns, unique: bool, table_path: Path, rejected_path: Path
) -> RowCounts:
    """Write accepted and rejected rows; return their counts."""
    schema, counts = _schema(columns), RowCounts()
    seen = FirstRows() if unique else None
    with (
        pq.ParquetWriter(table_path, schema, compression="zstd", use_dictionary=False) as table,
        rejected_path.open("w", newline="", encoding="utf-8") as file,
    ):
        rejected = csv_writer(file)
        rejected.writerow(Rejection._fields)
        for part in parts:
            molecules, rejections = part.molecules, part.rejections
            if seen:
                molecules, repeated = _without_repetition(molecules, seen)
                rejections = sorted(rejections + repeated)
            if molecules:
                table.write_table(_as_table(molecules, schema))
            rejected.writerows(rejections)
            counts.add(molecules, rejections)
    return counts


def _schema(columns: Columns) -> pa.Schema:
    targets = [(reader.target, pa.float64()) for reader in columns.targets.values()]
    return pa.schema([("row", pa.int64()), ("smiles", pa.string()), *targets])


def _without_repetition(molecules: list[AcceptedRow], seen: FirstRows) -> tuple[list[AcceptedRow], list[Rejection]]:
    """Keep the first occurrence of each molecule, reject the others."""
    first = seen.of([molecule.smiles for molecule in molecules], [molecule.row for molecule in molecules]).tolist()
    kept = [molecule for molecule, row in zip(molecules, first, strict=True) if molecule.row == row]
    repeated = [
        Rejection(molecule.row, molecule.raw_smiles, f"duplicate of row {row}")
        for molecule, row in zip(molecules, first, strict=True)
        if molecule.row != row
    ]
    return kept, repeated


def _as_table(molecules: list[AcceptedRow], schema: pa.Schema) -> pa.Table:
    columns = [
        [molecule.row for molecule in molecules],
        [molecule.smiles for molecule in molecules],
        *zip(*(molecule.labels for molecule in molecules), strict=True),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
