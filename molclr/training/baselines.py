"""Baselines without a graph network: random forest and support vector machine on ECFP4 counts (scikit-learn)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from molclr.chem.fingerprints import ecfp4_counts
from molclr.config import Baselines
from molclr.data.labelled import LabelledMolecules
from molclr.data.subsets import SUBSETS
from molclr.errors import MolclrError
from molclr.evaluation.metrics import NOT_PREDICTED, better, check_labels, score
from molclr.evaluation.runs import Run, RunMetrics, write_run
from molclr.progress import progress
from molclr.seeds import derive_seed

SVM_COSTS = (1.0, 10.0)
"""Candidates for the penalty C, which is selected on the validation molecules for each target; nothing else is tuned."""

KERNEL_CACHE = 500
"""Size of the kernel cache of a support vector machine, MB."""

Features: TypeAlias = np.ndarray | csr_matrix
"""One row per molecule, one column per substructure."""


def baseline(data: LabelledMolecules, folder: Path, run: Run, settings: Baselines, threads: int = 1) -> RunMetrics:
    """Fit the model `run.model`, 'RF' or 'SVM', with one estimator per target, and predict the test molecules.

    Writes predictions.csv and metrics.json to `folder`; they do not depend on `threads`. Each estimator is fitted to the
    training molecules that have a label for its target. If these labels are all equal, the prediction is constant, and
    without any there is none, which the note of the run says. Raises MolclrError for another model and for classes other than
    0 and 1.
    """
    train, valid, test = (data.subsets[name] for name in SUBSETS)
    check_labels(run.task, data.labels, run.targets)
    features = _features(run.model, data.smiles)
    predictions = np.zeros(data.labels.shape)
    notes, sampled = [], 0
    for index, target in enumerate(progress(run.targets, label=f"{run.model} on {run.benchmark}", unit="target")):
        labels = data.labels[:, index]
        known = train[~np.isnan(labels[train])]
        values = np.unique(labels[known])
        if len(values) == 0:
            predictions[:, index] = np.nan
            notes.append(f"{target}: {NOT_PREDICTED}, no prediction")
            continue
        if len(values) == 1:
            predictions[:, index] = values[0]
            notes.append(f"{target}: one label in the training set, constant prediction")
            continue
        seed = derive_seed(run.seed, run.model, target) % 2**32  # scikit-learn takes 32 bits
        if run.model == "SVM" and len(known) > settings.svm_training_limit:
            known = np.random.default_rng(seed).choice(known, settings.svm_training_limit, replace=False)
            sampled += 1
        estimators = _estimators(run, settings.trees, seed, threads)
        fitted = [estimator.fit(features[known], labels[known]) for estimator in estimators]
        chosen = _best(fitted, features[valid], labels[valid], run.metric)
        for subset in (valid, test):
            predictions[subset, index] = _predict(chosen, features[subset])
    validation = score(run.metric, data.labels[valid], predictions[valid], run.targets)
    if np.isnan(validation.value):
        notes.append(f"no validation score ({validation.why_undefined})")
    if sampled:
        limit, targets = settings.svm_training_limit, len(run.targets)
        notes.append(f"trained on a sample of {limit} molecules for {sampled} of {targets} targets")
    return write_run(
        folder,
        run,
        data.rows[test],
        data.labels[test],
        predictions[test],
        validation=validation.value,
        note="; ".join(notes),
    )


def _features(model: str, smiles: Sequence[str]) -> Features:
    """Compute ECFP4 counts; for the support vector machine log(1 + count), because its kernel depends on differences.

    The SVM's features are sparse, which makes it ten times faster: a molecule has about 50 of the 2048 substructures.
    """
    if model == "RF":
        return ecfp4_counts(smiles)
    if model == "SVM":
        return csr_matrix(np.log1p(ecfp4_counts(smiles)))
    raise MolclrError(f"Unknown baseline '{model}'; choose RF or SVM.")


def _estimators(run: Run, trees: int, seed: int, threads: int) -> list[BaseEstimator]:
    """Make the candidate estimators, of which one is selected on the validation molecules.

    Forests consider the usual fraction of features at each split: the square root of their number for classification and a third
    for regression (Breiman 2001; Hastie et al., Elements of Statistical Learning, 15.3). SVMs have a Gaussian kernel whose
    width is scaled to the variance of the features; regression labels are standardised.
    """
    match run.model, run.task:
        case "RF", "classification":
            return [RandomForestClassifier(trees, max_features="sqrt", random_state=seed, n_jobs=threads)]
        case "RF", _:
            return [RandomForestRegressor(trees, max_features=1 / 3, random_state=seed, n_jobs=threads)]
        case _, "classification":
            return [SVC(C=cost, cache_size=KERNEL_CACHE) for cost in SVM_COSTS]
    machines = (SVR(C=cost, cache_size=KERNEL_CACHE) for cost in SVM_COSTS)
    return [TransformedTargetRegressor(machine, transformer=StandardScaler()) for machine in machines]


def _best(estimators: list[BaseEstimator], features: Features, labels: np.ndarray, metric: str) -> BaseEstimator:
    """Select the estimator with the best score; the first if the score is undefined (one class, no labels)."""
    best, best_score = estimators[0], np.nan
    for estimator in estimators:
        guess = _predict(estimator, features)
        value = score(metric, labels[:, None], guess[:, None], ["target"]).value
        if better(metric, value, best_score):
            best, best_score = estimator, value
    return best


def _predict(estimator: BaseEstimator, features: Features) -> np.ndarray:
    """Predict values or probabilities of class 1: float64 (n,).

    The probability of an SVM is the logistic function of its margin, without calibration.
    """
    if isinstance(estimator, SVC):
        return expit(estimator.decision_function(features))
    if isinstance(estimator, RandomForestClassifier | RandomForestRegressor):
        estimator.set_params(n_jobs=1)  # several threads would sum the trees in a varying order
    if isinstance(estimator, RandomForestClassifier):
        return estimator.predict_proba(features)[:, 1]
    return estimator.predict(features)
