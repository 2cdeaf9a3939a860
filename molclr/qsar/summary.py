"""Descriptions of the scores of the models of a folder, the content of metrics.json, in lines of text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from molclr.evaluation.conformal import LEVEL
from molclr.evaluation.metrics import NOT_PREDICTED, find_metric
from molclr.evaluation.statistics import CONFIDENCE
from molclr.evaluation.text import listed
from molclr.model_names import FOREST, NETWORK
from molclr.progress import counted
from molclr.qsar.assess import choose_model

FEW_LABELS, TARGETS_TOLD = 10, 3
"""Test labels, of each class, below which a score is unreliable; and the largest number of targets that a line names."""


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
        lines.append(f"{star}{name:16}{shown(values[name]):>12}{shown(test['value']):>10}   {_interval(test)}")
        lines += [f"    test score of '{target}' undefined: {why}" for target, why in test["undefined"].items()][:3]
    lines.append(_reason(metrics["metric"], metrics["chosen"], values))
    again, chosen = metrics.get("refit"), models[metrics["chosen"]]
    lines += _further(metrics["metric"], chosen, before="before refit, " if again else "")
    lines += few_labels(metrics)
    return lines + (_refitted(metrics) if again else _without_interval(chosen, "validation "))


def _refitted(metrics: dict[str, Any]) -> list[str]:
    """Describe the refitted model: its score out of fold, why that is optimistic, and the targets without one."""
    again, label = metrics["refit"], find_metric(metrics["metric"]).label
    scored = again["out_of_fold"][metrics["metric"]]
    worth = _with_interval(scored) if scored["value"] is not None else "undefined"
    lines = [
        f"{metrics['chosen']} is now fitted to all {again['molecules']} molecules; {label} out of fold: {worth}",
        *(f"  this score is optimistic, because {why}" for why in optimism(metrics)),
    ]
    one_fold = [target for target, why in scored["undefined"].items() if why == NOT_PREDICTED]
    if one_fold:
        lines.append(
            f"all labels of {_named(one_fold)} are in one fold, so there is no out-of-fold score and no prediction interval"
        )
    return lines + _without_interval(again, "", one_fold)


def optimism(metrics: dict[str, Any]) -> list[str]:
    """Return why the score out of fold is optimistic; empty if nothing was chosen by labels of the molecules that it scores."""
    name = metrics["chosen"]
    chosen = [] if name == FOREST else ["the epochs"] if name == NETWORK else ["the penalty"]
    chosen += ["the model"] if len(metrics["models"]) > 1 else []
    were = "was" if chosen in (["the penalty"], ["the model"]) else "were"
    return [f"{listed(chosen)} {were} chosen on some of the molecules that it scores"] if chosen else []


def without_intervals(metrics: dict[str, Any]) -> list[str]:
    """Describe the targets for which the chosen model has no prediction interval."""
    return _without_interval(metrics["models"][metrics["chosen"]], "validation ")


def repeated(metrics: dict[str, Any]) -> list[str]:
    """Say how many molecules are in several subsets or have conflicting labels."""
    shared, conflicting = metrics["molecules_in_several_subsets"], metrics["molecules_with_conflicting_labels"]
    found = {
        "in several subsets, so test labels are partly known and scores say little about new molecules": shared,
        "in several rows with conflicting labels of a target": conflicting,
    }
    return [f"{counted(n, 'molecule')} {'is' if n == 1 else 'are'} {what}" for what, n in found.items() if n]


def _further(primary: str, found: dict[str, Any], before: str) -> list[str]:
    """Describe the test scores of a model by the other metrics, and how many labels lie in its prediction intervals.

    before: how the line on intervals begins.
    """
    others = [
        f"{find_metric(name).label} {_with_interval(scored)}"
        for name, scored in found["test"].items()
        if name != primary and scored["value"] is not None
    ]
    lines = [f"  test: {', '.join(others)}"] if others else []
    covered = [interval["coverage_of_test"] for interval in found.get("prediction_interval", {}).values()]
    known = [fraction for fraction in covered if fraction is not None]
    if known and None not in _half_widths(found):
        mean = f"{100 * np.mean(known):.0f} % of the test labels" + " (mean over the targets)" * (len(covered) > 1)
        lines.append(f"  {before}{100 * LEVEL:.0f} % prediction intervals contain {mean}")
    return lines


def few_labels(metrics: dict[str, Any]) -> list[str]:
    """Say of which targets there are too few test labels, or too few of a class."""
    of_class = metrics["test_labels_of_rarer_class"]
    few = {target: n for target, n in (of_class or metrics["test_labels"]).items() if n < FEW_LABELS}
    if not few:
        return []
    named, more = ", ".join(f"'{target}' ({n})" for target, n in [*few.items()][:TARGETS_TOLD]), len(few) - TARGETS_TOLD
    named += f" and {counted(more, 'other target')}" if more > 0 else ""
    what = "test labels of the rarer class" if of_class else "test labels"
    return [f"test scores are unreliable: there are fewer than {FEW_LABELS} {what} of {named}"]


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


def _without_interval(found: dict[str, Any], kind: str, others: Sequence[str] = ()) -> list[str]:
    """Describe the targets that have too few labels for a prediction interval.

    kind: which labels calibrate intervals. others: targets that have none for another reason.
    """
    intervals = found.get("prediction_interval", {})
    few = [target for target, each in intervals.items() if each["half_width"] is None and target not in others]
    return [f"there are fewer than 9 {kind}labels of {_named(few)}, too few for prediction intervals"] if few else []


def _named(targets: Sequence[str]) -> str:
    """List the first targets."""
    return ", ".join(f"'{target}'" for target in targets[:TARGETS_TOLD]) + ", ..." * (len(targets) > TARGETS_TOLD)


def _half_widths(found: dict[str, Any]) -> list[float | None]:
    """Return the half width of the prediction interval of each target; empty for classes."""
    return [interval["half_width"] for interval in found.get("prediction_interval", {}).values()]


def _with_interval(scored: dict[str, Any]) -> str:
    """Format a score with its interval, if it has one."""
    interval = _interval(scored)
    return shown(scored["value"]) + (f" ({interval})" if interval != shown(None) else "")


def _interval(scored: dict[str, Any]) -> str:
    low, high = scored.get("interval") or (None, None)
    return shown(None) if low is None or high is None else f"{shown(low)} to {shown(high)}"


def shown(value: float | None) -> str:
    """Format a score with three decimals, or with three digits if it is small; "-" if there is none."""
    if value is None:
        return "-"
    return f"{value:.3g}" if 0 < abs(value) < 0.01 else f"{value:.3f}"
