import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BulkTanimotoSimilarity, TanimotoSimilarity
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import (
    BITS,
    ecfp4,
    ecfp4_counts,
    ecfp4_counts_without_atoms,
    packed,
    packed_bits,
    packed_ecfp4,
    rdkit_fingerprint,
    tanimoto_of_bits,
    tanimoto_of_counts,
)
from molclr.chem.smiles import RejectedMolecule, read_molecule

ASPIRIN, SALICYLIC_ACID, CAFFEINE = "CC(=O)Oc1ccccc1C(=O)O", "O=C(O)c1ccccc1O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"
SMILES = [ASPIRIN, SALICYLIC_ACID, CAFFEINE, "CCCCCCCCCCO", "C", "[Na+].[Cl-]", "[H][H]"]


@pytest.mark.parametrize("fingerprint", [ecfp4, rdkit_fingerprint])
def test_similarities_of_bits_are_those_of_rdkit(fingerprint):
    prints = [fingerprint(read_molecule(smiles)) for smiles in SMILES]
    assert prints[0].GetNumBits() == BITS
    found = np.stack([tanimoto_of_bits(query, packed(prints)) for query in packed(prints)])
    assert found.tolist() == [BulkTanimotoSimilarity(query, prints) for query in prints]
    assert found[0, 0] == 1 and 0 < found[0, 2] < found[0, 1] < 1, "aspirin is more similar to salicylic acid"


def test_fingerprints_without_bits_are_not_similar():
    methane = packed([rdkit_fingerprint(read_molecule("C"))])  # no bond, no path
    assert tanimoto_of_bits(methane[0], methane).tolist() == [0]


def test_similarities_of_counts_are_those_of_rdkit():
    counts = csr_matrix(ecfp4_counts(SMILES))
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    prints = [generator.GetCountFingerprint(read_molecule(text)) for text in SMILES]
    expected = [[TanimotoSimilarity(one, other) for other in prints] for one in prints]
    np.testing.assert_allclose(tanimoto_of_counts(counts, counts), expected, rtol=1e-12)
    np.testing.assert_allclose(tanimoto_of_counts(counts[:2], counts[3:]), np.array(expected)[:2, 3:], rtol=1e-12)


def test_counts_are_numbers_of_occurrences():
    methane, ethane, propane, hexane = ecfp4_counts(["C", "CC", "CCC", "CCCCCC"])
    assert methane.dtype == np.float32 and methane.shape == (BITS,)
    assert sorted(methane[methane > 0]) == [1]  # the atom
    assert sorted(ethane[ethane > 0]) == [1, 2]  # two methyl groups, and the one pair around both
    assert sorted(propane[propane > 0]) == [1, 1, 2, 2]  # CH3, CH3 with its neighbour; CH2, CH2 with its neighbours
    assert max(hexane) == 4  # CH2


def test_counts_agree_with_the_bits():
    counts = ecfp4_counts(SMILES)
    for smiles, row in zip(SMILES, counts, strict=True):
        assert list(np.flatnonzero(row)) == list(ecfp4(read_molecule(smiles)).GetOnBits())
    assert packed_bits(csr_matrix(counts)).tolist() == packed_ecfp4(SMILES).tolist()


@pytest.mark.parametrize("smiles", [ASPIRIN, CAFFEINE, "[NH3+]CC(=O)[O-].CCO"])
def test_without_an_atom_the_substructures_that_contain_it_are_missing(smiles):
    molecule = read_molecule(smiles)
    found = rdFingerprintGenerator.AdditionalOutput()
    found.AllocateBitInfoMap()
    ecfp4_generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    ecfp4_generator.GetCountFingerprint(molecule, additionalOutput=found)
    expected = np.tile(ecfp4_counts([smiles])[0], (1 + molecule.GetNumAtoms(), 1))
    for bit, substructures in found.GetBitInfoMap().items():
        for centre, radius in substructures:
            bonds = Chem.FindAtomEnvironmentOfRadiusN(molecule, radius, centre) if radius else []
            ends = [molecule.GetBondWithIdx(bond) for bond in bonds]
            for atom in {centre, *(end.GetBeginAtomIdx() for end in ends), *(end.GetEndAtomIdx() for end in ends)}:
                expected[1 + atom, bit] -= 1
    counts = ecfp4_counts_without_atoms(smiles)
    assert counts.dtype == np.float32 and counts.min() == 0 and (counts[1:].sum(axis=1) < counts[0].sum()).all()
    assert (counts == expected).all()


def test_counts_of_no_molecules_are_empty():
    assert ecfp4_counts([]).shape == (0, BITS)


def test_an_unreadable_molecule_is_rejected():
    with pytest.raises(RejectedMolecule):
        ecfp4_counts([ASPIRIN, "C1CC"])
