"""Bemis-Murcko scaffolds."""

from collections.abc import Sequence

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from molclr.chem.smiles import read_molecule


def scaffold_smiles(molecule: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold (ring systems and linkers) as SMILES without chirality; empty without rings."""
    return MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)


def scaffolds(smiles: Sequence[str]) -> list[str]:
    """Return the scaffold of each molecule. Raises RejectedMolecule like `read_molecule`."""
    return [scaffold_smiles(read_molecule(text)) for text in smiles]
