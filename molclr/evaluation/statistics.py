"""Is a pre-trained model better than the same network from scratch? Test molecules and seeds leave it uncertain."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from molclr.evaluation.runs import RunMetrics, read_run
from molclr.seeds import derive_seed


def scratch_of(model: str) -> str:
    """The same network from scratch, for the name of a pre-trained model: GIN for MolCLR_GIN; empty for any other model."""
    return model.removeprefix(PRETRAINED) if model.startswith(PRETRAINED) else ""


RESAMPLES = 2000
CONFIDENCE = 0.95
RESAMPLES_AT_A_TIME = 200
"""Bounds the memory: so many weights for each test molecule."""

Verdict = Literal["better", "worse", "not significant", "one seed"]


@dataclass(frozen=True)
class Difference:
    """Pre-trained minus from scratch, in the metric's unit; ROC-AUC from 0 to 1."""

    value: float
    low: float
    high: float
    """Bounds of an interval that, were all repeated, would hold the expected difference in a fraction CONFIDENCE of the cases."""
    verdict: Verdict
    """Whether 0 lies outside the interval, and on which side; "one seed": not told, for want of a second one."""


@dataclass(frozen=True)
class Predictions:
    """What the seeds of one model predict for the test molecules of one benchmark.

    rows: int64 (n,), raw row numbers. labels: float64 (n, targets), NaN where missing. values: float64 (seeds, n, targets).
    """

    rows: np.ndarray
    labels: np.ndarray
    values: np.ndarray


def differences(runs: Mapping[Path, RunMetrics]) -> dict[tuple[str, str], Difference]:
    """Benchmark and pre-trained model -> difference, where both models of a pair are among the `runs` (folder -> metrics).

    The difference is that of the primary metric. A pair has none if one of the two models cannot be scored, or if there is a
    single test molecule, of which no interval can be told.
    Raises MolclrError if the two of a pair were not tested on the same molecules.
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
                    f"{model} and {scratch_of(model)} were tested on different molecules of {benchmark}; "
                    "they cannot be compared. Run both on the same split."
                )
            scored = all(any(runs[folder].test is not None for folder in group) for group in (own, others))
            if scored and len(pretrained.rows) > 1:
                gain = difference(metrics[benchmark], pretrained, scratch)
                if not math.isnan(gain.value):
                    found[benchmark, model] = gain
    return found


def read_predictions(folders: Iterable[Path], runs: Mapping[Path, RunMetrics]) -> Predictions:
    """Put together the predictions.csv of the seeds of a model, each in one folder or in one a target."""
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
            f"'{folders[-1].parent}': the seeds did not predict the same molecules and targets; run them again."
        )
    return Predictions(labels.index.to_numpy(), labels.to_numpy(), values)


def difference(metric: str, pretrained: Predictions, scratch: Predictions) -> Difference:
    """The difference of two models with the same test molecules, and its interval.

    Its variance has two parts. That of the test molecules is from a bootstrap: each resample draws molecules, the same for
    both models, and leaves out a target whose score is undefined, such as ROC-AUC of one class. That of the
    seeds is the sample variance of each model's scores over its seeds; seeds are independent between models, for what one has
    in common with the same one of the other is a number. A bootstrap over three seeds would find two thirds of that variance.
    The interval is Student's t with the degrees of freedom of Welch (1947) and Satterthwaite (1946). It errs on the wide side:
    errors of single molecules that change with the seed are in both parts. Of a model with one seed the second part is
    unknown; the interval is then too narrow for a verdict.
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


def scores(metric: str, model: Predictions, weights: np.ndarray) -> np.ndarray:
    """Score of every seed on every resample, mean over the targets: float64 (seeds, resamples).

    weights: float64 (resamples, n), how often a resample has each test molecule. NaN where no target can be scored; a target
    counts in a resample if every seed has a score there.
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
    """Draw `count` molecules with replacement, RESAMPLES times: how often each was drawn, float64 (resamples, count)."""
    for _ in range(RESAMPLES // RESAMPLES_AT_A_TIME):
        drawn = generator.integers(count, size=(RESAMPLES_AT_A_TIME, count))
        drawn += np.arange(RESAMPLES_AT_A_TIME)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def one_by_one(metric: str, truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Score of one target on every resample, float64 (resamples,), for any metric; NaN where it is undefined.

    truth, guess: float64 (n,); weights: float64 (resamples, n) of whole numbers. Each resample is made and scored by itself.
    """
    chosen, found = find_metric(metric), np.full(len(weights), np.nan)
    for resample, weight in enumerate(weights.astype(np.int64)):
        labels, predictions = np.repeat(truth, weight), np.repeat(guess, weight)
        if not why_undefined(chosen, labels, predictions):
            found[resample] = chosen.function(labels, predictions)
    return found


def weighted_rmse(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """RMSE of (n,) labels and predictions with `weights`, float64 (resamples, n): float64 (resamples,)."""
    return np.sqrt(weights @ np.square(guess - truth) / weights.sum(axis=1))


def weighted_mae(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """MAE of (n,) labels and predictions with `weights`, float64 (resamples, n): float64 (resamples,)."""
    return weights @ np.abs(guess - truth) / weights.sum(axis=1)


def weighted_roc_auc(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """ROC-AUC with `weights`, float64 (resamples, n), of the molecules; a tie counts one half.

    truth: (n,) 0 or 1; guess: (n,). The molecules are sorted once: a resample only weighs them otherwise.
    """
    levels, place = np.unique(guess, return_inverse=True)
    positives, negatives = (_sum_at(weights[:, truth == c], place[truth == c], len(levels)) for c in (1, 0))
    below = negatives.cumsum(axis=1) - negatives / 2
    return (positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1))


def _sum_at(weights: np.ndarray, place: np.ndarray, places: int) -> np.ndarray:
    """Sum the columns of `weights` that have the same place: float64 (resamples, places)."""
    total = np.zeros((len(weights), places))
    order = np.argsort(place, kind="stable")
    present, first = np.unique(place[order], return_index=True)
    if len(present):
        total[:, present] = np.add.reduceat(weights[:, order], first, axis=1)
    return total


WEIGHTED: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "roc_auc": weighted_roc_auc,
    "rmse": weighted_rmse,
    "mae": weighted_mae,
}
"""Faster forms of some metrics, all resamples at once; any other is scored one by one, to the same values."""


def _verdict(metric: str, low: float, high: float) -> Verdict:
    if not (low > 0 or high < 0):
        return "not significant"
    return "better" if (low > 0) == find_metric(metric).higher_is_better else "worse"
