"""A molecule as arrays: the atom and bond features of the paper (Methods, 'Molecule graph')."""

from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdmolops

from molclr.chem.smiles import read_molecule

CHIRALITY_TAGS = {
    Chem.ChiralType.CHI_UNSPECIFIED: 0,
    Chem.ChiralType.CHI_TETRAHEDRAL_CW: 1,
    Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 2,
}
"""Any other tag (square planar, octahedral, ...) counts as unspecified: the embedding has three rows."""

BOND_ORDERS = np.array([1.0, 2.0, 3.0, 1.5])
"""RDKit's bond orders in the order of the bond types: single, double, triple, aromatic."""

BOND_DIRECTIONS = {Chem.BondDir.ENDUPRIGHT: 1, Chem.BondDir.ENDDOWNRIGHT: 2}


class MolecularGraph(NamedTuple):
    """One molecule.

    atoms: uint8 (num_atoms, 2), atomic number - 1 and chirality tag (unspecified, clockwise, counter-clockwise).
    bonds: uint16 (num_bonds, 2), indices of the two atoms, each bond once.
    bond_features: uint8 (num_bonds, 2), type (single, double, triple, aromatic) and direction (none, up, down).
    """

    atoms: np.ndarray
    bonds: np.ndarray
    bond_features: np.ndarray


def molecular_graph(smiles: str, explicit_hydrogens: bool = False) -> MolecularGraph:
    """The graph of a SMILES string, its hydrogens as atoms if asked. Raises RefusedMolecule as `read_molecule` does."""
    molecule = read_molecule(smiles)
    if explicit_hydrogens:
        molecule = Chem.AddHs(molecule)

    atoms = np.zeros((molecule.GetNumAtoms(), 2), np.uint8)
    atoms[:, 0] = [atom.GetAtomicNum() - 1 for atom in molecule.GetAtoms()]
    if "@" in smiles:
        atoms[:, 1] = [CHIRALITY_TAGS.get(atom.GetChiralTag(), 0) for atom in molecule.GetAtoms()]

    # One call for all bonds: iterating over them in Python would cost half as much as parsing the molecule.
    orders = np.triu(rdmolops.GetAdjacencyMatrix(molecule, useBO=True))
    begin, end = orders.nonzero()
    bonds = np.stack([begin, end], axis=1).astype(np.uint16)
    bond_features = np.zeros((len(bonds), 2), np.uint8)
    bond_features[:, 0] = (orders[begin, end, None] == BOND_ORDERS).argmax(axis=1)
    if "/" in smiles or "\\" in smiles:
        for bond in molecule.GetBonds():
            direction = BOND_DIRECTIONS.get(bond.GetBondDir(), 0)
            if direction:
                ends = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
                bond_features[(bonds == ends).all(axis=1), 1] = direction
    return MolecularGraph(atoms, bonds, bond_features)
