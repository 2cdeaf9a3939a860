"""Baselines of the workflow: a random forest and support vector machines, one run per benchmark, model and seed."""

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import ecfp4_counts
from molclr.config import Baselines
from molclr.data.labelled import LabelledMolecules
from molclr.data.subsets import SUBSETS
from molclr.errors import MolclrError
from molclr.evaluation.metrics import NOT_PREDICTED, check_all_labels, score
from molclr.evaluation.runs import Run, RunMetrics, write_run
from molclr.model_names import (
    AND_ECFP,
    COMBINED,
    FINGERPRINT_MODELS,
    FOREST,
    ON_COUNTS,
    REPRESENTATION,
    SVM,
    is_svm,
    pretrained_of,
)
from molclr.progress import progress
from molclr.seeds import derive_seed
from molclr.training.fixed import Inputs, ValidationMolecules, fit_fixed, predict_fixed


def baseline(
    data: LabelledMolecules,
    folder: Path,
    run: Run,
    settings: Baselines,
    threads: int = 1,
    h: np.ndarray | None = None,
) -> RunMetrics:
    """Fit the model `run.model`, with one estimator per target, and predict the test molecules.

    Models are RF, SVM and SVM_Tanimoto on ECFP4 counts, SVM_MolCLR_GIN on `h`, the representation of all molecules, float32
    (n, embedding_dim), and SVM_MolCLR_GIN_ECFP on both. Writes predictions.csv and metrics.json to `folder`; they do not depend
    on `threads`. Each estimator is fitted to the training molecules that have a label for its target; the validation molecules
    select the penalty of an SVM. If the labels are all equal, the prediction is constant, and without any there is none; the
    note of the run records both. Raises MolclrError for another model and for classes other than 0 and 1.
    """
    name = _kind(run.model, h)
    check_all_labels(run.task, data.labels, run.targets)
    train, valid, test = (data.subsets[subset] for subset in SUBSETS)
    inputs = Inputs(csr_matrix(ecfp4_counts(data.smiles)), h)
    predictions = _predictions(name, data, inputs, run, settings, threads)
    validation = score(run.metric, data.labels[valid], predictions[valid], run.targets)
    remarks = {target: _remark(data.labels[train, index]) for index, target in enumerate(run.targets)}
    notes = [f"{target}: {remark}" for target, remark in remarks.items() if remark]
    if np.isnan(validation.value):
        notes.append(f"no validation score ({validation.why_undefined})")
    known, limit = (~np.isnan(data.labels[train])).sum(axis=0), settings.svm_training_limit
    samples = int((known > limit).sum()) if name != FOREST else 0
    if samples:
        notes.append(f"trained on a sample of {limit} molecules for {samples} of {len(run.targets)} targets")
    return write_run(
        folder,
        run,
        data.rows[test],
        data.labels[test],
        predictions[test],
        validation=validation.value,
        note="; ".join(notes),
        deterministic=name != FOREST and not samples,
    )


def _predictions(
    name: str, data: LabelledMolecules, inputs: Inputs, run: Run, settings: Baselines, threads: int
) -> np.ndarray:
    """Fit one estimator per target and predict validation and test molecules: float64 (n, targets), NaN elsewhere.

    name: the kind of the model. A target without training labels is not predicted. The others: see `baseline`.
    """
    train, valid, test = (data.subsets[subset] for subset in SUBSETS)
    training, scored = inputs[train], np.concatenate([valid, test])
    predictions = np.full(data.labels.shape, np.nan)
    for index, target in enumerate(progress(run.targets, label=f"{run.model} on {run.benchmark}", unit="target")):
        labels = data.labels[:, index]
        if np.isnan(labels[train]).all():
            continue
        seed = derive_seed(run.seed, run.model, target) % 2**32  # scikit-learn takes 32 bits
        selection = ValidationMolecules(inputs[valid], labels[valid], run.metric)
        fitted = fit_fixed(name, training, labels[train], run.task, settings, seed, threads, selection)
        predictions[scored, index], _ = predict_fixed(name, fitted, training, inputs[scored], run.task)
    return predictions


def _remark(labels: np.ndarray) -> str:
    """Describe why nothing can be learned from training labels, (n,), NaN where missing; empty if something can."""
    known = labels[~np.isnan(labels)]
    if not len(known):
        return f"{NOT_PREDICTED}, no prediction"
    return "one label in the training set, constant prediction" if known.min() == known.max() else ""


def _kind(model: str, h: np.ndarray | None) -> str:
    """Return the kind of a baseline. Raises MolclrError if there is none, or for a model with an encoder if `h` is None."""
    if model in FINGERPRINT_MODELS:
        return ON_COUNTS[FINGERPRINT_MODELS.index(model)]
    if h is None or not pretrained_of(model) or not is_svm(model):
        raise MolclrError(
            f"Unknown baseline '{model}'; choose one of {', '.join(FINGERPRINT_MODELS)}, or with an encoder {SVM}_MolCLR_GIN or "
            f"{SVM}_MolCLR_GIN{AND_ECFP}."
        )
    return COMBINED if model.endswith(AND_ECFP) else REPRESENTATION
