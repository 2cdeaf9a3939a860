"""The domain of a model: how similar molecules are to its training molecules, by ECFP4."""

from collections.abc import Sequence

import numpy as np
from rdkit.DataStructs import BulkTanimotoSimilarity, ExplicitBitVect
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import BITS, ecfp4
from molclr.chem.smiles import read_molecule

QUANTILE = 0.05
"""The fraction of training molecules that would be outside the domain of the others."""


def similarity_to(known: Sequence[ExplicitBitVect], smiles: Sequence[str]) -> np.ndarray:
    """Compute the Tanimoto similarity of bits to the nearest training molecule: float64 (n,).

    known: ECFP4 of the training molecules. smiles: n canonical SMILES, whose fingerprints are made one by one.
    """
    return np.array([max(BulkTanimotoSimilarity(ecfp4(read_molecule(text)), known)) for text in smiles], np.float64)


def bits_of(counts: csr_matrix) -> list[ExplicitBitVect]:
    """Convert ECFP4 counts, (n, BITS), to fingerprints of bits."""
    found = []
    for start, end in zip(counts.indptr[:-1], counts.indptr[1:], strict=True):
        bits = ExplicitBitVect(BITS)
        bits.SetBitsFromList(counts.indices[start:end].tolist())
        found.append(bits)
    return found


def domain_threshold(counts: csr_matrix, limit: int = 2000) -> float:
    """Compute the similarity below which a molecule is outside the domain, from the training molecules' ECFP4 counts.

    It is the quantile QUANTILE of the similarity of training molecules to the nearest other one: 95 % of them are at
    least as similar to another. Repeated fingerprints count once. limit: molecules, evenly spaced, that are compared with all
    others.
    """
    unique = list({bits.ToBase64(): bits for bits in bits_of(counts)}.values())
    if len(unique) < 2:
        return 1.0
    nearest = []
    for place in np.linspace(0, len(unique) - 1, min(limit, len(unique)), dtype=np.int64).tolist():
        similarity = BulkTanimotoSimilarity(unique[place], unique)
        similarity[place] = -1.0
        nearest.append(max(similarity))
    return float(np.quantile(nearest, QUANTILE))
