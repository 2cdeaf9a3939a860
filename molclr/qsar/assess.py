"""Scores of the models of a folder on validation and test molecules, and the choice of the best one."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molclr.config import Compute
from molclr.data.labelled import LabelledMolecules
from molclr.data.output import digits
from molclr.evaluation.conformal import LEVEL, coverage, half_widths
from molclr.evaluation.metrics import better, metrics_of, score
from molclr.evaluation.runs import Run
from molclr.evaluation.statistics import CONFIDENCE, score_interval
from molclr.files import replacing, write_rows
from molclr.qsar.model_files import METRICS_FILE, PREDICTIONS_FILE
from molclr.qsar.model_folder import ModelFolder, Predicted, number_or_none

SCORED = ("valid", "test")
STANDARD_DEVIATIONS = "standard deviations of the training labels"
"""The unit of scores that are means over targets of different units."""


def evaluate(model: ModelFolder, data: LabelledMolecules, run: Run) -> dict[str, Any]:
    """Predict validation and test molecules with all models, choose one, and write predictions.csv; return the metrics.

    Writes the chosen model and the widths of prediction intervals to `model.about`.
    """
    predicted = {name: _predict_scored(model, data, name) for name in model.about["models"]}
    valid, test = (data.labels[data.subsets[subset]] for subset in SCORED)
    widths = {name: half_widths(valid, found["valid"].mean) for name, found in predicted.items()}
    widths = widths if run.task == "regression" else {}
    scale = scale_of(data, run)
    scores = {name: _scores(data, run, found, widths.get(name), scale) for name, found in predicted.items()}
    values = {name: found["validation"][run.metric]["value"] for name, found in scores.items()}
    model.about["chosen"] = choose_model(run.metric, values)
    model.about["half_widths"] = {name: [number_or_none(width) for width in found] for name, found in widths.items()}
    _write_predictions(model.folder, data, predicted, widths)
    return {
        "task": run.task,
        "metric": run.metric,
        "mean_over_targets_in": STANDARD_DEVIATIONS if np.ndim(scale) else None,
        "scale": dict(zip(data.targets, np.broadcast_to(scale, len(data.targets)).tolist(), strict=True)),
        "chosen": model.about["chosen"],
        "molecules": {subset: len(places) for subset, places in data.subsets.items()},
        "test_labels": dict(zip(data.targets, (~np.isnan(test)).sum(axis=0).tolist(), strict=True)),
        "test_labels_of_rarer_class": _rarer_class(test, data.targets) if run.task == "classification" else None,
        "confidence": CONFIDENCE,
        "models": scores,
    }


def evaluate_refit(model: ModelFolder, data: LabelledMolecules, run: Run, predictions: np.ndarray) -> dict[str, Any]:
    """Calibrate prediction intervals by predictions out of fold, and score these; return the metrics.

    predictions: float64 (n, targets), NaN for a target without predictions. Writes the widths to `model.about`, which then has
    one model.
    """
    name, scored = model.about["chosen"], {}
    for metric in metrics_of(run.task):
        scored[metric] = _scored(
            metric, data.labels, predictions, data.targets, scale_of(data, run), with_interval=True
        )
    model.about.update(models=[name], half_widths={}, refit=True)
    found: dict[str, Any] = {"molecules": len(data.smiles), "out_of_fold": scored}
    if run.task == "regression":
        widths = [number_or_none(width) for width in half_widths(data.labels, predictions)]
        model.about["half_widths"] = {name: widths}
        found["prediction_interval"] = {
            target: {"level": LEVEL, "half_width": width} for target, width in zip(data.targets, widths, strict=True)
        }
    return found


def scale_of(data: LabelledMolecules, run: Run) -> np.ndarray | float:
    """Return what scores of values are divided by before their mean over targets, whose units may differ.

    It is the standard deviation of the training labels of each target, (targets,), as in fine-tuning, of all labels where there
    are none; 1 for a single target.
    """
    if run.task == "classification" or len(data.targets) == 1:
        return 1.0
    labels = pd.DataFrame(data.labels)
    scale = labels.iloc[data.subsets["train"]].std().fillna(labels.std()).to_numpy()
    return np.where(scale > 0, scale, 1.0)


def _rarer_class(labels: np.ndarray, targets: Sequence[str]) -> dict[str, int]:
    """Count the labels of the rarer class of each target. labels: float64 (n, targets), 0, 1 or NaN."""
    counts = np.minimum((labels == 0).sum(axis=0), (labels == 1).sum(axis=0))
    return dict(zip(targets, counts.tolist(), strict=True))


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write metrics.json."""
    with replacing(folder / METRICS_FILE) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _predict_scored(model: ModelFolder, data: LabelledMolecules, name: str) -> dict[str, Predicted]:
    """Predict the molecules of each subset of SCORED with a model."""
    compute = Compute(device=model.about["settings"]["device"])
    smiles = {subset: [data.smiles[place] for place in data.subsets[subset]] for subset in SCORED}
    return {subset: model.predict(molecules, name, compute) for subset, molecules in smiles.items()}


def choose_model(metric: str, validation: dict[str, float | None]) -> str:
    """Return the model with the best validation score; the first of equal ones, and if none has a score."""
    best, best_score = next(iter(validation)), math.nan
    for name, value in validation.items():
        if value is not None and better(metric, value, best_score):
            best, best_score = name, value
    return best


def _scores(
    data: LabelledMolecules,
    run: Run,
    predicted: dict[str, Predicted],
    widths: list[float] | None,
    scale: np.ndarray | float,
) -> dict[str, Any]:
    """Score a model on validation and test molecules, by all metrics. scale: see `scale_of`."""
    found: dict[str, Any] = {}
    for subset, label in zip(SCORED, ("validation", "test"), strict=True):
        labels, mean = data.labels[data.subsets[subset]], predicted[subset].mean
        found[label] = {
            metric: _scored(metric, labels, mean, data.targets, scale, with_interval=subset == "test")
            for metric in metrics_of(run.task)
        }
    if widths is not None:
        test = data.labels[data.subsets["test"]]
        covered = coverage(test, predicted["test"].mean, widths)
        found["prediction_interval"] = {
            target: {"level": LEVEL, "half_width": number_or_none(width), "coverage_of_test": number_or_none(fraction)}
            for target, width, fraction in zip(data.targets, widths, covered, strict=True)
        }
    return found


def _scored(
    metric: str,
    labels: np.ndarray,
    predictions: np.ndarray,
    targets: Sequence[str],
    scale: np.ndarray | float,
    with_interval: bool,
) -> dict[str, Any]:
    """Score predictions: each target in its unit, and the mean of targets and its interval after division by `scale`."""
    scored = score(metric, labels, predictions, targets)
    labels, predictions = labels / scale, predictions / scale
    found: dict[str, Any] = {
        "value": number_or_none(score(metric, labels, predictions, targets).value),
        "per_target": scored.per_target,
        "undefined": scored.left_out,
    }
    if with_interval:
        found["interval"] = [number_or_none(bound) for bound in score_interval(metric, labels, predictions)]
    return found


def _write_predictions(
    folder: Path, data: LabelledMolecules, predicted: dict[str, dict[str, Predicted]], widths: dict[str, list[float]]
) -> None:
    """Write predictions.csv: a line for each validation and test molecule, target and model."""
    rows: list[dict[str, Any]] = []
    for subset in SCORED:
        for place, molecule in enumerate(data.subsets[subset].tolist()):
            for index, target in enumerate(data.targets):
                label = digits(data.labels[molecule, index])
                known = {"row": int(data.rows[molecule]), "subset": subset, "target": target, "label": label}
                for name, found in predicted.items():
                    mean, std = (array[place, index] for array in found[subset])
                    width = widths[name][index] if name in widths else math.nan
                    bounds = {"low": digits(mean - width), "high": digits(mean + width)}
                    rows.append({**known, "model": name, "mean": digits(mean), "std": digits(std), **bounds})
    write_rows(folder / PREDICTIONS_FILE, rows)
