"""The part of a page about one benchmark: scores of the seeds, predictions, learning curves, calibration, largest errors."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from molclr.evaluation.published import confirmed
from molclr.evaluation.report.charts import GREY, Chart, Trace, chart, line_of, marker_of
from molclr.evaluation.report.predictions import number, prediction_charts
from molclr.evaluation.report.results import BenchmarkResults
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.text import with_std, with_unit

LARGEST_ERRORS = 10


@dataclass(frozen=True)
class Molecule:
    """A drawn molecule with lines of text below it."""

    structure: int
    lines: list[str]


@dataclass(frozen=True)
class BenchmarkPart:
    """What the page shows of a benchmark."""

    key: str
    name: str
    facts: str
    charts: list[Chart]
    errors_of: str
    """The model whose largest errors are drawn."""
    errors: list[Molecule]
    errors_order: str
    """What they are ranked by, if it is not the error itself."""


def benchmark_part(results: BenchmarkResults, structures: Structures) -> BenchmarkPart:
    """Make the part of the page about one benchmark."""
    charts = [seed_scores(results), *prediction_charts(results, structures)]
    if not results.histories.empty:
        charts.append(learning_curves(results))
    errors = [] if results.means.empty else largest_errors(results, structures)
    return BenchmarkPart(
        results.key, results.name, _facts(results), charts, results.focus, errors, errors_order(results)
    )


def _facts(results: BenchmarkResults) -> str:
    row = results.table.iloc[0]
    better = "higher" if results.metric.higher_is_better else "lower"
    targets = f", {len(results.targets)} targets" if len(results.targets) > 1 else ""
    return f"{with_unit(results.metric.label, results.unit)}, {better} is better; {row['test_molecules']} test molecules{targets}"


def seed_scores(results: BenchmarkResults) -> Chart:
    """Draw the test score of every seed, the mean over the seeds, and the paper's mean where it is confirmed."""
    traces: list[Trace] = []
    for row in results.table.itertuples():
        scores = [float(text) for text in row.seed_scores.split("; ") if text]
        hover = [f"{row.model}: {score:.4g}" for score in scores]
        points = {"x": scores, "y": [row.model] * len(scores), "text": hover, "hoverinfo": "text"}
        traces.append({"mode": "markers", "marker": marker_of(row.model), "showlegend": False, **points})
    table = results.table
    mean = {"symbol": "line-ns-open", "size": 20, "line": {"width": 2}, "color": GREY}
    traces.append({"mode": "markers", "name": "mean", "x": table["mean"], "y": table["model"], "marker": mean})
    known = table[confirmed(table)]
    if len(known):
        paper = {"symbol": "star-open", "size": 10, "color": GREY}
        place = {"x": known["paper_mean"].astype(float), "y": known["model"]}
        traces.append({"mode": "markers", "name": "paper, other settings", "marker": paper, **place})
    return chart(
        "Scores of every seed",
        "Each point is the test score of one seed; the bar is their mean.",
        traces,
        {"title": with_unit(results.metric.label, results.unit)},
        {"autorange": "reversed", "categoryorder": "array", "categoryarray": results.models},
    )


def learning_curves(results: BenchmarkResults) -> Chart:
    """Draw validation score and training loss of every seed over the epochs."""
    traces: list[Trace] = []
    marked_any = results.histories["best_epoch"].notna().any()
    several = results.histories["part"].nunique() > 1
    for shown, column in (("validation score", "validation"), ("training loss", "train_loss")):
        named: set[str] = set()
        for (model, seed, part), table in results.histories.groupby(["model", "seed", "part"], sort=False):
            marked = [
                11 if epoch == best else 5 for epoch, best in zip(table["epoch"], table["best_epoch"], strict=True)
            ]
            meta = {"Show": shown} | ({"Model of": part} if several else {})
            traces.append(
                {
                    **{"x": table["epoch"], "y": table[column], "mode": "lines+markers", "meta": meta},
                    **{"name": model, "legendgroup": model, "showlegend": model not in named},
                    **{"line": line_of(model) | {"width": 1.5}, "marker": marker_of(model) | {"size": marked}},
                    "hovertemplate": f"{model}, seed {seed}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
                }
            )
            named.add(model)
    return chart(
        "Learning curves of every seed",
        "The large marker is the epoch with the best validation score, which made the predictions."
        if marked_any
        else "",
        traces,
        {"title": "epoch"},
        {"title": ""},
    )


def largest_errors(results: BenchmarkResults, structures: Structures) -> list[Molecule]:
    """Return the test molecules with the largest errors of `results.focus`, the mean over the seeds.

    Of regression with several targets, the errors are divided by `_scales`.
    """
    own = results.means[results.means["model"] == results.focus]
    own = own.assign(error=(own["mean"] - own["label"]).abs())
    if scaled := bool(errors_order(results)):
        own["error"] /= _scales(own)
    worst = own.sort_values("error", ascending=False, kind="stable").head(LARGEST_ERRORS)
    found = []
    for row in worst.itertuples(index=False):
        smiles = results.smiles.get(row.row, "")
        if smiles:
            unit = f" {results.units[row.target]}" if results.units.get(row.target) else ""
            lines = [f"measured {number(row.label)}{unit}", f"predicted {with_std(row.mean, row.std)}{unit}"]
            lines += [f"error {row.error:.2g} standard deviations"] if scaled else []
            lines += [f"{row.target}, row {row.row}" if len(results.targets) > 1 else f"row {row.row}"]
            found.append(Molecule(structures.number(smiles), lines))
    return found


def errors_order(results: BenchmarkResults) -> str:
    """Say what the largest errors are ranked by; empty if it is the error itself."""
    if len(results.targets) < 2 or results.metric.task == "classification":
        return ""
    return "Ranked by error divided by the standard deviation of the target's labels among the test molecules."


def _scales(means: pd.DataFrame) -> pd.Series:
    """Return the standard deviation of the labels of the target of each row; NaN, which is ranked last, if they are equal."""
    return means.groupby("target")["label"].transform("std", ddof=0).replace(0, np.nan)
