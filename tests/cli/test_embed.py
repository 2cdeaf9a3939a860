"""Representations of tables, as chemists have them and of any length."""

import io
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from paths import FIXTURES

from molclr.cli import main
from molclr.data import parts
from molclr.library.embedder import Embedder
from molclr.representation import Encoder
from molclr.training.finetune import load_model

NEW = FIXTURES / "cases" / "c13_new.csv"
"""Six rows with identifiers, of which 1, 2 and 4 are no molecules."""


@pytest.fixture
def embed(tmp_path, encoder):
    """Run the command on a table with the small encoder, or the options that are given."""

    def run(table, output="h.parquet", *options):
        chosen = options if "--model" in options else ["--encoder", str(encoder), *options]
        return main(["embed", str(table), "--output", str(tmp_path / output), *map(str, chosen)])

    return run


def test_all_rows_and_columns_are_kept(embed, encoder, tmp_path, capsys):
    assert embed(NEW) == 0
    told = capsys.readouterr()
    given, table = pd.read_csv(NEW, keep_default_na=False), pd.read_parquet(tmp_path / "h.parquet")
    assert [*table.columns] == ["compound_id", "smiles", "vendor", "canonical_smiles", "embedding", "reason"]
    pd.testing.assert_frame_equal(table[[*given.columns]], given, check_dtype=False)
    rejected = table["reason"].notna()
    assert rejected.tolist() == [False, True, True, False, True, False] == table["embedding"].isna().tolist()
    assert "3 rows rejected" in told.err and "rejected 3 of 6 rows: " in told.err and told.out == ""
    expected = Encoder.load(encoder).embed(table["smiles"][~rejected].tolist())
    np.testing.assert_array_equal(np.stack(table["embedding"][~rejected]), expected)


def test_a_csv_file_has_a_column_per_number(embed, tmp_path):
    assert embed(NEW) == embed(NEW, "h.csv") == 0
    table, rows = pd.read_parquet(tmp_path / "h.parquet"), pd.read_csv(tmp_path / "h.csv", dtype={"smiles": str})
    numbers = rows[[f"embedding_{place}" for place in range(24)]].to_numpy(np.float32)
    kept = table["reason"].isna()
    np.testing.assert_array_equal(numbers[kept], np.stack(table["embedding"][kept]))
    assert np.isnan(numbers[~kept]).all() and [*rows["compound_id"]] == [*table["compound_id"]]


def test_rejected_rows_are_dropped_or_an_error(embed, tmp_path, capsys):
    assert embed(NEW, "h.parquet", "--on-error", "drop", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    table = pd.read_parquet(tmp_path / "h.parquet")
    assert [*table["compound_id"]] == ["X-1", "X-4", "X-6"] and "reason" not in table
    assert (summary["rows"], summary["accepted"], summary["rejected"], summary["dimensions"]) == (6, 3, 3, 24)
    assert sum(reason["count"] for reason in summary["reasons"]) == 3
    assert embed(NEW, "other.parquet", "--on-error", "raise") == 1
    assert "error: Row 1 of '" in (error := capsys.readouterr().err) and "choose --on-error keep or drop" in error
    assert [path.name for path in tmp_path.iterdir()] == ["h.parquet"]


def test_a_table_is_read_embedded_and_written_in_parts(embed, tmp_path, monkeypatch):
    """However many rows there are, one part of them is in memory; vectors do not depend on the parts."""
    assert embed(FIXTURES / "bbbp.csv", "whole.parquet") == 0
    monkeypatch.setattr(parts, "ROWS_PER_PART", 64)
    steps = []
    canonicalize, represent = parts.canonicalize_all, Embedder.embed
    monkeypatch.setattr(parts, "canonicalize_all", lambda smiles: steps.append(len(smiles)) or canonicalize(smiles))
    monkeypatch.setattr(Embedder, "embed", lambda *given: steps.append("embed") or represent(*given))
    assert embed(FIXTURES / "bbbp.csv", "parts.parquet") == 0
    assert steps == [64, "embed"] * 4 + [44, "embed"]
    assert pq.ParquetFile(tmp_path / "parts.parquet").num_row_groups == 5
    whole, in_parts = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(whole.drop(columns="embedding"), in_parts.drop(columns="embedding"))
    vectors = (np.stack(table["embedding"][table["reason"].isna()]) for table in (whole, in_parts))
    np.testing.assert_allclose(*vectors, atol=1e-5)


def test_an_interruption_leaves_nothing(embed, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS_PER_PART", 100)
    calls = []

    def interrupted(*given):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return represent(*given)

    represent = Embedder.embed
    monkeypatch.setattr(Embedder, "embed", interrupted)
    assert embed(FIXTURES / "bbbp.csv", "h.csv") == 130
    assert list(tmp_path.iterdir()) == []


def test_standard_input(embed, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"CCO ethanol\nCC ethane\n")))
    assert embed("-") == 0
    assert [*pd.read_parquet(tmp_path / "h.parquet")["name"]] == ["ethanol", "ethane"]


def test_salts_are_told_and_removed_on_demand(embed, tmp_path, capsys):
    (tmp_path / "salts.csv").write_text("smiles\nCC(=O)[O-].[Na+]\nCC(=O)O\n")
    assert embed(tmp_path / "salts.csv") == embed(tmp_path / "salts.csv", "desalted.parquet", "--desalt") == 0
    assert capsys.readouterr().err.count("1 of 2 molecules has several parts (salts, mixtures)") == 2
    for name, smiles in (("h", "CC(=O)[O-].[Na+]"), ("desalted", "CC(=O)O")):
        table = pd.read_parquet(tmp_path / f"{name}.parquet")
        assert table["canonical_smiles"].tolist() == [smiles, "CC(=O)O"]
        assert np.array_equal(*table["embedding"]) == (name == "desalted")


def test_names_of_columns_that_are_ours(embed, tmp_path):
    (tmp_path / "mine.csv").write_text("smiles,reason,embedding,reason\nCCO,a,b,c\n")
    assert embed(tmp_path / "mine.csv") == 0
    columns = ["smiles", "reason", "embedding", "_reason", "canonical_smiles", "_embedding", "__reason"]
    table = pq.read_table(tmp_path / "h.parquet")
    assert table.column_names == columns and table["_reason"].to_pylist() == ["c"]
    (tmp_path / "again.csv").write_text("smiles,embedding_0,_embedding_23\nCCO,1.5,2\n")
    assert embed(tmp_path / "again.csv", "again.h.csv") == 0
    header = (tmp_path / "again.h.csv").read_text().splitlines()[0].replace('"', "").split(",")
    assert header[1] == "embedding_0" and header[4:28] == [f"__embedding_{place}" for place in range(24)]


@pytest.mark.parametrize(
    "output, options, error",
    [
        ("h.npy", [], "'h.npy' must end in .csv or .parquet"),
        ("h.csv", ["--encoder", "a", "--model", "b"], "not allowed with argument"),
    ],
)
def test_a_mistake_in_the_options(capsys, output, options, error):
    with pytest.raises(SystemExit, match="2"):
        main(["embed", str(NEW), "--output", output, *options])
    assert error in capsys.readouterr().err


def test_nothing_is_replaced_and_a_table_without_molecules_is_an_error(embed, tmp_path, capsys):
    (tmp_path / "h.parquet").write_text("precious")
    assert embed(NEW) == 1 and "--force" in capsys.readouterr().err
    (tmp_path / "bad.csv").write_text("smiles\nC*\n")
    assert embed(tmp_path / "bad.csv", "h.parquet", "--force") == 1
    assert "All rows of " in capsys.readouterr().err and (tmp_path / "h.parquet").read_text() == "precious"
    assert embed(NEW, "h.parquet", "--force") == 0 and len(pd.read_parquet(tmp_path / "h.parquet")) == 6


def test_the_fine_tuned_networks_of_a_model(embed, model_folder, encoder, tmp_path, capsys):
    """All networks of the ensemble embed, each with its own weights."""
    folder = model_folder("network")
    assert embed(NEW, "h.parquet", "--model", folder, "--on-error", "drop") == 0
    table = pd.read_parquet(tmp_path / "h.parquet")
    networks = [load_model(folder / f"network-{seed}.safetensors").predictor.encoder for seed in (0, 1)]
    expected = [Encoder(network).embed(table["smiles"].tolist()) for network in networks]
    np.testing.assert_array_equal(np.stack(table["embedding"]), np.concatenate(expected, axis=1))
    assert not np.allclose(expected[0], Encoder.load(encoder).embed(table["smiles"].tolist()))
    assert "(48 numbers each)" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    about = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps(about | {"chosen": "rf", "models": ["network", "rf"], "desalt": True}))
    (tmp_path / "salt.csv").write_text("smiles\nCCO.Cl\n")
    assert embed(tmp_path / "salt.csv", "salt.parquet", "--model", other) == 0
    said = "'rf' was chosen, but its fine-tuned networks are used, because 'rf' has no representation"
    assert said in capsys.readouterr().err
    assert [*pd.read_parquet(tmp_path / "salt.parquet")["canonical_smiles"]] == ["CCO"]


def test_a_model_without_networks(embed, model_folder, encoder, tmp_path, capsys):
    """A machine on the representation has an encoder; models on fingerprints have nothing that embeds."""
    assert embed(NEW, "h.parquet", "--model", model_folder("representation"), "--on-error", "drop") == 0
    assert "has no fine-tuned network; the pre-trained encoder" in capsys.readouterr().err
    table = pd.read_parquet(tmp_path / "h.parquet")
    expected = Encoder.load(encoder).embed(table["smiles"].tolist())
    np.testing.assert_array_equal(np.stack(table["embedding"]), expected)
    folder = model_folder("rf")
    capsys.readouterr()
    assert embed(NEW, "rf.parquet", "--model", folder) == 1
    error = capsys.readouterr().err
    assert "(rf) use fingerprints and have no representation; name an encoder with --encoder" in error
    assert error.count("\n") == 1 and not (tmp_path / "rf.parquet").exists()
