import csv

import numpy as np
import pytest
from paths import FIXTURES

from molclr.chem.seen import Seen
from molclr.cli import main
from molclr.config import Compute, EncoderShape, Finetune
from molclr.data.canonicalize import canonicalize
from molclr.data.featurize import featurize
from molclr.data.labelled import read_labelled
from molclr.errors import MolclrError
from molclr.evaluation.runs import Run
from molclr.models.encoders import make_encoder
from molclr.qsar.predict import predict
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
    accepted, rejected = predict(FIXTURES / "freesolv.csv", trained / "model.safetensors", output, Compute())
    found = rows_of(output)
    assert (accepted, rejected) == (len(found), 0)
    assert list(found[0]) == ["row", "smiles", "freesolv", "reason"]
    values = {row["row"]: float(row["freesolv"]) for row in found}
    expected = rows_of(trained / "predictions.csv")
    np.testing.assert_allclose(
        [values[row["row"]] for row in expected], [float(row["prediction"]) for row in expected], rtol=1e-4, atol=1e-5
    )
    assert [path.name for path in output.parent.iterdir()] == ["predictions.csv"]


def test_a_rejected_row_has_a_reason_and_no_prediction(trained, tmp_path):
    (tmp_path / "mine.csv").write_text("name,Structure\na,OCC\nb,C*\nc,\nd,CCN,extra\ne,[Na+].[Cl-]\n")
    output = tmp_path / "predictions.csv"
    command = ["predict", str(tmp_path / "mine.csv"), "--model", str(trained / "model.safetensors")]
    assert main([*command, "--output", str(output), "--smiles-column", "Structure"]) == 0
    found = rows_of(output)
    assert [(row["row"], row["smiles"]) for row in found] == [
        ("0", "CCO"),
        ("1", "C*"),
        ("2", ""),
        ("3", "CCN"),
        ("4", "[Cl-].[Na+]"),
    ]
    assert [row["reason"] for row in found] == [
        "",
        "it has an atom without an element (*)",
        "it has no atoms",
        "3 fields where the header has 2",
        "",
    ]
    assert [row["freesolv"] == "" for row in found] == [False, True, True, True, False]


def test_classes_are_probabilities(bbbp, tmp_path):
    data, graphs = bbbp
    run = Run("two", "mine", 0, "classification", "roc_auc", ["p_np"])
    settings = SETTINGS.model_copy(update={"class_outputs": 2})
    finetune(data, graphs, tmp_path / "run", run, "gcn", settings, SHAPE)
    predict(FIXTURES / "bbbp.csv", tmp_path / "run" / "model.safetensors", tmp_path / "p.csv", Compute())
    found = {row["row"]: float(row["p_np"]) for row in rows_of(tmp_path / "p.csv")}
    for row in rows_of(tmp_path / "run" / "predictions.csv"):
        assert 0 < found[row["row"]] < 1
        assert found[row["row"]] == pytest.approx(float(row["prediction"]), rel=1e-4)


def test_files_other_than_a_model_and_a_table_are_errors(trained, tmp_path):
    encoder = make_encoder("gin", SHAPE)
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), None)
    table, output = FIXTURES / "freesolv.csv", tmp_path / "out" / "p.csv"
    with pytest.raises(MolclrError, match=r"encoder\.safetensors' is not a fine-tuned model; give a model"):
        predict(table, tmp_path / "encoder.safetensors", output, Compute())
    with pytest.raises(MolclrError, match=r"The checkpoint .* does not exist"):
        predict(table, tmp_path / "none.safetensors", output, Compute())
    with pytest.raises(MolclrError, match=r"no column 'SMILES'; .* Name yours with --smiles-column\.$"):
        predict(table, trained / "model.safetensors", output, Compute(), "SMILES")
    (tmp_path / "bad.csv").write_text("smiles\nC*\n")
    with pytest.raises(MolclrError, match=r"All rows of .*bad\.csv' are rejected, for example row .*: .*\(\*\)\.$"):
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
