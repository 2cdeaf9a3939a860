"""Conversion of molecules and batches to torch-geometric."""

from collections.abc import Iterable

import numpy as np
import torch
from rdkit import Chem
from torch_geometric.data import Batch, Data

from molclr.batch import GraphBatch
from molclr.data.featurize import featurize_part
from molclr.data.inputs import InvalidInput, Molecule, accept
from molclr.data.store import GraphStore


def to_pyg(molecules: Molecule | Iterable[Molecule], explicit_hydrogens: bool = False) -> Data | Batch:
    """Convert a molecule to a torch-geometric Data, or several to a Batch; `batch.to_data_list()` gives a list for a DataLoader.

    molecules: SMILES strings or RDKit molecules. A Data has `smiles`, the canonical SMILES, whose order the atoms have, and `x`,
    `edge_index` and `edge_attr`, int64, with the columns that `molclr.batch.GraphBatch` describes. explicit_hydrogens: add
    hydrogens as atoms. Raises MolclrError, which names the first rejected molecule.
    """
    if isinstance(molecules, str | Chem.Mol):
        return to_pyg([molecules], explicit_hydrogens)[0]
    smiles = accept(molecules).smiles
    if not smiles:
        raise InvalidInput("The list of molecules is empty; a batch needs at least one molecule.")
    store = GraphStore.of(featurize_part(smiles, explicit_hydrogens), explicit_hydrogens)
    graphs = _separate(store.batch(np.arange(len(smiles))))
    for graph, text in zip(graphs, smiles, strict=True):
        graph.smiles = text
    return Batch.from_data_list(graphs)


def graphs_to_pyg(graphs: GraphBatch) -> Batch:
    """Convert to a torch-geometric batch with one Data (x, edge_index, edge_attr) per molecule; see GraphBatch for columns."""
    return Batch.from_data_list(_separate(graphs))


def _separate(graphs: GraphBatch) -> list[Data]:
    """Make one Data per molecule. Its edges are its bonds, then its bonds in the opposite direction."""
    atoms = torch.bincount(graphs.batch, minlength=graphs.num_graphs)
    first = atoms.cumsum(0) - atoms
    half = graphs.edge_index[:, : graphs.num_bonds]
    order = graphs.batch[half[0]].argsort(stable=True)
    bonds = order.split(torch.bincount(graphs.batch[half[0]], minlength=graphs.num_graphs).tolist())
    molecules = []
    for x, start, own in zip(graphs.x.split(atoms.tolist()), first.tolist(), bonds, strict=True):
        edges = torch.cat([own, own + graphs.num_bonds])
        molecules.append(Data(x, graphs.edge_index[:, edges] - start, graphs.edge_attr[edges]))
    return molecules
