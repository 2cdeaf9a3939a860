"""Models on fixed features: a random forest on ECFP4 counts, support vector machines on counts and representations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from molclr.config import Baselines
from molclr.evaluation.metrics import Task
from molclr.model_names import COMBINED, FOREST, MACHINE, TANIMOTO
from molclr.training.forest import Arrays, fit_forest, predict_trees
from molclr.training.kernels import Features, log_counts, standardized
from molclr.training.svm import fit_svm, predict_svm

COUNT_COSTS = (1.0, 10.0)
"""Candidates for the penalty C of the machine with a Gaussian kernel on ECFP4 counts; nothing else is tuned."""
COSTS = (1.0, 10.0, 0.1, 100.0)
"""Candidates for the penalty C of the other machines."""

Change = Callable[[np.ndarray], np.ndarray]
"""Function of the predictions of each member of an ensemble: float64 (members, n) or (members, n, targets), of the same shape."""


def unchanged(values: np.ndarray) -> np.ndarray:
    """Return predictions as they are."""
    return values


@dataclass(frozen=True)
class Inputs:
    """The features of n molecules from which these models predict.

    counts: ECFP4 counts, (n, BITS). h: the representation, float32 (n, embedding_dim); None without an encoder.
    """

    counts: csr_matrix
    h: np.ndarray | None = None

    def __getitem__(self, molecules: np.ndarray) -> "Inputs":
        return Inputs(self.counts[molecules], None if self.h is None else self.h[molecules])

    def features(self, name: str, training: "Inputs") -> Features:
        """Return the features that the machine `name` compares; h is standardized by all `training` molecules."""
        if name == MACHINE:
            return Features(log_counts(self.counts))
        if name == TANIMOTO:
            return Features(None, self.counts)
        assert self.h is not None and training.h is not None
        return Features(standardized(self.h, training.h), self.counts if name == COMBINED else None)


class ValidationMolecules(NamedTuple):
    """Molecules outside the training set, which select the penalty of a machine by a metric. labels: (n,), NaN where missing."""

    inputs: Inputs
    labels: np.ndarray
    metric: str


def fit_fixed(
    name: str,
    training: Inputs,
    labels: np.ndarray,
    task: Task,
    settings: Baselines,
    seed: int,
    threads: int = 1,
    selection: ValidationMolecules | None = None,
    costs: Sequence[float] | None = None,
) -> Arrays:
    """Fit the model `name` to one target.

    labels: float64 (n,) of the training molecules, NaN where missing; at least one is known. seed: below 2**32. costs: candidates
    for the penalty of a machine; None for the usual ones. Without `selection` the first is taken. A machine is fitted to a sample
    if more than `settings.svm_training_limit` molecules have a label; its support vectors are places in `training`.
    """
    known = np.flatnonzero(~np.isnan(labels))
    if name == FOREST:
        return fit_forest(training.counts[known].toarray(), labels[known], task, settings.trees, seed, threads)
    if len(known) > settings.svm_training_limit:
        generator = np.random.default_rng(seed)
        known = np.sort(generator.choice(known, settings.svm_training_limit, replace=False))
    costs = costs or costs_of(name)
    valid = (selection.inputs.features(name, training), selection.labels) if selection else None
    features = training[known].features(name, training)
    machine = fit_svm(features, labels[known], task, costs, valid, selection.metric if selection else "")
    return machine | {"support": known[machine["support"]]}


def costs_of(name: str) -> tuple[float, ...]:
    """Return the candidates for the penalty of a machine."""
    return COUNT_COSTS if name == MACHINE else COSTS


def predict_fixed(
    name: str, fitted: Arrays, training: Inputs, inputs: Inputs, task: Task, change: Change = unchanged
) -> tuple[np.ndarray, np.ndarray]:
    """Predict molecules: mean and standard deviation over the trees, NaN for a machine or a single tree; float64 (n,) each.

    change: function of the predictions of the trees, or of the machine.
    """
    if name == FOREST:
        trees = change(predict_trees(fitted, inputs.counts.toarray()))
        spread = trees.std(axis=0, ddof=1) if len(trees) > 1 else np.full(trees.shape[1:], np.nan)
        return trees.mean(axis=0), spread
    vectors = training[fitted["support"]].features(name, training)
    (mean,) = change(predict_svm(fitted, vectors, inputs.features(name, training), task)[None])
    return mean, np.full(len(mean), np.nan)
