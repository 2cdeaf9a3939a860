"""The folder of a run."""

import csv
import json
import math

import numpy as np
import pytest

from molclr.errors import MolclrError
from molclr.evaluation.metrics import metrics_of, score
from molclr.evaluation.runs import Run, read_metrics, read_run, write_run

CLINTOX = Run("clintox", "RF", 2, "classification", "roc_auc", ("FDA_APPROVED", "CT_TOX"))
ROWS = np.array([7, 3, 11])
LABELS = np.array([[1, 0], [np.nan, 0], [0, 0]])
PREDICTIONS = np.array([[0.8, 0.1], [0.5, 1 / 3], [0.3, 0.2]])


@pytest.mark.parametrize(("task", "metric"), [("classification", "rmse"), ("regression", "roc_auc")])
def test_a_metric_suits_its_task(task, metric):
    suitable = ", ".join(metrics_of(task))
    with pytest.raises(MolclrError, match=f"{metric} is not a metric of {task}; choose one of {suitable}"):
        Run("bbbp", "GIN", 0, task, metric, ["p_np"])


def test_the_two_files(tmp_path):
    write_run(tmp_path, CLINTOX, ROWS, LABELS, PREDICTIONS, best_epoch=12, validation=np.float64(0.91), note="20 trees")
    assert (tmp_path / "predictions.csv").read_text() == (
        "row,target,label,prediction\n"
        "7,FDA_APPROVED,1,0.800000012\n7,CT_TOX,0,0.100000001\n"
        "3,FDA_APPROVED,,0.5\n3,CT_TOX,0,0.333333343\n"
        "11,FDA_APPROVED,0,0.300000012\n11,CT_TOX,0,0.200000003\n"
    )
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written.pop("also")["pr_auc"] == {
        "test": 1.0,
        "per_target": {"FDA_APPROVED": 1.0},
        "left_out": {"CT_TOX": "one class in the test set"},
    }
    assert written == {
        "benchmark": "clintox",
        "model": "RF",
        "seed": 2,
        "task": "classification",
        "metric": "roc_auc",
        "best_epoch": 12,
        "validation": 0.91,
        "test": 1.0,
        "test_molecules": 3,
        "per_target": {"FDA_APPROVED": 1.0},
        "left_out": {"CT_TOX": "one class in the test set"},
        "note": "20 trees",
        "deterministic": False,
    }


def test_targets_may_be_called_2024_or_na(tmp_path):
    run = Run("2024", "RF", 0, "classification", "roc_auc", ("2024", "NA"))
    write_run(tmp_path, run, ROWS, LABELS, PREDICTIONS)
    found = read_run(tmp_path)
    assert found["target"].to_list() == ["2024", "NA"] * 3
    assert found["label"].isna().sum() == 1 and found["prediction"].dtype == np.float64


def test_metrics_are_read_as_written(tmp_path):
    written = write_run(tmp_path, CLINTOX, ROWS, LABELS, PREDICTIONS)
    assert read_metrics(tmp_path / "metrics.json") == written
    assert written.best_epoch is None and written.validation is None


def test_the_score_follows_from_the_written_predictions(tmp_path):
    generator = np.random.default_rng(0)
    labels, predictions = generator.normal(size=(2, 40, 1))
    run = Run("lipo", "SVM", 0, "regression", "rmse", ["lipo"])
    # Values that differ in double precision only: what is scored must be what is written.
    predictions = predictions + generator.normal(size=predictions.shape) * 1e-9
    metrics = write_run(tmp_path, run, np.arange(40), labels, predictions)
    with (tmp_path / "predictions.csv").open() as file:
        lines = list(csv.DictReader(file))
    truth = np.array([[float(line["label"])] for line in lines])
    guess = np.array([[float(line["prediction"])] for line in lines], np.float32)
    assert metrics.test == pytest.approx(score("rmse", truth, guess, ["lipo"]).value, rel=1e-8)


def test_the_same_run_gives_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        write_run(tmp_path / folder, CLINTOX, ROWS, LABELS, PREDICTIONS)
    for name in ("predictions.csv", "metrics.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_undefined_score_is_null(tmp_path):
    write_run(tmp_path, CLINTOX, ROWS, np.zeros((3, 2)), PREDICTIONS, validation=math.nan)
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values["test"] is None and values["validation"] is None and values["per_target"] == {}
    assert read_metrics(tmp_path / "metrics.json").test is None


def test_diverged_predictions_leave_no_file(tmp_path):
    with pytest.raises(MolclrError):
        write_run(tmp_path / "run", CLINTOX, ROWS, LABELS, PREDICTIONS * np.inf)
    assert not (tmp_path / "run").exists()


def test_shapes_must_agree(tmp_path):
    with pytest.raises(ValueError, match="3 molecules and 2 targets"):
        write_run(tmp_path, CLINTOX, ROWS, LABELS, PREDICTIONS[:, 0])


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"benchmark": "bbbp"}', '{"test": 1, "unknown": 2}'])
def test_a_file_without_metrics_is_an_error(tmp_path, text):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(MolclrError, match="does not contain the metrics of a run"):
        read_metrics(path)


def test_every_metric_of_the_task_is_in_the_file(tmp_path):
    run = Run("lipo", "SVM", 0, "regression", "mae", ["lipo"])
    labels = np.array([[1.0], [2.0], [4.0]])
    written = write_run(tmp_path, run, ROWS, labels, labels + 1)
    found = {name: scored.test for name, scored in written.scores().items()}
    expected = {"mae": 1.0, "rmse": 1.0, "r2": 1 - 3 / (42 / 9), "spearman": 1.0}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert {*found} == {*metrics_of("regression")}
    assert next(iter(found)) == "mae" and read_metrics(tmp_path / "metrics.json") == written


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(MolclrError, match="does not exist"):
        read_metrics(tmp_path / "metrics.json")
