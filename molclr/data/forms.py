"""Readers of the forms of raw tables: text, spreadsheets and structure files, as columns and rows of text."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem, rdBase

from molclr.chem.smiles import UNREADABLE, is_smiles
from molclr.data.encodings import Open, encoding_of, errors_of_content
from molclr.data.labels import Number
from molclr.errors import MolclrError

SAMPLE_ROWS = 100
"""Number of rows that decide the form of a table."""
SAMPLE_BYTES = 1 << 16
ROWS_PER_PART = 4096
"""Raw rows that a process handles at a time, and that share a row group; less than a second of work."""
FIELD_CHARACTERS = 1 << 24
"""The longest field. Without a limit, a missing closing quote would load the rest of the file into memory."""
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
LINE_SUFFIXES = {".smi", ".smiles", ".ism", ".can"}
SMILES_HEADERS = {"smiles", "canonical_smiles", "isomeric_smiles"}
"""First words of the header that some programs write to .smi files."""

_NAMED_SEPARATOR = re.compile(r"\ufeff?\"?sep=([,\t;|])\"?", re.IGNORECASE)
"""The line above the header by which Excel finds the separator."""
_PROPERTY_NAME = r"^>[^<\n]*<(.+)>[^>\n]*$"
_PROPERTY = re.compile(rf"{_PROPERTY_NAME}\n?((?:(?!{_PROPERTY_NAME.replace('(.+)', '.+')}).*\S.*\n?)*)", re.MULTILINE)
"""A property of an SDF record: its name, and its lines up to an empty line or the next name."""

Rows = Iterator[list[str]]


@dataclass(frozen=True)
class RawTable:
    """A raw table: the names of its columns, and its rows, which can be read any number of times."""

    name: str
    columns: list[str]
    """Names without surrounding blanks; a name may be empty or repeated."""
    read: Callable[[], Rows]
    """Yields the fields of each row, whose number may differ between rows, without empty lines. May raise MolclrError."""
    notes: list[str] = field(default_factory=list)
    """What was detected about the form of the file, for the user."""
    is_lines: bool = False
    """Whether each line is read as a SMILES and a name, so that there are no other columns."""

    def rows(self) -> Rows:
        """Yield the rows from the first. Raises MolclrError, which names the file, at rows that cannot be read."""
        with errors_of_content(self.name):
            yield from self.read()

    def sample(self) -> list[list[str]]:
        """Return the first rows."""
        return list(islice(self.rows(), SAMPLE_ROWS))


def form_of(beginning: bytes, inner: Path) -> Callable[[Open, str, Path, bytes, list[str]], RawTable]:
    """Return the reader for the form of a file, which is decided by its first bytes and its name."""
    if not beginning.strip(b"\xef\xbb\xbf \t\r\n"):
        return _nothing
    if inner.suffix == ".xlsx":
        return _workbook
    if beginning.startswith(b"PAR1"):
        return _parquet
    if beginning.startswith(b"\xd0\xcf\x11\xe0"):
        return _old_workbook
    if b"M  END" in beginning or b"$$$$" in beginning or inner.suffix.lower() in {".sdf", ".sd", ".mol"}:
        return _structures
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _web_page
    return _text


def _nothing(opened: Open, name: str, inner: Path, beginning: bytes, notes: list[str]) -> RawTable:
    raise MolclrError(f"'{name}' is empty; get the file again.")


def _web_page(opened: Open, name: str, inner: Path, beginning: bytes, notes: list[str]) -> RawTable:
    raise MolclrError(f"'{name}' is a web page (HTML or XML), not a table; get the file again.")


def _old_workbook(opened: Open, name: str, inner: Path, beginning: bytes, notes: list[str]) -> RawTable:
    raise MolclrError(f"'{name}' is a workbook of an old Excel (.xls) or has a password; save it as CSV.")


def _workbook(opened: Open, name: str, inner: Path, beginning: bytes, notes: list[str]) -> RawTable:
    """Read the first sheet of an Excel workbook, whose first row is the header."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise MolclrError(f"'{name}' is an Excel workbook: save it as CSV, or run 'pip install openpyxl'.") from None

    def read() -> Rows:
        with _errors_of_workbook(name), opened() as stream:
            sheet = load_workbook(stream, read_only=True, data_only=True).worksheets[0]
            rows = ([_as_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True))
            yield from (row for row in rows if any(row))

    with _errors_of_workbook(name), opened() as stream:
        first, *others = load_workbook(stream, read_only=True).sheetnames
    of_several = f" of {len(others) + 1} sheets" if others else ""
    notes.append(f"sheet '{first}' of an Excel workbook{of_several}")
    columns = [column.strip() for column in next(read(), [])]
    return RawTable(name, columns, lambda: islice(read(), 1, None), notes)


@contextmanager
def _errors_of_workbook(name: str) -> Iterator[None]:
    """Context that turns errors of openpyxl, which has many types of them, into MolclrError."""
    try:
        yield
    except (OSError, MemoryError, MolclrError):
        raise  # of the machine, or reported by `errors_of_content`
    except Exception as error:
        raise MolclrError(f"'{name}' is not an Excel workbook that can be read ({error}); save it as CSV.") from None


def _parquet(opened: Open, name: str, inner: Path, beginning: bytes, notes: list[str]) -> RawTable:
    try:
        with opened() as stream:
            columns = pq.ParquetFile(stream).schema_arrow.names
    except pa.ArrowInvalid as error:
        raise MolclrError(
            f"'{name}' is not a Parquet table ({str(error).splitlines()[0]}); get the file again."
        ) from None

    def read() -> Rows:
        with opened() as stream:
            for batch in pq.ParquetFile(stream).iter_batches(SAMPLE_ROWS * 10):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    yield [_as_text(value) for value in values]

    notes.append("a Parquet table")
    return RawTable(name, [column.strip() for column in columns], read, notes)


def _as_text(value: object) -> str:
    """Return a value of a typed table as text, as in a CSV file."""
    if isinstance(value, int | float | Decimal):
        return Number(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return "" if value is None else str(value)


def _structures(opened: Open, name: str, inner: Path, beginning: bytes, notes: list[str]) -> RawTable:
    """Read the structures of an SDF as SMILES with names and properties. A first pass collects the names of the properties."""
    properties: dict[str, None] = {}
    for record in _sdf_records(opened):
        properties |= dict.fromkeys(_sdf_properties(record))

    def read() -> Rows:
        for record in _sdf_records(opened):
            molecule, found = _structure(record), _sdf_properties(record)
            smiles = UNREADABLE if molecule is None else Chem.MolToSmiles(molecule)
            yield [smiles, record.partition("\n")[0].strip(), *(found.get(name, "") for name in properties)]

    notes.append("structures (SDF) with their properties")
    columns = [column.strip() for column in properties]
    added = [f"_{column}" if column in columns else column for column in ("smiles", "name")]
    return RawTable(name, [*added, *columns], read, notes)


def _sdf_records(opened: Open) -> Iterator[str]:
    """Yield the text of each record of an SDF."""
    with io.TextIOWrapper(opened(), encoding="utf-8", errors="replace") as text:
        lines: list[str] = []
        for line in text:
            if line.startswith("$$$$"):
                yield "".join(lines)
                lines = []
            else:
                lines.append(line)
        if "".join(lines).strip():
            yield "".join(lines)


def _sdf_properties(record: str) -> dict[str, str]:
    """Return the properties of a record by name. They are read from its text, so that an impossible structure keeps them."""
    return {name: value.rstrip("\n") for name, value in _PROPERTY.findall(record.partition("\n")[2])}


def _structure(record: str) -> Chem.Mol | None:
    """Return the molecule of a record, unsanitized if its chemistry is impossible; None if RDKit cannot read it."""
    with rdBase.BlockLogs():
        for sanitize in (True, False):
            supplier = Chem.SDMolSupplier()
            supplier.SetData(record, sanitize=sanitize)
            molecule = supplier[0] if len(supplier) else None
            if molecule is not None:
                return molecule
    return None


def _text(opened: Open, name: str, inner: Path, beginning: bytes, notes: list[str]) -> RawTable:
    """Read text: fields with a separator between them, or lines that begin with a SMILES."""
    encoding = encoding_of(opened, beginning, notes)
    if encoding == "cp1252" and b"\0" in beginning:
        raise MolclrError(f"'{name}' is neither text nor a table of a known form; save it as CSV in UTF-8.")
    lines = _first_lines(beginning, encoding)
    filled = [line for line in lines if line.strip()][:SAMPLE_ROWS]
    text, suffix = partial(_decoded, opened, encoding), inner.suffix.lower()
    named = _NAMED_SEPARATOR.fullmatch(lines[0])
    separator = "\t" if suffix in {".tsv", ".tab"} else named[1] if named else _separator(filled)
    if suffix in LINE_SUFFIXES or (separator is None and is_smiles(filled[0].split()[0])):
        return _lines(text, name, filled[0], notes)
    if separator not in (None, ","):
        notes.append(f"separated by {SEPARATORS[separator]}")
    return _fields(text, name, separator or ",", 1 if named else 0, notes)


def _first_lines(beginning: bytes, encoding: str) -> list[str]:
    """Return the complete lines at the beginning of a file; one if the first is longer than the beginning."""
    lines = beginning.decode(encoding, errors="ignore").splitlines()
    if len(beginning) == SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # The last line may be incomplete.
    return lines


def _decoded(opened: Open, encoding: str) -> Iterator[str]:
    """Yield the lines of a text."""
    errors = "replace" if encoding == "cp1252" else "strict"
    with io.TextIOWrapper(opened(), encoding=encoding, errors=errors, newline="") as lines:
        yield from lines


def _fields(text: Callable[[], Iterable[str]], name: str, separator: str, skipped: int, notes: list[str]) -> RawTable:
    """Read lines of fields, the first of which is the header. skipped: number of lines above it."""

    def read() -> Rows:
        csv.field_size_limit(FIELD_CHARACTERS)
        reader = csv.reader(islice(text(), skipped, None), strict=True, delimiter=separator)
        try:  # strict: otherwise a field with a missing closing quote would contain the rest of the file.
            yield from (fields for fields in reader if fields and not (len(fields) == 1 and not fields[0].strip()))
        except csv.Error as error:
            raise MolclrError(
                f"'{name}' is not a CSV table (line {reader.line_num + skipped}: {error}); correct its quotes."
            ) from None

    columns = [column.strip("\ufeff").strip() for column in next(read(), [])]
    return RawTable(name, columns, lambda: islice(read(), 1, None), notes)


def _lines(text: Callable[[], Iterable[str]], name: str, first: str, notes: list[str]) -> RawTable:
    """Read lines of a SMILES and, after blanks, a name. A header is skipped; a CXSMILES extension is kept with its SMILES."""
    has_header = first.split()[0].lower() in SMILES_HEADERS

    def read() -> Rows:
        for line in text():
            if words := line.split(None, 1):
                smiles, label = words[0], words[1].rstrip() if len(words) > 1 else ""
                yield [f"{smiles} {label}", ""] if label.startswith("|") else [smiles, label]

    notes += (
        ["lines that begin with a SMILES"] if has_header else ["lines that begin with a SMILES", "without a header"]
    )
    return RawTable(name, ["smiles", "name"], lambda: islice(read(), int(has_header), None), notes, is_lines=True)


def _separator(lines: list[str]) -> str | None:
    """Return the separator for which most lines have as many fields as the header; None if there is none.

    Parentheses and slashes of SMILES mislead csv.Sniffer.
    """
    best, best_score = None, (0.0, 0)
    for separator in SEPARATORS:
        try:
            rows = list(csv.reader(lines, delimiter=separator))
        except csv.Error:
            continue
        width = len(rows[0])
        alike = sum(len(row) == width for row in rows) / len(rows)
        if width > 1 and (alike, width) > best_score and (separator != "|" or alike > 0.5):
            best, best_score = separator, (alike, width)
    return best
