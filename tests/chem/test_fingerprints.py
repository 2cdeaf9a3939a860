import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molclr.chem.fingerprints import BITS, ecfp4, ecfp4_counts, ecfp4_counts_without_atoms, rdkit_fingerprint, tanimoto
from molclr.chem.smiles import RejectedMolecule, read_molecule

ASPIRIN, SALICYLIC_ACID, CAFFEINE = "CC(=O)Oc1ccccc1C(=O)O", "O=C(O)c1ccccc1O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"


@pytest.mark.parametrize("fingerprint", [ecfp4, rdkit_fingerprint])
def test_similar_molecules_are_more_similar(fingerprint):
    aspirin, acid, caffeine = (fingerprint(read_molecule(smiles)) for smiles in (ASPIRIN, SALICYLIC_ACID, CAFFEINE))
    assert aspirin.GetNumBits() == BITS
    assert tanimoto(aspirin, aspirin) == 1
    assert tanimoto(aspirin, acid) == tanimoto(acid, aspirin)
    assert 0 < tanimoto(aspirin, caffeine) < tanimoto(aspirin, acid) < 1


def test_fingerprints_without_bits_are_not_similar():
    methane = rdkit_fingerprint(read_molecule("C"))  # no bond, no path
    assert tanimoto(methane, methane) == 0


def test_counts_are_numbers_of_occurrences():
    methane, ethane, propane, hexane = ecfp4_counts(["C", "CC", "CCC", "CCCCCC"])
    assert methane.dtype == np.float32 and methane.shape == (BITS,)
    assert sorted(methane[methane > 0]) == [1]  # the atom
    assert sorted(ethane[ethane > 0]) == [1, 2]  # two methyl groups, and the one pair around both
    assert sorted(propane[propane > 0]) == [1, 1, 2, 2]  # CH3, CH3 with its neighbour; CH2, CH2 with its neighbours
    assert max(hexane) == 4  # CH2


def test_counts_agree_with_the_bits():
    for smiles, counts in zip([ASPIRIN, CAFFEINE], ecfp4_counts([ASPIRIN, CAFFEINE]), strict=True):
        assert list(np.flatnonzero(counts)) == list(ecfp4(read_molecule(smiles)).GetOnBits())


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
