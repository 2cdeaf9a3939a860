import torch

from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.models.fast import classes as module
from molclr.models.fast.aggregation import Edges
from molclr.models.fast.classes import refinements


def classes_of(smiles, depth, monkeypatch, normalize=False):
    """Classes of the atoms of `smiles`, for each depth a list."""
    monkeypatch.setattr(module, "WORTHWHILE", 1.0)
    graphs = GraphStore.of(featurize_part(smiles)).batch(range(len(smiles)))
    edges = Edges(graphs.x, graphs.edge_index, graphs.edge_attr, normalize, torch.float32)
    found = refinements(edges.features, edges.source, edges.target, edges.bond, depth)
    return [classes.of_atom.tolist() for classes in found]


def test_classes_distinguish_atoms_up_to_the_depth_of_a_layer(monkeypatch):
    # Hexane and methanol: C C C C C C, C O.
    assert classes_of(["CCCCCC", "CO"], 3, monkeypatch) == [
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 1, 1, 1, 1, 0, 2, 3],
        [0, 1, 2, 2, 1, 0, 3, 4],
        [0, 1, 2, 2, 1, 0, 3, 4],
    ]


def test_repeated_neighbours_are_counted(monkeypatch):
    _, first = classes_of(["CC(C)C", "CCC", "CC"], 1, monkeypatch)
    assert first == [0, 1, 0, 0, 0, 2, 0, 0, 0]


def test_the_degree_of_a_neighbour_is_seen_one_layer_earlier_where_it_weights(monkeypatch):
    plain, weighted = (classes_of(["CCC", "CC"], 1, monkeypatch, normalize) for normalize in (False, True))
    assert plain == [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]
    assert weighted == [[0, 1, 0, 0, 0], [0, 1, 0, 2, 2]]


def test_bonds_and_stereochemistry_distinguish_atoms(monkeypatch):
    for pair in (["CC", "C=C"], ["F/C=C/F", "F/C=C\\F"], ["N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O"]):
        *_, last = classes_of(pair, 4, monkeypatch)
        half = len(last) // 2
        assert not set(last[:half]) & set(last[half:]), pair


def test_classes_name_their_first_atoms_and_sizes_and_grow_with_depth(graphs, monkeypatch):
    edges = Edges(graphs.x, graphs.edge_index, graphs.edge_attr, True, torch.float32)
    arguments = edges.features, edges.source, edges.target, edges.bond, 6
    monkeypatch.setattr(module, "WORTHWHILE", 1.0)
    found = refinements(*arguments)
    numbers = [len(classes.first) for classes in found]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[1] < numbers[2] < len(graphs.x)
    for classes in found:
        atoms = classes.of_atom.tolist()
        assert classes.first.tolist() == [atoms.index(i) for i in range(len(classes.first))]
        assert classes.sizes.tolist() == [atoms.count(i) for i in range(len(classes.first))]
    monkeypatch.setattr(module, "WORTHWHILE", numbers[1] / len(graphs.x))
    assert len(refinements(*arguments)) == 2
