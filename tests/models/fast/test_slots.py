"""The networks on slots are those of the definition; padding and highly connected atoms included."""

import copy

import numpy as np
import pytest
import torch

from molclr.config import Augmentation, EncoderShape
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.models.augment import Lost, augmentation_steps, lose, molecules_of, view_keys
from molclr.models.encoders import make_encoder
from molclr.models.fast.slot_encoder import represent, unchanged
from molclr.models.fast.slot_views import limits_of, slot_views
from molclr.models.fast.slots import SLOTS, Capacity, SlotTables, capacity_of, require_fit

HIGHLY_CONNECTED = ["FS(F)(F)(F)(F)F", "FP(F)(F)(F)F", "CP(C)(C)(C)C"]
CPU = torch.device("cpu")
COMPOSITIONS = [
    Augmentation(),
    Augmentation(composition="subgraph"),
    Augmentation(composition="subgraph", subgraph_keeps_rings=False, subgraph_removal=0.6),
    Augmentation(composition="mix"),
    Augmentation(composition=[{"bond_deletion": 0.5}, {"subgraph_removal": 0.4}]),
]


@pytest.fixture(scope="module")
def store(smiles):
    return GraphStore.of(featurize_part([*smiles, *HIGHLY_CONNECTED, *smiles[::-1]]))


@pytest.fixture(scope="module")
def tables(store):
    """Tables from three parts; the last part has no atom with more than SLOTS neighbours."""
    return SlotTables(store.parts(np.arange(len(store)), 12), CPU)


def padded(tables, rows):
    return tables.batch(torch.from_numpy(rows), capacity_of(tables.counts(), [rows[None]]))


def test_a_batch_has_the_atoms_and_bonds_of_its_molecules(store, tables):
    rows = np.random.default_rng(0).permutation(len(store))
    batch, graphs = padded(tables, rows), store.batch(rows)
    atoms = len(graphs.x)
    assert torch.equal(batch.atoms[:atoms], graphs.x) and torch.equal(batch.molecule[:atoms], graphs.batch)
    assert (batch.molecule[atoms:] == len(rows)).all() and not batch.bonds.present[atoms:].any()
    edges = set(zip(*graphs.edge_index.tolist(), *graphs.edge_attr.T.tolist(), strict=True))
    found = set()
    for bonds in (batch.bonds, batch.wide):
        for row, slot in bonds.present.nonzero().tolist():
            kind = int(bonds.kind[row, slot])
            atom, neighbour = int(bonds.atom[row]), int(bonds.neighbour[row, slot])
            found.add((atom, neighbour, kind // 3, kind % 3))
            ends = graphs.edge_index[:, int(bonds.bond[row, slot])]
            assert sorted((atom, neighbour)) == sorted(ends.tolist())
    assert found == edges and batch.wide.present.sum() == sum(2 if "S" in text else 1 for text in HIGHLY_CONNECTED)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "normalized"), [("gin", True), ("gcn", True), ("gcn", False)])
def test_the_networks_are_those_of_the_definition(store, tables, name, normalized, training):
    torch.manual_seed(0)
    ours = make_encoder(
        name, EncoderShape(layers=3, hidden_dim=50, embedding_dim=20, gcn_normalization=normalized)
    ).train(training)
    theirs = copy.deepcopy(ours)
    rows = np.arange(len(store))[::-1].copy()
    batch = padded(tables, rows)
    h, expected = represent(ours, batch, *unchanged(batch), torch.float32)[0], theirs(*store.batch(rows))
    torch.testing.assert_close(h, expected, rtol=0, atol=1e-5)
    h.square().sum().backward()
    expected.square().sum().backward()
    scale = max(float(parameter.grad.abs().max()) for parameter in theirs.parameters())
    for (label, parameter), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, rtol=0, atol=1e-5 * scale, msg=label)
    for (label, buffer), other in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        torch.testing.assert_close(buffer, other[1], rtol=1e-5, atol=1e-6, msg=label)


def test_padding_does_not_affect_other_molecules(store, tables):
    encoder = make_encoder("gin", EncoderShape(layers=2, hidden_dim=20, embedding_dim=8))
    rows = np.arange(10)
    without = padded(tables, rows)
    with_gap = tables.batch(torch.tensor([*rows[:5], -1, *rows[5:]]), capacity_of(tables.counts(), [rows[None]]))
    h, expected = (represent(encoder, batch, *unchanged(batch), torch.float32)[0] for batch in (with_gap, without))
    torch.testing.assert_close(h[[0, 1, 2, 3, 4, 6, 7, 8, 9, 10]], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", COMPOSITIONS)
def test_views_are_those_of_plain_graphs_bit_for_bit(store, tables, settings):
    rows, streams = np.arange(3, len(store) - 2), torch.tensor([5, 6])
    batch, graphs = padded(tables, rows), store.batch(rows)
    steps = augmentation_steps(settings)
    x, kept, wide_kept = slot_views(batch, steps, streams, limits_of(tables.counts(), steps))
    for view, stream in enumerate(streams.tolist()):
        lost = lose(molecules_of(graphs), steps, view_keys(stream, torch.from_numpy(rows)))
        atoms = len(graphs.x)
        assert torch.equal(x[view, :atoms, 0] == 118, lost.masked)
        for bonds, ours in ((batch.bonds, kept[view]), (batch.wide, wide_kept[view])):
            assert torch.equal(ours, bonds.present & ~lost.deleted[bonds.bond])


def delete_far_bonds(molecules, lost, ratio, keys):
    """An augmentation of a user: delete bonds that are more than three bonds away from an atom, in all of a molecule."""
    atoms = molecules.atoms
    origin = atoms.first + ((keys & (1 << 16) - 1) * atoms.sizes >> 16)
    far = molecules.distances(origin, atoms.sizes.expand_as(keys)) > 3
    return Lost(lost.masked, lost.deleted | far[..., molecules.ends].all(dim=-2))


def test_views_of_a_users_augmentation_are_those_of_plain_graphs(store, tables):
    """Distances may be longer than those that the package's augmentations need, and several views are made at once."""
    rows, streams, steps = np.arange(3, len(store) - 2), torch.tensor([5, 6]), [(delete_far_bonds, 0.1)]
    batch, graphs = padded(tables, rows), store.batch(rows)
    keys = view_keys(streams[:, None], torch.from_numpy(rows))
    lost = lose(molecules_of(graphs), steps, keys)
    assert not torch.equal(*lost.deleted) and not lost.deleted.all(dim=1).any()
    for deleted, key in zip(lost.deleted, keys, strict=True):
        assert torch.equal(deleted, lose(molecules_of(graphs), steps, key).deleted)
    _, kept, _ = slot_views(batch, steps, streams, limits_of(tables.counts(), steps))
    for ours, deleted in zip(kept, lost.deleted, strict=True):
        assert torch.equal(ours, batch.bonds.present & ~deleted[batch.bonds.bond])


def mask_terminal_atoms(molecules, lost, ratio, keys):
    """An augmentation of a user that counts neighbours: mask all atoms with a single one."""
    ends, degree = molecules.ends.flatten(), torch.zeros_like(molecules.atoms.group)
    terminal = degree.scatter_add(0, ends, torch.ones_like(ends)) == 1
    return lost._replace(masked=lost.masked | terminal)


def test_padding_bonds_do_not_count_as_neighbours(store, tables):
    """The first atom of the batch is terminal; of 128 bonds, most are padding."""
    steps, rows = [(mask_terminal_atoms, 0.1)], np.array([10])
    batch, graphs = padded(tables, rows), store.batch(rows)
    lost = lose(molecules_of(graphs), steps, view_keys(0, torch.from_numpy(rows)))
    assert lost.masked[0] and not lost.masked.all()
    x, _, _ = slot_views(batch, steps, torch.tensor([0]), limits_of(tables.counts(), steps))
    assert torch.equal(x[0, : len(graphs.x), 0] == 118, lost.masked)


def test_a_full_batch_has_an_atom_of_padding():
    assert capacity_of(torch.tensor([[128, 128, 0]]), [np.array([[0]])]) == (256, 128, 0)


def test_the_capacity_is_that_of_the_largest_batch():
    counts = torch.tensor([[20, 21, 0], [300, 290, 3], [1, 0, 0], [0, 0, 0]])
    batches = [np.array([[0, 0], [2, 2]]), np.array([[1, 2]])]
    assert capacity_of(counts, batches) == Capacity(384, 384, 128)
    assert capacity_of(counts, batches[:1]) == Capacity(128, 128, 0)
    assert capacity_of(counts, [np.array([[0, -1, -1]])]) == Capacity(128, 128, 0)
    require_fit(counts, batches[0], Capacity(128, 128, 0))
    with pytest.raises(ValueError, match=r"needs Capacity\(atoms=301, bonds=290, wide=3\)"):
        require_fit(counts, batches[1], Capacity(384, 384, 0))


def test_tables_take_22_bytes_per_atom(tables):
    per_atom = (tables.atoms, tables.offset, tables.kind, tables.bond)
    assert sum(table.nbytes for table in per_atom) == (2 + 5 * SLOTS) * len(tables.atoms)
