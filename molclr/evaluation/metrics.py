"""Scores of predictions: ROC-AUC, RMSE, MAE. Of several targets each has its own score, and their mean is the score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from molclr.errors import MolclrError

Task = Literal["classification", "regression"]
Metric = Literal["roc_auc", "rmse", "mae"]

TASKS: tuple[Task, ...] = get_args(Task)
METRICS_OF: dict[Task, tuple[Metric, ...]] = {"classification": ("roc_auc",), "regression": ("rmse", "mae")}
HIGHER_IS_BETTER: dict[Metric, bool] = {"roc_auc": True, "rmse": False, "mae": False}


@dataclass(frozen=True)
class Score:
    """How good predictions are."""

    value: float
    """Mean over the targets that can be scored; NaN if there are none."""
    per_target: dict[str, float]
    """The score of each of them, in the target's unit; ROC-AUC from 0 to 1."""
    left_out: dict[str, str]
    """The other targets, each with its reason."""


def roc_auc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Share of the pairs of a positive and a negative in which the positive is ranked higher; a tie counts one half.

    labels: (n,) 0 or 1, both present; predictions: (n,). The Mann-Whitney U statistic, counted in whole numbers.
    """
    positives = predictions[labels == 1]
    negatives = np.sort(predictions[labels == 0])
    below = np.searchsorted(negatives, positives, side="left").sum()
    not_above = np.searchsorted(negatives, positives, side="right").sum()
    return float(below + not_above) / (2 * len(positives) * len(negatives))


def rmse(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Root of the mean squared error; labels and predictions: (n,)."""
    return float(np.sqrt(np.mean(np.square(labels - predictions))))


def mae(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error; labels and predictions: (n,)."""
    return float(np.mean(np.abs(labels - predictions)))


_MEASURES: dict[Metric, Callable[[np.ndarray, np.ndarray], float]] = {"roc_auc": roc_auc, "rmse": rmse, "mae": mae}


def score(metric: Metric, labels: np.ndarray, predictions: np.ndarray, targets: Sequence[str]) -> Score:
    """Score each target over the molecules that have its label, and take the mean over the targets.

    labels: float64 (n, targets), NaN where missing; predictions: (n, targets), the probability of class 1 or a value in
    the target's unit. A target without labels, or with one class where the metric is ROC-AUC, is left out of the mean
    and named. Raises MolclrError for a class other than 0 and 1, and for a prediction that is not a finite number.
    """
    if metric == "roc_auc":
        check_labels("classification", labels, targets)
    per_target, left_out = {}, {}
    for target, column, predicted in zip(targets, labels.T, predictions.T, strict=True):
        known = ~np.isnan(column)
        truth, guess = column[known], predicted[known].astype(np.float64)
        if not np.isfinite(guess).all():
            raise MolclrError(f"A prediction of '{target}' is not a finite number; lower the learning rates.")
        if len(truth) == 0:
            left_out[target] = "no labels"
        elif metric == "roc_auc" and truth.min() == truth.max():
            left_out[target] = "one class"
        else:
            per_target[target] = _MEASURES[metric](truth, guess)
    value = float(np.mean(list(per_target.values()))) if per_target else float("nan")
    return Score(value, per_target, left_out)


def check_labels(task: Task, labels: np.ndarray, targets: Sequence[str]) -> None:
    """Raise MolclrError if a label of a classification, float64 (n, targets) with NaN where missing, is not 0 or 1."""
    if task == "classification":
        for target, column in zip(targets, labels.T, strict=True):
            strange = column[~np.isnan(column) & (column != 0) & (column != 1)]
            if len(strange):
                raise MolclrError(f"A label of '{target}' is {strange[0]:g}; the two classes are 0 and 1.")


def better(metric: Metric, value: float, than: float) -> bool:
    """Is `value` a better score? NaN is worse than any number, so a search for the best may begin with it."""
    if np.isnan(than):
        return not np.isnan(value)
    return value > than if HIGHER_IS_BETTER[metric] else value < than
