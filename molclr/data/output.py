"""Tables that are written in parts, as CSV or Parquet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from molclr.files import replacing


@contextmanager
def writing(output: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Context of a function that appends tables to the file `output`, Parquet if its name ends in .parquet, otherwise CSV.

    The file appears, or is replaced, once the context ends without an error. In CSV a column of vectors of n numbers becomes the
    columns NAME_0 to NAME_(n - 1).
    """
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with replacing(output) as temporary:
        if output.suffix == ".parquet":
            with pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=texts) as file:
                yield file.write_table
        else:
            flat = _flat(schema.empty_table()).schema
            with pa.csv.CSVWriter(temporary, flat) as file:
                yield lambda table: file.write_table(_flat(table))


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with a column for each number of a vector."""
    names, columns = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_fixed_size_list(field.type):
            width = field.type.list_size
            names += [f"{field.name}_{place}" for place in range(width)]
            columns += [pa.compute.list_element(column, place) for place in range(width)]
        else:
            names.append(field.name)
            columns.append(column)
    return pa.Table.from_arrays(columns, names=names)
