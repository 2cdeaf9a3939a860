"""Scores against scikit-learn, and what is left out of them."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from molclr.data.catalogue import load_catalogue
from molclr.errors import MolclrError
from molclr.evaluation.benchmarks import check_labels_of
from molclr.evaluation.metrics import (
    METRICS,
    better,
    check_all_labels,
    find_label,
    find_metric,
    metrics_of,
    roc_auc,
    score,
)
from molclr.training.supervised import SUPERVISED_LOSSES

MISSING = np.nan


REFERENCES = {
    "roc_auc": roc_auc_score,
    "pr_auc": average_precision_score,
    "accuracy": lambda labels, predictions: accuracy_score(labels, predictions >= 0.5),
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "r2": r2_score,
    "spearman": lambda labels, predictions: spearmanr(labels, predictions).statistic,
}


@pytest.mark.parametrize(
    ("labels", "is_told_apart"),
    [
        ([1e9, 1e9 + 1, 1e9 + 3], False),
        ([-1e9, -1e9 + 1, -1e9 + 3], False),
        ([1e-300, 2e-300, 3e-300], False),
        ([0, 1e-300], False),
        ([1e9, 1.1e9, MISSING], True),
        ([2000, 2001, 2024], True),
        ([1e-20, 3e-20], True),
        ([-1e30, 3], True),
        ([5e9, 5e9], True),  # from which nothing can be learned, as a warning says
        ([MISSING, MISSING], True),
    ],
)
def test_labels_that_single_precision_does_not_tell_apart_are_an_error(labels, is_told_apart):
    columns = np.array([labels, labels], float).T
    columns[:, 0] = np.arange(len(labels))
    if is_told_apart:
        check_all_labels("regression", columns, ["a", "b"])
    else:
        with pytest.raises(MolclrError, match=r"The labels of 'b', from .* differ too little for single precision"):
            check_all_labels("regression", columns, ["a", "b"])


@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("name", METRICS)
def test_every_metric_agrees_with_a_library_with_and_without_ties(name, levels):
    generator = np.random.default_rng(0)
    labels = (generator.random(500) < 0.2).astype(float)
    if METRICS[name].task == "regression":
        labels += generator.integers(levels, size=500)
    predictions = generator.integers(levels, size=500) / levels + 0.1 * labels
    value = METRICS[name].function(labels, predictions)
    assert value == pytest.approx(REFERENCES[name](labels, predictions), abs=1e-12)
    assert METRICS[name].range[0] <= value <= METRICS[name].range[1]


def test_every_metric_has_a_loss_and_a_name_of_its_own():
    assert {metric.loss for metric in METRICS.values()} <= set(SUPERVISED_LOSSES)
    for metric in METRICS.values():
        assert find_label(metric.label) is metric
    assert {"roc_auc", "pr_auc"} <= {*metrics_of("classification")}
    assert {*metrics_of("classification"), *metrics_of("regression")} == {*METRICS}


def test_the_metrics_and_schemes_of_the_catalogue_are_known():
    for key, benchmark in load_catalogue().benchmarks.items():
        check_labels_of(key, benchmark)


def test_an_unknown_metric_is_an_error_everywhere():
    with pytest.raises(MolclrError, match=f"Unknown metric 'banana'; choose one of {', '.join(METRICS)}"):
        find_metric("banana")
    with pytest.raises(MolclrError, match="Unknown metric 'banana'"):
        score("banana", np.zeros((2, 1)), np.zeros((2, 1)), ["lipo"])
    with pytest.raises(MolclrError, match="Unknown metric 'banana'"):
        better("banana", 1.0, than=2.0)
    with pytest.raises(MolclrError, match="Unknown metric 'Banana' in a table"):
        find_label("Banana")


@pytest.mark.parametrize(
    ("metric", "labels", "predictions", "reason"),
    [
        ("pr_auc", [0, 0], [0.1, 0.2], "one class"),
        ("pr_auc", [1, 1], [0.1, 0.2], "one class"),
        ("r2", [2, 2], [1, 3], "all labels are equal"),
        ("r2", [2], [1], "all labels are equal"),
        ("spearman", [2, 2], [1, 3], "all labels are equal"),
        ("spearman", [2, 3], [1, 1], "all predictions are equal"),
    ],
)
def test_an_undefined_score_says_why(metric, labels, predictions, reason):
    result = score(metric, np.array(labels, float)[:, None], np.array(predictions, float)[:, None], ["target"])
    assert math.isnan(result.value) and result.left_out == {"target": reason}


def test_random_ranking_has_the_fraction_of_positives_as_pr_auc():
    generator = np.random.default_rng(0)
    labels = (generator.random(20_000) < 0.05).astype(float)[:, None]
    assert score("pr_auc", labels, generator.random((20_000, 1)), ["MUV-466"]).value == pytest.approx(0.05, abs=0.01)


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


def test_errors_are_defined_for_equal_labels():
    assert score("rmse", np.zeros((3, 1)), np.ones((3, 1)), ["freesolv"]).value == 1


@pytest.mark.parametrize("metric", METRICS)
def test_without_any_label_there_is_no_score(metric):
    result = score(metric, np.full((4, 2), MISSING), np.zeros((4, 2)), ["CT_TOX", "FDA_APPROVED"])
    assert math.isnan(result.value)
    assert list(result.left_out) == ["CT_TOX", "FDA_APPROVED"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_diverged_are_an_error(value):
    with pytest.raises(MolclrError, match="'lipo' is not finite"):
        score("mae", np.zeros((2, 1)), np.array([[0.0], [value]]), ["lipo"])


def test_a_third_class_is_an_error():
    with pytest.raises(MolclrError, match="A label of 'p_np' is"):
        score("roc_auc", np.array([[0.0], [1.0], [2.0]]), np.zeros((3, 1)), ["p_np"])


def test_better_knows_the_direction_and_that_nan_is_worst():
    assert better("roc_auc", 0.8, than=0.7) and not better("roc_auc", 0.7, than=0.7)
    assert better("rmse", 0.7, than=0.8) and not better("mae", 0.8, than=0.7)
    assert better("rmse", 9.0, than=math.nan) and not better("rmse", math.nan, than=9.0)
    assert not better("mae", math.nan, than=math.nan)
