import csv
import json
import os
from threading import Thread

import numpy as np
import pytest
from paths import FIXTURES

from molclr.chem.seen import Seen
from molclr.cli import main
from molclr.config import Compute, EncoderShape, Finetune
from molclr.data import parts
from molclr.data.canonicalize import canonicalize
from molclr.data.featurize import featurize
from molclr.data.labelled import read_labelled
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.evaluation.runs import Run
from molclr.models.encoders import make_encoder
from molclr.qsar.explain import explain
from molclr.qsar.explain_table import explain_table
from molclr.qsar.model_folder import ModelFolder
from molclr.qsar.predict import predict
from molclr.qsar.single_network import read_model
from molclr.training.checkpoint import save_encoder
from molclr.training.embed import write_embeddings
from molclr.training.finetune import finetune

SHAPE = EncoderShape(layers=2, hidden_dim=16, embedding_dim=24)
SETTINGS = Finetune(epochs=2)


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=[False, True], ids=["implicit", "explicit"])
def trained(request, benchmark_files, tmp_path):
    """The folder of a run on FreeSolv, with or without explicit hydrogens."""
    molecules, split, _ = benchmark_files(FIXTURES / "freesolv.csv", "freesolv")
    featurize(molecules, tmp_path / "graphs.safetensors", request.param)
    data = read_labelled(molecules, split)
    run = Run("freesolv", "GIN", 0, "regression", "rmse", data.targets)
    finetune(data, tmp_path / "graphs.safetensors", tmp_path / "run", run, "gin", SETTINGS, SHAPE)
    return tmp_path / "run"


def test_predictions_for_test_molecules_are_those_of_the_run(trained, tmp_path):
    """Hydrogens are treated as in training."""
    output = tmp_path / "out" / "predictions.csv"
    done = predict(FIXTURES / "freesolv.csv", trained / "model.safetensors", output, Compute())
    found = rows_of(output)
    assert done == ("network", len(found), 0, None)
    assert list(found[0]) == ["smiles", "freesolv", "freesolv_mean", "freesolv_std", "reason"]
    assert not any(row["freesolv_std"] for row in found)
    expected = rows_of(trained / "predictions.csv")
    means = [float(found[int(row["row"])]["freesolv_mean"]) for row in expected]
    np.testing.assert_allclose(means, [float(row["prediction"]) for row in expected], rtol=1e-4, atol=1e-5)
    assert [path.name for path in output.parent.iterdir()] == ["predictions.csv"]


def test_a_rejected_row_has_a_reason_and_no_prediction(trained, tmp_path):
    (tmp_path / "mine.csv").write_text("name,Structure\na,OCC\nb,C*\nc,\nd,CCN,extra\ne,[Na+].[Cl-]\n")
    output = tmp_path / "predictions.csv"
    command = ["predict", str(tmp_path / "mine.csv"), "--model", str(trained / "model.safetensors")]
    assert main([*command, "--output", str(output), "--smiles-column", "Structure"]) == 0
    found = rows_of(output)
    assert list(found[0]) == ["name", "Structure", "freesolv_mean", "freesolv_std", "reason"]
    given = [("a", "OCC"), ("b", "C*"), ("c", ""), ("d", "CCN"), ("e", "[Na+].[Cl-]")]
    assert [(row["name"], row["Structure"]) for row in found] == given
    assert [row["reason"] for row in found] == [
        "",
        "it has an atom without an element (*)",
        "it has no atoms",
        "3 fields where the header has 2, without a column for 'extra'",
        "",
    ]
    assert [row["freesolv_mean"] == "" for row in found] == [False, True, True, True, False]


def test_the_atoms_of_a_molecule_are_explained_whatever_the_hydrogens(trained, tmp_path):
    (tmp_path / "mine.csv").write_text("smiles\nOCC\n[2H]OC\n")
    model, output = read_model(trained), tmp_path / "e.csv"
    explain_table(tmp_path / "mine.csv", trained, output, Compute())
    for row, (smiles, order) in zip(rows_of(output), (("CCO", [2, 1, 0]), ("[2H]OC", [0, 1, 2])), strict=True):
        ((mean, *_, atoms, _),) = explain(model, [smiles])
        assert float(row["freesolv_mean"]) == pytest.approx(mean[0], rel=1e-5)
        assert len(atoms) == {"CCO": (3, 9), "[2H]OC": (3, 6)}[smiles][model.explicit_hydrogens]
        found = [float(value) for value in row["freesolv_atoms"].split()]
        assert [found[place] for place in order] == pytest.approx(atoms[:3, 0].tolist(), rel=1e-4, abs=1e-5)


def test_a_table_is_predicted_in_parts(trained, tmp_path, monkeypatch, capsys):
    """However many rows there are, one part of them is in memory, and messages come once."""
    (tmp_path / "mine.csv").write_text("smiles\n" + "".join(f"{'C' * n}O\n{'C' * n}*\n" for n in range(1, 40)))
    command = ["predict", str(tmp_path / "mine.csv"), "--model", str(trained), "--output"]
    assert main([*command, str(tmp_path / "whole.csv")]) == 0
    whole = capsys.readouterr().err
    asked, in_memory = [], ModelFolder.predict
    monkeypatch.setattr(parts, "ROWS_PER_PART", 16)
    monkeypatch.setattr(ModelFolder, "predict", lambda *given: asked.append(len(given[1])) or in_memory(*given))
    assert main([*command, str(tmp_path / "parts.csv")]) == 0
    assert asked == [0, 8, 8, 8, 8, 7]
    assert capsys.readouterr().err == whole.replace("whole.csv", "parts.csv") and whole.count("\n") == 3
    found, expected = (rows_of(tmp_path / f"{name}.csv") for name in ("parts", "whole"))
    assert [row["smiles"] for row in found] == [row["smiles"] for row in expected]
    means = ([float(row["freesolv_mean"] or "nan") for row in rows] for rows in (found, expected))
    np.testing.assert_allclose(*means, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_pipe_is_read_once_and_keeps_its_name(trained, tmp_path, capfd, command):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=lambda: (tmp_path / "pipe").write_text("smiles\nCCO\n"))
    writer.start()
    assert main([command, str(tmp_path / "pipe"), "--model", str(trained), "--output", str(tmp_path / "p.csv")]) == 0
    writer.join()
    assert f"molclr: {tmp_path / 'pipe'}: 1 row, SMILES in 'smiles'\n" in capfd.readouterr().err
    assert float(rows_of(tmp_path / "p.csv")[0]["freesolv_mean"])


def test_one_molecule_and_one_row_are_counted_in_the_singular(trained, tmp_path, capsys):
    (tmp_path / "salt.csv").write_text("smiles\nCC(=O)[O-].[Na+]\nC*\n")
    words = [str(tmp_path / "salt.csv"), "--output", str(tmp_path / "p.csv"), "--force"]
    advice = "; --desalt keeps the largest organic part of each"
    for command in ("predict", "explain", "embed"):
        assert main([command, *words, *(["--model", str(trained)] if command != "embed" else [])]) == 0
        told = capsys.readouterr().err
        assert "molclr: 1 molecule " in told and ", 1 row rejected, " in told and "rejected 1 of 2 rows" in told
        assert "1 of 1 molecule has several parts (salts, mixtures)" in told and "; 1 has a metal" in told
        assert (advice in told) == (command == "embed")  # which alone has the option


def test_a_model_of_one_network_has_no_other(trained, tmp_path, capsys):
    words = ["predict", str(FIXTURES / "freesolv.csv"), "--model", str(trained), "--output", str(tmp_path / "p.csv")]
    assert main([*words, "--use", "rf"]) == 1
    assert "has no model 'rf'; choose one of network." in capsys.readouterr().err
    assert main([*words, "--use", "network", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done == {
        "model": "network",
        "molecules": 300,
        "rejected": 0,
        "outside_domain": None,
        "output": str(tmp_path / "p.csv"),
    }


def test_classes_are_probabilities(bbbp, tmp_path):
    data, graphs = bbbp
    run = Run("two", "mine", 0, "classification", "roc_auc", ["p_np"])
    settings = SETTINGS.model_copy(update={"class_outputs": 2})
    finetune(data, graphs, tmp_path / "run", run, "gcn", settings, SHAPE)
    predict(FIXTURES / "bbbp.csv", tmp_path / "run" / "model.safetensors", tmp_path / "p.csv", Compute())
    found = [float(row["p_np_mean"]) for row in rows_of(tmp_path / "p.csv")]
    for row in rows_of(tmp_path / "run" / "predictions.csv"):
        assert 0 < found[int(row["row"])] < 1
        assert found[int(row["row"])] == pytest.approx(float(row["prediction"]), rel=1e-4)


def test_files_other_than_a_model_and_a_table_are_errors(trained, tmp_path):
    encoder = make_encoder("gin", SHAPE)
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), None)
    table, output = FIXTURES / "freesolv.csv", tmp_path / "out" / "p.csv"
    with pytest.raises(MolclrError, match=r"encoder\.safetensors' is not a fine-tuned model; give a model"):
        predict(table, tmp_path / "encoder.safetensors", output, Compute())
    with pytest.raises(MolclrError, match=r"There is no model .*none\.safetensors"):
        predict(table, tmp_path / "none.safetensors", output, Compute())
    with pytest.raises(MolclrError, match=r"no column 'SMILES'; .* Name yours with --smiles-column\.$"):
        predict(table, trained / "model.safetensors", output, Compute(), "SMILES")
    (tmp_path / "bad.csv").write_text("smiles\nC*\n")
    with pytest.raises(
        MolclrError, match=r"All rows of .*bad\.csv' are rejected, for example row .*: .*\(\*\)\. Correct the rows"
    ):
        predict(tmp_path / "bad.csv", trained / "model.safetensors", output, Compute())
    assert not output.exists()


def test_files_of_the_run_are_not_overwritten(trained, capsys):
    before = (trained / "predictions.csv").read_bytes()
    model, output = str(trained / "model.safetensors"), str(trained / "predictions.csv")
    assert main(["predict", str(FIXTURES / "freesolv.csv"), "--model", model, "--output", output, "--force"]) == 1
    assert "is a file of the run that made the model" in capsys.readouterr().err
    assert (trained / "predictions.csv").read_bytes() == before


def test_unseen_features_give_a_warning(benchmark_files, tmp_path, capsys):
    """Once, with their number, whether the model is asked or the encoder that it began with."""
    molecules, split, graphs = benchmark_files(FIXTURES / "freesolv.csv", "freesolv")
    data = read_labelled(molecules, split)
    encoder = make_encoder("gin", SHAPE)
    seen = Seen(["C", "H", "N", "O"], chirality=False, bond_directions=False, charges=False)
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), None, seen)
    run = Run("mine", "mine", 0, "regression", "rmse", data.targets)
    finetune(data, graphs, tmp_path / "run", run, tmp_path / "encoder.safetensors", SETTINGS, SHAPE)
    (tmp_path / "new.csv").write_text("smiles\nCCO\nCI\nC[C@H](F)O\nC[C@H](N)O\n")
    capsys.readouterr()
    predict(tmp_path / "new.csv", tmp_path / "run" / "model.safetensors", tmp_path / "p.csv", Compute())
    told = capsys.readouterr().err
    warning = "molclr: warning: 3 of 4 molecules have features that the encoder never saw in pre-training"
    assert told.count(warning) == 1 and "(a stereocentre in 2 of them, and others)" in told

    canonicalize(tmp_path / "new.csv", tmp_path / "new.parquet", tmp_path / "rejected.csv")
    featurize(tmp_path / "new.parquet", tmp_path / "new.safetensors")
    write_embeddings(
        tmp_path / "new.parquet",
        tmp_path / "new.safetensors",
        tmp_path / "h.parquet",
        tmp_path / "encoder.safetensors",
        Compute(),
    )
    assert capsys.readouterr().err.count(warning) == 1


@pytest.mark.parametrize(
    ("header", "warns"), {"another": ("Structure,SMILES", True), "none": ("Structure,note", False)}.values()
)
def test_a_model_tells_that_another_column_also_has_smiles(tmp_path, capfd, header, warns):
    (tmp_path / "t.csv").write_text(f"{header}\nCO,CCCO\n")
    with open_table(tmp_path / "t.csv") as table:
        assert ModelFolder(tmp_path, {"smiles_column": "Structure"}).choose_columns(table).columns.smiles == 0
    assert (
        "trained on 'Structure', so the SMILES are read from it, and not from 'SMILES'" in capfd.readouterr().err
    ) == warns
