"""Molecular fingerprints: fixed-length vectors of the substructures of a molecule."""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import ExplicitBitVect

from molclr.chem.smiles import read_molecule

BITS = 2048
WORDS = BITS // 64
"""64-bit words of a packed fingerprint."""

_ECFP4 = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
_RDKIT = rdFingerprintGenerator.GetRDKitFPGenerator(fpSize=BITS)


def ecfp4(molecule: Chem.Mol) -> ExplicitBitVect:
    """Compute the extended-connectivity fingerprint of diameter 4 (Morgan, radius 2): BITS bits."""
    return _ECFP4.GetFingerprint(molecule)


def rdkit_fingerprint(molecule: Chem.Mol) -> ExplicitBitVect:
    """Compute RDKit's path fingerprint, with paths of one to seven bonds: BITS bits."""
    return _RDKIT.GetFingerprint(molecule)


def tanimoto(first: ExplicitBitVect, second: ExplicitBitVect) -> float:
    """Compute the Tanimoto similarity: bits set in both divided by bits set in either, and 0 for two empty fingerprints."""
    return DataStructs.TanimotoSimilarity(first, second)


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
    texts = [DataStructs.BitVectToBinaryText(ecfp4(read_molecule(text))) for text in smiles]
    return np.frombuffer(b"".join(texts), np.uint64).reshape(-1, WORDS)
