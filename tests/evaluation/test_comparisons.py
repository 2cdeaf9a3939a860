"""Comparisons between the models of a benchmark, from files of runs."""

import numpy as np
import pandas as pd
import pytest

from molclr.errors import MolclrError
from molclr.evaluation import comparisons, statistics
from molclr.evaluation.comparisons import read_samples
from molclr.evaluation.runs import Run, write_run
from molclr.evaluation.statistics import Difference
from molclr.evaluation.summary import summarise
from molclr.evaluation.verdict import verdict


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def rows(runs):
    """Model -> row of the table of results."""
    table = summarise(list(runs.values()), {}, read_samples(runs))
    return {row["model"]: row for _, row in table.iterrows()}


def write(folder, model, seed, values, labels, targets=("a",), rows=None, validation=None):
    run = Run("freesolv", model, seed, "regression", "rmse", list(targets))
    rows = np.arange(len(labels)) if rows is None else rows
    return {folder: write_run(folder, run, rows, labels, values, validation=validation)}


def test_files_of_several_seeds_and_of_one_model_per_target(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    labels = generator.normal(size=(40, 2))
    runs = {}
    for seed in (0, 1):
        runs |= write(tmp_path / f"p{seed}", "MolCLR_GIN", seed, labels + 0.1, labels, ("a", "b"))
        runs |= write(tmp_path / f"s{seed}a", "GIN", seed, labels[:, :1] + 1.0, labels[:, :1], ("a",))
        runs |= write(tmp_path / f"s{seed}b", "GIN", seed, labels[:, 1:] + 1.0, labels[:, 1:], ("b",))
        runs |= write(tmp_path / f"g{seed}", "MolCLR_GCN", seed, labels, labels, ("a", "b"))
    found = rows(runs)
    gin, gcn = found["MolCLR_GIN"], found["MolCLR_GCN"]
    assert gin.minus_scratch == pytest.approx(-0.9, abs=1e-6) and gin.minus_scratch_verdict == "better"
    assert np.isnan(gcn.minus_scratch) and gcn.minus_scratch_verdict == "", "there is no GCN to compare with"


def test_models_that_cannot_be_compared_have_no_difference(tmp_path):
    """One test molecule; one class; of two targets, a model each, one that cannot be scored does not matter."""
    value = np.array([[0.5]])
    runs = {}
    for seed in (0, 1):
        for model in ("MolCLR_GIN", "GIN"):
            runs |= write(tmp_path / f"{model}{seed}", model, seed, value + seed, value)
    assert set(rows(runs)["MolCLR_GIN"][["minus_scratch_verdict", "minus_baseline_verdict"]]) == {""}

    def classes(target, labels):
        found = {}
        for model in ("MolCLR_GIN", "GIN"):
            run = Run("muv", model, 0, "classification", "roc_auc", [target])
            folder = tmp_path / f"{target}-{model}"
            labels_of = np.array(labels, float)[:, None]
            found[folder] = write_run(folder, run, np.arange(4), labels_of, np.linspace(0, 1, 4)[:, None])
        return found

    negative, both = classes("a", [0, 0, 0, 0]), classes("b", [0, 1, 0, 1])
    assert rows(negative)["MolCLR_GIN"].minus_scratch_verdict == ""
    assert rows(negative | both)["MolCLR_GIN"].minus_scratch == 0


def test_seeds_with_different_predictions_are_an_error(generator, tmp_path):
    labels = generator.normal(size=(10, 2))
    runs = write(tmp_path / "GIN/seed-0", "GIN", 0, labels, labels, ("a", "b"))
    runs |= write(tmp_path / "GIN/seed-1", "GIN", 1, labels[:, :1], labels[:, :1], ("a",))
    runs |= write(tmp_path / "p", "MolCLR_GIN", 0, labels, labels, ("a", "b"))
    with pytest.raises(MolclrError, match="GIN': the seeds have predictions for different molecules or targets"):
        rows(runs)


def test_other_test_molecules_are_an_error(generator, tmp_path):
    labels = generator.normal(size=(10, 1))
    runs = write(tmp_path / "p", "MolCLR_GIN", 0, labels, labels)
    other = write(tmp_path / "s", "GIN", 0, labels, labels, rows=np.arange(1, 11))
    with pytest.raises(MolclrError, match="MolCLR_GIN and GIN were tested on different molecules of freesolv"):
        rows(runs | other)
    (tmp_path / "s" / "predictions.csv").unlink()
    with pytest.raises(MolclrError, match=r"predictions\.csv' does not exist"):
        rows(runs | other)


@pytest.fixture
def several(generator, tmp_path, monkeypatch):
    """Two seeds of models whose errors have a given size and which have a given validation score."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    labels = generator.normal(size=(200, 1))

    def runs(**models):
        found = {}
        for model, (size, validation) in models.items():
            for seed in (0, 1):
                values = labels + size * generator.normal(size=labels.shape)
                found |= write(tmp_path / f"{model}{seed}", model, seed, values, labels, validation=validation)
        return found

    return runs


def test_the_best_baseline_is_the_one_with_the_best_validation_score(several):
    """The other one would be the better on the test molecules."""
    found = rows(several(RF=(2.0, 1.0), SVM=(0.3, 1.5), MolCLR_GIN=(1.0, 0.1), GIN=(1.0, 0.1)))
    assert found["MolCLR_GIN"].baseline == "RF" and found["MolCLR_GIN"].minus_baseline_verdict == "better"
    assert found["MolCLR_GIN"].minus_baseline == pytest.approx(-1.0, abs=0.2)
    assert found["GIN"].baseline == found["RF"].baseline == "", "not for the other models"


def test_the_tanimoto_machine_is_a_baseline(several):
    found = rows(several(SVM=(2.0, 1.0), SVM_Tanimoto=(1.5, 0.9), SVM_MolCLR_GIN_ECFP=(1.0, 0.1)))
    assert found["SVM_MolCLR_GIN_ECFP"].baseline == "SVM_Tanimoto" and found["SVM_Tanimoto"].baseline == ""


def test_without_validation_scores_there_is_no_choice_between_two_baselines(several):
    unknown = several(RF=(2.0, None), SVM=(0.3, None), MolCLR_GIN=(1.0, None))
    assert rows(unknown)["MolCLR_GIN"].baseline == ""
    assert rows(several(SVM=(0.3, None), MolCLR_GIN=(1.0, None)))["MolCLR_GIN"].minus_baseline_verdict == "worse"


def test_what_does_not_differ_from_the_best_is_marked(several):
    found = rows(several(RF=(3.0, 1.0), SVM=(1.0, 1.0), GCN=(0.99, 1.0), MolCLR_GIN=(2.0, 1.0)))
    marks = {model: row.best for model, row in found.items()}
    assert sorted([marks.pop("GCN"), marks.pop("SVM")]) == ["best", "not distinguishable"]
    assert marks == {"RF": "", "MolCLR_GIN": ""}


def test_what_is_marked_as_close_to_the_best_does_not_contradict_the_verdict(several):
    """One seed gives no verdict, so it has no mark either, which a much worse score would have too."""
    runs = several(GIN=(1.0, 1.0), MolCLR_GIN=(2.0, 1.0), RF=(2.0, 1.0))
    one_seed = {folder: run for folder, run in runs.items() if (run.model, run.seed) != ("MolCLR_GIN", 1)}
    found = rows(one_seed)
    assert found["MolCLR_GIN"].minus_scratch_verdict == "one seed"
    assert [found[model].best for model in ("GIN", "MolCLR_GIN", "RF")] == ["best", "", ""]
    assert rows(runs)["MolCLR_GIN"].best == ""


def test_many_models_are_not_told_from_the_best_by_chance(several, monkeypatch):
    """p = 0.03 is significant alone, and is not among three models."""
    close = Difference(1.0, 0.1, 1.9, 0.03, "worse")
    monkeypatch.setattr(comparisons, "difference", lambda *_: close)
    models = several(RF=(1.0, 1.0), SVM=(1.1, 1.0), GIN=(1.2, 1.0))
    assert [row.best for row in rows(models).values()].count("not distinguishable") == 2
    pair = {folder: run for folder, run in models.items() if run.model != "GIN"}
    assert [row.best for row in rows(pair).values()].count("not distinguishable") == 0


def test_a_target_that_nobody_could_learn_does_not_count(generator, tmp_path):
    labels = generator.normal(size=(20, 2))
    values = np.column_stack([labels[:, 0] + 0.1, np.full(20, np.nan)])
    runs = write(tmp_path / "p", "MolCLR_GIN", 0, values, labels, ("a", "b"))
    runs |= write(tmp_path / "s", "GIN", 0, values + 0.2, labels, ("a", "b"))
    assert rows(runs)["MolCLR_GIN"].minus_scratch == pytest.approx(-0.2, abs=1e-6)


def test_a_frozen_representation_is_compared_with_the_best_baseline(several):
    """It uses a pre-trained encoder, but there is no such machine on a network from scratch."""
    found = rows(several(RF=(2.0, 1.0), SVM_MolCLR_GIN=(1.0, 1.0), MolCLR_GIN=(1.0, 1.0)))
    machine = found["SVM_MolCLR_GIN"]
    assert (machine.baseline, machine.minus_baseline_verdict, machine.minus_scratch_verdict) == ("RF", "better", "")
    (verdict_on_it,) = (each for each in verdict(pd.DataFrame(found.values())).models if each.model == machine.model)
    assert verdict_on_it.sentence().startswith("SVM_MolCLR_GIN: significantly better than the best baseline on 1 of 1")
