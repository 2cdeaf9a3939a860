"""Scores of predictions: one table of metrics, and their mean over the targets of a benchmark.

To add a metric, add an entry to METRICS (docs/extending.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from molclr.errors import MolclrError

Task = Literal["classification", "regression"]
Loss = Literal["cross_entropy", "squared_error", "absolute_error"]

TASKS: tuple[Task, ...] = get_args(Task)


def roc_auc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Fraction of the pairs of a positive and a negative in which the positive is ranked higher; a tie counts one half.

    labels: (n,) 0 or 1, both present; predictions: (n,). The Mann-Whitney U statistic, counted in whole numbers.
    """
    positives = predictions[labels == 1]
    negatives = np.sort(predictions[labels == 0])
    below = np.searchsorted(negatives, positives, side="left").sum()
    not_above = np.searchsorted(negatives, positives, side="right").sum()
    return float(below + not_above) / (2 * len(positives) * len(negatives))


def pr_auc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Average precision: the precision at each threshold, weighted by the recall gained there; equal predictions share one.

    labels: (n,) 0 or 1, both present; predictions: (n,). The expected value of random predictions is the fraction of positives.
    """
    order = np.argsort(-predictions, kind="stable")
    threshold_ends = np.append(np.diff(predictions[order]) != 0, True)
    predicted_positive = np.flatnonzero(threshold_ends) + 1
    true_positive = (labels[order] == 1).cumsum()[threshold_ends]
    recall_gained = np.diff(true_positive, prepend=0) / true_positive[-1]
    return float(np.sum(recall_gained * true_positive / predicted_positive))


def rmse(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Root of the mean squared error; labels and predictions: (n,)."""
    return float(np.sqrt(np.mean(np.square(labels - predictions))))


def mae(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error; labels and predictions: (n,)."""
    return float(np.mean(np.abs(labels - predictions)))


def r2(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Coefficient of determination: 1 less the squared error relative to that of the labels' mean; both (n,)."""
    return float(1 - np.sum(np.square(labels - predictions)) / np.sum(np.square(labels - labels.mean())))


def spearman(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Spearman's rank correlation; labels and predictions: (n,). Equal values share their mean rank."""
    return float(np.corrcoef(_ranks(labels), _ranks(predictions))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, float64 (n,); equal values have their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]


def always_defined(labels: np.ndarray, predictions: np.ndarray) -> str:
    """No reason: the score exists for any labels."""
    return ""


def one_class(labels: np.ndarray, predictions: np.ndarray) -> str:
    """Both classes are needed."""
    return "one class" if labels.min() == labels.max() else ""


def equal_labels(labels: np.ndarray, predictions: np.ndarray) -> str:
    """Labels that vary are needed."""
    return "all labels are equal" if labels.min() == labels.max() else ""


def nothing_to_rank(labels: np.ndarray, predictions: np.ndarray) -> str:
    """Labels and predictions that vary are needed."""
    constant = "all predictions are equal" if predictions.min() == predictions.max() else ""
    return equal_labels(labels, predictions) or constant


@dataclass(frozen=True)
class Metric:
    """How predictions of one target are scored, and how the score is shown."""

    label: str
    """Name in tables and figures."""
    task: Task
    function: Callable[[np.ndarray, np.ndarray], float]
    """Labels float64 (n,) and predictions float64 (n,), n >= 1, to a score; a class is predicted as the probability of 1."""
    higher_is_better: bool
    loss: Loss
    """What fine-tuning minimises where this is the primary metric."""
    range: tuple[float, float]
    """Lowest and highest score."""
    unit: Literal["%", "target", ""] = ""
    """Unit in tables: % (of a score from 0 to 1), that of the target, or none."""
    undefined: Callable[[np.ndarray, np.ndarray], str] = always_defined
    """Labels and predictions, n >= 1, to the reason why they have no score; empty if they have one."""
    chance: float = 0.0
    """Score of a model that has learned nothing, where bars begin; 0 where no number is that."""

    @property
    def factor(self) -> float:
        """What turns a score into the number shown in tables."""
        return 100.0 if self.unit == "%" else 1.0


_ERROR = (0.0, float("inf"))
METRICS: dict[str, Metric] = {
    "roc_auc": Metric(
        "ROC-AUC", "classification", roc_auc, True, "cross_entropy", (0, 1), "%", undefined=one_class, chance=0.5
    ),
    "pr_auc": Metric("PR-AUC", "classification", pr_auc, True, "cross_entropy", (0, 1), "%", undefined=one_class),
    "rmse": Metric("RMSE", "regression", rmse, False, "squared_error", _ERROR, "target"),
    "mae": Metric("MAE", "regression", mae, False, "absolute_error", _ERROR, "target"),
    "r2": Metric("R²", "regression", r2, True, "squared_error", (float("-inf"), 1), undefined=equal_labels),
    "spearman": Metric(
        "Spearman", "regression", spearman, True, "squared_error", (-1, 1), undefined=nothing_to_rank
    ),
}  # fmt: skip
"""All metrics by the name that the catalogue, the configuration and the command line know them by.

Every run is scored by all metrics of its task. One of them is the primary metric of the benchmark, which decides the loss and
the best epoch.
"""


def find_metric(name: str, task: Task | None = None) -> Metric:
    """Return the metric called `name`. Raises MolclrError if there is none, or if it is not one of `task`."""
    if name not in METRICS:
        raise MolclrError(f"There is no metric '{name}'; there are {', '.join(METRICS)}.")
    if task and METRICS[name].task != task:
        raise MolclrError(f"The metric {name} does not suit {task}; take {' or '.join(metrics_of(task))}.")
    return METRICS[name]


def metrics_of(task: Task) -> list[str]:
    """Names of the metrics of a task."""
    return [name for name, metric in METRICS.items() if metric.task == task]


def find_label(label: str) -> Metric:
    """Return the metric that tables call `label`. Raises MolclrError if there is none."""
    for metric in METRICS.values():
        if metric.label == label:
            return metric
    raise MolclrError(f"A table names the metric '{label}', which is not known; make the table again.")


@dataclass(frozen=True)
class Score:
    """How good predictions are."""

    value: float
    """Mean over the targets that can be scored; NaN if there are none."""
    per_target: dict[str, float]
    """The score of each of them, in the target's unit where the metric has it; ROC-AUC and PR-AUC from 0 to 1."""
    left_out: dict[str, str]
    """The other targets, each with its reason."""


def score(metric: str, labels: np.ndarray, predictions: np.ndarray, targets: Sequence[str]) -> Score:
    """Score each target over the molecules that have its label, and take the mean over the targets.

    labels: float64 (n, targets), NaN where missing; predictions: (n, targets), the probability of class 1 or a value in
    the target's unit. A target without labels, or whose score is undefined, is left out of the mean and named with the reason.
    Raises MolclrError for an unknown metric, a class other than 0 and 1, and a prediction that is not a finite number.
    """
    chosen = find_metric(metric)
    check_labels(chosen.task, labels, targets)
    per_target, left_out = {}, {}
    for target, column, predicted in zip(targets, labels.T, predictions.T, strict=True):
        known = ~np.isnan(column)
        truth, guess = column[known], predicted[known].astype(np.float64)
        if not np.isfinite(guess).all():
            raise MolclrError(f"A prediction of '{target}' is not a finite number; lower the learning rates.")
        if reason := why_undefined(chosen, truth, guess):
            left_out[target] = reason
        else:
            per_target[target] = chosen.function(truth, guess)
    value = float(np.mean(list(per_target.values()))) if per_target else float("nan")
    return Score(value, per_target, left_out)


def why_undefined(metric: Metric, labels: np.ndarray, predictions: np.ndarray) -> str:
    """Why these labels and predictions, both float64 (n,), have no score; empty if they have one."""
    return metric.undefined(labels, predictions) if len(labels) else "no labels"


def check_labels(task: Task, labels: np.ndarray, targets: Sequence[str]) -> None:
    """Raise MolclrError if a label of a classification, float64 (n, targets) with NaN where missing, is not 0 or 1."""
    if task == "classification":
        for target, column in zip(targets, labels.T, strict=True):
            strange = column[~np.isnan(column) & (column != 0) & (column != 1)]
            if len(strange):
                raise MolclrError(f"A label of '{target}' is {strange[0]:g}; the two classes are 0 and 1.")


def better(metric: str, value: float, than: float) -> bool:
    """Is `value` a better score? NaN is worse than any number, so a search for the best may begin with it."""
    if np.isnan(than):
        return not np.isnan(value)
    return value > than if find_metric(metric).higher_is_better else value < than
