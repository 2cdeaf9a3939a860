"""The published tables say what the published predictions come to, computed here once more and by other means."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score

from docs.studies import STUDIES as FOLDERS
from docs.studies import write_tables_of
from molclr.data.catalogue import load_catalogue

MEASURES = {
    "ROC-AUC": lambda label, prediction: 100 * roc_auc_score(label, prediction),
    "PR-AUC": lambda label, prediction: 100 * average_precision_score(label, prediction),
    "accuracy": lambda label, prediction: 100 * np.mean((prediction >= 0.5) == (label == 1)),
    "RMSE": lambda label, prediction: np.sqrt(np.mean((label - prediction) ** 2)),
    "MAE": lambda label, prediction: np.mean(np.abs(label - prediction)),
    "R²": r2_score,
    "Spearman": lambda label, prediction: spearmanr(label, prediction).statistic,
}


def tables(folder, pattern):
    files = sorted(folder.glob(pattern))
    assert files
    return pd.concat(map(pd.read_csv, files))


def runs_of(folder):
    """What was predicted for known labels, by benchmark and model."""
    names = {key: benchmark.name for key, benchmark in load_catalogue().benchmarks.items()}
    predictions = pd.read_csv(folder / "predictions.csv.gz").dropna(subset=["label"])
    return dict(list(predictions.assign(benchmark=predictions["benchmark"].map(names)).groupby(["benchmark", "model"])))


def expect(row, runs):
    """Mean and standard deviation of a table are those of the scores of the seeds."""
    scores = [
        np.mean(
            [
                MEASURES[row.metric](target["label"], target["prediction"])
                for _, target in run.groupby("target")
                if not row.metric.endswith("-AUC") or target["label"].nunique() == 2
            ]
        )
        for _, run in runs.groupby("seed")
    ]
    assert len(scores) == row.seeds
    assert np.mean(scores) == pytest.approx(row.mean, rel=1e-4, abs=1e-6), row
    assert len(scores) == 1 or np.std(scores, ddof=1) == pytest.approx(row.std, rel=1e-4, abs=1e-6), row


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_published_tables_are_those_of_the_published_predictions(folder):
    runs, rows = runs_of(folder), list(tables(folder, "*n.csv").itertuples())
    assert {(row.benchmark, row.model) for row in rows} == set(runs) and len(rows) == len(runs)
    for row in rows:
        expect(row, runs[row.benchmark, row.model])


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_published_scores_by_every_metric_are_those_of_the_predictions(folder):
    runs, scores = runs_of(folder), tables(folder, "*_scores.csv")
    for row in scores.itertuples():
        expect(row, runs[row.benchmark, row.model])
    primary = scores[scores["primary"]].set_index(["benchmark", "model"])["mean"]
    expected = tables(folder, "*n.csv").set_index(["benchmark", "model"])["mean"]
    pd.testing.assert_series_equal(primary.sort_index(), expected.sort_index())
    count = scores.groupby(["benchmark", "model"])["metric"].nunique()
    assert set(count) <= {3, 4}, "every metric of the task"


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_published_tables_are_those_that_the_present_code_makes(folder, tmp_path):
    """Except for `validation` and `deterministic`, which predictions do not contain and which are taken from the tables."""
    write_tables_of(folder, tmp_path)
    for path in folder.glob("*.csv"):
        ours, published = (pd.read_csv(table) for table in (tmp_path / path.name, path))
        pd.testing.assert_frame_equal(ours, published, rtol=1e-4, atol=2e-6, obj="run `python docs/studies.py`")


def test_there_are_published_predictions():
    assert {folder.name for folder in FOLDERS} >= {"official-gcn", "official-gcn-without-hydrogens"}
