"""Charts of the test predictions on a benchmark, with a structure for each point of a scatter plot."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from molclr.evaluation.comparisons import scratch_of
from molclr.evaluation.report.charts import GREY, Chart, Trace, chart, line_of, marker_of
from molclr.evaluation.report.results import BenchmarkResults
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.text import MINUS, with_std

MOST_POINTS = 1000
"""Molecules of a scatter plot; of more, that many are drawn, evenly spaced in the order of the table."""
MOST_TARGETS = 12
MOST_LINES = 6
"""Models up to which all are shown at first."""
BINS = 10
FRACTION = "fraction of molecules"
"""Title of an axis without a unit."""


def prediction_charts(results: BenchmarkResults, structures: Structures) -> list[Chart]:
    """Draw the test predictions of all models; empty without predictions."""
    if results.means.empty:
        return []
    if results.metric.task == "classification":
        return [class_probabilities(results, structures), *curves(results), calibration(results)]
    return [predicted_and_measured(results, structures), error_distribution(results)]


def class_probabilities(results: BenchmarkResults, structures: Structures) -> Chart:
    """Draw the predicted probability of each molecule by its class, with a structure for each point."""
    traces: list[Trace] = []
    for model, target, means in _by_model(results):
        table = _few(means)
        jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(table))
        place = {"x": table["mean"].to_numpy(), "y": table["label"].to_numpy() + jitter}
        marker = marker_of(model) | {"size": 6, "opacity": 0.6, "symbol": "circle"}
        meta = _choice(results, target, Model=model)
        traces.append({**place, "marker": marker, "meta": meta, **_molecules(results, table, structures)})
    return chart(
        "Predicted probability by class",
        _averaged(results) + "Move over a point for its structure." + _note_of_few(results),
        traces,
        {"title": "predicted probability of class 1", "range": [-0.02, 1.02]},
        {"tickvals": [0, 1], "ticktext": ["class 0", "class 1"], "range": [-0.5, 1.5], "showgrid": False},
    )


def predicted_and_measured(results: BenchmarkResults, structures: Structures) -> Chart:
    """Draw the prediction of each molecule against its label, with a structure for each point."""
    traces: list[Trace] = []
    for target in results.targets[:MOST_TARGETS]:
        labels = results.means.loc[results.means["target"] == target, "label"]
        ends = [labels.min(), labels.max()]
        line = {"color": GREY, "width": 1}
        meta = _choice(results, target)
        traces.append({"x": ends, "y": ends, "mode": "lines", "line": line, "hoverinfo": "skip", "meta": meta})
        traces[-1]["showlegend"] = False
    for model, target, means in _by_model(results):
        table = _few(means)
        place = {"x": table["label"].to_numpy(), "y": table["mean"].to_numpy()}
        marker = marker_of(model) | {"size": 6, "opacity": 0.6, "symbol": "circle"}
        meta = _choice(results, target, Model=model)
        traces.append({**place, "marker": marker, "meta": meta, **_molecules(results, table, structures)})
    return chart(
        "Predicted against measured",
        _averaged(results)
        + "Perfect predictions lie on the line. Move over a point for its structure."
        + _note_of_few(results),
        traces,
        **_axes_with_units(results, traces, {"title": "measured"}, {"title": "predicted"}),
    )


def error_distribution(results: BenchmarkResults) -> Chart:
    """Draw the fraction of test molecules whose absolute error is below a value."""
    traces: list[Trace] = []
    for model, target, means in sorted(_by_model(results), key=lambda found: results.models.index(found[0])):
        errors = np.sort(np.abs(means["mean"] - means["label"]).to_numpy())
        places = np.unique(np.linspace(0, len(errors) - 1, 200, dtype=np.int64))
        curve = {"x": errors[places], "y": (places + 1) / len(errors)}
        traces.append({**curve, **_line(results, model)})
        traces[-1]["meta"] = _choice(results, target)
    return chart(
        "Distribution of errors",
        _averaged(results) + "The fraction of test molecules whose absolute error is at most the value below.",
        traces,
        **_axes_with_units(
            results,
            traces,
            {"title": "absolute error", "rangemode": "tozero"},
            {"title": FRACTION, "range": [0, 1.02]},
        ),
    )


def _axes_with_units(
    results: BenchmarkResults, traces: list[Trace], x: dict[str, Any], y: dict[str, Any]
) -> dict[str, Any]:
    """Return the axes of a chart and `meta`, which has the titles of the axes for each target, with the unit of its labels."""

    def title(axis: dict[str, Any], target: str) -> str:
        unit = results.units.get(target, "") if axis["title"] != FRACTION else ""
        return f"{axis['title']} ({unit})" if unit else str(axis["title"])

    titles = {
        target: {"xaxis.title.text": title(x, target), "yaxis.title.text": title(y, target)}
        for target in results.targets[:MOST_TARGETS]
    }
    first = titles[traces[0]["meta"].get("Target", results.targets[0])]
    named = [axis | {"title": text} for axis, text in zip((x, y), first.values(), strict=True)]
    return {"x": named[0], "y": named[1], "meta": {"titles": titles}}


def curves(results: BenchmarkResults) -> list[Chart]:
    """Draw ROC and precision-recall curves of all models; a choice of seeds, or of targets if there are several."""
    roc: list[Trace] = []
    pr: list[Trace] = []
    seeds = results.predictions.groupby("model")["seed"].nunique()
    for target, seed, model, table in _scored(results):
        meta = _choice(results, target) or ({"Seed": str(seed)} if seeds[model] > 1 else {})
        shared = {**_line(results, model), "meta": meta}
        x, y, _ = roc_curve(table["label"], table["prediction"])
        roc.append({**shared, "x": x, "y": y})
        precision, recall, _ = precision_recall_curve(table["label"], table["prediction"], drop_intermediate=True)
        pr.append({**shared, "x": recall, "y": precision})
    diagonal = {"x": [0, 1], "y": [0, 1], "mode": "lines", "name": "chance", "line": {"color": GREY, "width": 1}}
    unit_range = {"range": [-0.02, 1.02]}
    return [
        chart(
            "ROC curves",
            "The area below a curve is the ROC-AUC of that seed.",
            [*roc, diagonal | {"hoverinfo": "skip"}],
            {"title": "false positive rate", **unit_range},
            {"title": "true positive rate", **unit_range},
        ),
        chart(
            "Precision-recall curves",
            "A random ranking has the fraction of positives as its precision.",
            pr,
            {"title": "recall", **unit_range},
            {"title": "precision", **unit_range},
        ),
    ]


def _scored(results: BenchmarkResults) -> Iterator[tuple[str, int, str, pd.DataFrame]]:
    """Yield target, seed, model and predictions of every curve; only the first seed if there are several targets."""
    known = results.predictions.dropna()
    targets = results.targets[:MOST_TARGETS]
    for (target, seed), table in known[known["target"].isin(targets)].groupby(["target", "seed"], sort=False):
        if len(targets) > 1 and seed != known["seed"].min():
            continue
        for model in results.models:
            own = table[table["model"] == model]
            if own["label"].nunique() == 2:
                yield str(target), int(seed), model, own


def calibration(results: BenchmarkResults) -> Chart:
    """Draw the fraction of positives among molecules with similar predicted probability."""
    traces: list[Trace] = []
    for model in results.models:
        known = results.predictions[results.predictions["model"] == model].dropna()
        if known["label"].nunique() < 2:
            continue
        observed, predicted = calibration_curve(known["label"], known["prediction"], n_bins=BINS, strategy="quantile")
        shared = {**_line(results, model), "mode": "lines+markers", "marker": marker_of(model)}
        traces.append({**shared, "x": predicted, "y": observed})
    diagonal = {"x": [0, 1], "y": [0, 1], "mode": "lines", "name": "calibrated", "line": {"color": GREY, "width": 1}}
    return chart(
        "Calibration",
        f"Predictions of all seeds{' and targets' if len(results.targets) > 1 else ''} in {BINS} bins of equal size. On the "
        "line, the fraction of positives equals the predicted probability. The probability of an SVM is uncalibrated.",
        [*traces, diagonal | {"hoverinfo": "skip"}],
        {"title": "mean predicted probability", "range": [-0.02, 1.02]},
        {"title": "fraction of positives", "range": [-0.02, 1.02]},
    )


def _by_model(results: BenchmarkResults) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield model, target and `means` of each, the model that the page is about first."""
    first = results.focus
    models = sorted(results.models, key=lambda model: model != first)
    for model in models:
        for target in results.targets[:MOST_TARGETS]:
            chosen = (results.means["model"] == model) & (results.means["target"] == target)
            if chosen.any():
                yield model, target, results.means[chosen]


def _molecules(results: BenchmarkResults, table: pd.DataFrame, structures: Structures) -> dict[str, Any]:
    """Return `customdata` and `text` of points: number of the structure (-1: none) and the text below it."""
    smiles = [results.smiles.get(row, "") for row in table["row"]]
    return {
        "customdata": [structures.number(text) if text else -1 for text in smiles],
        "text": [
            f"row {row.row}: measured {number(row.label)}, predicted {with_std(row.mean, row.std)}"
            for row in table.itertuples(index=False)
        ],
        "hoverinfo": "none",
        "mode": "markers",
        "showlegend": False,
    }


def _few(table: pd.DataFrame) -> pd.DataFrame:
    """Return at most MOST_POINTS rows, evenly spaced."""
    places = np.linspace(0, len(table) - 1, min(len(table), MOST_POINTS), dtype=np.int64)
    return table.iloc[places]


def _averaged(results: BenchmarkResults) -> str:
    return "Mean over the seeds. " if results.predictions["seed"].nunique() > 1 else ""


def _note_of_few(results: BenchmarkResults) -> str:
    count = int(results.means.groupby(["model", "target"]).size().max())
    targets = f" The first {MOST_TARGETS} targets are shown." if len(results.targets) > MOST_TARGETS else ""
    return (f" {MOST_POINTS:,} of {count:,} molecules are shown." if count > MOST_POINTS else "") + targets


def _line(results: BenchmarkResults, model: str) -> dict[str, Any]:
    """Return name and line of the trace of a model, which only the legend shows at first unless the model is important."""
    first = results.focus
    important = {first, scratch_of(first), *results.table.loc[results.table["best"] == "best", "model"]}
    important |= {*results.table.loc[results.table["model"] == first, "baseline"]}
    return {
        **{"mode": "lines", "name": model, "line": line_of(model)},
        "visible": True if model in important or len(results.models) <= MOST_LINES else "legendonly",
    }


def _choice(results: BenchmarkResults, target: str, **more: str) -> dict[str, str]:
    """Return the `meta` of a trace of a target, which is a choice if there are several."""
    return more | ({"Target": target} if len(results.targets) > 1 else {})


def number(value: float) -> str:
    """Format a label."""
    return f"{value:.4g}".replace("-", MINUS)
