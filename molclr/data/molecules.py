"""The molecule table: canonical SMILES and labels of a data set, and beside it the rows that were refused and why."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice, tee
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molclr.chem.smiles import RefusedMolecule, canonicalize_all
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.parallel import ordered_map
from molclr.progress import progress

OWN_COLUMNS = ("row", "smiles")
"""Columns of a molecule table that are not targets."""

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


class Refusal(NamedTuple):
    """A row that is refused, as it stands in the file of rejected rows."""

    row: int
    smiles: str
    reason: str


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


def read_molecules(path: str | PathLike[str]) -> pd.DataFrame:
    """A molecule table: `row`, `smiles` and the targets, NaN where a label is missing. Raises MolclrError if it is none."""
    return open_molecules(path).read().to_pandas()


def open_molecules(path: str | PathLike[str]) -> pq.ParquetFile:
    """A molecule table to be read in parts. Raises MolclrError if it is none."""
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise MolclrError(
            f"There is no molecule table '{path}'; 'molclr canonicalize' makes one of a CSV file."
        ) from None
    except pa.ArrowInvalid:
        file = None
    if file is None or not _is_molecule_table(file.schema_arrow):
        raise MolclrError(f"'{path}' is no molecule table; 'molclr canonicalize' makes one of a CSV file.")
    return file


def _is_molecule_table(schema: pa.Schema) -> bool:
    if not {*OWN_COLUMNS} <= {*schema.names}:
        return False
    row, smiles = (schema.field(name).type for name in OWN_COLUMNS)
    targets = (field.type for field in schema if field.name not in OWN_COLUMNS)
    numbers = all(pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in targets)
    return pa.types.is_integer(row) and (pa.types.is_string(smiles) or pa.types.is_large_string(smiles)) and numbers


def read_refusals(path: str | PathLike[str]) -> pd.DataFrame:
    """Refused rows: `row`, `smiles` and `reason`. Raises MolclrError if the file is missing or something else."""
    try:
        table = pd.read_csv(path, keep_default_na=False)
    except FileNotFoundError:
        raise MolclrError(f"There is no table of refused rows '{path}'; 'molclr canonicalize' makes one.") from None
    except ValueError:  # not even text, or empty
        table = pd.DataFrame()
    if (*table.columns,) != Refusal._fields:
        raise MolclrError(f"'{path}' is no table of refused rows; name the one that 'molclr canonicalize' made.")
    return table


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


def target_columns(path: str | PathLike[str]) -> list[str]:
    """Names of a molecule table's targets."""
    return [name for name in pq.read_schema(path).names if name not in OWN_COLUMNS]


class FirstRows:
    """Remembers in which row each SMILES came first, in 16 bytes a SMILES: sorted runs of hashes, merged as they grow.

    Of 10 million different SMILES two have the same 64-bit hash with a probability of three in a million.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def of(self, smiles: Sequence[str], rows: Sequence[int]) -> np.ndarray:
        """For each SMILES the row where it came first, now or in an earlier call: int64 (len(smiles),)."""
        digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in smiles)
        hashes, index, inverse = np.unique(np.frombuffer(digests, np.uint64), return_index=True, return_inverse=True)
        first = np.array(rows, np.int64)[index]
        new = np.ones(len(hashes), bool)
        for known, known_rows in self._runs:
            place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            found = known[place] == hashes
            first[found] = known_rows[place[found]]
            new &= ~found
        if new.any():
            self._remember(hashes[new], first[new])
        return first[inverse]

    def _remember(self, hashes: np.ndarray, rows: np.ndarray) -> None:
        """Add a run. Each run is kept at least twice as long as the next, so that there are few of them to search."""
        while self._runs and len(self._runs[-1][0]) < 2 * len(hashes):
            known, known_rows = self._runs.pop()
            hashes, rows = np.concatenate([known, hashes]), np.concatenate([known_rows, rows])
            order = np.argsort(hashes, kind="stable")
            hashes, rows = hashes[order], rows[order]
        self._runs.append((hashes, rows))


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
