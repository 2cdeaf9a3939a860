"""Kernels of support vector machines: how similar molecules are by their fixed features."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics.pairwise import rbf_kernel

from molclr.chem.fingerprints import tanimoto_of_counts

Matrix: TypeAlias = np.ndarray | csr_matrix
"""One row per molecule."""
ROWS_AT_A_TIME = 512
"""Molecules that are compared with all others at a time."""


@dataclass(frozen=True)
class Features:
    """Features of n molecules, which a kernel compares.

    x: float (n, d), compared by a Gaussian kernel. counts: ECFP4 counts, (n, BITS), compared by the Tanimoto kernel. With both,
    the kernel is the mean of the two; one at least is given.
    """

    x: Matrix | None
    counts: csr_matrix | None = None

    def __len__(self) -> int:
        return next(part.shape[0] for part in (self.x, self.counts) if part is not None)

    def __getitem__(self, molecules: np.ndarray | slice) -> "Features":
        return Features(*(None if part is None else part[molecules] for part in (self.x, self.counts)))

    @property
    def gamma(self) -> float:
        """The factor in the exponent of the Gaussian kernel: 1 / (d * variance of all numbers of x); 0 without x."""
        x = self.x
        if x is None:
            return 0.0
        variance = float(x.var()) if isinstance(x, np.ndarray) else float(x.multiply(x).mean() - x.mean() ** 2)
        return 1 / (x.shape[1] * (variance or 1.0))

    def kernel(self, others: "Features", gamma: float) -> np.ndarray:
        """Compare all molecules with all `others`: float64 (n, number of others), from 0 to 1."""
        similarity = np.empty((len(self), len(others)))
        for first in range(0, len(self), ROWS_AT_A_TIME):
            rows, parts = slice(first, first + ROWS_AT_A_TIME), list[np.ndarray]()
            if self.x is not None and others.x is not None:
                parts.append(rbf_kernel(self.x[rows], others.x, gamma))
            if self.counts is not None and others.counts is not None:
                parts.append(tanimoto_of_counts(self.counts[rows], others.counts))
            similarity[rows] = sum(parts) / len(parts)
        return similarity


def log_counts(counts: csr_matrix) -> csr_matrix:
    """Compute log(1 + count), float64: a Gaussian kernel depends on differences."""
    return csr_matrix(counts.log1p(), dtype=np.float64)


def standardized(h: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Standardize representations by mean and standard deviation of the training molecules: float64 (n, embedding_dim)."""
    spread = training.std(axis=0, dtype=np.float64)
    return (h - training.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
