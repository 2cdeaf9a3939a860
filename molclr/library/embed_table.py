"""Representations of the molecules of any table, with the columns of that table."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from molclr.data.columns import choose_columns
from molclr.data.output import REASON, extended, extended_schema, writing
from molclr.data.parts import Part, read_parts
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import CANONICAL, ENCODER_KEY
from molclr.library.embedder import Embedder
from molclr.progress import say

OnError = Literal["keep", "drop", "raise"]
"""The treatment of a rejected row: keep it with its reason and without a vector, leave it out, or raise an error."""


def embed_table(
    table: Path,
    output: Path,
    embedder: Embedder,
    on_error: OnError = "keep",
    smiles_column: str | None = None,
    processes: int = 1,
) -> dict[str, Any]:
    """Embed the molecules of a raw table part by part; return the counts, names and reasons as a summary.

    output: Parquet if its name ends in .parquet, otherwise CSV, with the columns of the table as text, in order,
    `canonical_smiles`, `embedding` (in CSV one column per number) and, with on_error="keep", `reason`. An added column gets an
    underscore in front if the table has one of that name. Raises MolclrError, and writes nothing, if the file is no table of
    molecules, every row is rejected, or, with on_error="raise", one is.
    """
    with open_table(table) as raw:
        chosen = choose_columns(raw, smiles_column, [])
        say(*chosen.report)
        schema = _schema(chosen.table.columns, embedder, on_error, output)
        counts = RowCounts(seen=embedder.seen, explicit_hydrogens=embedder.explicit_hydrogens)
        with writing(output, schema) as write:
            for part in read_parts(chosen, embedder.featurize, processes, f"embed {raw.name}", embedder.desalt):
                if part.rejections and on_error == "raise":
                    first = part.rejections[0]
                    raise MolclrError(
                        f"Row {first.row} of '{raw.name}' is rejected: {first.reason}; correct it, or choose --on-error "
                        "keep or drop."
                    )
                write(extended(part, _added(part, embedder), schema))
                counts.add(part.molecules, part.rejections)
            counts.require_molecules(raw.name)
    counts.report(embedder.desalt)
    return {**counts.summary(), "encoder": embedder.name, "dimensions": embedder.dim, "output": str(output)}


def _schema(columns: list[str], embedder: Embedder, on_error: OnError, output: Path) -> pa.Schema:
    vector = "embedding"
    while output.suffix != ".parquet" and any(f"{vector}_{place}" in columns for place in range(embedder.dim)):
        vector = f"_{vector}"
    kinds = {CANONICAL: pa.string(), vector: pa.list_(pa.float32(), embedder.dim)}
    if on_error == "keep":
        kinds[REASON] = pa.string()
    return extended_schema(
        columns, kinds, {ENCODER_KEY: embedder.digest + " with hydrogens" * embedder.explicit_hydrogens}
    )


def _added(part: Part[dict[str, np.ndarray]], embedder: Embedder) -> list[pa.Array]:
    """Embed the molecules of a part; return the columns of their SMILES and their vectors."""
    vectors = np.empty((0, embedder.dim), np.float32) if part.made is None else embedder.embed(part.made)
    smiles = pa.array([molecule.smiles for molecule in part.molecules], pa.string())
    return [smiles, pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), embedder.dim)]
