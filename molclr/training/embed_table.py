"""Representations of the molecules of any table, with the columns of that table."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from molclr.config import Compute
from molclr.data.canonicalize import canonicalize
from molclr.data.columns import choose_columns
from molclr.data.featurize import featurize
from molclr.data.tables import free_names, kept_table, open_table
from molclr.files import replacing
from molclr.training.embed import write_embeddings


def embed_table(
    table: Path,
    output: Path,
    encoder: Path,
    compute: Compute,
    smiles_column: str | None = None,
    processes: int = 1,
    encoder_class: str | None = None,
) -> tuple[int, int]:
    """Embed the molecules of a raw table; return the numbers of embedded and rejected rows.

    output: Parquet with `row` (from 0), `smiles` (canonical) and `embedding` as `write_embeddings` makes them, and all columns of
    the table as text; those with such a name get an underscore in front. Rejected rows are left out, and their reasons told.
    Raises MolclrError as `canonicalize` does.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as work:
        molecules, rejected, graphs, embeddings = (
            Path(work, name) for name in ("m.parquet", "csv", "graphs", "h.parquet")
        )
        source = kept_table(table, Path(work))
        counts = canonicalize(source, molecules, rejected, smiles_column=smiles_column, targets=[], processes=processes)
        featurize(molecules, graphs, processes=processes)
        write_embeddings(molecules, graphs, embeddings, encoder, compute, encoder_class=encoder_class)
        found = pq.read_table(embeddings)
        names, columns = _given_columns(source, smiles_column, found["row"].to_pylist())
    for name, column in zip(free_names(names, found.column_names), columns, strict=True):
        found = found.append_column(name, pa.array(column, pa.string()))
    with replacing(output) as temporary:
        pq.write_table(found, temporary)
    return counts


def _given_columns(table: Path, smiles_column: str | None, rows: list[int]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns of a raw table, and their texts in `rows`, which ascend."""
    wanted = set(rows)
    with open_table(table) as raw:
        taken = choose_columns(raw, smiles_column, [])
        kept = [fields for number, fields in enumerate(taken.table.rows()) if number in wanted]
    names = taken.table.columns
    return names, [[fields[place] for fields in kept] for place in range(len(names))]
