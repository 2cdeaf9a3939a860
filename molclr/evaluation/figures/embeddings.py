"""Reading the representations that the figures show."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molclr.errors import MolclrError
from molclr.evaluation.figures.style import AnyPath


@dataclass(frozen=True)
class Embeddings:
    """Molecules and their representations."""

    rows: np.ndarray
    """int64 (n,): raw row numbers in the corpus."""
    smiles: list[str]
    vectors: np.ndarray
    """float32 (n, feature)."""


def read_embeddings(path: AnyPath, at_least: int) -> Embeddings:
    """Read an embeddings parquet. Raises MolclrError if it has fewer than `at_least` molecules."""
    try:
        table = pq.read_table(path, columns=["row", "smiles", "embedding"])
    except (FileNotFoundError, pa.ArrowInvalid):
        raise MolclrError(f"'{path}' is no table of embeddings; 'molclr embed' makes one.") from None
    if len(table) < at_least:
        raise MolclrError(f"'{path}' has {len(table)} molecules; the figure needs {at_least}: hold out more.")
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    return Embeddings(table["row"].to_numpy(), table["smiles"].to_pylist(), vectors)
