"""Tables of embeddings, and nearest neighbours in them."""

from collections.abc import Iterator
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

CELLS = 1 << 25
"""Number of cosines that are held in memory."""


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
    """Read a table of embeddings. Raises MolclrError for another file or fewer than `at_least` molecules."""
    try:
        table = pq.read_table(path, columns=["row", "smiles", "embedding"])
    except (FileNotFoundError, pa.ArrowInvalid):
        raise MolclrError(f"'{path}' is not a table of embeddings; make one with 'molclr embed'.") from None
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
    return _unit(queries) @ _unit(library).T


def nearest(queries: np.ndarray, library: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Find the `count` vectors of `library`, (n, embedding_dim), with the highest cosine to each query, (m, embedding_dim).

    Yields, for each query, positions, int64 (count,), and cosines, float32 (count,), in descending order of the cosine; ties in
    ascending order of position. There are fewer if the library has fewer vectors.
    """
    queries, library = _unit(queries), _unit(library)
    count = min(count, len(library))
    step = max(1, CELLS // len(library))
    for first in range(0, len(queries), step):
        for row in queries[first : first + step] @ library.T:
            found = np.flatnonzero(row >= np.partition(row, len(row) - count)[len(row) - count])
            found = found[np.argsort(-row[found], kind="stable")][:count]
            yield found, row[found]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
