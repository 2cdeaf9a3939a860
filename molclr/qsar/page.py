"""The page of a model that 'molclr train' made: `write_model_page`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molclr.config import Baselines, Finetune
from molclr.data.molecules import read_rejections
from molclr.evaluation.conformal import LEVEL
from molclr.evaluation.metrics import find_metric
from molclr.evaluation.report.benchmark import errors_order, largest_errors, learning_curves
from molclr.evaluation.report.data import rejected_rows
from molclr.evaluation.report.making import making_of
from molclr.evaluation.report.predictions import prediction_charts
from molclr.evaluation.report.render import write_page
from molclr.evaluation.report.results import SHOWN_COLUMNS, BenchmarkResults
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.runs import KEEPING_NAMES
from molclr.evaluation.statistics import UNKNOWN, Difference, Predictions, adjusted, difference, sample
from molclr.evaluation.text import fixed, listed, with_unit
from molclr.model_names import NETWORK
from molclr.qsar.model_files import METRICS_FILE, MODEL_JSON, PREDICTIONS_FILE, REJECTED, REPORT, history_file
from molclr.qsar.summary import few_labels, optimism, repeated, shown, without_intervals

SECTIONS = {"verdict": "Verdict", "results": "Models", "predictions": "Test molecules", "data": "Data"}
SECTIONS |= {"making": "How it was made"}


@dataclass(frozen=True)
class ModelRow:
    """A row of the table of models."""

    name: str
    chosen: bool
    validation: float | None
    test: float | None
    interval: str
    minus_chosen: str
    """Difference of its test score to that of the chosen model, with its interval and p-value."""
    gap: float | str
    """That difference alone; empty if it is undefined."""
    coverage: str
    """Fraction of the test labels in the prediction intervals."""


def write_model_page(folder: Path, smiles: Mapping[int, str]) -> None:
    """Write report.html to the folder of a model; smiles: raw row number -> canonical SMILES.

    It has drawings of the test molecules with a label, and of rejected rows.
    """
    about, metrics = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (MODEL_JSON, METRICS_FILE))
    results, structures = _results(folder, about, metrics, smiles), Structures()
    gaps = differences(metrics, results)
    charts = prediction_charts(results, structures)
    if not results.histories.empty:
        charts.append(learning_curves(results))
    rejected = read_rejections(folder / REJECTED)
    content = {
        "title": f"Model of {', '.join(results.targets[:3])}{' and others' if len(results.targets) > 3 else ''}",
        "sections": SECTIONS,
        "headline": headline(metrics, gaps),
        "refit": refitted(metrics),
        "cautions": [*few_labels(metrics), *without_intervals(metrics), *repeated(metrics)],
        "metric": results.metric,
        "scored": with_unit(results.metric.label, results.unit),
        "rows": [_row(name, metrics, gaps) for name in metrics["models"]],
        "about": about,
        "metrics": metrics,
        "shown": shown,
        "level": _percent(LEVEL),
        "confidence": _percent(metrics["confidence"]),
        "results": results,
        "page_charts": charts,
        "errors": [] if results.means.empty else largest_errors(results, structures),
        "errors_order": errors_order(results),
        "rejected": (len(rejected), rejected_rows(rejected, structures)),
        "making": making_of((Finetune(**about["settings"]), Baselines(**about["baselines"]))),
    }
    write_page(folder / REPORT, "model.html", content, structures)


def _results(
    folder: Path, about: Mapping[str, Any], metrics: Mapping[str, Any], smiles: Mapping[int, str]
) -> BenchmarkResults:
    """Read the test predictions and histories of a folder."""
    found = pd.read_csv(folder / PREDICTIONS_FILE, **KEEPING_NAMES)
    tests = found[found["subset"] == "test"].rename(columns={"mean": "prediction"}).assign(seed=0)
    scores = {name: models["test"][metrics["metric"]]["value"] for name, models in metrics["models"].items()}
    rows = {"model": list(scores), "mean": list(scores.values()), "best": "", "baseline": ""}
    histories = [
        pd.read_csv(path).assign(model=NETWORK, seed=seed, part="", best_epoch=None)
        for seed in range(about["networks"])
        if (path := history_file(folder, seed)).exists()
    ]
    return BenchmarkResults(
        about["table"],
        about["table"],
        find_metric(metrics["metric"]),
        metrics["mean_over_targets_in"] or "",
        pd.DataFrame(rows),
        tests[SHOWN_COLUMNS],
        pd.concat(histories) if histories else pd.DataFrame(),
        smiles,
        chosen=metrics["chosen"],
    )


def differences(metrics: Mapping[str, Any], results: BenchmarkResults) -> dict[str, Difference]:
    """Compute the difference of the test score of each other model to that of the chosen one, in the unit of the scores.

    Intervals and p-values are those of these fitted models, so they cover the choice of test molecules only. p-values are
    adjusted (Holm) for the number of differences. Empty with fewer than two test molecules.
    """
    name, samples = metrics["metric"], {}
    scale = results.predictions["target"].map(metrics["scale"])
    scaled = results.predictions.assign(
        label=results.predictions["label"] / scale, prediction=results.predictions["prediction"] / scale
    )
    for model, table in scaled.groupby("model", sort=False):
        labels, values = (
            table.pivot(index="row", columns="target", values=column) for column in ("label", "prediction")
        )
        given = Predictions(labels.index.to_numpy(), labels.to_numpy(), values.to_numpy()[None])
        samples[str(model)] = sample(name, given, deterministic=True)
    chosen = samples.pop(results.focus, None)
    if chosen is None or len(chosen.rows) < 2:
        return {}
    return adjusted({model: difference(name, found, chosen) for model, found in samples.items()})


def headline(metrics: Mapping[str, Any], gaps: Mapping[str, Difference]) -> str:
    """Return sentences: the chosen model and its test score, and how those of the other models differ from it."""
    chosen, label = metrics["chosen"], find_metric(metrics["metric"]).label
    found = metrics["models"][chosen]["test"][metrics["metric"]]
    value = (
        f"no test {label}" if found["value"] is None else f"a test {label} of {found['value']:.3g}{_interval(found)}"
    )
    sentences = [f"{_subject(metrics)} has {value}."]
    others = [name for name in metrics["models"] if name != chosen]
    verdicts = {name: gap.verdict for name, gap in gaps.items() if _is_known(gap)}
    better, worse, alike = (
        [name for name, verdict in verdicts.items() if verdict == kind]
        for kind in ("better", "worse", "not significant")
    )
    unknown = [name for name in others if name not in verdicts]
    if better:
        sentences.append(f"On the test molecules, {listed(better)} {_be(better)} significantly better.")
    if worse:
        than = "all others" if len(worse) == len(others) > 1 else listed(worse)
        sentences.append(f"On the test molecules, it is significantly better than {than}.")
    if alike:
        sentences.append(f"The test molecules do not distinguish it from {listed(alike)}.")
    if unknown:
        sentences.append(f"The test molecules do not allow a comparison with {listed(unknown)}.")
    return " ".join(sentences)


def _subject(metrics: Mapping[str, Any]) -> str:
    """Name the chosen model, and say why it was chosen."""
    chosen, models = metrics["chosen"], metrics["models"]
    if len(models) == 1:
        return f"The model, {chosen}, which was selected with --model,"
    if models[chosen]["validation"][metrics["metric"]]["value"] is None:
        return f"The validation molecules give no score to choose a model by. The first model, {chosen},"
    return f"The model with the best validation score, {chosen},"


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def refitted(metrics: Mapping[str, Any]) -> str:
    """Say what is in the folder after a refit, and what its score is; empty without one."""
    if "refit" not in metrics:
        return ""
    again, label = metrics["refit"], find_metric(metrics["metric"]).label
    found = again["out_of_fold"][metrics["metric"]]
    score = "undefined" if found["value"] is None else f"{found['value']:.3g}{_interval(found)}"
    why = "".join(f" It is optimistic, because {reason}." for reason in optimism(dict(metrics)))
    return (
        f"The scores, predictions and intervals on this page are those before the refit. The model in this folder is "
        f"{metrics['chosen']}, fitted again to all {again['molecules']} molecules. Its {label} out of fold is {score}.{why}"
    )


def _interval(found: Mapping[str, Any]) -> str:
    low, high = found.get("interval") or (None, None)
    return "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _row(name: str, metrics: Mapping[str, Any], gaps: Mapping[str, Difference]) -> ModelRow:
    models = metrics["models"][name]
    validation, test = (models[subset][metrics["metric"]] for subset in ("validation", "test"))
    covered = [each["coverage_of_test"] for each in models.get("prediction_interval", {}).values()]
    known, gap = [each for each in covered if each is not None], gaps.get(name, UNKNOWN)
    return ModelRow(
        name,
        name == metrics["chosen"],
        validation["value"],
        test["value"],
        _interval(test).strip(" ()"),
        "" if name == metrics["chosen"] else _difference(gap),
        gap.value if _is_known(gap) else "",
        f"{100 * np.mean(known):.0f} %" if known else "",
    )


def _is_known(gap: Difference) -> bool:
    return not np.isnan(gap.value)


def _difference(gap: Difference) -> str:
    """Format a difference with its interval and its p-value."""
    if not _is_known(gap):
        return "undefined"
    value, low, high = (fixed(number, 3, "+") for number in (gap.value, gap.low, gap.high))
    return f"{value} ({low} to {high}), p = {gap.p:.2g}"
