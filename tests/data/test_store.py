import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file

from molclr.chem.graphs import molecular_graphs
from molclr.data.featurize import featurize, featurize_part, join_stores
from molclr.data.pyg import graphs_to_pyg
from molclr.data.store import GraphStore, write_store
from molclr.errors import MolclrError


@pytest.fixture
def path(smiles, tmp_path):
    """A store written in three parts."""
    write_store(tmp_path / "graphs.safetensors", (featurize_part(smiles[i : i + 5]) for i in (0, 5, 10)))
    return tmp_path / "graphs.safetensors"


def test_a_batch_holds_the_graphs_that_were_asked_for(path, smiles):
    store = GraphStore(path)
    assert len(store) == len(smiles)
    chosen = np.array([12, 0, 4, 4, 1])
    batch = store.batch(chosen)
    assert batch.num_graphs == 5
    first = 0
    for place, molecule in enumerate(chosen):
        graph = molecular_graphs([smiles[molecule]])
        atoms = batch.batch == place
        assert batch.x[atoms].tolist() == graph.atoms.tolist()
        edges = atoms[batch.edge_index[0]]
        bonds = graph.bonds.astype(int)
        assert (batch.edge_index[:, edges].T - first).tolist() == [*bonds.tolist(), *bonds[:, ::-1].tolist()]
        assert batch.edge_attr[edges].tolist() == graph.bond_features.tolist() * 2
        first += len(graph.atoms)


def test_edge_k_plus_m_reverses_edge_k(path):
    batch = GraphStore(path).batch(np.arange(14))
    m = batch.num_bonds
    assert torch.equal(batch.edge_index[:, :m], batch.edge_index[:, m:].flip(0))


def test_a_part_in_memory_is_the_same_as_in_a_file(path, smiles):
    chosen = np.array([12, 0, 4, 4, 1])
    for ours, expected in zip(
        GraphStore.of(featurize_part(smiles)).batch(chosen), GraphStore(path).batch(chosen), strict=True
    ):
        assert ours == expected if isinstance(ours, int) else torch.equal(ours, expected)


@pytest.mark.parametrize("position", [-1, 14])
def test_a_position_that_the_store_does_not_have_is_an_error(path, smiles, position):
    for store in (GraphStore(path), GraphStore.of(featurize_part(smiles))):
        with pytest.raises(IndexError, match="14 molecules"):
            store.batch(np.array([0, position]))


def test_the_file_is_plain_safetensors(path, smiles):
    arrays = load_file(path)
    assert set(arrays) == {"atoms", "atom_offsets", "bonds", "bond_offsets", "bond_features", "smiles_crc"}
    assert arrays["atom_offsets"][-1] == len(arrays["atoms"]) == sum(len(molecular_graphs([s]).atoms) for s in smiles)


def test_a_store_knows_whether_hydrogens_are_atoms(tmp_path):
    for explicit in (False, True):
        write_store(tmp_path / "s", [featurize_part(["C"], explicit)], explicit_hydrogens=explicit)
        assert GraphStore(tmp_path / "s").explicit_hydrogens is explicit


def test_molecules_without_any_bond(tmp_path):
    write_store(tmp_path / "ions.safetensors", [featurize_part(["C", "[Na+].[Cl-]"])])
    batch = GraphStore(tmp_path / "ions.safetensors").batch(np.array([1, 0]))
    assert batch.num_bonds == 0 and batch.x.shape == (3, 2) and batch.edge_attr.shape == (0, 2)


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "empty"])
def test_other_files_are_not_graph_stores(path, damage):
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"truncated": content[:-100], "text": b"<html>not a store</html>", "empty": b""}[damage])
    with pytest.raises(MolclrError, match=r"graphs\.safetensors.*molclr featurize"):
        GraphStore(path)


@pytest.mark.parametrize("shape", [b"[3]", b"[]", b'"a"'])
def test_an_inconsistent_header_is_an_error(path, shape):
    content = path.read_bytes()
    written = b'"shape": [15]'
    assert content.count(written) == 2
    path.write_bytes(content.replace(written, (b'"shape": ' + shape).ljust(len(written)), 1))
    with pytest.raises(MolclrError, match="not a graph store"):
        GraphStore(path)


def test_a_store_that_becomes_shorter_is_an_error(path):
    store = GraphStore(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 10)
    with pytest.raises(OSError, match="became shorter"):
        store.batch(np.arange(14))


def test_a_store_that_fails_leaves_nothing(smiles, tmp_path):
    def parts():
        yield featurize_part(smiles)
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write_store(tmp_path / "graphs.safetensors", parts())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_featurize_gives_the_same_bytes_with_any_number_of_processes_and_shards(smiles, tmp_path, monkeypatch):
    monkeypatch.setattr("molclr.data.featurize.MOLECULES_PER_PART", 4)
    pq.write_table(pa.table({"row": list(range(len(smiles))), "smiles": smiles}), tmp_path / "molecules.parquet")
    for processes in (1, 2):
        featurize(tmp_path / "molecules.parquet", tmp_path / f"{processes}.safetensors", processes=processes)
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    assert len(GraphStore(tmp_path / "1.safetensors")) == len(smiles)
    for number in (1, 2, 3, 4, 5, 6):  # more than there are parts: some shards are empty
        featurize(tmp_path / "molecules.parquet", tmp_path / f"shard-{number}.safetensors", shard=(number, 6))
    join_stores([tmp_path / f"shard-{number}.safetensors" for number in range(1, 7)], tmp_path / "joined.safetensors")
    assert (tmp_path / "joined.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    header = (tmp_path / "1.safetensors").read_bytes()
    assert json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])


def test_shards_with_and_without_explicit_hydrogens_are_not_gathered(smiles, tmp_path):
    shards = [tmp_path / "without.safetensors", tmp_path / "with.safetensors"]
    for path, explicit_hydrogens in zip(shards, (False, True), strict=True):
        write_store(path, [featurize_part(smiles, explicit_hydrogens)], explicit_hydrogens)
    with pytest.raises(MolclrError, match=r"with\.safetensors' and .* differ in explicit hydrogens"):
        join_stores(shards, tmp_path / "joined.safetensors")
    assert not (tmp_path / "joined.safetensors").exists()


def test_batches_for_torch_geometric(graphs, smiles):
    batch = graphs_to_pyg(graphs)
    assert batch.num_graphs == len(smiles)
    assert torch.equal(batch.x, graphs.x) and torch.equal(batch.batch, graphs.batch)
    assert batch[3].x.tolist() == molecular_graphs([smiles[3]]).atoms.tolist()
    edges = lambda g: sorted(torch.cat([g.edge_index, g.edge_attr.T]).T.tolist())  # noqa: E731
    assert edges(batch) == edges(graphs)


def test_all_rows_and_the_identity_of_molecules_in_a_file_and_in_memory(smiles, tmp_path):
    part = featurize_part(smiles)
    write_store(tmp_path / "graphs.safetensors", [part])
    identities = set()
    for store in (GraphStore(tmp_path / "graphs.safetensors"), GraphStore.of(part)):
        for name in ("atoms", "bonds", "bond_features", "smiles_crc"):
            assert np.array_equal(np.concatenate(list(store.rows(name, at_a_time=5))), part[name])
        identities.add(store.identity())
    assert len(identities) == 1
    assert GraphStore.of(featurize_part(smiles[::-1])).identity() not in identities
