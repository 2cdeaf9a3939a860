"""Random forests as plain arrays, which are stored and predict without scikit-learn.

scikit-learn fits them; its own files are pickles, which execute code when they are read. Arrays also predict the same with every
version of scikit-learn.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from molclr.evaluation.metrics import Task

Arrays: TypeAlias = dict[str, np.ndarray]
"""A fitted model of one target."""
LEAF = -1
"""The feature of a node that decides nothing."""


def fit_forest(x: np.ndarray, labels: np.ndarray, task: Task, trees: int, seed: int, threads: int) -> Arrays:
    """Fit a random forest to counts x, float32 (n, features), and labels (n,); return the nodes of all trees.

    Each split considers the usual fraction of features: the square root of their number for classification and a third for
    regression (Breiman 2001; Hastie et al., Elements of Statistical Learning, 15.3). A node has a `feature` (int16, LEAF for a
    leaf), a `threshold`, the places of its children `left` and `right`, and a `value`; `roots` are places of first nodes. Equal
    labels give a single leaf. `threads` change nothing but the time.
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
