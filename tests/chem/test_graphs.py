import csv

import numpy as np
import pytest
from paths import FIXTURES
from rdkit import Chem

from molclr.chem.graphs import molecular_graphs
from molclr.chem.smiles import RejectedMolecule, canonicalize_all


def test_features_of_a_known_molecule():
    graph = molecular_graphs(["CC#N"])
    assert graph.atoms.tolist() == [[5, 0], [5, 0], [6, 0]]
    assert graph.bonds.tolist() == [[0, 1], [1, 2]]
    assert graph.bond_features.tolist() == [[0, 0], [2, 0]]


def test_aromatic_and_double_bonds():
    types = sorted(molecular_graphs(["O=Cc1ccccc1"]).bond_features[:, 0].tolist())
    assert types == [0, 1] + [3] * 6


UNUSUAL = [
    "C1=CC=CC=C1",  # aromatic only once it is sanitized
    "CN(=O)=O",  # which RDKit writes with charges
    "C1=CC2=CC=CC=CC2=C1",
    "[CH2]CC",  # a radical
    "[O]c1ccccc1",
    "c1cc[nH]c1",
    "[13CH3][C@@H](F)Cl",
    "C[B-](C)(C)C",
    "c1cc[se]c1",
    "[H]/C(C)=C/C",
    "[Na+].[O-]c1ccccc1",
    "C[Si](C)(C)C#C",
]


def real_molecules(table):
    with (FIXTURES / f"{table}.csv").open(newline="") as file:
        return [row["smiles"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("table", ["bbbp", "freesolv", "hiv", "zinc", None])
def test_atoms_and_bonds_agree_with_rdkit(table, smiles):
    """The steps of sanitization that are left out do not affect graphs."""
    molecules = real_molecules(table) if table else [*smiles, *UNUSUAL]
    smiles = [
        text for text, verdict in zip(molecules, canonicalize_all(molecules), strict=True) if isinstance(verdict, str)
    ]
    types = {"SINGLE": 0, "DOUBLE": 1, "TRIPLE": 2, "AROMATIC": 3}
    directions = {"NONE": 0, "ENDUPRIGHT": 1, "ENDDOWNRIGHT": 2}
    tags = {"CHI_UNSPECIFIED": 0, "CHI_TETRAHEDRAL_CW": 1, "CHI_TETRAHEDRAL_CCW": 2}
    for text in smiles:
        molecule, graph = Chem.MolFromSmiles(text), molecular_graphs([text])
        atoms = [[atom.GetAtomicNum() - 1, tags[str(atom.GetChiralTag())]] for atom in molecule.GetAtoms()]
        assert graph.atoms.tolist() == atoms
        bonds = {
            tuple(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))): [
                types[str(bond.GetBondType())],
                directions[str(bond.GetBondDir())],
            ]
            for bond in molecule.GetBonds()
        }
        ours = {tuple(b): f for b, f in zip(graph.bonds.tolist(), graph.bond_features.tolist(), strict=True)}
        assert ours == bonds


def test_a_batch_of_molecules_equals_single_molecules(smiles):
    together = molecular_graphs([*smiles, *UNUSUAL])
    alone = [molecular_graphs([text]) for text in [*smiles, *UNUSUAL]]
    for name in ("atoms", "bonds", "bond_features"):
        assert getattr(together, name).tolist() == [row for graph in alone for row in getattr(graph, name).tolist()]
    assert together.atom_counts.tolist() == [len(graph.atoms) for graph in alone]
    assert together.bond_counts.tolist() == [len(graph.bonds) for graph in alone]


def test_one_atom_and_no_bonds():
    graph = molecular_graphs(["[Na+].[Cl-]"])
    assert graph.atoms[:, 0].tolist() == [10, 16]
    assert graph.bonds.shape == (0, 2) and graph.bond_features.shape == (0, 2)


def test_explicit_hydrogens():
    assert len(molecular_graphs(["CO"], explicit_hydrogens=True).atoms) == 6
    assert len(molecular_graphs(["CO"]).atoms) == 2
    assert len(molecular_graphs(["[H]C([H])([H])O[H]"]).atoms) == 2


def test_arrays_have_small_types(smiles):
    graph = molecular_graphs([smiles[4]])
    assert (graph.atoms.dtype, graph.bonds.dtype, graph.bond_features.dtype) == (np.uint8, np.uint16, np.uint8)


@pytest.mark.parametrize("text", ["C(", "C*", "[NH3]->[Cu]", "", "CN(C)(C)(C)C", "c1cccc1", "C" * 1001])
def test_molecules_that_cannot_be_graphs_are_rejected(text):
    with pytest.raises(RejectedMolecule):
        molecular_graphs([text])
