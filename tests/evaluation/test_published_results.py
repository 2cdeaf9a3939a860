"""The published tables say what the published predictions come to, computed here once more and by other means."""

import numpy as np
import pandas as pd
import pytest
from paths import REPOSITORY
from sklearn.metrics import roc_auc_score

from molclr.data.catalogue import load_catalogue

FOLDERS = sorted(path.parent for path in (REPOSITORY / "results/published").glob("*/predictions.csv.gz"))
MEASURES = {
    "ROC-AUC": lambda label, prediction: 100 * roc_auc_score(label, prediction),
    "RMSE": lambda label, prediction: np.sqrt(np.mean((label - prediction) ** 2)),
    "MAE": lambda label, prediction: np.mean(np.abs(label - prediction)),
}


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_published_tables_are_those_of_the_published_predictions(folder):
    expected = pd.concat(map(pd.read_csv, folder.glob("*.csv"))).set_index(["benchmark", "model"])
    names = {key: benchmark.name for key, benchmark in load_catalogue().benchmarks.items()}
    predictions = pd.read_csv(folder / "predictions.csv.gz").dropna(subset=["label"])
    groups = predictions.assign(benchmark=predictions["benchmark"].map(names)).groupby(["benchmark", "model"])
    assert set(groups.groups) == set(expected.index)
    for key, runs in groups:
        row = expected.loc[key]
        scores = [
            np.mean(
                [
                    MEASURES[row["metric"]](target["label"], target["prediction"])
                    for _, target in run.groupby("target")
                    if row["metric"] != "ROC-AUC" or target["label"].nunique() == 2
                ]
            )
            for _, run in runs.groupby("seed")
        ]
        assert len(scores) == row["seeds"]
        assert np.mean(scores) == pytest.approx(row["mean"], rel=1e-5), key
        assert len(scores) == 1 or np.std(scores, ddof=1) == pytest.approx(row["std"], rel=1e-4, abs=1e-6), key


def test_there_are_published_predictions():
    assert {folder.name for folder in FOLDERS} >= {"official-gcn", "official-gcn-without-hydrogens"}
