"""Searches in a library, as chemists ask for them."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from paths import FIXTURES
from rdkit.DataStructs import TanimotoSimilarity

from molclr.chem.fingerprints import ecfp4
from molclr.chem.smiles import read_molecule
from molclr.cli import main
from molclr.data import parts
from molclr.evaluation.embeddings import cosines
from molclr.representation import Encoder

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
NEW = FIXTURES / "cases" / "c13_new.csv"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """BBBP with identifiers; row 3 is not a molecule."""
    path = tmp_path_factory.mktemp("library") / "bbbp.csv"
    table = pd.read_csv(FIXTURES / "bbbp.csv")
    table.insert(0, "Drug ID", [f"D-{place:03}" for place in range(len(table))])
    table.loc[3, "smiles"] = "C*"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def search(library, encoder):
    """Search with the small encoder in the library, or another one."""

    def run(query, *options, library=library):
        words = ["search", str(query), "--library", str(library), "--encoder", str(encoder)]
        return main([*words, *map(str, options)])

    return run


def hits_of(capsys):
    (query,) = json.loads(capsys.readouterr().out)["queries"]
    return query


def test_hits_are_the_nearest_of_the_whole_library(search, library, encoder, capsys):
    """By cosine of the representations, and by RDKit's Tanimoto similarity."""
    assert search(ASPIRIN, "-k", 7, "--json") == 0
    found = hits_of(capsys)
    table = pd.read_csv(library).drop(index=3)
    vectors = Encoder.load(encoder).embed([ASPIRIN, *table["smiles"]])
    fingerprints = [ecfp4(read_molecule(smiles)) for smiles in (ASPIRIN, *table["smiles"])]
    table["cosine"] = cosines(vectors[:1], vectors[1:])[0]
    table["tanimoto"] = [TanimotoSimilarity(fingerprints[0], other) for other in fingerprints[1:]]
    for kind, score in (("representation", "cosine"), ("ecfp4", "tanimoto")):
        best = table.sort_values(score, ascending=False, kind="stable")[:7]
        hits = found[kind]
        np.testing.assert_allclose([hit[score] for hit in hits], best[score], atol=1e-6)
        assert [hit["rank"] for hit in hits] == [*range(1, 8)]
        for hit in hits:
            row = table.loc[hit["row"]]
            assert hit["fields"]["Drug ID"] == row["Drug ID"] and hit["fields"]["smiles"] == row["smiles"]
            assert hit["cosine"] == pytest.approx(row["cosine"], abs=1e-6)
            assert hit["tanimoto"] == pytest.approx(row["tanimoto"], abs=1e-6)


def test_a_molecule_of_the_library_finds_itself_however_it_is_written(search, library, capsys):
    smiles = pd.read_csv(library)["smiles"][10]
    other = "[CH3:1]" + smiles[1:] if smiles.startswith("C") else smiles
    assert search(other, "-k", 1, "--json") == 0
    found = hits_of(capsys)
    for kind in ("representation", "ecfp4"):
        assert found[kind][0]["row"] == 10
        assert (found[kind][0]["cosine"], found[kind][0]["tanimoto"]) == pytest.approx((1, 1), abs=1e-6)


def test_a_table_of_queries(search, tmp_path, capsys):
    """All columns of both tables, a row for each hit, rejected queries with their number and reason, and a drawing."""
    assert search(NEW, "-k", 3, "--output", tmp_path / "hits.csv", "--figure", tmp_path / "hits.svg") == 0
    told = capsys.readouterr()
    assert "rejected 3 of 6 rows: " in told.err and "3 queries in a library of 299 molecules" in told.err
    assert told.out == ""
    table = pd.read_csv(tmp_path / "hits.csv")
    assert [*table.columns] == [
        *("query_compound_id", "query_smiles", "query_vendor"),
        *("by", "rank", "cosine", "tanimoto", "row", "canonical_smiles"),
        *("Drug ID", "smiles", "p_np"),
    ]
    assert table["query_compound_id"].unique().tolist() == ["X-1", "X-4", "X-6"] and len(table) == 3 * 2 * 3
    assert (table["Drug ID"] == table["row"].map("D-{:03}".format)).all()
    texts = [text.text for text in ElementTree.parse(tmp_path / "hits.svg").iter("{http://www.w3.org/2000/svg}text")]
    first = table.iloc[0]
    assert f"1. {first['Drug ID']}" in texts and "X-1" in texts and "nearest by ECFP4" in texts
    assert f"cosine {first['cosine']:.4f}, ECFP4 {first['tanimoto']:.2f}" in texts
    assert search(NEW, "-k", 3, "--output", tmp_path / "hits.parquet") == 0
    parquet = pd.read_parquet(tmp_path / "hits.parquet").astype({"p_np": int})
    pd.testing.assert_frame_equal(parquet, table, check_dtype=False, rtol=1e-5)
    assert search(NEW, "--output", tmp_path / "hits.csv") == 1 and "--force" in capsys.readouterr().err


def test_the_terminal_shows_both_kinds_of_hits_side_by_side(search, capsys):
    assert search(NEW, "-k", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "X-1  CCO" and lines[1].count("cosine  ECFP4") == 2
    assert lines[2].count("D-") == 2 and max(map(len, lines)) <= 130 and len(lines) == 3 * 5


def test_the_library_is_indexed_once(library, encoder, tmp_path, capsys, monkeypatch):
    """And again after it has changed, in parts, so that its size does not matter; each encoder has its own index."""
    own = tmp_path / "mine.csv"
    own.write_text("\n".join(library.read_text().splitlines()[:30]) + "\n")
    words = ["search", ASPIRIN, "--library", str(own), "-k", "1"]
    monkeypatch.setattr(parts, "ROWS_PER_PART", 8)
    assert main([*words, "--encoder", str(encoder)]) == 0
    assert "mine.csv.encoder.arrow' because it does not exist" in capsys.readouterr().err
    assert main([*words, "--encoder", str(encoder)]) == 0 and "making the index" not in capsys.readouterr().err
    assert main(words) == 0 and "mine.csv.molclr-gin.arrow' because it does not exist" in capsys.readouterr().err
    with own.open("a") as file:
        file.write(f"new,{ASPIRIN},1\n")
    assert main([*words, "--encoder", str(encoder)]) == 0
    told = capsys.readouterr()
    assert "because the library has changed" in told.err and "new " in told.out
    index = tmp_path / "mine.csv.molclr-gin.arrow"
    assert main([*words, "--encoder", str(encoder), "--index", str(index)]) == 0
    assert "because the library has changed and it was made with another encoder" in capsys.readouterr().err
    with pa.memory_map(str(index)) as file:
        assert pa.ipc.open_file(file).num_record_batches == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("mine.csv", "mine.csv.encoder.arrow", "mine.csv.molclr-gin.arrow")
    ]


def test_an_index_is_no_other_file(search, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("precious")
    assert search("CCO", "--index", tmp_path / "notes.txt") == 1
    assert "notes.txt' is not an index of a library, or damaged, so it is not replaced" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_an_interrupted_index_leaves_nothing(encoder, tmp_path, monkeypatch):
    (tmp_path / "mine.smi").write_text("CCO a\nCC b\n")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("molclr.library.embedder.Embedder.embed", interrupt)
    assert main(["search", "CCO", "--library", str(tmp_path / "mine.smi"), "--encoder", str(encoder)]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["mine.smi"]


def test_the_networks_of_a_model(library, model_folder, tmp_path, capsys):
    words = ["--library", str(library), "--index", str(tmp_path / "index.arrow"), "--json", "-k", "2"]
    folder = str(model_folder("network"))
    capsys.readouterr()
    assert main(["search", ASPIRIN, "--model", folder, *words]) == 0
    assert len(hits_of(capsys)["representation"]) == 2


@pytest.mark.parametrize(
    "query, error",
    [
        ("C1CC", "The query 'C1CC' is neither a file nor a molecule as SMILES: RDKit"),
        ("queries.csv", "The query 'queries.csv' is neither a file nor a molecule"),
        ("*CC", "it has an atom without an element"),
    ],
)
def test_a_query_that_is_no_molecule(search, capsys, query, error):
    assert search(query) == 1
    told = capsys.readouterr().err
    assert error in told and told.splitlines()[-1].startswith("molclr: error: ")


def test_a_library_that_is_no_table(search, tmp_path, capsys):
    assert search("CCO", library=tmp_path / "none.csv") == 1
    assert "none.csv' is not a file; name a table of molecules" in capsys.readouterr().err
    (tmp_path / "bad.csv").write_text("smiles\nC*\n")
    assert search("CCO", library=tmp_path / "bad.csv") == 1 and "All rows of" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]
