"""Random forests and support vector machines on fixed features, as plain arrays that are stored and predict without scikit-learn.

scikit-learn fits them; its own files are pickles, which execute code when they are read. Arrays also predict the same with every
version of scikit-learn.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix, issparse
from scipy.special import expit
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC, SVR

from molclr.evaluation.metrics import Task, better, score
from molclr.training.baselines import KERNEL_CACHE, Features

Arrays: TypeAlias = dict[str, np.ndarray]
"""A fitted model of one target."""
LEAF = -1
"""The feature of a node that decides nothing."""
ROWS_AT_A_TIME = 512
"""Molecules whose kernel is held in memory."""


def fit_forest(x: np.ndarray, labels: np.ndarray, task: Task, trees: int, seed: int, threads: int) -> Arrays:
    """Fit a random forest to counts x, float32 (n, features), and labels (n,); return the nodes of all trees.

    Each split considers the fraction of features that `molclr.training.baselines` considers. A node has a `feature` (int16, LEAF
    for a leaf), a `threshold`, the places of its children `left` and `right`, and a `value`; `roots` are places of first nodes.
    Equal labels give a single leaf.
    """
    if len(np.unique(labels)) < 2:
        return _nodes([(np.array([LEAF]), np.zeros(1), np.zeros(1), np.zeros(1), labels[:1])])
    if task == "classification":
        forest = RandomForestClassifier(trees, max_features="sqrt", random_state=seed, n_jobs=threads)
    else:
        forest = RandomForestRegressor(trees, max_features=1 / 3, random_state=seed, n_jobs=threads)
    fitted = [estimator.tree_ for estimator in forest.fit(x, labels).estimators_]
    values = [tree.value[:, 0] for tree in fitted]
    if task == "classification":
        values = [value[:, 1:] / value.sum(axis=1, keepdims=True) for value in values]
    return _nodes(
        [
            (np.where(tree.children_left < 0, LEAF, tree.feature), tree.threshold, tree.children_left, tree.children_right, value)
            for tree, value in zip(fitted, values, strict=True)
        ]
    )  # fmt: skip


def _nodes(trees: Sequence[tuple[np.ndarray, ...]]) -> Arrays:
    """Join the nodes of trees, with the places of children counted over all trees."""
    roots = np.cumsum([0, *(len(tree[0]) for tree in trees[:-1])])
    feature, threshold, value = (np.concatenate([tree[place].ravel() for tree in trees]) for place in (0, 1, 4))
    left, right = (
        np.concatenate([tree[place] + root for tree, root in zip(trees, roots, strict=True)]) for place in (2, 3)
    )
    return {
        "roots": roots.astype(np.int32),
        "feature": feature.astype(np.int16),
        "threshold": threshold.astype(np.float32),
        "left": left.astype(np.int32),
        "right": right.astype(np.int32),
        "value": value.astype(np.float32),
    }


def predict_trees(forest: Arrays, x: np.ndarray) -> np.ndarray:
    """Compute the prediction of each tree: float64 (trees, n). x: float32 (n, features)."""
    rows = np.arange(len(x))
    values = np.empty((len(forest["roots"]), len(x)))
    for tree, root in enumerate(forest["roots"]):
        node = np.full(len(x), root)
        while (inner := forest["feature"][node] != LEAF).any():
            goes_left = x[rows, forest["feature"][node]] <= forest["threshold"][node]
            node = np.where(inner, np.where(goes_left, forest["left"][node], forest["right"][node]), node)
        values[tree] = forest["value"][node]
    return values


def fit_machine(
    x: Features, labels: np.ndarray, valid: tuple[Features, np.ndarray], metric: str, task: Task, costs: Sequence[float]
) -> Arrays:
    """Fit a support vector machine with a Gaussian kernel; return its support vectors (places in x) and their coefficients.

    x: (n, features), labels: (n,), without missing ones. The penalty is the one of `costs` with the best score on the molecules
    `valid`; the first if it is undefined. The kernel's width is scaled to the variance of the features. Values are standardised.
    """
    mean, scale = (0.0, 1.0) if task == "classification" else (float(labels.mean()), float(labels.std()))
    if len(np.unique(labels)) < 2:
        return _machine(np.empty(0, np.int64), np.empty(0), 0.0, 1.0, float(labels[0]), 0.0)
    gamma = 1 / (x.shape[1] * (_variance(x) or 1.0))
    best, best_score = None, np.nan
    for cost in costs:
        kind = SVC if task == "classification" else SVR
        fitted = kind(C=cost, gamma=gamma, cache_size=KERNEL_CACHE).fit(x, (labels - mean) / scale)
        dual = fitted.dual_coef_.toarray() if issparse(fitted.dual_coef_) else fitted.dual_coef_
        machine = _machine(fitted.support_, dual[0], float(fitted.intercept_[0]), gamma, mean, scale)
        guess = predict_machine(machine, x, valid[0], task)
        value = score(metric, valid[1][:, None], guess[:, None], ["target"]).value
        if best is None or better(metric, value, best_score):
            best, best_score = machine, value
    assert best is not None
    return best


def _variance(x: Features) -> float:
    """The variance of all numbers of x."""
    return float(x.var()) if isinstance(x, np.ndarray) else float(x.multiply(x).mean() - x.mean() ** 2)


def _machine(
    support: np.ndarray, dual: np.ndarray, intercept: float, gamma: float, mean: float, scale: float
) -> Arrays:
    numbers = np.array([intercept, gamma, mean, scale])
    return {"support": support.astype(np.int64), "dual": dual.astype(np.float64), "numbers": numbers}


def predict_machine(machine: Arrays, fitted_to: Features, x: Features, task: Task) -> np.ndarray:
    """Predict values, or the logistic function of margins (not calibrated): float64 (n,).

    fitted_to: the features to which the machine was fitted; x: those of the molecules, (n, features).
    """
    intercept, gamma, mean, scale = machine["numbers"].tolist()
    margins = np.full(x.shape[0], intercept)
    if len(machine["support"]):
        vectors = fitted_to[machine["support"]]
        for first in range(0, x.shape[0], ROWS_AT_A_TIME):
            part = slice(first, first + ROWS_AT_A_TIME)
            margins[part] += rbf_kernel(x[part], vectors, gamma) @ machine["dual"]
    return (expit(margins) if task == "classification" else margins) * scale + mean


def log_counts(counts: np.ndarray) -> csr_matrix:
    """Compute log(1 + count) of counts, float32 (n, features): the features of a support vector machine."""
    return csr_matrix(np.log1p(counts), dtype=np.float64)
