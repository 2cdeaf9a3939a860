"""Scores against scikit-learn, and what is left out of them."""

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score, root_mean_squared_error

from molclr.errors import MolclrError
from molclr.evaluation.metrics import better, roc_auc, score

MISSING = np.nan


@pytest.mark.parametrize("levels", [3, 1000])
def test_roc_auc_agrees_with_scikit_learn_with_and_without_ties(levels):
    generator = np.random.default_rng(0)
    labels = (generator.random(500) < 0.2).astype(float)
    predictions = generator.integers(levels, size=500) / levels + 0.1 * labels
    assert roc_auc(labels, predictions) == pytest.approx(roc_auc_score(labels, predictions), abs=1e-12)


def test_a_tie_counts_one_half():
    assert roc_auc(np.array([0, 1, 1]), np.array([0.4, 0.4, 0.9])) == 0.75


def test_constant_predictions_are_chance():
    assert roc_auc(np.array([0, 1, 0, 1, 1]), np.full(5, 0.3)) == 0.5


@pytest.mark.parametrize(("metric", "reference"), [("rmse", root_mean_squared_error), ("mae", mean_absolute_error)])
def test_errors_are_the_mean_of_each_targets_own(metric, reference):
    generator = np.random.default_rng(1)
    labels, predictions = generator.normal(size=(2, 60, 2)) * [1, 20]
    labels[:25, 1] = MISSING
    result = score(metric, labels, predictions, ["E1", "E2"])
    expected = {"E1": reference(labels[:, 0], predictions[:, 0]), "E2": reference(labels[25:, 1], predictions[25:, 1])}
    assert result.per_target == pytest.approx(expected)
    assert result.value == pytest.approx(sum(expected.values()) / 2)


def test_missing_labels_do_not_count():
    labels = np.array([[1], [0], [MISSING], [1], [0]])
    predictions = np.array([[0.9], [0.2], [np.nan], [0.1], [0.4]], np.float32)
    assert score("roc_auc", labels, predictions, ["NR-AR"]).value == 0.5


def test_a_target_with_one_class_or_without_labels_is_named_and_left_out():
    labels = np.array([[1, 0, MISSING], [0, 0, MISSING], [1, MISSING, MISSING]])
    predictions = np.array([[0.9, 0.1, 0.5], [0.2, 0.2, 0.5], [0.7, 0.3, 0.5]])
    result = score("roc_auc", labels, predictions, ["NR-AR", "NR-AhR", "SR-p53"])
    assert result.value == 1
    assert result.per_target == {"NR-AR": 1}
    assert result.left_out == {"NR-AhR": "one class", "SR-p53": "no labels"}


def test_equal_labels_are_no_reason_to_leave_out_an_error():
    assert score("rmse", np.zeros((3, 1)), np.ones((3, 1)), ["freesolv"]).value == 1


@pytest.mark.parametrize("metric", ["roc_auc", "rmse", "mae"])
def test_without_any_label_there_is_no_score(metric):
    result = score(metric, np.full((4, 2), MISSING), np.zeros((4, 2)), ["CT_TOX", "FDA_APPROVED"])
    assert math.isnan(result.value)
    assert list(result.left_out) == ["CT_TOX", "FDA_APPROVED"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_diverged_are_an_error(value):
    with pytest.raises(MolclrError, match="'lipo' is not a finite number"):
        score("mae", np.zeros((2, 1)), np.array([[0.0], [value]]), ["lipo"])


def test_a_third_class_is_an_error():
    with pytest.raises(MolclrError, match="A label of 'p_np' is"):
        score("roc_auc", np.array([[0.0], [1.0], [2.0]]), np.zeros((3, 1)), ["p_np"])


def test_better_knows_the_direction_and_that_nan_is_worst():
    assert better("roc_auc", 0.8, than=0.7) and not better("roc_auc", 0.7, than=0.7)
    assert better("rmse", 0.7, than=0.8) and not better("mae", 0.8, than=0.7)
    assert better("rmse", 9.0, than=math.nan) and not better("rmse", math.nan, than=9.0)
    assert not better("mae", math.nan, than=math.nan)
