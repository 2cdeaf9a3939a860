"""Fingerprints: fixed-length descriptions of a molecule by the substructures it contains."""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import ExplicitBitVect

from molclr.chem.smiles import read_molecule

BITS = 2048

_ECFP4 = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
_RDKIT = rdFingerprintGenerator.GetRDKitFPGenerator(fpSize=BITS)


def ecfp4(molecule: Chem.Mol) -> ExplicitBitVect:
    """Extended-connectivity fingerprint of diameter 4 (Morgan, radius 2): BITS bits."""
    return _ECFP4.GetFingerprint(molecule)


def rdkit_fingerprint(molecule: Chem.Mol) -> ExplicitBitVect:
    """RDKit's path fingerprint, paths of one to seven bonds: BITS bits."""
    return _RDKIT.GetFingerprint(molecule)


def tanimoto(first: ExplicitBitVect, second: ExplicitBitVect) -> float:
    """Bits set in both divided by bits set in either: 0 to 1, and 0 for two empty fingerprints."""
    return DataStructs.TanimotoSimilarity(first, second)


def ecfp4_counts(smiles: Sequence[str]) -> np.ndarray:
    """How often each substructure of ECFP4 occurs: float32 (len(smiles), BITS). Raises RefusedMolecule."""
    counts = np.zeros((len(smiles), BITS), np.float32)
    for row, text in zip(counts, smiles, strict=True):
        row[:] = _ECFP4.GetCountFingerprintAsNumPy(read_molecule(text))
    return counts
