"""From a raw table to a molecule table: canonical SMILES and labels, and the rejected rows with their reasons."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, tee
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from molclr.chem.smiles import RefusedMolecule, canonicalize_all
from molclr.data.molecules import OWN_COLUMNS, Refusal
from molclr.data.repeats import FirstRows
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.parallel import ordered_map
from molclr.progress import progress

ROWS_PER_PART = 4096
"""Raw rows that a process works on at a time, and that share a row group: less than a second's work."""


class RawRow(NamedTuple):
    """A row of a raw table: its number, counted from 0 below the header, and its fields."""

    number: int
    fields: list[str]


class Header(NamedTuple):
    """Which field of a raw row is what."""

    width: int
    smiles: int
    targets: dict[str, int]


class Molecule(NamedTuple):
    """A row that is accepted."""

    row: int
    raw_smiles: str
    smiles: str
    labels: list[float]


def canonicalize(
    raw_csv: str | PathLike[str],
    output_parquet: str | PathLike[str],
    rejected_csv: str | PathLike[str],
    *,
    limit: int | None = None,
    drop_first: bool = False,
    labelled: bool = False,
    unique: bool = False,
    processes: int = 1,
    smiles_column: str = "smiles",
    targets: Sequence[str] | None = None,
) -> tuple[int, int]:
    """Write the molecule table of a CSV or .smi file, and the rejected rows with their reasons; return how many of each.

    `output_parquet` has, in the file's order, `row` int64 (number of the raw row), `smiles` (canonical) and a float64
    column a target, NaN where the label is missing (empty or "nan"). `rejected_csv` has `row,smiles,reason`.
    `targets` are columns of the file, by default all but `smiles_column`. `limit` takes that many rows, evenly spaced
    over the file; `drop_first` refuses the file's first row, which the official reader loses; `labelled` refuses rows without
    any label, `unique` all but the first occurrence of a molecule. `processes` changes nothing in the files.

    Raises MolclrError, and writes neither file, if the file is no such table, has no rows, or every row is refused.
    """
    raw_csv = Path(raw_csv)
    if len({raw_csv.resolve(), Path(output_parquet).resolve(), Path(rejected_csv).resolve()}) < 3:
        raise MolclrError(f"Reading '{raw_csv}' and writing two tables takes three different files; name others.")
    header = _read_header(raw_csv, smiles_column, targets)
    total = sum(1 for _ in _records(raw_csv)) - 1
    if total == 0:
        raise MolclrError(f"'{raw_csv}' has a header and no rows; give a table of molecules.")
    if limit is not None and limit < 1:
        raise MolclrError(f"{limit} rows of '{raw_csv}' are asked for; ask for at least one.")
    count = min(limit or total, total)

    schema = pa.schema(
        [("row", pa.int64()), ("smiles", pa.string()), *((name, pa.float64()) for name in header.targets)]
    )
    seen = FirstRows()
    accepted, refused = 0, 0
    example = None
    with (
        replacing(output_parquet) as table_path,
        replacing(rejected_csv) as rejected_path,
        pq.ParquetWriter(table_path, schema, compression="zstd", use_dictionary=False) as table,
        rejected_path.open("w", newline="", encoding="utf-8") as rejected,
    ):
        writer = csv.writer(rejected, lineterminator="\n")
        writer.writerow(Refusal._fields)
        rows = progress(_spaced_rows(raw_csv, count, total), count, f"canonicalize {raw_csv.stem}", "row")
        for part, verdicts in _canonical_parts(rows, header, processes):
            molecules, refusals = _judge(part, verdicts, header, drop_first, labelled)
            if unique:
                molecules, repeated = _without_repetition(molecules, seen)
                refusals = sorted(refusals + repeated)
            writer.writerows(refusals)
            if molecules:
                table.write_table(_as_table(molecules, schema))
            accepted, refused = accepted + len(molecules), refused + len(refusals)
            example = example or next(iter(refusals), None)
        if accepted == 0 and example:
            raise MolclrError(
                f"Every row of '{raw_csv}' is refused; row {example.row}, for one: {example.reason}."
                + " Classes are 0 and 1; name the columns with labels by --targets if others are none."
                * (" label " in example.reason)
            )
    return accepted, refused


def read_column(raw_csv: str | PathLike[str], column: str) -> list[str]:
    """The text of a column in every row of a CSV file; empty where a row is too short.

    Raises MolclrError if there is no such file or no such column.
    """
    records = _records(Path(raw_csv))
    header = next(records, [])
    if header.count(column) != 1:
        trouble = "several columns" if column in header else "no column"
        raise MolclrError(f"'{raw_csv}' has {trouble} '{column}'; its columns are: {', '.join(header)[:200]}.")
    place = header.index(column)
    return [fields[place] if place < len(fields) else "" for fields in records]


def _records(path: Path) -> Iterator[list[str]]:
    """Header and rows of a CSV file; blank lines are none, nor are lines of spaces, as with pandas.

    Lines of a .smi file are the SMILES and, after spaces, a name that is left out; it has no header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            if path.suffix == ".smi":
                yield ["smiles"]
                yield from ([line.split()[0]] for line in file if not line.isspace())
                return
            reader = csv.reader(file, strict=True)  # Otherwise a quote that ends nowhere takes the rest of the file.
            yield from (fields for fields in reader if fields and not (len(fields) == 1 and fields[0].isspace()))
    except FileNotFoundError:
        raise MolclrError(f"There is no file '{path}'.") from None
    except UnicodeDecodeError as error:
        raise MolclrError(f"'{path}' is not a CSV table in UTF-8 ({error}); give one, with SMILES as text.") from None
    except csv.Error as error:
        raise MolclrError(f"'{path}' is not a CSV table (line {reader.line_num}: {error}); mend its quotes.") from None


def _read_header(path: Path, smiles_column: str, targets: Sequence[str] | None) -> Header:
    """Find the columns, or raise MolclrError."""
    names = next(_records(path), None)
    if names is None:
        raise MolclrError(f"'{path}' is empty; get the file again.")
    if targets is None:
        targets = [name for name in names if name != smiles_column]
    for name in (smiles_column, *targets):
        if names.count(name) != 1:
            found = ", ".join(names)
            found = found if len(found) <= 200 else f"{found[:200]}..."
            trouble = "several columns" if name in names else "no column"
            raise MolclrError(
                f"'{path}' has {trouble} '{name}'; its columns are: {found}. Columns are parted by commas. "
                f"Name yours with --smiles-column{' and --targets' if targets else ''}."
            )
    for name in targets:
        if name in (*OWN_COLUMNS, "reason"):
            raise MolclrError(f"A target of '{path}' is called '{name}', as a column of our own is; rename it.")
    return Header(len(names), names.index(smiles_column), {name: names.index(name) for name in targets})


def _spaced_rows(path: Path, count: int, total: int) -> Iterator[RawRow]:
    """`count` of the file's `total` rows, evenly spaced from the first on."""
    wanted = (index * total // count for index in range(count))
    next_wanted = next(wanted, None)
    for number, fields in enumerate(islice(_records(path), 1, None)):
        if number == next_wanted:
            yield RawRow(number, fields)
            next_wanted = next(wanted, None)


def _canonical_parts(
    rows: Iterator[RawRow], header: Header, processes: int
) -> Iterator[tuple[list[RawRow], list[str | RefusedMolecule]]]:
    """The rows in parts, in order, each with what `canonicalize_all` makes of its SMILES."""
    parts = iter(lambda: list(islice(rows, ROWS_PER_PART)), [])
    parts, again = tee(parts)
    smiles = ([_raw_smiles(row, header) for row in part] for part in parts)
    return zip(again, ordered_map(canonicalize_all, smiles, processes), strict=True)


def _judge(
    part: Iterable[RawRow],
    verdicts: Iterable[str | RefusedMolecule],
    header: Header,
    drop_first: bool,
    labelled: bool,
) -> tuple[list[Molecule], list[Refusal]]:
    """Part the rows into molecules and refusals."""
    molecules, refusals = [], []
    for row, verdict in zip(part, verdicts, strict=True):
        try:
            if drop_first and row.number == 0:
                raise RefusedMolecule("the first row, which the official code does not read")
            labels = _read_labels(row, header)
            if isinstance(verdict, RefusedMolecule):
                raise verdict
            if labelled and all(map(math.isnan, labels)):
                raise RefusedMolecule("it has no label")
            molecules.append(Molecule(row.number, _raw_smiles(row, header), verdict, labels))
        except RefusedMolecule as refusal:
            refusals.append(Refusal(row.number, _raw_smiles(row, header), refusal.reason))
    return molecules, refusals


def _raw_smiles(row: RawRow, header: Header) -> str:
    return row.fields[header.smiles] if header.smiles < len(row.fields) else ""


def _read_labels(row: RawRow, header: Header) -> list[float]:
    """The labels as numbers, NaN where missing. Raises RefusedMolecule."""
    if len(row.fields) != header.width:
        raise RefusedMolecule(f"{len(row.fields)} fields where the header has {header.width}")
    labels = []
    for target, index in header.targets.items():
        text = row.fields[index].strip()
        try:
            label = float(text.replace("_", "?")) if text else math.nan  # Python alone reads 1_000 as 1000.
        except ValueError:
            label = math.inf
        if math.isinf(label):
            raise RefusedMolecule(f"the label {text!r} of {target} is not a number")
        labels.append(label)
    return labels


def _without_repetition(molecules: list[Molecule], seen: FirstRows) -> tuple[list[Molecule], list[Refusal]]:
    """Keep the first occurrence of each molecule, refuse the others."""
    first = seen.of([molecule.smiles for molecule in molecules], [molecule.row for molecule in molecules]).tolist()
    kept = [molecule for molecule, row in zip(molecules, first, strict=True) if molecule.row == row]
    repeated = [
        Refusal(molecule.row, molecule.raw_smiles, f"duplicate of row {row}")
        for molecule, row in zip(molecules, first, strict=True)
        if molecule.row != row
    ]
    return kept, repeated


def _as_table(molecules: list[Molecule], schema: pa.Schema) -> pa.Table:
    columns = [
        [molecule.row for molecule in molecules],
        [molecule.smiles for molecule in molecules],
        *zip(*(molecule.labels for molecule in molecules), strict=True),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
