"""The nearest molecules of a library, by the representation and by ECFP4 fingerprints."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from molclr.chem.fingerprints import tanimoto_of_bits
from molclr.data.tables import free_names
from molclr.evaluation.embeddings import highest, unit

ROW, SMILES, VECTOR, FINGERPRINT = OWN = ("row", "canonical_smiles", "vector", "ecfp4")
"""The first columns of an index; those of the library follow. The vectors have length 1."""
REPRESENTATION, ECFP = KINDS = ("representation", "ecfp4")
"""Similarities: the cosine of vectors, and the Tanimoto similarity of fingerprints."""

CELLS = 1 << 24
"""The most similarities of each kind that are held in memory."""


class Hit(NamedTuple):
    """A molecule of the library that is near a query."""

    by: str
    """One of KINDS."""
    rank: int
    """Counted from 1."""
    cosine: float
    tanimoto: float
    row: int
    """Raw row of the library, from 0."""
    smiles: str
    """Canonical."""
    fields: list[str]
    """Its row of the library, as text."""
    name: str
    """Its name; its row number if it has none."""


class Library:
    """The index of a library: vectors and fingerprints of its molecules, and the rows they come from."""

    def __init__(self, table: pa.Table, names: int | None = None) -> None:
        """table: the columns OWN and those of the library. It may be memory-mapped; it is not copied.

        names: the place of the library's column that names molecules; None if there is none.
        """
        self.table, self.names = table, names
        self.columns = free_names(table.column_names[len(OWN) :], [])
        batches = table.select([OWN.index(VECTOR), OWN.index(FINGERPRINT)]).to_batches()
        self._texts = [OWN.index(ROW), OWN.index(SMILES), *range(len(OWN), table.num_columns)]
        self._parts = [tuple(_matrix(column) for column in batch.columns) for batch in batches]

    def __len__(self) -> int:
        return len(self.table)

    def search(self, vectors: np.ndarray, fingerprints: np.ndarray, count: int) -> Iterator[list[Hit]]:
        """Find the `count` nearest molecules to each query by each of KINDS, the nearest first; ties in the library's order.

        vectors: float32 (m, dim). fingerprints: uint64 (m, WORDS). There are fewer hits if the library has fewer molecules.
        """
        step = max(1, CELLS // len(self))
        for first in range(0, len(vectors), step):
            scores = self._scores(unit(vectors[first : first + step]), fingerprints[first : first + step])
            for cosines, tanimotos in zip(*scores, strict=True):
                yield self._hits(dict(zip(KINDS, (cosines, tanimotos), strict=True)), count)

    def _scores(self, vectors: np.ndarray, fingerprints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute cosine and Tanimoto similarity of queries to all molecules: float32 (m, n) each."""
        shape = (len(vectors), len(self))
        cosines, tanimotos = np.empty(shape, np.float32), np.empty(shape, np.float32)
        end = 0
        for known, bits in self._parts:
            place = slice(end, end := end + len(known))
            np.matmul(vectors, known.T, out=cosines[:, place])
            for query, row in zip(fingerprints, tanimotos, strict=True):
                row[place] = tanimoto_of_bits(query, bits)
        return cosines, tanimotos

    def _hits(self, scores: dict[str, np.ndarray], count: int) -> list[Hit]:
        """Find the nearest molecules by each of KINDS of scores, float32 (n,)."""
        hits = []
        for kind, values in scores.items():
            places = highest(values, count)
            rows, smiles, *given = (self.table.column(place).take(places).to_pylist() for place in self._texts)
            names = [f"row {row}" for row in rows] if self.names is None else given[self.names]
            both = (scores[each][places].tolist() for each in KINDS)
            found = zip(*both, rows, smiles, map(list, zip(*given, strict=True)), names, strict=True)
            hits += [Hit(kind, rank, *values) for rank, values in enumerate(found, 1)]
        return hits


def _matrix(column: pa.Array) -> np.ndarray:
    """Return the vectors of a column as rows, without a copy."""
    return column.flatten().to_numpy(zero_copy_only=True).reshape(len(column), -1)
