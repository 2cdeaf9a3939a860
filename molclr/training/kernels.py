"""Kernels of support vector machines: how similar molecules are by their fixed features."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics.pairwise import rbf_kernel

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


def tanimoto_of_counts(first: csr_matrix, second: csr_matrix) -> np.ndarray:
    """Compute the sum of minima divided by the sum of maxima of all pairs of rows: float64 (n, m).

    first: (n, d), second: (m, d), whole numbers from 0 on, without rows of zeros. A positive definite kernel (Ralaivola et al.,
    Graph kernels for chemical informatics, 2005).
    """
    levels = int(max(first.max(), second.max()))
    shared = (_unary(first, levels) @ _unary(second, levels).T).toarray().astype(np.float64)
    total = np.add.outer(np.asarray(first.sum(axis=1)).ravel(), np.asarray(second.sum(axis=1)).ravel())
    return shared / (total - shared)


def _unary(counts: csr_matrix, levels: int) -> csr_matrix:
    """Write a count c as c ones in a block of `levels` columns, so that a product of rows is the sum of their minima."""
    number = counts.data.astype(np.int64)
    ends = np.concatenate([[0], number.cumsum()])
    level = np.arange(ends[-1]) - np.repeat(ends[:-1], number)
    columns = np.repeat(counts.indices.astype(np.int64), number) * levels + level
    ones = np.ones(len(columns), np.float32)
    return csr_matrix((ones, columns, ends[counts.indptr]), shape=(counts.shape[0], counts.shape[1] * levels))


def log_counts(counts: csr_matrix) -> csr_matrix:
    """Compute log(1 + count), float64: a Gaussian kernel depends on differences."""
    return csr_matrix(counts.log1p(), dtype=np.float64)


def standardized(h: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Standardise representations by mean and standard deviation of the training molecules: float64 (n, embedding_dim)."""
    spread = training.std(axis=0, dtype=np.float64)
    return (h - training.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
