"""Molecular fingerprints: fixed-length vectors of the substructures of a molecule."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import ExplicitBitVect

from molclr.chem.smiles import read_molecule

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BITS = 2048
WORDS = BITS // 64
"""64-bit words of a packed fingerprint."""

_ONES = np.ones(WORDS, np.float32)
"""A product with it is the fastest sum of a row, and exact."""
_ECFP4 = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
_RDKIT = rdFingerprintGenerator.GetRDKitFPGenerator(fpSize=BITS)


def ecfp4(molecule: Chem.Mol) -> ExplicitBitVect:
    """Compute the extended-connectivity fingerprint of diameter 4 (Morgan, radius 2): BITS bits."""
    return _ECFP4.GetFingerprint(molecule)


def rdkit_fingerprint(molecule: Chem.Mol) -> ExplicitBitVect:
    """Compute RDKit's path fingerprint, with paths of one to seven bonds: BITS bits."""
    return _RDKIT.GetFingerprint(molecule)


def ecfp4_counts(smiles: Sequence[str]) -> np.ndarray:
    """Count the substructures of ECFP4: float32 (len(smiles), BITS). Raises RejectedMolecule like `read_molecule`."""
    counts = np.zeros((len(smiles), BITS), np.float32)
    for row, text in zip(counts, smiles, strict=True):
        row[:] = _ECFP4.GetCountFingerprintAsNumPy(read_molecule(text))
    return counts


def ecfp4_counts_without_atoms(smiles: str) -> np.ndarray:
    """Count the substructures of ECFP4 of a molecule, and without each of its atoms: float32 (1 + num_atoms, BITS).

    Row 1 + i lacks the substructures that contain atom i (Riniker & Landrum, J. Cheminform. 2013, 5, 43). Raises RejectedMolecule
    like `read_molecule`.
    """
    molecule = read_molecule(smiles)
    found = rdFingerprintGenerator.AdditionalOutput()
    found.AllocateBitInfoMap()
    counts = _ECFP4.GetCountFingerprintAsNumPy(molecule, additionalOutput=found)
    rows = np.tile(counts.astype(np.float32), (1 + molecule.GetNumAtoms(), 1))
    distances = Chem.GetDistanceMatrix(molecule)
    for bit, substructures in found.GetBitInfoMap().items():
        for centre, radius in substructures:
            rows[1:, bit] -= distances[centre] <= radius
    return rows


def packed_ecfp4(smiles: Sequence[str]) -> np.ndarray:
    """Compute ECFP4 fingerprints, packed: uint64 (len(smiles), WORDS). Raises RejectedMolecule like `read_molecule`."""
    return packed(ecfp4(read_molecule(text)) for text in smiles)


def packed(fingerprints: Iterable[ExplicitBitVect]) -> np.ndarray:
    """Pack n fingerprints: uint64 (n, WORDS)."""
    return np.frombuffer(b"".join(map(DataStructs.BitVectToBinaryText, fingerprints)), np.uint64).reshape(-1, WORDS)


def packed_bits(counts: "csr_matrix") -> np.ndarray:
    """Pack the bits of ECFP4 counts, (n, BITS), like `packed_ecfp4`: uint64 (n, WORDS)."""
    bits = np.zeros((counts.shape[0], WORDS), np.uint64)
    rows, columns = counts.nonzero()
    np.bitwise_or.at(bits, (rows, columns // 64), np.uint64(1) << (columns % 64).astype(np.uint64))
    return bits


def tanimoto_of_bits(query: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute Tanimoto similarities, bits set in both divided by bits set in either: float64 (n,); 0 where neither has a bit.

    query: a packed fingerprint, uint64 (WORDS,). others: uint64 (n, WORDS).
    """
    both, either = np.bitwise_count(others & query) @ _ONES, np.bitwise_count(others | query) @ _ONES
    return np.divide(both, np.maximum(either, 1), dtype=np.float64)


def tanimoto_of_counts(first: "csr_matrix", second: "csr_matrix") -> np.ndarray:
    """Compute the sum of minima divided by the sum of maxima of all pairs of rows: float64 (n, m).

    first: (n, d), second: (m, d), whole numbers from 0 on, without rows of zeros. A positive definite kernel (Ralaivola et al.,
    Graph kernels for chemical informatics, 2005).
    """
    levels = int(max(first.max(), second.max()))
    shared = (_unary(first, levels) @ _unary(second, levels).T).toarray().astype(np.float64)
    total = np.add.outer(np.asarray(first.sum(axis=1)).ravel(), np.asarray(second.sum(axis=1)).ravel())
    return shared / (total - shared)


def _unary(counts: "csr_matrix", levels: int) -> "csr_matrix":
    """Write a count c as c ones in a block of `levels` columns, so that a product of rows is the sum of their minima."""
    from scipy.sparse import csr_matrix  # takes longer than the split of a benchmark

    number = counts.data.astype(np.int64)
    ends = np.concatenate([[0], number.cumsum()])
    level = np.arange(ends[-1]) - np.repeat(ends[:-1], number)
    columns = np.repeat(counts.indices.astype(np.int64), number) * levels + level
    ones = np.ones(len(columns), np.float32)
    return csr_matrix((ones, columns, ends[counts.indptr]), shape=(counts.shape[0], counts.shape[1] * levels))
