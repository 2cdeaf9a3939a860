"""Coordinates of molecules in two dimensions."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molclr.errors import MolclrError
from molclr.evaluation import maps


def families(count=20):
    """Vectors that point in one of three directions, `count` in each, of any length and with a little noise."""
    generator = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 8), count, axis=0) + 0.02 * generator.normal(size=(3 * count, 8))
    return (vectors * generator.uniform(0.5, 2, size=(3 * count, 1))).astype(np.float32)


def write_embeddings(path, vectors):
    count = len(vectors)
    pq.write_table(pa.table({"row": range(5, 5 + count), "smiles": ["C"] * count, "embedding": list(vectors)}), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", maps.PROJECTIONS)
def test_families_stay_together_and_a_second_run_is_equal(name):
    _, project = maps.PROJECTIONS[name]
    places = project(families(), 0)
    distances = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(60, np.inf))
    assert (distances.argmin(axis=1) // 20 == np.arange(60) // 20).all()
    assert places.shape == (60, 2) and (project(families(), 0) == places).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", maps.PROJECTIONS)
def test_few_and_equal_molecules_have_places(name):
    _, project = maps.PROJECTIONS[name]
    for vectors in (families(2)[:4], np.ones((6, 8), np.float32), np.repeat(families(2), 5, axis=0)):
        assert np.isfinite(project(vectors, 0)).all()


@pytest.mark.slow
def test_tables_of_coordinates_are_equal_to_the_byte(tmp_path):
    inputs = [write_embeddings(tmp_path / f"{name}.parquet", families(count)) for name, count in (("a", 4), ("b", 5))]
    for folder in ("one", "two"):
        maps.write_maps(inputs, [tmp_path / folder / "a.csv", tmp_path / folder / "b.csv"])
    for name, count in (("a.csv", 12), ("b.csv", 15)):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        table = maps.read_map(tmp_path / "one" / name, np.arange(5, 5 + count))
        assert table.shape == (count, 8) and table.iloc[:, 2:].map(np.isfinite).all(axis=None)
    umap = maps.places_of(maps.read_map(tmp_path / "one/b.csv"), "UMAP")
    np.testing.assert_allclose(umap, maps.umap(families(5), 0), atol=1e-4)


def test_coordinates_of_vectors_that_nearly_agree_are_precise(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "PROJECTIONS", {"PCA": maps.PROJECTIONS["PCA"]})
    vectors = (1 + 1e-3 * families()).astype(np.float32)
    maps.write_maps([write_embeddings(tmp_path / "a.parquet", vectors)], [tmp_path / "a.csv"])
    found = pd.read_csv(tmp_path / "a.csv")[["pca_x", "pca_y"]]
    np.testing.assert_allclose(found, maps.principal_components(vectors, 0), rtol=1e-5)


def test_as_many_outputs_as_tables_are_needed(tmp_path):
    with pytest.raises(MolclrError, match="2 tables of embeddings need as many outputs, not 1"):
        maps.write_maps(["a.parquet", "b.parquet"], [tmp_path / "a.csv"])


def test_without_the_library_one_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MolclrError, match="umap-learn is not installed; install it with 'pip install umap-learn'"):
        maps.umap(families(), 0)


@pytest.mark.parametrize("text", [None, "", "row,x,y\n1,2,3\n", "<html>"])
def test_another_table_is_an_error(tmp_path, text):
    path = tmp_path / "map.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MolclrError, match=r"map\.csv' is not a table of coordinates; make it with 'molclr maps'"):
        maps.read_map(path)


def test_coordinates_of_other_molecules_are_an_error(tmp_path):
    table = {"row": [1, 2], "smiles": ["C", "CC"]} | {column: [0.0, 1.0] for column in maps.COLUMNS[2:]}
    pd.DataFrame(table).to_csv(tmp_path / "map.csv", index=False)
    assert maps.read_map(tmp_path / "map.csv", np.array([1, 2]))["smiles"].tolist() == ["C", "CC"]
    with pytest.raises(MolclrError, match="has the coordinates of other molecules"):
        maps.read_map(tmp_path / "map.csv", np.array([2, 1]))
