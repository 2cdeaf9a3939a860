"""The final model, fitted to all molecules once its score is known."""

import csv
import json

import numpy as np
import pytest
from paths import FIXTURES

from molclr.cli import main
from molclr.data.labelled import LabelledMolecules
from molclr.evaluation.conformal import half_widths
from molclr.qsar.explain_table import _scored
from molclr.qsar.model_folder import ModelFolder
from molclr.qsar.predict import prediction_columns
from molclr.qsar.refit import FOLDS, _folds, _report_folds
from molclr.qsar.summary import summary


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The first 120 molecules of FreeSolv."""
    path = tmp_path_factory.mktemp("tables") / "freesolv.csv"
    path.write_text("".join((FIXTURES / "freesolv.csv").read_text().splitlines(keepends=True)[:121]))
    return path


def train(table, folder, *more):
    shape = ["--shape", "{layers: 1, hidden_dim: 8, embedding_dim: 8}", "--encoder", "none"]
    words = ["train", str(table), "--output", str(folder), *shape, "--baselines", "{trees: 8}"]
    assert main([*words, *more]) == 0
    return ModelFolder.read(folder), json.loads((folder / "metrics.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["svm", "rf", "network"])
def test_the_final_model_knows_all_molecules_and_its_score_is_that_of_before(table, tmp_path, model):
    quick = ["--model", model, "--epochs", "1", "--seeds", "2"]
    before, known = train(table, tmp_path / "before", *quick)
    after, metrics = train(table, tmp_path / "after", *quick, "--refit")
    assert metrics["models"] == known["models"], "scores are those of a model that did not know the test molecules"
    assert (tmp_path / "before/predictions.csv").read_bytes() == (tmp_path / "after/predictions.csv").read_bytes()
    assert before.training.counts.shape[0] == 96 and after.training.counts.shape[0] == 120
    assert after.targets == before.targets and after.about["targets"][0]["labels"] == 120
    smiles = [row["smiles"] for row in rows_of(table)]
    assert prediction_columns(after, smiles)["similarity"].min() == 1
    truth = np.array([[float(row["freesolv"])] for row in rows_of(table)])
    if model != "network":  # which an epoch teaches little
        errors = [np.abs(each.predict(smiles).mean - truth).mean() for each in (before, after)]
        assert errors[1] < errors[0]
    assert not np.array_equal(before.predict(smiles).mean, after.predict(smiles).mean)
    again, _ = train(table, tmp_path / "again", *quick, "--refit")
    np.testing.assert_array_equal(again.predict(smiles).mean, after.predict(smiles).mean)
    assert again.about == after.about and set(after.about["half_widths"]) == {model}
    width = after.about["half_widths"][model][0]
    assert metrics["refit"]["prediction_interval"]["freesolv"] == {"level": 0.9, "half_width": width}
    assert width > before.about["half_widths"][model][0] / 4 and metrics["refit"]["molecules"] == 120


def test_only_the_chosen_model_is_kept(table, tmp_path):
    model, metrics = train(table, tmp_path / "model", "--epochs", "1", "--seeds", "1", "--refit", "--split", "random")
    assert set(metrics["models"]) == {"network", "rf", "svm", "tanimoto"} and model.about["models"] == [
        metrics["chosen"]
    ]
    names = {path.name for path in (tmp_path / "model").iterdir()}
    is_network = metrics["chosen"] == "network"
    assert ("network-0.safetensors" in names) == is_network and "encoder.safetensors" not in names


def test_an_interval_is_calibrated_by_molecules_outside_the_training_set(table, tmp_path):
    """A forest of trees that repeat their training labels has residuals of zero only in training."""
    more = ["--model", "rf", "--baselines", "{trees: 1}", "--refit", "--split", "random"]
    model, _ = train(table, tmp_path / "model", *more)
    rows = rows_of(table)
    truth = np.array([[float(row["freesolv"])] for row in rows])
    fitted = half_widths(truth, model.predict([row["smiles"] for row in rows]).mean)[0]
    assert model.about["half_widths"]["rf"][0] > 1.2 * fitted


@pytest.mark.parametrize("model", ["svm", "network"])
def test_a_target_whose_labels_are_all_in_one_fold_has_no_interval(table, tmp_path, model, capsys):
    """Here those of monosubstituted benzenes, which have one scaffold. The final model predicts it."""
    lines = [(row["smiles"], row["freesolv"]) for row in rows_of(table)]
    benzenes = [f"c1ccccc1{'C' * length},{length}" for length in range(12)]
    rows = [*(f"{smiles},{label}," for smiles, label in lines), *(f"{text},{text[-1]}" for text in benzenes)]
    (tmp_path / "mine.csv").write_text("smiles,y,z\n" + "\n".join(rows) + "\n")
    found, metrics = train(tmp_path / "mine.csv", tmp_path / "m", "--model", model, "--epochs", "1", "--refit")
    assert metrics["refit"]["out_of_fold"]["rmse"]["undefined"] == {"z": "no label in the training set"}
    told = capsys.readouterr().out
    assert "all labels of 'z' are in one fold, so there is no out-of-fold score and no prediction interval" in told
    assert "fewer than 9" not in told
    assert f"optimistic, because the {'epochs were' if model == 'network' else 'penalty was'} chosen on some" in told
    assert found.about["half_widths"][model][1] is None and found.about["half_widths"][model][0] > 0
    columns = prediction_columns(found, ["CCc1ccccc1"])
    assert np.isfinite(columns["z_mean"]).all() and np.isnan(columns["z_high"]).all()


SMILES = [
    *("C1CC1C", "C1CC1CC", "c1ccccc1", "c1ccccc1C", "C1CCC1", "C1CCCC1"),
    *("C" * length for length in range(1, 9)),
]


@pytest.mark.parametrize("scheme", ["scaffold", "butina", "a column"])
def test_folds_keep_the_groups_of_the_scheme_together(scheme):
    """A column does not tell its groups, so that scaffolds are kept together."""
    data = LabelledMolecules(np.arange(14), SMILES, np.zeros((14, 1)), ["y"], {})
    folds = list(_folds(data, scheme))
    tested = [{*part.subsets["test"].tolist()} for part in folds]
    assert sorted(place for fold in tested for place in fold) == list(range(14)) and len(folds) == FOLDS
    for part, fold in zip(folds, tested, strict=True):
        assert not fold & {*part.subsets["train"]} and not len(part.subsets["valid"])
        assert scheme == "butina" or (len({0, 1} & fold) in (0, 2) and len({2, 3} & fold) in (0, 2))


def test_molecules_of_one_scaffold_can_be_refitted_to_and_large_groups_are_told(capsys):
    data = LabelledMolecules(np.arange(8), SMILES[6:], np.zeros((8, 1)), ["y"], {})
    assert len(list(_folds(data, "a column"))) == FOLDS
    assert "warning: all molecules have one scaffold" in capsys.readouterr().err
    _report_folds("svm", 14, [8, 2, 2, 1, 1])
    told = capsys.readouterr().err
    assert "5 times without a fold of 1 to 8 of them" in told and "refit: 8 of 14 molecules belong together" in told
    _report_folds("svm", 10, [2] * 5)
    assert "belong together" not in capsys.readouterr().err


@pytest.mark.parametrize("model", ["network", "rf"])
def test_a_target_without_training_labels_is_predicted_after_a_refit(table, tmp_path, model):
    lines = [f"{row['smiles']},{row['freesolv']}" for row in rows_of(table)]
    rows = [f"{line}," if place % 4 else f"{line},{place}" for place, line in enumerate(lines)]
    subset = ["train" if place % 4 else ("valid", "test")[place // 4 % 2] for place in range(len(rows))]
    text = [f"{row},{name}" for row, name in zip(rows, subset, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join(["smiles,y,late,set", *text]))
    words = ["--model", model, "--epochs", "1", "--seeds", "1", "--refit", "--split", "set"]
    found, metrics = train(tmp_path / "mine.csv", tmp_path / "m", *words)
    assert found.targets == ["y", "late"] and np.isfinite(found.predict(["CCO"]).mean).all()
    assert (
        found.about["half_widths"][model][1] > 0
        and "late" not in metrics["models"][model]["test"]["rmse"]["per_target"]
    )


def test_the_scores_that_are_shown_say_whether_they_are_of_the_final_model(table, tmp_path):
    for name, more in (("before", []), ("after", ["--refit"])):
        model, metrics = train(table, tmp_path / name, "--model", "svm", *more)
        lines, explained = summary(metrics), _scored(model, "svm")
        (covered,) = (line for line in lines if "prediction intervals contain" in line)
        found = metrics["refit"]["out_of_fold"] if more else metrics["models"]["svm"]["test"]
        kind = "out-of-fold" if more else "test"
        assert explained == f"'svm' ({kind} RMSE {found['rmse']['value']:.3g}) is explained"
        assert ("before refit" in covered) == bool(more)


def test_the_intervals_of_a_split_in_a_column_are_those_of_the_scheme_that_made_it(table, tmp_path, capsys):
    built_in, _ = train(table, tmp_path / "scaffold", "--model", "svm", "--refit")
    subset = {row["row"]: row["subset"] for row in rows_of(tmp_path / "scaffold/split.csv")}
    lines = [f"{row['smiles']},{row['freesolv']},{subset[str(place)]}" for place, row in enumerate(rows_of(table))]
    (tmp_path / "mine.csv").write_text("\n".join(["smiles,freesolv,set", *lines]))
    named, _ = train(tmp_path / "mine.csv", tmp_path / "m", "--model", "svm", "--refit", "--split", "set")
    assert named.about["half_widths"] == built_in.about["half_widths"]
    told = capsys.readouterr().err
    assert "'set' does not tell what belongs together" in told
