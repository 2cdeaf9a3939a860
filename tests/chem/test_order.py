"""Which atom of the canonical SMILES is which of the one that was given."""

import csv

import pytest
from paths import FIXTURES
from rdkit import Chem

from molclr.chem.order import canonical_order
from molclr.chem.smiles import RejectedMolecule, canonicalize_all, read_molecule


def rows_of(name):
    with (FIXTURES / name).open() as file:
        return [row["smiles"] for row in csv.DictReader(file)]


def is_same(atom, other):
    return all(
        getattr(atom, get)() == getattr(other, get)()
        for get in ("GetAtomicNum", "GetIsotope", "GetFormalCharge", "GetTotalNumHs", "GetDegree", "GetIsAromatic")
    )


@pytest.mark.parametrize("name", ["hiv.csv", "bbbp.csv", "cases/b20_flipflop.csv", "cases/b14_spellings.csv"])
def test_atoms_and_bonds_are_found_again(smiles, name):
    moved = 0
    for text in [*smiles, *rows_of(name)[:150]]:
        (canonical,) = canonicalize_all([text])
        if isinstance(canonical, RejectedMolecule):
            continue
        given, written = read_molecule(text), read_molecule(canonical)
        found, order = canonical_order(text)
        assert found == canonical
        assert sorted(order) == list(range(given.GetNumAtoms()))
        moved += order != sorted(order)
        if name != "cases/b20_flipflop.csv":  # in which aromaticity, bonds included, changes as SMILES are read again
            assert all(is_same(atom, given.GetAtomWithIdx(order[atom.GetIdx()])) for atom in written.GetAtoms()), text
        for bond in written.GetBonds():
            ends = (order[bond.GetBeginAtomIdx()], order[bond.GetEndAtomIdx()])
            assert given.GetBondBetweenAtoms(*ends), text
    assert moved > 5


def test_a_rejected_molecule_has_no_order():
    with pytest.raises(RejectedMolecule):
        canonical_order("C1CC")


def test_any_order_of_a_molecule_leads_to_the_same_atoms():
    caffeine = read_molecule("CN1C=NC2=C1C(=O)N(C(=O)N2C)C")
    ranks = list(Chem.CanonicalRankAtoms(caffeine, breakTies=False))
    found = set()
    for root in range(caffeine.GetNumAtoms()):
        text = Chem.MolToSmiles(caffeine, rootedAtAtom=root)
        given = read_molecule(text)
        match = given.GetSubstructMatch(caffeine)
        rank_of = dict(zip(match, ranks, strict=True))
        found.add(tuple(rank_of[atom] for atom in canonical_order(text)[1]))
    assert len(found) == 1
