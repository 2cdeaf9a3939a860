"""Conversion of a raw table to a molecule table, and to a table of rejected rows with their reasons."""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, tee
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from molclr.chem.salts import canonicalize_desalted
from molclr.chem.smiles import RejectedMolecule, canonicalize_all
from molclr.data.columns import ChosenColumns, Columns, choose_columns
from molclr.data.forms import RawTable
from molclr.data.labels import Decimal, is_limit
from molclr.data.molecules import AcceptedRow, Rejection
from molclr.data.repeats import FirstRows
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.parallel import ordered_map
from molclr.progress import progress, say

ROWS_PER_PART = 4096
"""Raw rows that a process handles at a time, and that share a row group; less than a second of work."""


class RawRow(NamedTuple):
    """A row of a raw table: its number, counted from 0 after the header, and its fields."""

    number: int
    fields: list[str]


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
    desalt: bool | None = None,
    name: str | None = None,
) -> tuple[int, int]:
    """Write the molecule table of a raw table, and its rejected rows with their reasons; return the number of each.

    raw: a table that `molclr.data.tables.open_table` reads; "-" is standard input. output_parquet: has, in the order of the raw
    table, `row` int64 (number of the raw row), `smiles` (canonical) and one float64 column per target, NaN where the label is
    missing. rejected_csv: has `row,smiles,reason`.

    smiles_column, targets, decimal (the decimal sign of labels): None to find them; see `molclr.data.columns.choose_columns`.
    limit: use only this number of rows, evenly spaced. drop_first: reject the first row, which the official reader loses.
    labelled: reject rows without any label. unique: reject all but the first occurrence of a molecule. desalt: keep only the
    largest organic part of salts and mixtures; False keeps all parts and advises it, None keeps all parts. processes: has no
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
        chosen = choose_columns(table, smiles_column, targets, decimal)
        say(*chosen.report)
        if labelled and not chosen.columns.targets:
            raise MolclrError(f"'{table.name}' has no column with labels; name yours with --targets.")
        schema = _schema(chosen.columns)
        with pq.ParquetWriter(table_path, schema, compression="zstd", use_dictionary=False) as molecule_table:
            judge = partial(judge_rows, columns=chosen.columns, drop_first=drop_first, labelled=labelled)
            seen = FirstRows() if unique else None
            writer = csv.writer(rejected, lineterminator="\n")
            writer.writerow(Rejection._fields)
            counts = RowCounts()
            rows = _canonical_parts(chosen, limit, processes, canonicalize_desalted if desalt else canonicalize_all)
            for molecules, rejections in _judged_parts(rows, judge, seen):
                if molecules:
                    molecule_table.write_table(_as_table(molecules, schema))
                writer.writerows(rejections)
                counts.add(molecules, rejections)
        counts.require_molecules(table.name)
    counts.report(desalt)
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


def _spaced_rows(table: RawTable, count: int, total: int) -> Iterator[RawRow]:
    """Yield `count` of the `total` rows of a table, evenly spaced from the first."""
    wanted = (index * total // count for index in range(count))
    next_wanted = next(wanted, None)
    for number, fields in enumerate(table.rows()):
        if number == next_wanted:
            yield RawRow(number, fields)
            next_wanted = next(wanted, None)


def _canonical_parts(
    chosen: ChosenColumns,
    limit: int | None,
    processes: int,
    canonical: Callable[[list[str]], list[str | RejectedMolecule]],
) -> Iterator[tuple[list[RawRow], list[str | RejectedMolecule]]]:
    """Yield the rows in parts, in order, each with the result of `canonical` for its SMILES."""
    count = min(limit or chosen.rows, chosen.rows)
    rows = progress(_spaced_rows(chosen.table, count, chosen.rows), count, f"canonicalize {chosen.table.name}", "row")
    parts, again = tee(iter(lambda: list(islice(rows, ROWS_PER_PART)), []))
    smiles = ([_raw_smiles(row, chosen.columns) for row in part] for part in parts)
    return zip(again, ordered_map(canonical, smiles, processes), strict=True)


def _judged_parts(
    parts: Iterable[tuple[list[RawRow], list[str | RejectedMolecule]]],
    judge: Callable[..., tuple[list[AcceptedRow], list[Rejection]]],
    seen: FirstRows | None,
) -> Iterator[tuple[list[AcceptedRow], list[Rejection]]]:
    """Yield the molecules and rejections of each part; with `seen`, only the first occurrence of each molecule is kept."""
    for part, verdicts in parts:
        molecules, rejections = judge(part, verdicts)
        if seen:
            molecules, repeated = _without_repetition(molecules, seen)
            rejections = sorted(rejections + repeated)
        yield molecules, rejections


def judge_rows(
    part: Iterable[RawRow],
    verdicts: Iterable[str | RejectedMolecule],
    columns: Columns,
    drop_first: bool,
    labelled: bool,
) -> tuple[list[AcceptedRow], list[Rejection]]:
    """Separate the rows into molecules and rejections."""
    molecules, rejections = [], []
    for row, verdict in zip(part, verdicts, strict=True):
        try:
            if drop_first and row.number == 0:
                raise RejectedMolecule("the first row, which the official code does not read")
            labels = _read_labels(row, columns)
            if isinstance(verdict, RejectedMolecule):
                raise verdict
            if labelled and all(map(math.isnan, labels)):
                raise RejectedMolecule("it has no label")
            molecules.append(AcceptedRow(row.number, _raw_smiles(row, columns), verdict, labels))
        except RejectedMolecule as rejection:
            rejections.append(Rejection(row.number, _raw_smiles(row, columns), rejection.reason))
    return molecules, rejections


def _raw_smiles(row: RawRow, columns: Columns) -> str:
    return row.fields[columns.smiles] if columns.smiles < len(row.fields) else ""


def _read_labels(row: RawRow, columns: Columns) -> list[float]:
    """Return the labels as numbers, NaN where missing. Raises RejectedMolecule for other text, and if there are only limits."""
    fields = row.fields
    if len(fields) != columns.width and (len(fields) < columns.width or any(fields[columns.width :])):
        raise RejectedMolecule(f"{len(fields)} fields where the header has {columns.width}")
    labels = [reader.read(fields[place]) for place, reader in columns.targets.items()]
    if labels and all(map(math.isnan, labels)):
        for place, reader in columns.targets.items():
            if is_limit(fields[place]):
                raise RejectedMolecule(f"the label '{fields[place].strip()}' of {reader.target} is only a limit")
    return labels


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
