"""From a molecule table to a graph store."""

from functools import partial
from pathlib import Path

import numpy as np

from molclr.chem.graphs import molecular_graph
from molclr.data.molecules import open_molecules
from molclr.data.store import write_store
from molclr.parallel import ordered_map
from molclr.progress import progress

MOLECULES_PER_PART = 2000


def featurize(molecules: str | Path, output: str | Path, explicit_hydrogens: bool = False, processes: int = 1) -> None:
    """Write the graphs of the molecule table `molecules` as a store, molecule by molecule in the order of the table.

    The bytes do not depend on `processes`. Raises MolclrError if the file is no molecule table.
    """
    table = open_molecules(molecules)
    smiles = (part.column("smiles").to_pylist() for part in table.iter_batches(MOLECULES_PER_PART, columns=["smiles"]))
    total = -(-table.metadata.num_rows // MOLECULES_PER_PART)
    parts = ordered_map(partial(featurize_part, explicit_hydrogens=explicit_hydrogens), smiles, processes)
    write_store(output, progress(parts, total, "featurize", "part"), explicit_hydrogens)


def featurize_part(smiles: list[str], explicit_hydrogens: bool = False) -> dict[str, np.ndarray]:
    """The graphs of a few molecules as one part of a store; see `write_store`."""
    graphs = [molecular_graph(text, explicit_hydrogens) for text in smiles]
    return {
        "atoms": np.concatenate([graph.atoms for graph in graphs]),
        "bonds": np.concatenate([graph.bonds for graph in graphs]),
        "bond_features": np.concatenate([graph.bond_features for graph in graphs]),
        "atom_counts": np.array([len(graph.atoms) for graph in graphs]),
        "bond_counts": np.array([len(graph.bonds) for graph in graphs]),
    }
