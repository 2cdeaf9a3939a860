"""The page of a model that 'molclr train' made: `write_model_page`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molclr.config import Baselines, Finetune
from molclr.data.molecules import read_rejections
from molclr.evaluation.metrics import find_metric
from molclr.evaluation.report.benchmark import errors_order, largest_errors, learning_curves
from molclr.evaluation.report.data import rejected_rows
from molclr.evaluation.report.making import making_of
from molclr.evaluation.report.predictions import prediction_charts
from molclr.evaluation.report.render import write_page
from molclr.evaluation.report.results import PREDICTIONS, BenchmarkResults
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.runs import KEEPING_NAMES
from molclr.evaluation.statistics import Difference, Predictions, difference, sample
from molclr.evaluation.wide import MINUS

REPORT = "report.html"
NETWORK = "network"


@dataclass(frozen=True)
class ModelRow:
    """A row of the table of models."""

    name: str
    chosen: bool
    validation: float | None
    test: float | None
    interval: str
    minus_chosen: str
    """Difference of its test score to that of the chosen model."""
    coverage: str
    """Fraction of the test labels in the prediction intervals."""


def write_model_page(folder: Path, smiles: Mapping[int, str]) -> None:
    """Write report.html to the folder of a model; smiles: raw row number -> canonical SMILES.

    It has drawings of the test molecules with a label, and of rejected rows.
    """
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    results, structures = _results(folder, about, metrics, smiles), Structures()
    gaps = differences(metrics["metric"], results)
    charts = prediction_charts(results, structures)
    if not results.histories.empty:
        charts.append(learning_curves(results))
    rejected = read_rejections(folder / "rejected.csv")
    sections = {"verdict": "Verdict", "results": "Models", "predictions": "Test molecules", "data": "Data"}
    given = (Finetune(**about["settings"]), Baselines(**about["baselines"]))
    content = {
        "title": f"Model of {', '.join(results.targets[:3])}{' and others' if len(results.targets) > 3 else ''}",
        "sections": sections | {"making": "How it was made"},
        "headline": headline(results, metrics, gaps),
        "metric": results.metric,
        "rows": [_row(name, metrics, gaps) for name in metrics["models"]],
        "about": about,
        "metrics": metrics,
        "results": results,
        "page_charts": charts,
        "errors": [] if results.means.empty else largest_errors(results, structures),
        "errors_order": errors_order(results),
        "rejected": (len(rejected), rejected_rows(rejected, structures)),
        "making": making_of(given),
    }
    write_page(folder / REPORT, "model.html", content, structures)


def _results(
    folder: Path, about: Mapping[str, Any], metrics: Mapping[str, Any], smiles: Mapping[int, str]
) -> BenchmarkResults:
    """Read the test predictions and histories of a folder."""
    metric = find_metric(metrics["metric"])
    found = pd.read_csv(folder / "predictions.csv", **KEEPING_NAMES)
    tests = found[found["subset"] == "test"].rename(columns={"mean": "prediction"}).assign(seed=0)
    scores = {name: models["test"][metrics["metric"]]["value"] for name, models in metrics["models"].items()}
    rows = {"model": list(scores), "mean": list(scores.values()), "best": "", "baseline": ""}
    histories = [
        pd.read_csv(path).assign(
            model=NETWORK, seed=int(path.name.split("-")[1].split(".")[0]), part="", best_epoch=None
        )
        for path in sorted(folder.glob(f"{NETWORK}-*.history.csv"))
    ]
    return BenchmarkResults(
        about["table"],
        about["table"],
        metric,
        "",
        pd.DataFrame(rows),
        tests[PREDICTIONS],
        pd.concat(histories) if histories else pd.DataFrame(),
        smiles,
        chosen=metrics["chosen"],
    )


def differences(name: str, results: BenchmarkResults) -> dict[str, Difference]:
    """Compute the difference of the test score of each other model to the chosen one, with an interval for test molecules.

    name: of the metric.
    """
    samples = {}
    for model, table in results.predictions.groupby("model", sort=False):
        labels, values = (
            table.pivot(index="row", columns="target", values=column) for column in ("label", "prediction")
        )
        samples[str(model)] = sample(
            name, Predictions(labels.index.to_numpy(), labels.to_numpy(), values.to_numpy()[None])
        )
    chosen = results.focus
    if chosen not in samples or len(samples[chosen].rows) < 2:
        return {}
    return {model: difference(name, found, samples[chosen]) for model, found in samples.items() if model != chosen}


def headline(results: BenchmarkResults, metrics: Mapping[str, Any], gaps: Mapping[str, Difference]) -> str:
    """Return sentences: the chosen model, its test score, and which others the test molecules do not distinguish from it."""
    chosen, metric = results.focus, results.metric
    found = metrics["models"][chosen]["test"][metrics["metric"]]
    score = (
        "no test score"
        if found["value"] is None
        else f"a test {metric.label} of {found['value']:.3g}{_interval(found)}"
    )
    sentences = [f"The model with the best validation score, {chosen}, has {score}."]
    if gaps:
        alike = [name for name, gap in gaps.items() if gap.low <= 0 <= gap.high]
        better = [
            name for name, gap in gaps.items() if name not in alike and (gap.value > 0) == metric.higher_is_better
        ]
        sentences.append(f"The test molecules do not distinguish it from {_listed(alike)}." if alike else "")
        sentences.append(f"On them {_listed(better)} is better." if better else "")
        sentences.append("" if alike or better else "On the test molecules it is better than all others.")
    return " ".join(filter(None, sentences))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _interval(found: Mapping[str, Any]) -> str:
    low, high = found.get("interval") or (None, None)
    return "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"


def _row(name: str, metrics: Mapping[str, Any], gaps: Mapping[str, Difference]) -> ModelRow:
    models = metrics["models"][name]
    validation, test = (models[subset][metrics["metric"]] for subset in ("validation", "test"))
    gap = gaps.get(name)
    shown = f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})".replace("-", MINUS) if gap else ""
    covered = [each["coverage_of_test"] for each in models.get("prediction_interval", {}).values()]
    known = [each for each in covered if each is not None]
    return ModelRow(
        name,
        name == metrics["chosen"],
        validation["value"],
        test["value"],
        _interval(test).strip(" ()"),
        shown,
        f"{np.mean(known):.0%}" if known else "",
    )
