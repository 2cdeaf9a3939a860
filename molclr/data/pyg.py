"""To and from torch-geometric: its models take our molecules, and our encoders take its batches."""

import torch
from torch_geometric.data import Batch, Data

from molclr.batch import GraphBatch


def to_pyg(graphs: GraphBatch) -> Batch:
    """A torch-geometric batch with one Data (x, edge_index, edge_attr) a molecule; see GraphBatch for their columns."""
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
    """A batch of undirected molecules with our columns, its edges reordered so that edge k + num_bonds reverses edge k.

    Raises ValueError if an edge is there in one direction only.
    """
    source, target = batch.edge_index
    forward = (source < target).nonzero().squeeze(1)
    backward = (source > target).nonzero().squeeze(1)
    num_atoms = len(batch.x)
    forward = forward[(source[forward] * num_atoms + target[forward]).argsort()]
    backward = backward[(target[backward] * num_atoms + source[backward]).argsort()]
    if not torch.equal(batch.edge_index[:, forward], batch.edge_index.flip(0)[:, backward]):
        raise ValueError("a bond must be there in both directions")
    edges = torch.cat([forward, backward])
    return GraphBatch(batch.x, batch.edge_index[:, edges], batch.edge_attr[edges], batch.batch, batch.num_graphs)
