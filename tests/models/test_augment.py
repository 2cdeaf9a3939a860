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
from molclr.errors import MolclrError
from molclr.models import augment as module
from molclr.models.augment import (
    UNREACHABLE,
    Items,
    Lost,
    Molecules,
    augment,
    augmentation_steps,
    choose,
    choose_by_counting,
    delete_bonds,
    lose,
    mask_atoms,
    molecules_of,
    remove_subgraph,
    ring_closures,
    view_keys,
)


def keys_of(graphs, seed=0):
    """Keys of the graphs of a batch, as if it were the beginning of a corpus."""
    return view_keys(seed, torch.arange(graphs.num_graphs))


def lost_by(augmentation, graphs, ratio, seed=0):
    """What a view loses by one augmentation."""
    nothing = Lost(*(torch.zeros(count, dtype=torch.bool) for count in (len(graphs.x), graphs.num_bonds)))
    return augmentation(molecules_of(graphs), nothing, ratio, keys_of(graphs, seed))


def random_view(graphs, settings, seed=0):
    return augment(graphs, settings, keys_of(graphs, seed))


def atoms_of(graphs):
    return torch.bincount(graphs.batch, minlength=graphs.num_graphs)


def bonds_of(graphs):
    return torch.bincount(graphs.batch[graphs.edge_index[0, : graphs.num_bonds]], minlength=graphs.num_graphs)


def count(graphs, chosen):
    return torch.bincount(graphs.batch[chosen], minlength=graphs.num_graphs)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.7])
def test_atom_masking_takes_the_floor_but_at_least_one_and_never_all(graphs, ratio):
    atoms = atoms_of(graphs)
    masked = count(graphs, lost_by(mask_atoms, graphs, ratio).masked)
    for n, k in zip(atoms.tolist(), masked.tolist(), strict=True):
        assert k == (0 if ratio == 0 else min(max(1, int(n * ratio)), n - 1))


def test_a_molecule_with_one_atom_is_unchanged(graphs):
    for composition in ("node", "subgraph", "mix"):
        view = random_view(graphs, Augmentation(composition=composition))
        assert torch.equal(view.x[0], graphs.x[0])


def test_atom_masking_is_uniform(graphs):
    """Each atom of hexadecane is masked in a quarter of the views."""
    hits = torch.zeros(len(graphs.x))
    for seed in range(2000):
        hits += lost_by(mask_atoms, graphs, 0.25, seed).masked
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
def test_fractions_of_many_molecules(many, seed):
    atoms, bonds = atoms_of(many), bonds_of(many)
    node = random_view(many, Augmentation(), seed)
    masked = count(many, node.x[:, 0] == MASK)
    assert torch.equal(masked, (atoms // 4).clamp(min=1).minimum(atoms - 1))
    assert torch.equal(bonds_of(node), bonds - bonds // 4)
    removed = count(many, random_view(many, Augmentation(composition="subgraph"), seed).x[:, 0] == MASK)
    assert (removed <= atoms // 4).all() and (removed[atoms >= 4] > 0).all()
    assert (removed == atoms // 4).double().mean() > 0.95, "all but salts"


@pytest.fixture(scope="module")
def chains():
    """Hexadecane, 4000 times."""
    return GraphStore.of(featurize_part(["CCCCCCCCCCCCCCCC"])).batch(np.zeros(4000))


def test_bonds_are_deleted_anywhere(chains):
    deleted = lost_by(delete_bonds, chains, 0.25).deleted.view(4000, 15)
    assert (deleted.sum(dim=1) == 3).all()
    assert (deleted.double().mean(dim=0) - 3 / 15).abs().max() < 0.03


def test_subgraphs_begin_anywhere(chains):
    begun = lost_by(remove_subgraph, chains, 1 / 16).masked.view(4000, 16)
    assert (begun.sum(dim=1) == 1).all()
    assert (begun.double().mean(dim=0) - 1 / 16).abs().max() < 0.02


def test_subgraphs_of_mix_have_any_size_up_to_the_largest(chains):
    """A fraction from 0 to 0.5 is 0 to 7 of 16 atoms, each as often as another, and 8 never."""
    settings = Augmentation(composition="mix", subgraph_removal=0.5, atom_masking=0.0, bond_deletion=0.0)
    masked = random_view(chains, settings).x[:, 0] == MASK
    sizes = masked.view(4000, 16).sum(dim=1).bincount(minlength=8)
    assert len(sizes) == 8
    assert (sizes / 4000 - 1 / 8).abs().max() < 0.03


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5])
def test_bond_deletion_takes_the_floor(graphs, ratio):
    deleted = lost_by(delete_bonds, graphs, ratio).deleted
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
        removed = lost_by(remove_subgraph, graphs, 0.5, seed).masked
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
        removed = lost_by(remove_subgraph, graphs, 5 / 16, seed).masked
        taken = torch.nonzero(removed[chain]).squeeze(1)
        assert taken.tolist() == list(range(int(taken[0]), int(taken[0]) + 5))


def test_subgraph_removal_deletes_bonds_of_removed_atoms_and_keeps_rings(graphs):
    view = random_view(graphs, Augmentation(composition="subgraph", subgraph_removal=0.25))
    removed = view.x[:, 0] == MASK
    kept = [tuple(edge) for edge in view.edge_index.T.tolist()]
    expected = [(a, b) for a, b in graphs.edge_index.T.tolist() if not removed[a] and not removed[b]]
    assert kept == expected
    assert removed.any()


def test_mix_includes_the_removed_subgraph_in_its_ratios(graphs):
    settings = Augmentation(composition="mix", subgraph_removal=0.2, atom_masking=0.25, bond_deletion=0.25)
    for seed in range(20):
        view = random_view(graphs, settings, seed)
        masked = count(graphs, view.x[:, 0] == MASK)
        assert masked.tolist() == [min(max(1, n // 4), n - 1) for n in atoms_of(graphs).tolist()]
        assert (bonds_of(view) <= bonds_of(graphs) - bonds_of(graphs) // 4).all()


@pytest.mark.parametrize("composition", ["node", "subgraph", "mix"])
def test_a_view_keeps_the_conventions_and_the_original(graphs, composition):
    before = [tensor.clone() for tensor in graphs[:4]]
    view = random_view(graphs, Augmentation(composition=composition))
    assert all(torch.equal(a, b) for a, b in zip(graphs[:4], before, strict=True))
    assert torch.equal(view.edge_index[:, : view.num_bonds], view.edge_index[:, view.num_bonds :].flip(0))
    assert torch.equal(view.edge_attr[: view.num_bonds], view.edge_attr[view.num_bonds :])
    masked = view.x[:, 0] == MASK
    assert (view.x[masked] == torch.tensor([MASK, 0])).all()
    assert torch.equal(view.x[~masked], graphs.x[~masked])


def test_the_seed_determines_the_view(graphs):
    views = [random_view(graphs, Augmentation(), seed) for seed in (1, 1, 2)]
    assert torch.equal(views[0].x, views[1].x) and torch.equal(views[0].edge_index, views[1].edge_index)
    assert not torch.equal(views[0].x, views[2].x)


def test_ring_closures_are_the_bonds_beyond_a_tree(graphs, smiles):
    """RDKit begins such a bond at its later atom, which is how the official code comes to lose it."""
    closing = ring_closures(graphs.edge_index[:, : graphs.num_bonds], len(graphs.x))
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


def test_the_official_subgraph_removal_also_deletes_ring_closures(graphs):
    settings = Augmentation(composition="subgraph")
    ours = random_view(graphs, settings)
    official = random_view(graphs, settings.model_copy(update={"subgraph_keeps_rings": False}))
    assert torch.equal(ours.x, official.x)
    begin, end = graphs.edge_index[:, : graphs.num_bonds]
    closing = ring_closures(torch.stack([begin, end]), len(graphs.x))
    touched = (ours.x[begin, 0] == MASK) | (ours.x[end, 0] == MASK)
    assert ours.num_bonds == int((~touched).sum())
    assert official.num_bonds == int((~touched & ~closing).sum())
    assert official.num_bonds < ours.num_bonds


ALL = [
    Augmentation(),
    *(Augmentation(composition=composition, subgraph_removal=0.4) for composition in ("subgraph", "mix")),
    Augmentation(composition="subgraph", subgraph_keeps_rings=False),
    Augmentation(composition=[{"bond_deletion": 0.1}, {"subgraph_removal_up_to": 0.5}, {"atom_masking": 0.2}]),
]


def pieces(graphs):
    """Each molecule of a view by itself: its atoms, edges and bonds, numbered within it."""
    first = atoms_of(graphs).cumsum(0) - atoms_of(graphs)
    edge_graph = graphs.batch[graphs.edge_index[0]]
    return [
        [
            graphs.x[graphs.batch == i].tolist(),
            (graphs.edge_index[:, edge_graph == i] - first[i]).tolist(),
            graphs.edge_attr[edge_graph == i].tolist(),
        ]
        for i in range(graphs.num_graphs)
    ]


@pytest.mark.parametrize("settings", ALL)
def test_a_view_depends_on_the_molecule_and_not_on_its_batch(smiles, settings):
    store = GraphStore.of(featurize_part(smiles))

    def views(rows):
        return pieces(augment(store.batch(np.array(rows)), settings, view_keys(7, torch.tensor(rows))))

    everyone = list(range(len(smiles)))
    together = views(everyone)
    assert views(everyone[::-1]) == together[::-1]
    for row in everyone:
        assert views([row]) == [together[row]]
        assert views([12, row, 3])[1] == together[row]


def padded(graphs, atoms, bonds):
    """The same molecules with as many places for atoms and bonds, in a last group of size 0 where there is none."""
    ours = molecules_of(graphs)

    def pad(items, length):
        count = len(items.group)
        group = torch.cat([items.group, torch.full((length - count,), graphs.num_graphs)])
        first = torch.cat([items.first, torch.tensor([count])])
        return Items(group, first, torch.cat([items.sizes, torch.tensor([0])]), torch.arange(length) - first[group])

    def distances(origin, quota):
        """As on a grid of neighbours: round by round, without asking how many are needed."""
        distance = torch.full((*origin.shape[:-1], atoms), UNREACHABLE).scatter_(-1, origin, 0)
        source, target = graphs.edge_index
        for _ in range(16):
            further = distance.clone()
            reach = (distance[..., source] + 1).clamp(max=UNREACHABLE)
            distance = further.scatter_reduce(-1, target.expand_as(reach), reach, "amin")
        return distance

    ends = torch.cat([ours.ends, torch.full((2, bonds - graphs.num_bonds), atoms - 1)], dim=1)
    return Molecules(pad(ours.atoms, atoms), pad(ours.bonds, bonds), ends, distances)


@pytest.mark.parametrize("settings", [settings for settings in ALL if settings.subgraph_keeps_rings])
def test_two_views_of_a_padded_batch_are_those_of_the_batch(many, settings):
    atoms, bonds = len(many.x), many.num_bonds
    keys = view_keys(torch.tensor([[3], [4]]), torch.arange(many.num_graphs + 1))
    masked, deleted = lose(padded(many, atoms + 50, bonds + 70), augmentation_steps(settings), keys)
    assert masked.shape == (2, atoms + 50) and deleted.shape == (2, bonds + 70)
    assert not masked[:, atoms:].any() and not deleted[:, bonds:].any()
    for view, seed in enumerate((3, 4)):
        ours = lose(molecules_of(many), augmentation_steps(settings), keys_of(many, seed))
        assert torch.equal(masked[view, :atoms], ours.masked)
        assert torch.equal(deleted[view, :bonds], ours.deleted)


def test_the_smallest_priorities_are_chosen_and_ties_go_to_the_first():
    group, first = torch.tensor([0, 0, 0, 2, 2, 2]), torch.tensor([0, 3, 3])
    priority = torch.tensor([[5, 1, 5, 2**40 - 1, 7, 0], [0, 0, 0, 3, 2, 1]])
    quota = torch.tensor([[2, 9, 1], [1, 0, 2]])
    expected = [[1, 1, 0, 0, 0, 1], [1, 0, 0, 0, 1, 1]]
    assert choose(group, first, quota, priority).int().tolist() == expected
    items = Items(group, first, torch.tensor([3, 0, 3]), torch.arange(6) % 3)
    assert choose_by_counting(items, 3, quota, priority).int().tolist() == expected


def test_streams_and_molecules_have_keys_of_their_own():
    keys = torch.stack([view_keys(stream, torch.arange(1000)) for stream in range(100)])
    assert len(keys.unique()) == 100_000
    assert torch.equal(view_keys(torch.tensor(7), torch.arange(1000)), keys[7])
    bits = keys[..., None] >> torch.arange(64) & 1
    assert (bits.double().mean(dim=(0, 1)) - 0.5).abs().max() < 0.01


def test_views_equal_those_of_earlier_versions(graphs):
    """Encoders in the making rely on it: a run that was begun goes on with the same views."""
    steps = augmentation_steps(Augmentation(composition="mix"))
    masked, deleted = lose(molecules_of(graphs), steps, keys_of(graphs))
    assert [masked.nonzero().squeeze(1).tolist(), deleted.nonzero().squeeze(1).tolist()] == [
        [2, 6, 13, 16, 20, 22, 23, 28, 38, 40, 46, 54, 58, 59, 67, 69, 81, 84, 85, 86, 90, 91],
        [2, 7, 9, 13, 16, 17, 18, 19, 36, 39, 42, 43, 44, 49, 58, 74, 75, 76, 80, 81, 82],
    ]


def swap(molecules, lost, ratio, keys):
    """An augmentation of one's own: lose every bond but no atom."""
    return lost._replace(deleted=torch.ones_like(lost.deleted))


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (lambda molecules, lost, ratio, keys: None, r"a NoneType, not a molclr\.models\.augment\.Lost"),
        (lambda molecules, lost, ratio, keys: tuple(lost), "a tuple, not a"),
        (lambda molecules, lost, ratio, keys: lost._replace(masked=lost.masked.long()), "'masked' as torch.int64 "),
        (lambda molecules, lost, ratio, keys: lost._replace(deleted=lost.deleted[1:]), "'deleted' as torch.bool "),
        (lambda molecules, lost, ratio, keys: lost._replace(deleted=0.5), "'deleted' as float; correct it to bool "),
    ],
)
def test_an_augmentation_that_returns_something_else_is_an_error(graphs, augmentation, message):
    augmentation.__qualname__ = "drop"
    with pytest.raises(MolclrError, match=f"The augmentation drop returned {message}"):
        lose(molecules_of(graphs), [(delete_bonds, 0.1), (augmentation, 0.1)], keys_of(graphs))


def test_a_new_augmentation_is_a_table_entry_or_a_path(graphs, monkeypatch):
    monkeypatch.setitem(module.AUGMENTATIONS, "every_bond", swap)
    for name in ("every_bond", f"{__name__}:swap"):
        view = random_view(graphs, Augmentation(composition=[{"atom_masking": 0.25}, {name: 0.5}]))
        assert view.num_bonds == 0
        assert torch.equal(view.x, random_view(graphs, Augmentation()).x)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bond_masking", "Unknown augmentation 'bond_masking'; choose atom_masking, bond_deletion, "),
        ("nowhere.at_all:mine", "no module 'nowhere'"),
        ("molclr.models.augment:mine", "has no 'mine'"),
    ],
)
def test_an_unknown_augmentation_is_an_error(graphs, name, message):
    with pytest.raises(MolclrError, match=message):
        random_view(graphs, Augmentation(composition=[{name: 0.5}]))
