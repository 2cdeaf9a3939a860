"""Repeated molecules in a data set of any size."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np


class FirstRows:
    """The row of the first occurrence of each SMILES, in 16 bytes per SMILES: sorted runs of hashes that are merged.

    Of 10 million different SMILES two have the same 64-bit hash with a probability of three in a million.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def of(self, smiles: Sequence[str], rows: Sequence[int]) -> np.ndarray:
        """Return the row of the first occurrence of each SMILES, in this or an earlier call: int64 (len(smiles),)."""
        digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in smiles)
        hashes, index, inverse = np.unique(np.frombuffer(digests, np.uint64), return_index=True, return_inverse=True)
        first = np.array(rows, np.int64)[index]
        new = np.ones(len(hashes), bool)
        for known, known_rows in self._runs:
            place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            found = known[place] == hashes
            first[found] = known_rows[place[found]]
            new &= ~found
        if new.any():
            self._remember(hashes[new], first[new])
        return first[inverse]

    def _remember(self, hashes: np.ndarray, rows: np.ndarray) -> None:
        """Add a run. Each run is kept at least twice as long as the next, so that there are few of them to search."""
        while self._runs and len(self._runs[-1][0]) < 2 * len(hashes):
            known, known_rows = self._runs.pop()
            hashes, rows = np.concatenate([known, hashes]), np.concatenate([known_rows, rows])
            order = np.argsort(hashes, kind="stable")
            hashes, rows = hashes[order], rows[order]
        self._runs.append((hashes, rows))
