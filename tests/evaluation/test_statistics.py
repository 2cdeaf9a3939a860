"""The difference between two models, its interval and its p-value."""

import dataclasses

import numpy as np
import pytest

from molclr.evaluation import statistics
from molclr.evaluation.metrics import METRICS, roc_auc, score
from molclr.evaluation.resampled import WEIGHTED, weighted_roc_auc
from molclr.evaluation.statistics import (
    Difference,
    Predictions,
    adjusted,
    one_by_one,
    sample,
    score_interval,
    scores,
)


def difference(metric, first, second):
    return statistics.difference(metric, sample(metric, first), sample(metric, second))


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_weighted_roc_auc_is_that_of_the_repeated_molecules(generator):
    truth, guess = generator.integers(2, size=60), generator.integers(8, size=60) / 8
    weights = generator.multinomial(60, np.full(60, 1 / 60), size=20).astype(float)
    for value, weight in zip(weighted_roc_auc(truth, guess, weights), weights, strict=True):
        drawn = np.repeat(np.arange(60), weight.astype(int))
        assert value == pytest.approx(roc_auc(truth[drawn], guess[drawn]), abs=1e-12)


@pytest.mark.parametrize("metric", WEIGHTED)
def test_faster_forms_equal_one_by_one(generator, metric):
    """Also in resamples without a label or a class."""
    truth, guess = generator.integers(2, size=6).astype(float), generator.integers(4, size=6) / 4
    weights = np.concatenate([generator.multinomial(6, np.full(6, 1 / 6), size=50), np.zeros((1, 6))]).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        np.testing.assert_allclose(
            WEIGHTED[metric](truth, guess, weights), one_by_one(metric, truth, guess, weights), rtol=1e-12
        )


@pytest.mark.parametrize("metric", WEIGHTED)
def test_a_target_without_labels_has_no_score_in_any_resample(metric):
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isnan(WEIGHTED[metric](np.empty(0), np.empty(0), np.empty((3, 0)))).all()


def test_a_metric_without_a_faster_form_has_an_interval_too(generator, monkeypatch):
    exact, vague = models(generator, (0.3, 1.0), count=60)
    expected = difference("rmse", exact, vague)
    monkeypatch.setattr(statistics, "WEIGHTED", {})
    found = difference("rmse", exact, vague)
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected))
    assert difference("spearman", exact, vague).verdict == "better"


def test_models_without_a_score_have_no_difference(generator):
    model = models(generator, (0.3,), count=10)[0]
    constant = dataclasses.replace(model, values=np.ones_like(model.values))
    assert np.isnan(difference("spearman", model, constant).value)


@pytest.mark.parametrize("metric", ["spearman", "roc_auc"])
def test_too_few_molecules_are_not_significant(metric):
    """Two molecules in two orders: the resamples that have a score have the same one, so they show no variance."""
    labels, values = np.array([[0.0], [1.0]]), np.array([[[0.1], [0.9]]])
    right, wrong = (
        sample(metric, Predictions(np.arange(2), labels, guess), deterministic=True) for guess in (values, -values)
    )
    assert right.observed != wrong.observed
    found = statistics.difference(metric, right, wrong)
    assert found.verdict == "not significant" and np.isnan([found.value, found.low, found.high, found.p]).all()


def test_half_of_the_resamples_need_a_score(generator):
    """Nine in ten are undefined, and the rest is no bootstrap of these molecules."""
    few = np.where(np.arange(2000) % 10 == 0, generator.normal(size=2000), np.nan)
    rows, labels = np.arange(4), np.zeros((4, 1))
    first, second = (statistics.Sample(rows, labels, np.array([value]), few * value, True) for value in (5.0, 4.9))
    assert np.isnan(statistics.difference("spearman", first, second).p)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_with_equal_weights_are_those_of_the_tables(generator, metric):
    labels = generator.integers(2, size=(50, 3)).astype(float)
    labels[generator.random((50, 3)) < 0.3] = np.nan
    labels[:, 2] = np.where(np.isnan(labels[:, 2]), np.nan, 1.0)  # one class
    values = generator.random((2, 50, 3))
    model = Predictions(np.arange(50), labels, values)
    expected = [score(metric, labels, value, ["a", "b", "c"]).value for value in values]
    np.testing.assert_allclose(scores(metric, model, np.ones((1, 50)))[:, 0], expected, rtol=1e-12)


def test_a_target_with_one_class_is_left_out_of_a_resample():
    labels = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    values = np.array([[[0.1, 0.9], [0.9, 0.1], [0.2, 0.5]]])
    model = Predictions(np.arange(3), labels, values)
    assert scores("roc_auc", model, np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]]))[0, 0] == 0.5
    assert np.isnan(scores("roc_auc", model, np.array([[2.0, 0.0, 1.0]]))[0, 0])


def models(generator, noise, seeds=3, count=300):
    """Predictions of a regression with errors of two sizes."""
    labels = generator.normal(size=(count, 1))
    return [
        Predictions(np.arange(count), labels, labels + size * generator.normal(size=(seeds, count, 1)))
        for size in noise
    ]


@pytest.mark.parametrize("metric", WEIGHTED)
def test_a_target_without_predictions_does_not_count(generator, metric, monkeypatch):
    """Neither by the faster forms, which would compare NaN, nor one by one."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    labels = generator.integers(2, size=(40, 2)).astype(float)
    values = np.column_stack([np.abs(labels[:, 0] - 0.6 * generator.random(40)), np.full(40, np.nan)])
    alone = score_interval(metric, labels[:, :1], values[:, :1])
    assert score_interval(metric, labels, values) == alone and alone[0] < alone[1]
    assert np.isnan(score_interval(metric, labels[:, 1:], values[:, 1:])).all()


def test_a_score_has_an_interval_if_most_resamples_have_one_and_they_differ():
    """Two labels of different classes are in fewer than half of the resamples together."""
    labels, guesses = np.zeros((8, 1)), np.linspace(0, 1, 8)[::-1, None].copy()
    labels[3] = 1
    low, high = score_interval("roc_auc", labels, guesses)
    assert 0 <= low < high <= 1
    rare = np.full((40, 1), np.nan)
    rare[:2, 0] = 0, 1  # both labels are in 40 % of the resamples
    assert np.isnan(score_interval("roc_auc", rare, np.linspace(0, 1, 40)[:, None])).all()
    assert np.isnan(score_interval("accuracy", labels, labels)).all(), "all classes are right in every resample"
    assert np.isnan(score_interval("rmse", labels, labels + 0.3)).all(), "a constant error"


def test_a_clear_difference_is_better_or_worse_by_the_direction_of_the_metric(generator):
    exact, vague = models(generator, (0.3, 1.0))
    gain, loss = difference("rmse", exact, vague), difference("rmse", vague, exact)
    assert gain.verdict == "better" and loss.verdict == "worse"
    assert gain.low < gain.value < gain.high < 0 < loss.low
    assert gain.value == pytest.approx(-0.7, abs=0.1)
    binary = [dataclasses.replace(model, labels=(model.labels > 0).astype(float)) for model in (exact, vague)]
    assert difference("roc_auc", *binary).verdict == "better"
    assert difference("roc_auc", *binary[::-1]).verdict == "worse"


def test_the_same_predictions_do_not_differ(generator):
    model = models(generator, (1.0,))[0]
    model = dataclasses.replace(model, values=model.values[[0, 0]])
    same = difference("mae", model, model)
    assert dataclasses.astuple(same) == (0, 0, 0, 1, "not significant")


def test_the_interval_has_the_expected_width(generator):
    """One seed each: the standard error of a mean of paired differences is known."""
    first, second = models(generator, (1.0, 1.0), seeds=1, count=1000)
    each = np.abs(first.values - first.labels) - np.abs(second.values - second.labels)
    found = difference("mae", first, second)
    assert found.value == pytest.approx(each.mean(), abs=1e-12)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * each.std() / 1000**0.5, rel=0.1)


def test_one_seed_gives_no_verdict(generator):
    exact, vague = models(generator, (0.3, 1.0), seeds=2)
    one = dataclasses.replace(exact, values=exact.values[:1])
    assert difference("mae", exact, vague).verdict == "better"
    for pair in ((one, vague), (vague, one)):
        found = difference("mae", *pair)
        assert found.verdict == "one seed" and not found.low < 0 < found.high and np.isnan(found.p)


def test_one_seed_of_a_deterministic_model_is_enough(generator):
    exact, vague = models(generator, (0.3, 1.0), seeds=2)
    one = sample("mae", dataclasses.replace(exact, values=exact.values[:1]), deterministic=True)
    assert statistics.difference("mae", one, sample("mae", vague)).verdict == "better"
    vague = sample("mae", dataclasses.replace(vague, values=vague.values[:1]))
    assert statistics.difference("mae", one, vague).verdict == "one seed"


def test_seeds_widen_the_interval(generator):
    first, second = models(generator, (1.0, 1.0), seeds=4)
    shift = np.array([-2.0, -1.0, 1.0, 2.0])[:, None, None]
    shifted = dataclasses.replace(first, values=first.values + shift)
    narrow, wide = difference("mae", first, second), difference("mae", shifted, second)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize("spread", [0.0, 2.0, 10.0])
def test_equal_models_are_rarely_significant(generator, monkeypatch, spread):
    """Three seeds, whose scores have `spread` times the standard error that the molecules give: about one in twenty."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    count, repetitions, false = 100, 300, 0
    for _ in range(repetitions):
        labels = generator.normal(size=(count, 1))
        pair = []
        for _ in range(2):
            shift = spread * 3**0.5 * 0.8 / count**0.5 * generator.normal(size=(3, 1, 1))
            own = generator.normal(size=(1, count, 1))  # errors that all seeds of a model have
            pair.append(Predictions(np.arange(count), labels, labels + np.abs(own) + 20 + shift))
        false += difference("mae", *pair).verdict != "not significant"
    assert 0.01 * repetitions < false < 0.08 * repetitions


def test_results_are_deterministic(generator):
    pair = models(generator, (1.0, 1.1))
    assert difference("rmse", *pair) == difference("rmse", *pair)


def test_the_p_value_is_below_five_percent_where_the_interval_leaves_out_0(generator):
    found = [difference("rmse", *models(generator, (1.0, noise), count=100)) for noise in (1.05, 1.2, 1.25, 1.3, 1.5)]
    below = [each.p < 0.05 for each in found]
    assert below == [each.high < 0 for each in found] and len(set(below)) == 2
    assert found[0].p > 0.2 and found[-1].p < 0.001


def of_p(*values):
    return {
        key: Difference(1, 0, 2, p, "one seed" if np.isnan(p) else "better" if p < 0.05 else "not significant")
        for key, p in enumerate(values)
    }


def test_p_values_are_adjusted_by_holms_method():
    """The example: 0.01 x 4, 0.02 x 3, 0.03 x 2, which is below the one before, 0.04 x 1 likewise; one seed does not count."""
    found = adjusted(of_p(0.04, 0.01, 0.03, 0.02, np.nan))
    assert [each.p for each in found.values()] == pytest.approx([0.06, 0.04, 0.06, 0.06, np.nan], nan_ok=True)
    verdicts = [each.verdict for each in found.values()]
    assert verdicts == ["not significant", "better", "not significant", "not significant", "one seed"]
    assert [each.p for each in adjusted(of_p(0.6, 0.7)).values()] == [1, 1], "no more than 1"
