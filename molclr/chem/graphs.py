"""Molecular graphs as arrays, with the atom and bond features of the paper (Methods, 'Molecule graph')."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdmolops, rdqueries

from molclr.chem.smiles import atomic_numbers, read_constitutions, read_molecule

CHIRALITY_NUMBERS = {
    Chem.ChiralType.CHI_UNSPECIFIED: 0,
    Chem.ChiralType.CHI_TETRAHEDRAL_CW: 1,
    Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 2,
}
"""Other tags (square planar, octahedral, ...) count as unspecified, because the embedding has three rows."""

BOND_ORDERS = np.array([1.0, 2.0, 3.0, 1.5])
"""RDKit's bond orders in the order of the bond types: single, double, triple, aromatic."""

BOND_DIRECTIONS = {Chem.BondDir.ENDUPRIGHT: 1, Chem.BondDir.ENDDOWNRIGHT: 2}

_CHIRAL = rdqueries.HasChiralTagQueryAtom()


class MolecularGraphs(NamedTuple):
    """The concatenated graphs of molecules.

    atoms: uint8 (num_atoms, 2), atomic number - 1 and chirality tag (unspecified, clockwise, counter-clockwise).
    bonds: uint16 (num_bonds, 2), indices of the two atoms, from 0 in each molecule; each bond once.
    bond_features: uint8 (num_bonds, 2), type (single, double, triple, aromatic) and direction (none, up, down).
    atom_counts, bond_counts: int64 (num_molecules,), numbers of rows per molecule.
    """

    atoms: np.ndarray
    bonds: np.ndarray
    bond_features: np.ndarray
    atom_counts: np.ndarray
    bond_counts: np.ndarray


def molecular_graphs(smiles: Sequence[str], explicit_hydrogens: bool = False) -> MolecularGraphs:
    """Make the graphs of one or more SMILES strings, in order. Raises RejectedMolecule like `read_molecule`.

    All bonds of a molecule come from one call of RDKit, because its Python objects for atoms and bonds take as long as parsing;
    for the same reason numpy processes all molecules at once.
    """
    molecules = (
        [Chem.AddHs(read_molecule(text)) for text in smiles] if explicit_hydrogens else read_constitutions(smiles)
    )
    atom_counts = np.array([molecule.GetNumAtoms() for molecule in molecules])
    atoms = np.zeros((atom_counts.sum(), 2), np.uint8)
    atoms[:, 0] = [
        number - 1
        for text, molecule in zip(smiles, molecules, strict=True)
        for number in atomic_numbers(text, molecule)
    ]
    for text, molecule, own in zip(smiles, molecules, _slices(atom_counts), strict=True):
        if "@" in text:
            atoms[own, 1] = _tags(molecule)

    begin, end, orders, bond_counts = _bonds(molecules, atom_counts)
    bonds = np.stack([begin, end], axis=1).astype(np.uint16)
    bond_features = np.zeros((len(bonds), 2), np.uint8)
    bond_features[:, 0] = (orders[:, None] == BOND_ORDERS).argmax(axis=1)
    for text, molecule, own in zip(smiles, molecules, _slices(bond_counts), strict=True):
        if "/" in text or "\\" in text:
            bond_features[own, 1] = _directions(molecule, bonds[own])
    return MolecularGraphs(atoms, bonds, bond_features, atom_counts, bond_counts)


def _tags(molecule: Chem.Mol) -> np.ndarray:
    """Return the chirality tag of each atom: uint8 (num_atoms,)."""
    tags = np.zeros(molecule.GetNumAtoms(), np.uint8)
    for atom in molecule.GetAtomsMatchingQuery(_CHIRAL):
        tags[atom.GetIdx()] = CHIRALITY_NUMBERS.get(atom.GetChiralTag(), 0)
    return tags


def _bonds(molecules: Sequence[Chem.Mol], sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the first atom, second atom and order of all bonds, sorted by atoms with the smaller index first.

    Also returns the number of bonds of each molecule.
    """
    cells, orders = [], []  # non-zero cells of the flattened adjacency matrices, and their values
    for molecule in molecules:
        matrix = rdmolops.GetAdjacencyMatrix(molecule, useBO=True).ravel()
        cells.append(matrix.nonzero()[0])
        orders.append(matrix[cells[-1]])
    counts = np.array([len(own) for own in cells])
    begin, end = np.divmod(np.concatenate(cells), np.repeat(sizes, counts))
    once = begin < end
    return begin[once], end[once], np.concatenate(orders)[once], counts // 2


def _directions(molecule: Chem.Mol, bonds: np.ndarray) -> np.ndarray:
    """Return the direction of each row of `bonds`: uint8 (num_bonds,)."""
    directions = np.zeros(len(bonds), np.uint8)
    for index in range(len(bonds)):
        bond = molecule.GetBondWithIdx(index)
        direction = BOND_DIRECTIONS.get(bond.GetBondDir())
        if direction:
            ends = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
            directions[(bonds == ends).all(axis=1)] = direction
    return directions


def _slices(counts: np.ndarray) -> Iterator[slice]:
    """Return the slice of rows of each molecule."""
    ends = counts.cumsum()
    return map(slice, (ends - counts).tolist(), ends.tolist())
