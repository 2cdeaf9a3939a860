"""Bemis-Murcko scaffolds, and the deterministic split that keeps molecules with the same scaffold together."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from molclr.chem.smiles import read_molecule


def scaffold_smiles(molecule: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold (ring systems and linkers) as SMILES without chirality; empty without rings."""
    return MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)


def scaffolds(smiles: Sequence[str]) -> list[str]:
    """Return the scaffold of each molecule. Raises RejectedMolecule like `read_molecule`."""
    return [scaffold_smiles(read_molecule(text)) for text in smiles]


def scaffold_split(
    smiles: Sequence[str], train: float = 0.8, valid: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split molecules by scaffold; see `split_groups`. Raises RejectedMolecule like `read_molecule`.

    Returns the ascending indices of the training, validation and test molecules: int64 arrays that partition all molecules.
    """
    return split_groups(scaffolds(smiles), train, valid)


def split_groups(
    groups: Sequence[str], train: float = 0.8, valid: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split so that members of a group stay together, as MoleculeNet and the official MolCLR code do for scaffolds.

    Groups are assigned from the largest to the smallest, of equal size the one with the later first member first: to training if
    they fit there, else to validation if they fit there, else to test. The test set thus has the rare scaffolds.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)

    train_end = train * len(groups)
    valid_end = (train + valid) * len(groups)
    subsets: tuple[list[int], list[int], list[int]] = ([], [], [])
    in_train, in_valid, in_test = subsets
    for indices in sorted(members.values(), key=lambda indices: (len(indices), indices[0]), reverse=True):
        if len(in_train) + len(indices) <= train_end:
            in_train += indices
        elif len(in_train) + len(in_valid) + len(indices) <= valid_end:
            in_valid += indices
        else:
            in_test += indices
    first, second, third = (np.array(sorted(subset), np.int64) for subset in subsets)
    return first, second, third
