"""Inputs of models, graphs and ECFP4 counts, of molecules: whole, or with one atom masked."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix, vstack

from molclr.batch import MASK
from molclr.chem.fingerprints import ecfp4_counts, ecfp4_counts_without_atoms
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.training.inference import BATCH

ATOMS_PER_BATCH = 32_768
"""The most atoms in a batch of masked molecules, which bounds the memory that large molecules take."""


class Queries:
    """Graphs and ECFP4 counts of molecules, given as canonical SMILES.

    explicit_hydrogens: of the graphs. batch: molecules per batch of a network.
    """

    batch = BATCH

    def __init__(self, smiles: Sequence[str], explicit_hydrogens: bool = False) -> None:
        self.smiles, self.explicit_hydrogens = list(smiles), explicit_hydrogens

    @cached_property
    def graphs(self) -> GraphStore:
        """Graphs, one per row."""
        return GraphStore.of(featurize_part(self.smiles, self.explicit_hydrogens), self.explicit_hydrogens)

    @cached_property
    def counts(self) -> csr_matrix:
        """ECFP4 counts, float32 (rows, BITS)."""
        return csr_matrix(ecfp4_counts(self.smiles))


class MaskedQueries(Queries):
    """One row for each whole molecule, followed by one row for each atom of its graph, in which that atom is masked.

    whole: int64 (rows,), the row of the whole molecule of each row.
    """

    def __init__(self, smiles: Sequence[str], explicit_hydrogens: bool = False) -> None:
        super().__init__(smiles, explicit_hydrogens)
        self.part = featurize_part(self.smiles, explicit_hydrogens)
        self.sizes = self.part["atom_counts"]
        first = np.cumsum([0, *(1 + self.sizes)])[:-1]
        self.whole = np.repeat(first, 1 + self.sizes)
        self.batch = int(np.clip(ATOMS_PER_BATCH // self.sizes.max(), 1, BATCH))

    @cached_property
    def graphs(self) -> GraphStore:
        """Graphs in which the masked atom is the mask token of pre-training and keeps its bonds."""
        return GraphStore.of(masked_copies(self.part), self.explicit_hydrogens)

    @cached_property
    def counts(self) -> csr_matrix:
        """ECFP4 counts without the substructures that contain the masked atom, float32 (rows, BITS)."""
        return vstack([csr_matrix(ecfp4_counts_without_atoms(text)) for text in self.smiles], format="csr")


def masked_copies(part: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Copy each graph of a part (see `write_store`) once as it is, then once for each of its atoms with that atom masked."""
    sizes = part["atom_counts"]
    copies = 1 + sizes
    copied = {name: np.repeat(part[name], copies) for name in ("atom_counts", "bond_counts")}
    for name, counts in (("atoms", sizes), ("bonds", part["bond_counts"]), ("bond_features", part["bond_counts"])):
        graphs = np.split(part[name], counts.cumsum()[:-1])
        copied[name] = np.concatenate([np.tile(graph, (n, 1)) for graph, n in zip(graphs, copies, strict=True)])
    first = copied["atom_counts"].cumsum() - copied["atom_counts"]  # of each copy
    atom = np.concatenate([np.arange(-1, size) for size in sizes])  # that is masked; -1 for none
    copied["atoms"][(first + atom)[atom >= 0]] = [MASK, 0]
    return copied
