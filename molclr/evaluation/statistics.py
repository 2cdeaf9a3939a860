"""Differences between pre-trained models and the same networks from scratch, with confidence intervals."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from molclr.config import PRETRAINED
from molclr.errors import MolclrError
from molclr.evaluation.metrics import find_metric, why_undefined
from molclr.evaluation.resampled import WEIGHTED
from molclr.evaluation.runs import RunMetrics, read_run
from molclr.seeds import derive_seed


def scratch_of(model: str) -> str:
    """Return the name of the same network from scratch, such as GIN for MolCLR_GIN; empty if the model is not pre-trained."""
    return model.removeprefix(PRETRAINED) if model.startswith(PRETRAINED) else ""


RESAMPLES = 2000
CONFIDENCE = 0.95
RESAMPLES_AT_A_TIME = 200
"""Resamples whose weights are held in memory together."""

Verdict = Literal["better", "worse", "not significant", "one seed"]


@dataclass(frozen=True)
class Difference:
    """The score of the pre-trained model minus that of the model from scratch, in the metric's unit; ROC-AUC from 0 to 1."""

    value: float
    low: float
    high: float
    """Bounds of the confidence interval of the expected difference, at the level CONFIDENCE."""
    verdict: Verdict
    """Whether 0 is outside the interval, and on which side; "one seed" if a model has one seed, which allows no verdict."""


@dataclass(frozen=True)
class Predictions:
    """The test predictions of all seeds of a model on a benchmark.

    rows: int64 (n,), raw row numbers. labels: float64 (n, targets), NaN where missing. values: float64 (seeds, n, targets).
    """

    rows: np.ndarray
    labels: np.ndarray
    values: np.ndarray


def differences(runs: Mapping[Path, RunMetrics]) -> dict[tuple[str, str], Difference]:
    """Compare each pre-trained model with the same network from scratch, by the primary metric of the benchmark.

    runs: folder -> metrics. Returns (benchmark, pre-trained model) -> difference for the pairs of which both models are among the
    runs. A pair is left out if one of its models has no score, or if there is only one test molecule, which gives no interval.
    Raises MolclrError if the models of a pair have different test molecules.
    """
    folders: dict[tuple[str, str], list[Path]] = {}
    for folder, run in runs.items():
        folders.setdefault((run.benchmark, run.model), []).append(folder)
    metrics = {run.benchmark: run.metric for run in runs.values()}
    found = {}
    for (benchmark, model), own in folders.items():
        others = folders.get((benchmark, scratch_of(model)))
        if others:
            pretrained, scratch = (read_predictions(group, runs) for group in (own, others))
            if not np.array_equal(pretrained.rows, scratch.rows) or not np.array_equal(
                pretrained.labels, scratch.labels, equal_nan=True
            ):
                raise MolclrError(
                    f"{model} and {scratch_of(model)} were tested on different molecules of {benchmark}, so they cannot be "
                    "compared; run both on the same split."
                )
            scored = all(any(runs[folder].test is not None for folder in group) for group in (own, others))
            if scored and len(pretrained.rows) > 1:
                gain = difference(metrics[benchmark], pretrained, scratch)
                if not math.isnan(gain.value):
                    found[benchmark, model] = gain
    return found


def read_predictions(folders: Iterable[Path], runs: Mapping[Path, RunMetrics]) -> Predictions:
    """Read the predictions.csv of all seeds of a model; a seed has one folder, or one folder per target."""
    folders = list(folders)
    every = pd.concat([read_run(folder).assign(seed=runs[folder].seed) for folder in folders])
    labels = every.drop_duplicates(["row", "target"]).pivot(index="row", columns="target", values="label")
    values = np.stack(
        [
            of_seed.pivot(index="row", columns="target", values="prediction").reindex_like(labels).to_numpy()
            for _, of_seed in every.groupby("seed")
        ]
    )
    if np.isnan(values[:, labels.notna().to_numpy()]).any():
        raise MolclrError(
            f"'{folders[-1].parent}': the seeds have predictions for different molecules or targets; run them again."
        )
    return Predictions(labels.index.to_numpy(), labels.to_numpy(), values)


def difference(metric: str, pretrained: Predictions, scratch: Predictions) -> Difference:
    """Compute the difference between two models with the same test molecules, and its confidence interval.

    Its variance has two parts. The part of the test molecules is estimated by a bootstrap: each resample draws molecules, the
    same for both models, and leaves out targets whose score is undefined, such as ROC-AUC of one class. The part of the seeds is
    the sample variance of each model's scores over its seeds, divided by their number; seeds of different models are independent
    even if they have the same number. (A bootstrap over three seeds would underestimate this variance by a third.) The interval
    is Student's t with the degrees of freedom of Welch (1947) and Satterthwaite (1946). It is conservative, because errors of
    single molecules that change with the seed contribute to both parts. If a model has one seed, the second part is unknown and
    the interval is too narrow for a verdict.
    """
    models = (pretrained, scratch)
    count = len(pretrained.rows)
    observed = [scores(metric, model, np.ones((1, count)))[:, 0] for model in models]
    value = float(observed[0].mean() - observed[1].mean())
    if math.isnan(value):
        return Difference(value, value, value, "not significant")
    generator = np.random.default_rng(derive_seed(0, "bootstrap"))
    resampled = [
        np.subtract(*(scores(metric, model, weights).mean(axis=0) for model in models))
        for weights in _resamples(count, generator)
    ]
    parts = [(float(np.nanvar(np.concatenate(resampled), ddof=1)), count - 1)]
    parts += [(float(each.var(ddof=1)) / len(each), len(each) - 1) for each in observed if len(each) > 1]
    variance = sum(part for part, _ in parts)
    margin = 0.0
    if variance > 0:
        freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
        margin = float(student_t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance)
    low, high = value - margin, value + margin
    return Difference(value, low, high, "one seed" if min(map(len, observed)) == 1 else _verdict(metric, low, high))


def score_interval(metric: str, labels: np.ndarray, predictions: np.ndarray) -> tuple[float, float]:
    """Compute the bootstrap interval of a score at the level CONFIDENCE, by the percentiles of resampled molecules.

    labels: float64 (n, targets), NaN where missing; predictions: (n, targets). NaN for a single molecule, and if no
    resample has a score.
    """
    if len(labels) < 2:
        return math.nan, math.nan
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
