"""Representations of the molecules of any table, with the columns of that table."""

from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from molclr.data.columns import choose_columns
from molclr.data.output import write_extended
from molclr.data.parts import Part, read_parts
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import CANONICAL, ENCODER_KEY
from molclr.library import OnRejected
from molclr.library.embedder import Embedder
from molclr.progress import say

Graphs: TypeAlias = dict[str, np.ndarray]


def embed_table(
    table: Path,
    output: Path,
    embedder: Embedder,
    on_error: OnRejected = "keep",
    smiles_column: str | None = None,
    processes: int = 1,
) -> dict[str, Any]:
    """Embed the molecules of a raw table part by part; return the counts, names and reasons as a summary.

    output: Parquet if its name ends in .parquet, otherwise CSV, with the columns of the table as text, in order,
    `canonical_smiles`, `embedding` (in CSV one column per number) and, with on_error="keep", `reason`. An added column gets an
    underscore in front if the table has one of that name. Raises MolclrError, and writes nothing, if the file is not a table of
    molecules, every row is rejected, or, with on_error="raise", one is.
    """
    counts = RowCounts(seen=embedder.seen, explicit_hydrogens=embedder.explicit_hydrogens)
    about = {ENCODER_KEY: f"{embedder.digest} with hydrogens" if embedder.explicit_hydrogens else embedder.digest}
    with open_table(table) as raw:
        chosen = choose_columns(raw, smiles_column, [])
        say(*chosen.report)
        parts = read_parts(chosen, embedder.featurize, processes, f"embed {raw.name}", embedder.desalt)
        if on_error == "raise":
            parts = map(partial(_accepted, name=raw.name), parts)
        columns_of = partial(_columns, embedder=embedder, vector=_vector(chosen.table.columns, embedder, output))
        write_extended(parts, chosen.table, output, columns_of, counts, about, has_rejected=on_error == "keep")
    counts.report(embedder.desalt)
    return {**counts.summary(), "encoder": embedder.name, "dimensions": embedder.dim, "output": str(output)}


def _accepted(part: Part[Graphs], name: str) -> Part[Graphs]:
    """Return a part of the table of that name. Raises MolclrError if a row of it is rejected."""
    if part.rejections:
        first = part.rejections[0]
        raise MolclrError(
            f"Row {first.row} of '{name}' is rejected: {first.reason}; correct it, or choose --on-error keep or drop."
        )
    return part


def _vector(columns: list[str], embedder: Embedder, output: Path) -> str:
    """Return the name of the column of vectors, whose numbers in CSV must not have the name of a given column."""
    vector = "embedding"
    while output.suffix != ".parquet" and any(f"{vector}_{place}" in columns for place in range(embedder.dim)):
        vector = f"_{vector}"
    return vector


def _columns(part: Part[Graphs], embedder: Embedder, vector: str) -> dict[str, pa.Array]:
    """Embed the molecules of a part; return the columns of their SMILES and their vectors."""
    h = np.empty((0, embedder.dim), np.float32) if part.made is None else embedder.embed(part.made)
    smiles = pa.array([molecule.smiles for molecule in part.molecules], pa.string())
    return {CANONICAL: smiles, vector: pa.FixedSizeListArray.from_arrays(pa.array(h.ravel()), embedder.dim)}
