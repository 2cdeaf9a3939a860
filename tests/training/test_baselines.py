import csv

import numpy as np
import pytest
from paths import FIXTURES

from molclr.cli import main
from molclr.config import Baselines, EncoderShape
from molclr.data.canonicalize import canonicalize
from molclr.data.featurize import featurize
from molclr.data.labelled import LabelledMolecules, read_labelled
from molclr.data.splits import write_split
from molclr.errors import MolclrError
from molclr.evaluation.runs import Run, read_metrics, summary
from molclr.models.encoders import make_encoder
from molclr.representation import Encoder
from molclr.training.baselines import baseline
from molclr.training.checkpoint import copy_weights, save_encoder

QUICK = Baselines(trees=30)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Labelled molecules of the tables in the fixtures."""
    folder = tmp_path_factory.mktemp("labelled")

    def labelled(name: str, scheme="scaffold") -> LabelledMolecules:
        molecules, split = folder / f"{name}.parquet", folder / f"{name}.csv"
        canonicalize(FIXTURES / f"{name}.csv", molecules, folder / f"{name}.rejected.csv")
        write_split(molecules, split, scheme)
        return read_labelled(molecules, split)

    return labelled


def classification(model: str, targets: list[str], seed: int = 0) -> Run:
    return Run("bbbp", model, seed, "classification", "roc_auc", targets)


def regression(model: str, targets: list[str], seed: int = 0) -> Run:
    return Run("freesolv", model, seed, "regression", "rmse", targets)


def with_target(data: LabelledMolecules, name: str, labels: np.ndarray) -> LabelledMolecules:
    """The same molecules with another target beside theirs."""
    columns = np.column_stack([data.labels, labels])
    return LabelledMolecules(data.rows, data.smiles, columns, [*data.targets, name], data.subsets)


def read_predictions(folder) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("model", ["RF", "SVM"])
def test_classification_learns(labelled, tmp_path, model):
    data = labelled("bbbp")
    metrics = baseline(data, tmp_path, classification(model, data.targets), QUICK)
    assert metrics == read_metrics(tmp_path / "metrics.json")
    assert metrics.test > 0.6 and metrics.validation > 0.5
    assert metrics.best_epoch is None and metrics.note == ""
    predictions = read_predictions(tmp_path)
    assert [int(line["row"]) for line in predictions] == data.rows[data.subsets["test"]].tolist()
    assert all(0 <= float(line["prediction"]) <= 1 for line in predictions)


@pytest.mark.parametrize("model", ["RF", "SVM"])
def test_regression_learns_in_the_unit_of_the_target(labelled, tmp_path, model):
    data = labelled("freesolv", "random")  # of 300 molecules: what is learned on rings says little about chains
    metrics = baseline(data, tmp_path, regression(model, data.targets), QUICK)
    train, test = data.labels[data.subsets["train"]], data.labels[data.subsets["test"]]
    assert metrics.test < 0.8 * np.sqrt(np.mean((test - train.mean()) ** 2))  # better than to predict the mean
    # In calories instead of kilocalories the same is learned.
    scaled = LabelledMolecules(data.rows, data.smiles, 1000 * data.labels, data.targets, data.subsets)
    assert baseline(scaled, tmp_path, regression(model, data.targets), QUICK).test == pytest.approx(
        1000 * metrics.test, rel=0.02
    )


@pytest.mark.parametrize("model", ["RF", "SVM"])
def test_missing_labels_are_left_out_and_targets_are_independent(labelled, tmp_path, model):
    data = labelled("bbbp")
    train = data.subsets["train"]
    sparse = data.labels[:, 0].copy()
    sparse[train[::2]] = np.nan
    both = with_target(data, "sparse", sparse)
    metrics = baseline(both, tmp_path / "both", classification(model, both.targets), QUICK)
    alone = baseline(data, tmp_path / "alone", classification(model, data.targets), QUICK)
    assert metrics.per_target["p_np"] == alone.per_target["p_np"]

    fewer = {**data.subsets, "train": train[1::2]}
    labelled_only = LabelledMolecules(data.rows, data.smiles, sparse[:, None], ["sparse"], fewer)
    half = baseline(labelled_only, tmp_path / "half", classification(model, ["sparse"]), QUICK)
    assert metrics.per_target["sparse"] == half.per_target["sparse"]


@pytest.mark.parametrize("model", ["RF", "SVM"])
def test_a_target_with_one_class_in_training_is_constant_and_named(labelled, tmp_path, model):
    data = labelled("bbbp")
    train = data.subsets["train"]
    negative, missing = data.labels[:, 0].copy(), data.labels[:, 0].copy()
    negative[train], missing[train] = 0, np.nan
    data = with_target(with_target(data, "negative", negative), "missing", missing)
    metrics = baseline(data, tmp_path, classification(model, data.targets), QUICK)
    assert metrics.note == (
        "negative: one label in the training set, constant prediction; "
        "missing: no label in the training set, no prediction"
    )
    assert metrics.per_target["negative"] == 0.5
    assert metrics.left_out == {"missing": "no label in the training set"}
    constant = {(line["target"], line["prediction"]) for line in read_predictions(tmp_path) if line["target"] != "p_np"}
    assert constant == {("negative", "0"), ("missing", "")}


@pytest.mark.parametrize("model", ["RF", "SVM"])
def test_no_positive_in_the_validation_and_test_sets(labelled, tmp_path, model):
    data = labelled("bbbp")
    labels = data.labels.copy()
    labels[data.subsets["valid"]] = labels[data.subsets["test"]] = 0
    data = LabelledMolecules(data.rows, data.smiles, labels, data.targets, data.subsets)
    metrics = baseline(data, tmp_path, classification(model, data.targets), QUICK)
    assert metrics.validation is None and metrics.test is None
    assert metrics.note == "no validation score (p_np: one class)"
    assert "validation undefined, test undefined (p_np: one class in the test set) on 30 molecules" in summary(metrics)
    assert metrics.left_out == {"p_np": "one class in the test set"}
    assert len(read_predictions(tmp_path)) == metrics.test_molecules == 30


def test_the_seed_decides_the_forest_and_threads_do_not(labelled, tmp_path):
    data = labelled("freesolv")
    for folder, seed, threads in (("first", 0, 1), ("threads", 0, 2), ("seed", 1, 1)):
        baseline(
            data, tmp_path / folder, regression("RF", data.targets, seed), QUICK.model_copy(update={"threads": threads})
        )
    first, threads, seed = (read_predictions(tmp_path / folder) for folder in ("first", "threads", "seed"))
    assert first == threads
    assert first != seed


def test_the_svm_takes_a_sample_of_a_large_training_set(labelled, tmp_path):
    data = labelled("bbbp")
    limited = Baselines(svm_training_limit=100)
    for folder, seed in (("first", 0), ("again", 0), ("other", 1)):
        metrics = baseline(data, tmp_path / folder, classification("SVM", data.targets, seed), limited)
        assert metrics.note == "trained on a sample of 100 molecules for 1 of 1 targets" and not metrics.deterministic
    assert baseline(data, tmp_path / "whole", classification("SVM", data.targets), Baselines()).deterministic
    first, again, other = (read_predictions(tmp_path / folder) for folder in ("first", "again", "other"))
    assert first == again
    assert first != other


def test_a_third_class(labelled, tmp_path):
    data = labelled("bbbp")
    labels = data.labels.copy()
    labels[data.subsets["train"][0]] = 2
    data = LabelledMolecules(data.rows, data.smiles, labels, data.targets, data.subsets)
    with pytest.raises(MolclrError, match="A label of 'p_np' is"):
        baseline(data, tmp_path, classification("SVM", data.targets), QUICK)


def test_machines_on_a_representation(labelled, tmp_path):
    """A representation that tells the labels is used, alone and with counts, and the standard names say which."""
    data = labelled("freesolv")
    h = np.random.default_rng(0).normal(size=(len(data.smiles), 8)).astype(np.float32)
    h[:, 0] = 2 * data.labels[:, 0] + 1
    scores = {}
    for model in ("SVM", "SVM_Tanimoto", "SVM_MolCLR_GIN", "SVM_MolCLR_GIN_ECFP"):
        known = h if "MolCLR" in model else None
        metrics = baseline(data, tmp_path / model, regression(model, data.targets), QUICK, h=known)
        assert metrics == read_metrics(tmp_path / model / "metrics.json") and metrics.model == model
        scores[model] = metrics.test
    assert scores["SVM_MolCLR_GIN"] < scores["SVM"] and scores["SVM"] != scores["SVM_Tanimoto"]
    assert scores["SVM_MolCLR_GIN_ECFP"] < scores["SVM_Tanimoto"]
    again = baseline(data, tmp_path / "again", regression("SVM_MolCLR_GIN", data.targets, seed=1), QUICK, h=h)
    assert again.test == scores["SVM_MolCLR_GIN"], "nothing in it is random"
    for model in ("SVM_MolCLR_GIN", "SVM_GIN", "SVM_"):
        with pytest.raises(MolclrError, match=f"Unknown baseline '{model}'"):
            baseline(data, tmp_path, regression(model, data.targets), QUICK)


def test_the_command_embeds_with_an_encoder(labelled, tmp_path, capsys):
    data = labelled("freesolv")
    network = make_encoder("gin", EncoderShape(layers=1, hidden_dim=8, embedding_dim=8), 0.0)
    save_encoder(tmp_path / "encoder.safetensors", network, copy_weights(network), None)
    canonicalize(FIXTURES / "freesolv.csv", tmp_path / "m.parquet", tmp_path / "rejected.csv")
    write_split(tmp_path / "m.parquet", tmp_path / "split.csv", "scaffold")
    featurize(tmp_path / "m.parquet", tmp_path / "graphs.safetensors")
    words = ["baseline", str(tmp_path / "m.parquet"), "--split", str(tmp_path / "split.csv"), "--benchmark", "freesolv"]
    words += ["--model", "SVM_MolCLR_GIN_ECFP", "--seed", "0", "--task", "regression", "--metric", "rmse"]
    words += ["--output", str(tmp_path / "run"), "--encoder", str(tmp_path / "encoder.safetensors")]
    assert main(words) == 1 and "--encoder and --graphs belong together" in capsys.readouterr().err
    assert main([*words, "--graphs", str(tmp_path / "graphs.safetensors")]) == 0
    h = Encoder.load(tmp_path / "encoder.safetensors").embed(data.smiles)
    run = regression("SVM_MolCLR_GIN_ECFP", data.targets)
    expected = baseline(data, tmp_path / "again", run, Baselines(), h=h)
    assert read_metrics(tmp_path / "run" / "metrics.json").test == pytest.approx(expected.test, rel=1e-5)


def test_another_model(labelled, tmp_path):
    data = labelled("bbbp")
    with pytest.raises(MolclrError, match="Unknown baseline 'GIN'; choose one of RF, SVM, SVM_Tanimoto"):
        baseline(data, tmp_path, classification("GIN", data.targets), QUICK)
