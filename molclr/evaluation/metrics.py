"""Metrics of predictions, and their mean over the targets of a benchmark.

To add a metric, add an entry to METRICS (docs/extending.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from molclr.config import Task
from molclr.errors import MolclrError

HALF = 0.5
"""The probability from which on class 1 is predicted."""
LEAST_STEPS = 100
"""The least range of labels, in steps of single precision at the largest one; rounding errors are then below 1 % of it."""
SINGLE = np.finfo(np.float32)
TASKS: tuple[Task, ...] = get_args(Task)


def roc_auc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Area under the ROC curve: the fraction of pairs of a positive and a negative that are ranked correctly.

    Ties count one half. labels: (n,) 0 or 1, both present; predictions: (n,). Computed as the Mann-Whitney U statistic, with
    integer counts.
    """
    positives = predictions[labels == 1]
    negatives = np.sort(predictions[labels == 0])
    below = np.searchsorted(negatives, positives, side="left").sum()
    not_above = np.searchsorted(negatives, positives, side="right").sum()
    return float(below + not_above) / (2 * len(positives) * len(negatives))


def pr_auc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Average precision: the mean of the precision over thresholds, weighted by the increase in recall.

    labels: (n,) 0 or 1, both present; predictions: (n,), of which equal ones share a threshold. Random predictions have the
    fraction of positives as their expected value.
    """
    order = np.argsort(-predictions, kind="stable")
    threshold_ends = np.append(np.diff(predictions[order]) != 0, True)
    predicted_positive = np.flatnonzero(threshold_ends) + 1
    true_positive = (labels[order] == 1).cumsum()[threshold_ends]
    recall_gained = np.diff(true_positive, prepend=0) / true_positive[-1]
    return float(np.sum(recall_gained * true_positive / predicted_positive))


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Fraction of correct classes. labels: (n,) 0 or 1; predictions: (n,), class 1 from HALF on."""
    return float(np.mean((predictions >= HALF) == (labels == 1)))


def rmse(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Root mean squared error; labels and predictions: (n,)."""
    return float(np.sqrt(np.mean(np.square(labels - predictions))))


def mae(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error; labels and predictions: (n,)."""
    return float(np.mean(np.abs(labels - predictions)))


def r2(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Coefficient of determination: 1 - (sum of squared errors) / (sum of squared deviations of the labels); both (n,)."""
    return float(1 - np.sum(np.square(labels - predictions)) / np.sum(np.square(labels - labels.mean())))


def spearman(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Spearman's rank correlation; labels and predictions: (n,). Equal values have their mean rank."""
    return float(np.corrcoef(_ranks(labels), _ranks(predictions))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank values from 1: float64 (n,). Equal values have their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]


def always_defined(labels: np.ndarray, predictions: np.ndarray) -> str:
    """Return an empty reason: the metric is defined for all labels."""
    return ""


def one_class(labels: np.ndarray, predictions: np.ndarray) -> str:
    """Return a reason unless both classes are present."""
    return "one class" if labels.min() == labels.max() else ""


def equal_labels(labels: np.ndarray, predictions: np.ndarray) -> str:
    """Return a reason unless the labels vary."""
    return "all labels are equal" if labels.min() == labels.max() else ""


def nothing_to_rank(labels: np.ndarray, predictions: np.ndarray) -> str:
    """Return a reason unless both labels and predictions vary."""
    constant = "all predictions are equal" if predictions.min() == predictions.max() else ""
    return equal_labels(labels, predictions) or constant


@dataclass(frozen=True)
class Metric:
    """A metric for the predictions of one target, and how it is shown."""

    label: str
    """Name in tables and figures."""
    task: Task
    function: Callable[[np.ndarray, np.ndarray], float]
    """Labels and predictions, both float64 (n,) with n >= 1, to a score. Class predictions are probabilities of class 1."""
    higher_is_better: bool
    loss: str
    """The loss of fine-tuning if this is the primary metric: a key of SUPERVISED_LOSSES in molclr/training/supervised.py."""
    range: tuple[float, float]
    """Lowest and highest score."""
    unit: Literal["%", "target", ""] = ""
    """Unit in tables: % (for a score from 0 to 1), that of the target, or none."""
    undefined: Callable[[np.ndarray, np.ndarray], str] = always_defined
    """Labels and predictions, n >= 1, to the reason why the score is undefined; empty if it is defined."""
    chance: float = 0.0
    """Score of a model without information, at which bars of figures start; 0 if there is no such number."""

    @property
    def factor(self) -> float:
        """Factor from a score to the number that tables show."""
        return 100.0 if self.unit == "%" else 1.0


_ERROR = (0.0, float("inf"))
METRICS: dict[str, Metric] = {
    "roc_auc": Metric(
        "ROC-AUC", "classification", roc_auc, True, "cross_entropy", (0, 1), "%", undefined=one_class, chance=0.5
    ),
    "pr_auc": Metric("PR-AUC", "classification", pr_auc, True, "cross_entropy", (0, 1), "%", undefined=one_class),
    "accuracy": Metric("accuracy", "classification", accuracy, True, "cross_entropy", (0, 1), "%"),
    "rmse": Metric("RMSE", "regression", rmse, False, "squared_error", _ERROR, "target"),
    "mae": Metric("MAE", "regression", mae, False, "absolute_error", _ERROR, "target"),
    "r2": Metric("R²", "regression", r2, True, "squared_error", (float("-inf"), 1), undefined=equal_labels),
    "spearman": Metric(
        "Spearman", "regression", spearman, True, "squared_error", (-1, 1), undefined=nothing_to_rank
    ),
}  # fmt: skip
"""All metrics by their names in the catalogue, the configuration and the command line.

Every run is scored by all metrics of its task. One of them is the primary metric of the benchmark, which determines the loss and
the best epoch.
"""


def find_metric(name: str, task: Task | None = None) -> Metric:
    """Look up a metric by its name. Raises MolclrError if it is unknown or not a metric of `task`."""
    if name not in METRICS:
        raise MolclrError(f"Unknown metric '{name}'; choose one of {', '.join(METRICS)}.")
    if task and METRICS[name].task != task:
        raise MolclrError(f"{name} is not a metric of {task}; choose one of {', '.join(metrics_of(task))}.")
    return METRICS[name]


def metrics_of(task: Task) -> list[str]:
    """List the names of the metrics of a task."""
    return [name for name, metric in METRICS.items() if metric.task == task]


def find_label(label: str) -> Metric:
    """Look up a metric by its label in tables. Raises MolclrError if it is unknown."""
    for metric in METRICS.values():
        if metric.label == label:
            return metric
    raise MolclrError(f"Unknown metric '{label}' in a table; write the table again with 'molclr table'.")


NOT_PREDICTED = "no label in the training set"
"""Why a target has no prediction."""


@dataclass(frozen=True)
class Score:
    """The score of predictions by one metric."""

    value: float
    """Mean over the targets with a score; NaN if there are none."""
    per_target: dict[str, float]
    """Target -> score, in the target's unit where the metric has it; ROC-AUC and PR-AUC from 0 to 1."""
    left_out: dict[str, str]
    """Target without a score -> reason."""

    @property
    def why_undefined(self) -> str:
        """Return the reasons for targets without a score, in words; the first ones if there are many."""
        reasons = [f"{target}: {reason}" for target, reason in self.left_out.items()]
        return "; ".join([*reasons[:3], *["..."] * (len(reasons) > 3)])


def score(metric: str, labels: np.ndarray, predictions: np.ndarray, targets: Sequence[str]) -> Score:
    """Score each target on the molecules that have its label, and average over the targets.

    labels: float64 (n, targets), NaN where missing; predictions: (n, targets), the probability of class 1 or a value in the
    target's unit, NaN for all molecules if the target is not predicted. The mean leaves out targets without labels, without
    predictions or with an undefined score. Raises MolclrError for an unknown metric, for classes other than 0 and 1, and for
    other predictions that are not finite.
    """
    chosen = find_metric(metric)
    check_labels(chosen.task, labels, targets)
    per_target, left_out = {}, {}
    for target, column, predicted in zip(targets, labels.T, predictions.T, strict=True):
        known = ~np.isnan(column)
        truth, guess = column[known], predicted[known].astype(np.float64)
        if len(predicted) and np.isnan(predicted).all():
            left_out[target] = NOT_PREDICTED
            continue
        if not np.isfinite(guess).all():
            raise MolclrError(f"A prediction of '{target}' is not finite; lower the learning rates.")
        if reason := why_undefined(chosen, truth, guess):
            left_out[target] = reason
        else:
            per_target[target] = chosen.function(truth, guess)
    value = float(np.mean(list(per_target.values()))) if per_target else float("nan")
    return Score(value, per_target, left_out)


def why_undefined(metric: Metric, labels: np.ndarray, predictions: np.ndarray) -> str:
    """Return why the score of labels and predictions, both float64 (n,), is undefined; empty if it is defined."""
    return metric.undefined(labels, predictions) if len(labels) else "no labels"


def check_labels(task: Task, labels: np.ndarray, targets: Sequence[str]) -> None:
    """Raise MolclrError if a classification label is not 0 or 1. labels: float64 (n, targets), NaN where missing."""
    if task == "classification":
        for target, column in zip(targets, labels.T, strict=True):
            others = column[~np.isnan(column) & (column != 0) & (column != 1)]
            if len(others):
                raise MolclrError(
                    f"A label of '{target}' is {others[0]:g}, but classes must be 0 and 1; correct the labels, "
                    "or declare the task as regression."
                )


def check_all_labels(task: Task, labels: np.ndarray, targets: Sequence[str]) -> None:
    """Raise MolclrError like `check_labels`, and if the labels differ too little for single precision, which models use.

    labels: float64 (n, targets) of all molecules, NaN where missing.
    """
    check_labels(task, labels, targets)
    for target, column in zip(targets, labels.T, strict=True):
        known = column[~np.isnan(column)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        step = max(SINGLE.eps * max(-low, high), SINGLE.tiny)
        if 0 < high - low < LEAST_STEPS * step:
            raise MolclrError(
                f"The labels of '{target}', from {low:.9g} to {high:.9g}, differ too little for single precision; subtract a "
                "constant such as their mean, or give them in another unit."
            )


def better(metric: str, value: float, than: float) -> bool:
    """Return whether `value` is a better score than `than`. NaN is worse than any number."""
    if np.isnan(than):
        return not np.isnan(value)
    return value > than if find_metric(metric).higher_is_better else value < than
