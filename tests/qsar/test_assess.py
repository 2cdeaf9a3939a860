"""The choice of a model and its scores."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from molclr.config import Baselines
from molclr.data.labelled import LabelledMolecules
from molclr.evaluation.runs import Run
from molclr.qsar.assess import STANDARD_DEVIATIONS, evaluate, evaluate_refit
from molclr.qsar.model_folder import Predicted
from molclr.qsar.summary import summary
from molclr.training.fixed import Inputs, fit_fixed, predict_fixed
from molclr.training.forest import predict_trees

TARGETS = ["IC50 in nM", "logD"]
RUN = Run("mine", "network", 0, "regression", "rmse", TARGETS)


@pytest.fixture
def measured():
    """30 molecules with a target around 1000 and one around 1, of which each third is train, valid and test."""
    labels = np.random.default_rng(0).standard_normal((30, 2)) * [1000, 1]
    subsets = dict(zip(("train", "valid", "test"), np.arange(30).reshape(3, 10), strict=True))
    return LabelledMolecules(np.arange(30), [f"{place}" for place in range(30)], labels, TARGETS, subsets)


class Folder(SimpleNamespace):
    """Two models: the error of A is a bit smaller in nM and constant, that of B much smaller in logD and grows with the row."""

    def predict(self, smiles, name, compute):
        rows = [int(text) for text in smiles]
        error = np.array({"A": [295, 0.99], "B": [301, 0.05]}[name])
        mean = self.labels[rows] + error * (1 if name == "A" else 1 + 0.01 * np.array(rows)[:, None])
        return Predicted(mean, np.full(mean.shape, np.nan))


def test_targets_of_different_units_count_alike(measured, tmp_path):
    about = {"models": ["A", "B"], "settings": {"device": "cpu"}}
    folder = Folder(folder=tmp_path, about=about, labels=measured.labels)
    metrics = evaluate(folder, measured, RUN) | {"molecules_in_several_subsets": 0}
    assert metrics["chosen"] == "B" and metrics["mean_over_targets_in"] == STANDARD_DEVIATIONS
    found = metrics["models"]["A"]["test"]["rmse"]
    assert found["per_target"] == pytest.approx({"IC50 in nM": 295, "logD": 0.99})
    scale = measured.labels[:10].std(axis=0, ddof=1)
    assert found["value"] == pytest.approx(np.mean([295, 0.99] / scale))
    assert found["interval"] == [None, None], "the errors are constant, so a bootstrap estimates no error of the score"
    assert metrics["scale"] == pytest.approx(dict(zip(TARGETS, scale, strict=True)))
    varied = metrics["models"]["B"]["test"]["rmse"]
    assert varied["interval"][0] < varied["value"] < varied["interval"][1]
    lines = summary(metrics)
    assert any(STANDARD_DEVIATIONS in line for line in lines) and f"{found['value']:.3f}" in "\n".join(lines)
    refit = evaluate_refit(folder, measured, RUN, measured.labels + np.array([295, 0.99]))
    assert refit["out_of_fold"]["rmse"]["value"] == pytest.approx(found["value"])
    assert refit["prediction_interval"]["IC50 in nM"]["half_width"] == pytest.approx(295)


@pytest.mark.parametrize("trees", [1, 3])
def test_the_standard_deviation_over_trees_is_that_of_a_sample_as_over_networks(trees):
    generator = np.random.default_rng(0)
    counts, labels = generator.integers(0, 2, (30, 2048)).astype(np.float32), generator.standard_normal(30)
    inputs = Inputs(csr_matrix(counts))
    forest = fit_fixed("rf", inputs, labels, "regression", Baselines(trees=trees), 0)
    _, std = predict_fixed("rf", forest, inputs, inputs, "regression")
    each = predict_trees(forest, counts)
    np.testing.assert_array_equal(std, np.full(30, np.nan) if trees == 1 else each.std(axis=0, ddof=1))
