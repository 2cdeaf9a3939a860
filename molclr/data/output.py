"""Tables that are written in parts, as CSV or Parquet: among them raw tables with added columns."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from molclr.data.forms import RawTable
from molclr.data.parts import Made, Part
from molclr.data.row_counts import RowCounts
from molclr.data.tables import free_names
from molclr.files import csv_writer, replacing

ROWS_AT_A_TIME = 256
"""Rows that are formatted as text at a time, because vectors of numbers take much more memory as text."""


def write_extended(
    parts: Iterable[Part[Made]],
    table: RawTable,
    output: Path,
    columns_of: Callable[[Part[Made]], Mapping[str, pa.Array]],
    counts: RowCounts,
    about: Mapping[bytes, str] | None = None,
    has_rejected: bool = True,
) -> None:
    """Write the rows of a raw table, in order, with its columns as text, those of `columns_of`, and the reasons of rejections.

    A name that an earlier column has gets underscores in front. parts: those of the table. columns_of: returns the columns of the
    molecules of a part, by name, also for a part without rows; they are null in rejected rows. counts: the rows are added to it.
    about: metadata of a Parquet file. has_rejected: whether rejected rows are written. Raises MolclrError, and writes nothing, if
    all rows are rejected.
    """
    kinds = {name: values.type for name, values in columns_of(Part([], [], [], [], None)).items()}
    if has_rejected:
        kinds["reason"] = pa.string()
    names = free_names([*table.columns, *kinds], [])
    schema = pa.schema(list(zip(names, [*[pa.string()] * len(table.columns), *kinds.values()], strict=True)), about)
    with writing(output, schema) as write:
        for part in parts:
            counts.add(part.molecules, part.rejections)
            write(_extended(part, columns_of(part).values(), schema))
        counts.require_molecules(table.name)


def _extended(part: Part[Any], added: Iterable[pa.Array], schema: pa.Schema) -> pa.Table:
    """Return the rows of a part with added columns; without the rejected ones if the schema has no column for reasons."""
    of_row = {molecule.row: place for place, molecule in enumerate(part.molecules)}
    reason_of = {rejection.row: rejection.reason for rejection in part.rejections}
    places = pa.array(map(of_row.get, part.numbers), pa.int64())
    given = (pa.array(column, pa.string()) for column in zip(*part.rows, strict=True))
    columns = [*given, *(values.take(places) for values in added)]
    if len(columns) == len(schema):
        return pa.Table.from_arrays(columns, schema=schema).filter(places.is_valid())
    return pa.Table.from_arrays([*columns, pa.array(map(reason_of.get, part.numbers), pa.string())], schema=schema)


@contextmanager
def writing(output: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Context of a function that appends tables to the file `output`, Parquet if its name ends in .parquet, otherwise CSV.

    The file appears, or is replaced, once the context ends without an error. In CSV a column of vectors of n numbers becomes the
    columns NAME_0 to NAME_(n - 1), numbers of double precision have six digits, and lists have blanks between their items.
    """
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with replacing(output) as temporary:
        if output.suffix == ".parquet":
            with pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=texts) as parquet:
                yield parquet.write_table
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv_writer(file)
                writer.writerow(_flat(schema.empty_table()).column_names)
                yield partial(_write_rows, writer)


def _write_rows(writer: Any, table: pa.Table) -> None:
    for batch in table.to_batches(ROWS_AT_A_TIME):
        columns = _flat(pa.Table.from_batches([batch])).columns
        writer.writerows(zip(*map(_texts, columns), strict=True))


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with a column for each number of a vector."""
    names, columns = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_fixed_size_list(field.type):
            width = field.type.list_size
            names += [f"{field.name}_{place}" for place in range(width)]
            columns += [pc.list_element(column, place) for place in range(width)]
        else:
            names.append(field.name)
            columns.append(column)
    return pa.Table.from_arrays(columns, names=names)


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    """Format the values of a column for CSV; numbers of single precision so that they can be read without loss."""
    if pa.types.is_float32(column.type):
        return column.cast(pa.string()).to_pylist()
    values = column.to_pylist()
    return values if pa.types.is_string(column.type) else [_text(value) for value in values]


def _text(value: float | str | Sequence[float | str] | None) -> str:
    if isinstance(value, float):
        return digits(value)
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return "" if value is None else str(value)


def digits(value: float) -> str:
    """Format a number with six digits; empty if it is not finite."""
    return f"{value:.6g}" if math.isfinite(value) else ""
