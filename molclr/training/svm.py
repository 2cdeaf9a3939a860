"""Support vector machines as plain arrays, which are stored and predict without scikit-learn; see `molclr.training.forest`."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit
from sklearn.svm import SVC, SVR

from molclr.evaluation.metrics import Task, better, score
from molclr.training.forest import Arrays
from molclr.training.kernels import Features

KERNEL_CACHE = 500
"""Size of the kernel cache of a support vector machine, MB."""
MOLECULES_AT_A_TIME = 2048
"""Molecules whose kernel with the support vectors is held in memory."""


def fit_svm(
    features: Features,
    labels: np.ndarray,
    task: Task,
    costs: Sequence[float],
    valid: tuple[Features, np.ndarray] | None = None,
    metric: str = "",
) -> Arrays:
    """Fit a support vector machine; return its support vectors (places in `features`) and their coefficients.

    labels: (n,), without missing ones; values are standardized. The penalty is the one of `costs` with the best score by `metric`
    on the molecules `valid`; the first if the score is undefined or there are no such molecules.
    """
    mean, scale = (0.0, 1.0) if task == "classification" else (float(labels.mean()), float(labels.std()))
    if len(np.unique(labels)) < 2:
        return _machine(np.empty(0, np.int64), np.empty(0), 0.0, 1.0, float(labels[0]), 0.0, costs[0])
    gamma = features.gamma
    among = features.kernel(features, gamma)
    to_valid = valid[0].kernel(features, gamma) if valid else np.empty((0, len(features)))
    best, best_score = Arrays(), np.nan
    for cost in costs if valid else costs[:1]:
        kind = SVC if task == "classification" else SVR
        fitted = kind(kernel="precomputed", C=cost, cache_size=KERNEL_CACHE).fit(among, (labels - mean) / scale)
        intercept = float(fitted.intercept_[0])
        machine = _machine(fitted.support_, fitted.dual_coef_[0], intercept, gamma, mean, scale, cost)
        guess = _values(machine, to_valid[:, fitted.support_], task)
        value = score(metric, valid[1][:, None], guess[:, None], ["target"]).value if valid else np.nan
        if not best or better(metric, value, best_score):
            best, best_score = machine, value
    return best


def _machine(support: np.ndarray, dual: np.ndarray, *numbers: float) -> Arrays:
    """Return a support vector machine as arrays. numbers: intercept, gamma, mean and scale of the labels, penalty."""
    return {"support": support.astype(np.int64), "dual": dual.astype(np.float64), "numbers": np.array(numbers)}


def cost_of(machine: Arrays) -> float:
    """Return the penalty C with which a machine was fitted."""
    return float(machine["numbers"][4])


def predict_svm(machine: Arrays, vectors: Features, features: Features, task: Task) -> np.ndarray:
    """Predict values, or the logistic function of margins (not calibrated): float64 (n,).

    vectors: features of the support vectors; features: those of the n molecules.
    """
    if not len(machine["support"]):
        return _values(machine, np.empty((len(features), 0)), task)
    gamma = float(machine["numbers"][1])
    parts = (features[first : first + MOLECULES_AT_A_TIME] for first in range(0, len(features), MOLECULES_AT_A_TIME))
    return np.concatenate([np.empty(0), *(_values(machine, part.kernel(vectors, gamma), task) for part in parts)])


def _values(machine: Arrays, to_support: np.ndarray, task: Task) -> np.ndarray:
    """Compute predictions from the kernel of molecules and support vectors, float64 (n, support vectors)."""
    intercept, _, mean, scale, _ = machine["numbers"].tolist()
    margins = to_support @ machine["dual"] + intercept
    return (expit(margins) if task == "classification" else margins) * scale + mean
