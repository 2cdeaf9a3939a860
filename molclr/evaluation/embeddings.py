"""Tables of embeddings, and nearest neighbours in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from molclr.errors import MolclrError

ENCODER_KEY = b"molclr_encoder"
"""Metadata key of a table of embeddings: SHA-256 of the encoder's file, and whether hydrogens were explicit."""

HELD_OUT_KEY = b"molclr_held_out"
"""Metadata key of a table whose molecules were all held out from the pre-training of the encoder."""

CANONICAL = "canonical_smiles"
"""Column in place of `row` and `smiles` in a table with the user's own columns, in which rejected rows have no embedding."""


@dataclass(frozen=True)
class Embeddings:
    """Molecules and their representations."""

    rows: np.ndarray
    """int64 (n,): raw row numbers."""
    smiles: list[str]
    vectors: np.ndarray
    """float32 (n, embedding_dim)."""
    encoder: str = ""
    """The value of ENCODER_KEY; empty if the table has none."""
    held_out: bool = False
    """Whether pre-training of the encoder held out all of the molecules."""


def read_embeddings(path: str | PathLike[str], at_least: int) -> Embeddings:
    """Read a table of embeddings, without rejected rows.

    Raises MolclrError for another file or fewer than `at_least` molecules.
    """
    try:
        names = pq.read_schema(path).names
        has_rows = CANONICAL not in names
        added = [_added(CANONICAL, names), _added("embedding", names)]
        table = pq.read_table(path, columns=["row", "smiles", "embedding"] if has_rows else added)
    except (FileNotFoundError, pa.ArrowInvalid):
        raise MolclrError(f"'{path}' is not a table of embeddings; make one with 'molclr embed'.") from None
    if not has_rows:
        table = table.rename_columns(["smiles", "embedding"]).append_column("row", pa.array(range(len(table))))
        table = table.filter(pc.is_valid(table["embedding"]))
    vectors = table["embedding"].combine_chunks()
    if not _are_vectors(vectors):
        raise MolclrError(
            f"The embeddings in '{path}' are not vectors of the same length; make the table with 'molclr embed'."
        )
    if len(table) < at_least:
        raise MolclrError(f"'{path}' has {len(table)} molecules, but at least {at_least} are needed; embed more.")
    metadata = table.schema.metadata or {}
    encoder, held_out = metadata.get(ENCODER_KEY, b"").decode(), HELD_OUT_KEY in metadata
    values = vectors.flatten().to_numpy().reshape(len(table), -1)
    return Embeddings(table["row"].to_numpy(), table["smiles"].to_pylist(), values, encoder, held_out)


def _added(name: str, names: Sequence[str]) -> str:
    """Return the name of a column that was added to a user's table, which has underscores in front if the table had one."""
    return next((found for found in reversed(names) if found.lstrip("_") == name), name)


def _are_vectors(column: pa.Array) -> bool:
    """Return whether all items are lists of floats of the same length, also in tables that were written by pandas.

    In the latter the type of the column does not fix the length.
    """
    kinds = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    return (
        any(kind(column.type) for kind in kinds)
        and pa.types.is_floating(column.type.value_type)
        and column.null_count + column.flatten().null_count == 0
        and len(pc.unique(pc.list_value_length(column))) <= 1
    )


def cosines(queries: np.ndarray, library: np.ndarray) -> np.ndarray:
    """Compute the cosine similarity of all pairs: float (m, embedding_dim) and (n, embedding_dim) to float32 (m, n)."""
    return unit(queries) @ unit(library).T


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Find the positions of the `count` highest scores, (n,), in descending order: int64; fewer if there are fewer scores.

    Ties are in ascending order of position.
    """
    count = min(count, len(scores))
    found = np.flatnonzero(scores >= np.partition(scores, len(scores) - count)[len(scores) - count])
    return found[np.argsort(-scores[found], kind="stable")][:count]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors, (n, embedding_dim), to length 1; those of length 0 remain."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
