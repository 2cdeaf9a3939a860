"""Conversion of batches to and from torch-geometric."""

import torch
from torch_geometric.data import Batch, Data

from molclr.batch import GraphBatch


def to_pyg(graphs: GraphBatch) -> Batch:
    """Convert to a torch-geometric batch with one Data (x, edge_index, edge_attr) per molecule; see GraphBatch for columns."""
    atoms = torch.bincount(graphs.batch, minlength=graphs.num_graphs)
    first = atoms.cumsum(0) - atoms
    edge_graph = graphs.batch[graphs.edge_index[0]]
    molecules = []
    for i in range(graphs.num_graphs):
        edges = edge_graph == i
        x = graphs.x[first[i] : first[i] + atoms[i]]
        molecules.append(Data(x, graphs.edge_index[:, edges] - first[i], graphs.edge_attr[edges]))
    return Batch.from_data_list(molecules)


def from_pyg(batch: Batch) -> GraphBatch:
    """Convert from a torch-geometric batch with the same columns; reorder edges so that edge k + num_bonds reverses edge k.

    Raises ValueError if an edge is present in only one direction.
    """
    source, target = batch.edge_index
    forward = (source < target).nonzero().squeeze(1)
    backward = (source > target).nonzero().squeeze(1)
    num_atoms = len(batch.x)
    forward = forward[(source[forward] * num_atoms + target[forward]).argsort()]
    backward = backward[(target[backward] * num_atoms + source[backward]).argsort()]
    if not torch.equal(batch.edge_index[:, forward], batch.edge_index.flip(0)[:, backward]):
        raise ValueError("each bond must be present in both directions")
    edges = torch.cat([forward, backward])
    return GraphBatch(batch.x, batch.edge_index[:, edges], batch.edge_attr[edges], batch.batch, batch.num_graphs)
