"""From a molecule table to a graph store."""

from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from molclr.chem.graphs import molecular_graph
from molclr.data.store import write_store
from molclr.progress import progress

MOLECULES_PER_PART = 2000


def featurize(molecules: str | Path, output: str | Path, explicit_hydrogens: bool = False, processes: int = 1) -> None:
    """Write the graphs of the molecule table `molecules` as a store, molecule by molecule in the order of the table."""
    parts = pq.ParquetFile(molecules).iter_batches(MOLECULES_PER_PART, columns=["smiles"])
    smiles = (part.column("smiles").to_pylist() for part in parts)
    total = -(-pq.ParquetFile(molecules).metadata.num_rows // MOLECULES_PER_PART)
    work = partial(featurize_part, explicit_hydrogens=explicit_hydrogens)
    if processes == 1:
        write_store(output, progress(map(work, smiles), total, "featurize", "part"))
        return
    with get_context("spawn").Pool(processes) as pool:
        write_store(output, progress(pool.imap(work, smiles), total, "featurize", "part"))


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
