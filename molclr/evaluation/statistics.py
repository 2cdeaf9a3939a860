"""Differences between the scores of two models, with confidence intervals and p-values."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

import numpy as np
from scipy.stats import t as student_t

from molclr.evaluation.metrics import find_metric, why_undefined
from molclr.evaluation.resampled import WEIGHTED
from molclr.seeds import derive_seed

Key = TypeVar("Key")


RESAMPLES = 2000
CONFIDENCE = 0.95
DEFINED = 0.5
"""Fraction of the resamples that must have a score for a difference to have an interval."""
RESAMPLES_AT_A_TIME = 200
"""Resamples whose weights are held in memory together."""

Verdict = Literal["better", "worse", "not significant", "one seed"]


@dataclass(frozen=True)
class Difference:
    """The score of a model minus that of another one, in the metric's unit; ROC-AUC from 0 to 1."""

    value: float
    low: float
    high: float
    """Bounds of the confidence interval of the expected difference, at the level CONFIDENCE."""
    p: float
    """Two-sided p-value; NaN if a model has one seed."""
    verdict: Verdict
    """Whether the difference is significant (p < 1 - CONFIDENCE), and in which direction; "one seed" allows no verdict."""


UNKNOWN = Difference(math.nan, math.nan, math.nan, math.nan, "not significant")


@dataclass(frozen=True)
class Predictions:
    """The test predictions of all seeds of a model on a benchmark.

    rows: int64 (n,), raw row numbers. labels: float64 (n, targets), NaN where missing. values: float64 (seeds, n, targets).
    """

    rows: np.ndarray
    labels: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Sample:
    """The scores of a model on a benchmark.

    rows, labels: as in Predictions. observed: float64 (seeds,). resampled: float64 (RESAMPLES,), means over the seeds.
    """

    rows: np.ndarray
    labels: np.ndarray
    observed: np.ndarray
    resampled: np.ndarray
    deterministic: bool = False
    """Whether nothing in the model is random, given its encoder, so that one seed is enough."""


def sample(metric: str, model: Predictions, deterministic: bool = False) -> Sample:
    """Score a model on its test molecules and on resamples of them, which are the same for all models of a benchmark."""
    generator = np.random.default_rng(derive_seed(0, "bootstrap"))
    count = len(model.rows)
    resampled = [scores(metric, model, weights).mean(axis=0) for weights in _resamples(count, generator)]
    observed = scores(metric, model, np.ones((1, count)))[:, 0]
    return Sample(model.rows, model.labels, observed, np.concatenate(resampled), deterministic)


def difference(metric: str, first: Sample, second: Sample) -> Difference:
    """Compute the difference between two models with the same test molecules, with its confidence interval and p-value.

    Its variance has two parts. The part of the test molecules is estimated by a bootstrap: each resample draws molecules, the
    same for both models, and leaves out targets whose score is undefined, such as ROC-AUC of one class. The part of the seeds is
    the sample variance of each model's scores over its seeds, divided by their number; seeds of different models are treated
    as independent. If equal seeds, which share the order of batches, make the scores of two models rise and fall together, the
    interval is wider than necessary. (A bootstrap over three seeds would underestimate this variance by a third.) The interval
    is Student's t with the degrees of freedom of Welch (1947) and Satterthwaite (1946). It is conservative, because errors of
    single molecules that change with the seed contribute to both parts. If a model that is not deterministic has one seed, the
    second part is unknown and the interval is too narrow for a verdict. All numbers are NaN if a model has no score, or if
    the variance cannot be estimated: fewer than DEFINED of the resamples have a score, or unequal models differ equally in all.
    """
    observed, gaps = (first.observed, second.observed), first.resampled - second.resampled
    value, known = float(observed[0].mean() - observed[1].mean()), gaps[~np.isnan(gaps)]
    if math.isnan(value) or len(known) < DEFINED * len(gaps):
        return UNKNOWN
    parts = [(float(known.var(ddof=1)), len(first.rows) - 1)]
    parts += [(float(each.var(ddof=1)) / len(each), len(each) - 1) for each in observed if len(each) > 1]
    variance = sum(part for part, _ in parts)
    if variance == 0 != value:
        return UNKNOWN
    margin, p = 0.0, float(value == 0)
    if variance > 0:
        distribution = student_t(variance**2 / sum(part**2 / degrees for part, degrees in parts))
        margin = float(distribution.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
        p = float(2 * distribution.sf(abs(value) / math.sqrt(variance)))
    low, high = value - margin, value + margin
    if any(len(each.observed) == 1 and not each.deterministic for each in (first, second)):
        return Difference(value, low, high, math.nan, "one seed")
    return Difference(value, low, high, p, _verdict(metric, low, high))


def adjusted(differences: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """Adjust p-values and verdicts for the number of differences by Holm's method (1979); those of one seed stay as they are.

    The intervals are not adjusted.
    """
    tested = {key: each for key, each in differences.items() if not math.isnan(each.p)}
    found, highest = dict(differences), 0.0
    for place, (key, each) in enumerate(sorted(tested.items(), key=lambda item: item[1].p)):
        highest = max(highest, min(1.0, (len(tested) - place) * each.p))
        found[key] = replace(each, p=highest, verdict=each.verdict if highest < 1 - CONFIDENCE else "not significant")
    return found


def score_interval(metric: str, labels: np.ndarray, predictions: np.ndarray) -> tuple[float, float]:
    """Compute the bootstrap interval of a score at the level CONFIDENCE, by the percentiles of resampled molecules.

    labels: float64 (n, targets), NaN where missing; predictions: (n, targets), NaN for all molecules if the target is not
    predicted and does not count. NaN for a single molecule, and if no resample has a score.
    """
    if len(labels) < 2:
        return math.nan, math.nan
    labels = np.where(np.isnan(predictions).all(axis=0), np.nan, labels)
    model = Predictions(np.arange(len(labels)), labels, predictions[None].astype(np.float64))
    generator = np.random.default_rng(derive_seed(0, "bootstrap"))
    values = np.concatenate([scores(metric, model, weights)[0] for weights in _resamples(len(labels), generator)])
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def scores(metric: str, model: Predictions, weights: np.ndarray) -> np.ndarray:
    """Score each seed on each resample, averaged over the targets: float64 (seeds, resamples).

    weights: float64 (resamples, n), how often each test molecule occurs in a resample. The mean of a resample includes the
    targets that have a score for every seed; it is NaN if there are none.
    """
    resampled = WEIGHTED.get(metric, partial(one_by_one, metric))
    total = np.zeros((len(model.values), len(weights)))
    counted = np.zeros(len(weights))
    for target, labels in enumerate(model.labels.T):
        known = ~np.isnan(labels)
        truth, weight = labels[known], weights[:, known]
        with np.errstate(invalid="ignore", divide="ignore"):
            one = np.stack([resampled(truth, values[known, target], weight) for values in model.values])
        scored = ~np.isnan(one).any(axis=0)
        total[:, scored] += one[:, scored]
        counted += scored
    with np.errstate(invalid="ignore"):
        return total / counted


def _resamples(count: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw `count` molecules with replacement, RESAMPLES times; yield how often each occurs, float64 (resamples, count)."""
    for _ in range(RESAMPLES // RESAMPLES_AT_A_TIME):
        drawn = generator.integers(count, size=(RESAMPLES_AT_A_TIME, count))
        drawn += np.arange(RESAMPLES_AT_A_TIME)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def one_by_one(metric: str, truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Score one target on each resample by any metric: float64 (resamples,), NaN where the score is undefined.

    truth, guess: float64 (n,); weights: float64 (resamples, n), whole numbers. The resamples are scored one by one.
    """
    chosen, found = find_metric(metric), np.full(len(weights), np.nan)
    for resample, weight in enumerate(weights.astype(np.int64)):
        labels, predictions = np.repeat(truth, weight), np.repeat(guess, weight)
        if not why_undefined(chosen, labels, predictions):
            found[resample] = chosen.function(labels, predictions)
    return found


def _verdict(metric: str, low: float, high: float) -> Verdict:
    if not (low > 0 or high < 0):
        return "not significant"
    return "better" if (low > 0) == find_metric(metric).higher_is_better else "worse"
