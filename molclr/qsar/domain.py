"""The domain of a model: how similar molecules are to its training molecules, by ECFP4."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import packed_bits, packed_ecfp4, tanimoto_of_bits

QUANTILE = 0.05
"""The fraction of training molecules that would be outside the domain of the others."""


def similarity_to(known: np.ndarray, smiles: Sequence[str]) -> np.ndarray:
    """Compute the Tanimoto similarity of bits to the nearest training molecule: float64 (n,).

    known: packed ECFP4 of m training molecules, uint64 (m, WORDS). smiles: n canonical SMILES, whose fingerprints are made one by
    one.
    """
    return np.array([tanimoto_of_bits(packed_ecfp4([text])[0], known).max() for text in smiles], np.float64)


def domain_threshold(counts: csr_matrix, limit: int = 2000) -> float:
    """Compute the similarity below which a molecule is outside the domain, from the training molecules' ECFP4 counts.

    It is the quantile QUANTILE of the similarity of training molecules to the nearest other one: 95 % of them are at
    least as similar to another. Repeated fingerprints count once. limit: molecules, evenly spaced, that are compared with all
    others.
    """
    bits = packed_bits(counts)
    unique = bits[np.sort(np.unique(bits, axis=0, return_index=True)[1])]
    if len(unique) < 2:
        return 1.0
    nearest = []
    for place in np.linspace(0, len(unique) - 1, min(limit, len(unique)), dtype=np.int64).tolist():
        similarity = tanimoto_of_bits(unique[place], unique)
        similarity[place] = -1.0
        nearest.append(similarity.max())
    return float(np.quantile(nearest, QUANTILE))
