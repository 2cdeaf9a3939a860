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
from molclr.evaluation.metrics import better, find_metric, metrics_of, score
from molclr.evaluation.runs import Run
from molclr.evaluation.statistics import CONFIDENCE, score_interval
from molclr.files import replacing, write_rows
from molclr.qsar.model_folder import ModelFolder, Predicted, number_or_none

SCORED = ("valid", "test")
FEW_LABELS, TARGETS_TOLD = 10, 3
"""The fewest test labels of which a score means something, and the most targets that are named for having fewer."""
PREDICTIONS, METRICS = "predictions.csv", "metrics.json"
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
        "chosen": model.about["chosen"],
        "molecules": {subset: len(places) for subset, places in data.subsets.items()},
        "test_labels": dict(zip(data.targets, (~np.isnan(test)).sum(axis=0).tolist(), strict=True)),
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


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write metrics.json."""
    with replacing(folder / METRICS) as temporary:
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
    write_rows(folder / PREDICTIONS, rows)


def summary(metrics: dict[str, Any]) -> list[str]:
    """Describe the scores of all models and the choice, line by line."""
    metric, models = find_metric(metrics["metric"]), metrics["models"]
    values = {name: found["validation"][metrics["metric"]]["value"] for name, found in models.items()}
    lines = [f"{'':2}{'model':16}{'validation':>12}{'test':>10}   {100 * CONFIDENCE:.0f} % interval ({metric.label})"]
    if unit := metrics["mean_over_targets_in"]:
        lines.append(f"  mean over the targets, RMSE and MAE in {unit}:")
    for name, found in models.items():
        test = found["test"][metrics["metric"]]
        star = "* " if name == metrics["chosen"] else "  "
        lines.append(f"{star}{name:16}{_shown(values[name]):>12}{_shown(test['value']):>10}   {_interval(test)}")
        lines += [f"    test score of '{target}' undefined: {why}" for target, why in test["undefined"].items()][:3]
    lines.append(_reason(metrics["metric"], metrics["chosen"], values))
    again = metrics.get("refit")
    lines += _further(metrics["metric"], models[metrics["chosen"]], before="before refit, " if again else "")
    lines += _few(metrics["test_labels"])
    if again:
        scored = again["out_of_fold"][metrics["metric"]]
        worth = f"{_shown(scored['value'])} ({_interval(scored)})" if scored["value"] is not None else "undefined"
        lines.append(
            f"{metrics['chosen']} is now fitted to all {again['molecules']} molecules; {metric.label} out of fold: {worth}"
        )
    return lines + _without_interval(again or models[metrics["chosen"]], "" if again else "validation ")


def _further(primary: str, found: dict[str, Any], before: str) -> list[str]:
    """Describe the test scores of a model by the other metrics, and how many labels lie in its prediction intervals.

    before: how the line on intervals begins.
    """
    shown = [
        f"{find_metric(name).label} {_shown(scored['value'])} ({_interval(scored)})"
        for name, scored in found["test"].items()
        if name != primary and scored["value"] is not None
    ]
    lines = [f"  test: {', '.join(shown)}"] if shown else []
    covered = [interval["coverage_of_test"] for interval in found.get("prediction_interval", {}).values()]
    known = [fraction for fraction in covered if fraction is not None]
    if known and None not in _half_widths(found):
        mean = f"{100 * np.mean(known):.0f} % of the test labels" + " (mean over the targets)" * (len(covered) > 1)
        lines.append(f"  {before}{100 * LEVEL:.0f} % prediction intervals contain {mean}")
    return lines


def _few(labels: dict[str, int]) -> list[str]:
    """Say of which targets there are too few test labels. labels: their numbers."""
    few = [f"'{target}' ({count})" for target, count in labels.items() if count < FEW_LABELS]
    if not few:
        return []
    named = ", ".join(few[:TARGETS_TOLD]) + f" and {len(few) - TARGETS_TOLD} other targets" * (len(few) > TARGETS_TOLD)
    return [f"test scores mean little: there are fewer than {FEW_LABELS} test labels of {named}"]


def _reason(metric: str, chosen: str, values: dict[str, float | None]) -> str:
    """Describe why a model was chosen, and by how much it is better. values: validation scores of all models."""
    best, others = values[chosen], {name: value for name, value in values.items() if name != chosen}
    if not others:
        return f"* {chosen} was selected with --model"
    if best is None:
        return f"* {chosen} is the first; the validation molecules give no score to choose by, so name one with --model"
    second = choose_model(metric, others)
    gap = f", {abs(best - value):.3g} better than {second}" if (value := others[second]) is not None else ""
    return f"* {chosen} is chosen on the validation molecules{gap}"


def _without_interval(found: dict[str, Any], kind: str) -> list[str]:
    """Describe the targets that have no prediction interval. kind: which labels calibrate intervals."""
    intervals = found.get("prediction_interval", {})
    few = [f"'{target}'" for target, interval in intervals.items() if interval["half_width"] is None]
    if not few:
        return []
    named = ", ".join(few[:TARGETS_TOLD]) + ", ..." * (len(few) > TARGETS_TOLD)
    return [f"there are fewer than 9 {kind}labels of {named}, too few for prediction intervals"]


def _half_widths(found: dict[str, Any]) -> list[float | None]:
    """Return the half width of the prediction interval of each target; empty for classes."""
    return [interval["half_width"] for interval in found.get("prediction_interval", {}).values()]


def _interval(scored: dict[str, Any]) -> str:
    low, high = scored.get("interval") or (None, None)
    return f"{_shown(low)} to {_shown(high)}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
