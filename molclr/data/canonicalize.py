"""Conversion of a raw table to a molecule table, and to a table of rejected rows with their reasons."""

import csv
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from molclr.data.columns import Columns, choose_columns
from molclr.data.labels import Decimal
from molclr.data.molecules import AcceptedRow, Rejection
from molclr.data.parts import read_parts
from molclr.data.repeats import FirstRows
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.progress import say


def canonicalize(
    raw: str | PathLike[str],
    output_parquet: str | PathLike[str],
    rejected_csv: str | PathLike[str],
    *,
    limit: int | None = None,
    drop_first: bool = False,
    labelled: bool = False,
    unique: bool = False,
    processes: int = 1,
    smiles_column: str | None = None,
    targets: Sequence[str] | None = None,
    decimal: Decimal | None = None,
    split_column: str | None = None,
    desalt: bool = False,
    advise: bool = True,
    name: str | None = None,
) -> tuple[int, int]:
    """Write the molecule table of a raw table, and its rejected rows with their reasons; return the number of each.

    raw: a table that `molclr.data.tables.open_table` reads; "-" is standard input. output_parquet: has, in the order of the raw
    table, `row` int64 (number of the raw row), `smiles` (canonical) and one float64 column per target, NaN where the label is
    missing. rejected_csv: has `row,smiles,reason`.

    smiles_column, targets, decimal (the decimal sign of labels): None to find them. split_column: a column that is not a target.
    See `molclr.data.columns.choose_columns`.
    limit: use only this number of rows, evenly spaced. drop_first: reject the first row, which the official reader loses.
    labelled: reject rows without any label. unique: reject all but the first occurrence of a molecule. desalt: keep only the
    largest organic part of salts and mixtures. advise: whether to name the option --desalt if there are some. processes: has no
    effect on the files. name: what `raw` is called in messages; None for its path.

    Reports on standard error what was used and rejected. Raises MolclrError, and writes neither file, if `raw` is not such a
    table, has no rows, or all its rows are rejected.
    """
    if len({Path(path).resolve() for path in (raw, output_parquet, rejected_csv)}) < 3:
        raise MolclrError(
            f"'{raw}', '{output_parquet}' and '{rejected_csv}' must be three different files; name others."
        )
    if limit is not None and limit < 1:
        raise MolclrError(f"The limit of {limit} rows leaves nothing of '{raw}'; it must be at least 1.")
    with (
        open_table(raw, name) as table,
        replacing(output_parquet) as table_path,
        replacing(rejected_csv) as rejected_path,
        rejected_path.open("w", newline="", encoding="utf-8") as rejected,
    ):
        chosen = choose_columns(table, smiles_column, targets, decimal, split_column)
        say(*chosen.report)
        if labelled and not chosen.columns.targets:
            raise MolclrError(f"'{table.name}' has no column with labels; name yours with --targets.")
        schema = _schema(chosen.columns)
        with pq.ParquetWriter(table_path, schema, compression="zstd", use_dictionary=False) as molecule_table:
            seen = FirstRows() if unique else None
            writer = csv.writer(rejected, lineterminator="\n")
            writer.writerow(Rejection._fields)
            counts, label = RowCounts(), f"canonicalize {table.name}"
            for part in read_parts(
                chosen, list, processes, label, desalt, limit=limit, drop_first=drop_first, labelled=labelled
            ):
                molecules, rejections = part.molecules, part.rejections
                if seen:
                    molecules, repeated = _without_repetition(molecules, seen)
                    rejections = sorted(rejections + repeated)
                if molecules:
                    molecule_table.write_table(_as_table(molecules, schema))
                writer.writerows(rejections)
                counts.add(molecules, rejections)
        counts.require_molecules(table.name)
    counts.report(desalt, advise)
    return counts.accepted, counts.rejected


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
