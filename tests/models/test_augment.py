import csv

import numpy as np
import pytest
import torch
from paths import FIXTURES
from rdkit import Chem

from molclr.batch import MASK
from molclr.config import Augmentation
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.models.augment import augment, deleted_bonds, masked_atoms, removed_subgraph, ring_closures


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def none(count):
    return torch.zeros(count, dtype=torch.bool)


def atoms_of(graphs):
    return torch.bincount(graphs.batch, minlength=graphs.num_graphs)


def bonds_of(graphs):
    return torch.bincount(graphs.batch[graphs.edge_index[0, : graphs.num_bonds]], minlength=graphs.num_graphs)


def count(graphs, chosen):
    return torch.bincount(graphs.batch[chosen], minlength=graphs.num_graphs)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.7])
def test_atom_masking_takes_the_floor_but_at_least_one_and_never_all(graphs, ratio):
    atoms = atoms_of(graphs)
    masked = count(graphs, masked_atoms(graphs, ratio, generator(), none(len(graphs.x))))
    for n, k in zip(atoms.tolist(), masked.tolist(), strict=True):
        assert k == (0 if ratio == 0 else min(max(1, int(n * ratio)), n - 1))


def test_a_molecule_of_one_atom_stays_as_it_is(graphs):
    for composition in ("node", "subgraph", "mix"):
        view = augment(graphs, Augmentation(composition=composition), generator())
        assert torch.equal(view.x[0], graphs.x[0])


def test_atom_masking_is_uniform(graphs):
    """Each atom of hexadecane is masked in a quarter of the views."""
    hits = torch.zeros(len(graphs.x))
    for seed in range(2000):
        hits += masked_atoms(graphs, 0.25, generator(seed), none(len(graphs.x)))
    chain = hits[graphs.batch == 12]
    assert len(chain) == 16
    assert chain.sum() == 4 * 2000
    assert (chain / 2000 - 0.25).abs().max() < 0.05


@pytest.fixture(scope="module")
def many():
    """Hundreds of real molecules of three data sets: small and drug-like ones, with rings, charges and salts."""
    smiles = []
    for name in ("bbbp", "freesolv", "zinc"):
        with (FIXTURES / f"{name}.csv").open() as file:
            smiles += [row["smiles"] for row in csv.DictReader(file)][:200]
    return GraphStore.of(featurize_part(smiles)).batch(np.arange(len(smiles)))


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_many_molecules(many, seed):
    atoms, bonds = atoms_of(many), bonds_of(many)
    node = augment(many, Augmentation(), generator(seed))
    masked = count(many, node.x[:, 0] == MASK)
    assert torch.equal(masked, (atoms // 4).clamp(min=1).minimum(atoms - 1))
    assert torch.equal(bonds_of(node), bonds - bonds // 4)
    removed = count(many, augment(many, Augmentation(composition="subgraph"), generator(seed)).x[:, 0] == MASK)
    assert (removed <= atoms // 4).all() and (removed[atoms >= 4] > 0).all()
    assert (removed == atoms // 4).double().mean() > 0.95, "all but salts"


@pytest.fixture(scope="module")
def chains():
    """Hexadecane, 4000 times."""
    return GraphStore.of(featurize_part(["CCCCCCCCCCCCCCCC"])).batch(np.zeros(4000))


def test_bonds_are_deleted_anywhere(chains):
    deleted = deleted_bonds(chains, 0.25, generator(), none(chains.num_bonds)).view(4000, 15)
    assert (deleted.sum(dim=1) == 3).all()
    assert (deleted.double().mean(dim=0) - 3 / 15).abs().max() < 0.03


def test_subgraphs_begin_anywhere(chains):
    share = torch.full((4000,), 1 / 16, dtype=torch.float64)
    begun = removed_subgraph(chains, share, generator()).view(4000, 16)
    assert (begun.sum(dim=1) == 1).all()
    assert (begun.double().mean(dim=0) - 1 / 16).abs().max() < 0.02


def test_subgraphs_of_mix_have_any_size_up_to_the_largest(chains):
    """A share from 0 to 0.5 is 0 to 7 of 16 atoms, each as often as another, and 8 never."""
    settings = Augmentation(composition="mix", subgraph_removal=0.5, atom_masking=0.0, bond_deletion=0.0)
    masked = augment(chains, settings, generator()).x[:, 0] == MASK
    sizes = masked.view(4000, 16).sum(dim=1).bincount(minlength=8)
    assert len(sizes) == 8
    assert (sizes / 4000 - 1 / 8).abs().max() < 0.03


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5])
def test_bond_deletion_takes_the_floor(graphs, ratio):
    deleted = deleted_bonds(graphs, ratio, generator(), none(graphs.num_bonds))
    molecule = graphs.batch[graphs.edge_index[0, : graphs.num_bonds]]
    taken = torch.bincount(molecule[deleted], minlength=graphs.num_graphs)
    assert taken.tolist() == [int(m * ratio) for m in bonds_of(graphs).tolist()]


def test_a_removed_subgraph_is_connected_and_of_the_right_size(graphs):
    neighbours = {i: set() for i in range(len(graphs.x))}
    for a, b in graphs.edge_index.T.tolist():
        neighbours[a].add(b)
    components = {}
    for atom in neighbours:
        if atom not in components:
            waiting, component = [atom], set()
            while waiting:
                waiting += neighbours[component_atom := waiting.pop()] - component
                component.add(component_atom)
            components |= dict.fromkeys(component, component)

    for seed in range(50):
        removed = removed_subgraph(graphs, torch.full((graphs.num_graphs,), 0.5, dtype=torch.float64), generator(seed))
        for molecule, atoms in enumerate(atoms_of(graphs).tolist()):
            mine = set(torch.nonzero(removed & (graphs.batch == molecule)).squeeze(1).tolist())
            if not mine:
                assert atoms < 2
                continue
            start = min(mine)
            assert len(mine) == min(atoms // 2, len(components[start]))
            waiting, reached = [start], set()
            while waiting:
                reached.add(atom := waiting.pop())
                waiting += (neighbours[atom] & mine) - reached
            assert reached == mine


def test_a_removed_subgraph_is_breadth_first(graphs):
    """In hexadecane, 5 atoms breadth first from an inner atom are it and two on either side."""
    chain = torch.nonzero(graphs.batch == 12).squeeze(1)
    for seed in range(20):
        removed = removed_subgraph(
            graphs, torch.full((graphs.num_graphs,), 5 / 16, dtype=torch.float64), generator(seed)
        )
        taken = torch.nonzero(removed[chain]).squeeze(1)
        assert taken.tolist() == list(range(int(taken[0]), int(taken[0]) + 5))


def test_subgraph_removal_loses_bonds_of_removed_atoms_and_keeps_rings(graphs):
    view = augment(graphs, Augmentation(composition="subgraph", subgraph_removal=0.25), generator())
    removed = view.x[:, 0] == MASK
    kept = [tuple(edge) for edge in view.edge_index.T.tolist()]
    expected = [(a, b) for a, b in graphs.edge_index.T.tolist() if not removed[a] and not removed[b]]
    assert kept == expected
    assert removed.any()


def test_mix_counts_what_the_subgraph_took(graphs):
    settings = Augmentation(composition="mix", subgraph_removal=0.2, atom_masking=0.25, bond_deletion=0.25)
    for seed in range(20):
        view = augment(graphs, settings, generator(seed))
        masked = count(graphs, view.x[:, 0] == MASK)
        assert masked.tolist() == [min(max(1, n // 4), n - 1) for n in atoms_of(graphs).tolist()]
        assert (bonds_of(view) <= bonds_of(graphs) - bonds_of(graphs) // 4).all()


@pytest.mark.parametrize("composition", ["node", "subgraph", "mix"])
def test_a_view_keeps_the_conventions_and_the_original(graphs, composition):
    before = [tensor.clone() for tensor in graphs[:4]]
    view = augment(graphs, Augmentation(composition=composition), generator())
    assert all(torch.equal(a, b) for a, b in zip(graphs[:4], before, strict=True))
    assert torch.equal(view.edge_index[:, : view.num_bonds], view.edge_index[:, view.num_bonds :].flip(0))
    assert torch.equal(view.edge_attr[: view.num_bonds], view.edge_attr[view.num_bonds :])
    masked = view.x[:, 0] == MASK
    assert (view.x[masked] == torch.tensor([MASK, 0])).all()
    assert torch.equal(view.x[~masked], graphs.x[~masked])


def test_a_seed_decides_the_view(graphs):
    views = [augment(graphs, Augmentation(), generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(views[0].x, views[1].x) and torch.equal(views[0].edge_index, views[1].edge_index)
    assert not torch.equal(views[0].x, views[2].x)


def test_ring_closures_are_the_bonds_beyond_a_tree(graphs, smiles):
    """RDKit begins such a bond at its later atom, which is how the official code comes to lose it."""
    closing = ring_closures(graphs)
    begin, end = graphs.edge_index[:, : graphs.num_bonds]
    first = atoms_of(graphs).cumsum(0) - atoms_of(graphs)
    offset = first[graphs.batch[begin]]
    ours = {
        (int(graphs.batch[a]), int(a - o), int(b - o))
        for a, b, o in zip(begin[closing], end[closing], offset[closing], strict=True)
    }
    expected = {
        (i, bond.GetEndAtomIdx(), bond.GetBeginAtomIdx())
        for i, text in enumerate(smiles)
        for bond in Chem.MolFromSmiles(text).GetBonds()
        if bond.GetBeginAtomIdx() > bond.GetEndAtomIdx()
    }
    assert ours == expected
    assert len(ours) == 6, "aspirin 1, caffeine 2, bicyclooctane 2, the silane 1"


def test_the_official_subgraph_removal_also_loses_ring_closures(graphs):
    settings = Augmentation(composition="subgraph")
    ours = augment(graphs, settings, generator())
    official = augment(graphs, settings.model_copy(update={"subgraph_keeps_rings": False}), generator())
    assert torch.equal(ours.x, official.x)
    begin, end = graphs.edge_index[:, : graphs.num_bonds]
    touched = (ours.x[begin, 0] == MASK) | (ours.x[end, 0] == MASK)
    assert ours.num_bonds == int((~touched).sum())
    assert official.num_bonds == int((~touched & ~ring_closures(graphs)).sum()) < ours.num_bonds
