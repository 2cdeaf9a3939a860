"""Bar charts of our scores and the paper's, with one panel per benchmark."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from molclr.errors import MolclrError
from molclr.evaluation.figures.style import COLOURS, INK, AnyPath, read_csv, save, styled
from molclr.evaluation.metrics import find_label

MOST_COLUMNS = 4


@styled
def benchmark_bars(classification_csv: AnyPath, regression_csv: AnyPath, png: AnyPath, svg: AnyPath) -> None:
    """Draw the mean ± standard deviation of each benchmark and model of two result tables, and the paper's confirmed values.

    Raises MolclrError if both tables are empty.
    """
    tables = [read_csv(path, ["benchmark", "model", "mean", "std"]) for path in (classification_csv, regression_csv)]
    panels = [[panel for _, panel in table.groupby("benchmark", sort=False)] for table in tables]
    if not any(panels):
        raise MolclrError(
            f"'{classification_csv}' and '{regression_csv}' contain no benchmarks to draw; run a benchmark first."
        )
    models = list(dict.fromkeys(pd.concat([table["model"] for table in tables])))
    models.sort(key=lambda model: list(COLOURS).index(model) if model in COLOURS else -1)

    columns = min(MOST_COLUMNS, max(map(len, panels)))
    # Classification and regression have separate lines of panels.
    lines = [kind[start : start + columns] for kind in panels for start in range(0, len(kind), columns)]
    figure = Figure(figsize=(1.4 + 2.3 * columns, 0.6 + (1.0 + 0.27 * len(models)) * len(lines)))
    grid = figure.subplots(len(lines), columns, squeeze=False, sharey=True)
    for line, row in zip(lines, grid, strict=True):
        for panel, axes in zip(line, row, strict=False):
            _draw(axes, panel.set_index("model").reindex(models))
        for axes in row[len(line) :]:
            axes.set_axis_off()

    if any(_confirmed(table)["paper_mean"].notna().any() for table in tables):
        marker: dict[str, Any] = {"color": INK, "marker": "D", "markersize": 4, "linestyle": "none"}
        handles = [Patch(color="0.7", label="this run"), Line2D([], [], **marker, label="paper, confirmed values only")]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    save(figure, png, svg)


def _draw(axes: Axes, panel: pd.DataFrame) -> None:
    """Draw our bars and the paper's markers of one benchmark. panel: one row per model, NaN where a model has no run."""
    places = np.arange(len(panel))
    ours, papers = places - 0.13, places + 0.27
    known = panel.dropna(subset="metric").iloc[0]
    metric = find_label(known["metric"])
    base, highest = metric.factor * metric.chance, metric.factor * metric.range[1]
    colours = [COLOURS.get(model, "0.6") for model in panel.index]
    axes.barh(ours, panel["mean"] - base, left=base, height=0.5, color=colours)
    axes.errorbar(panel["mean"], ours, xerr=panel["std"], fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    whisker: dict[str, Any] = {"ecolor": "0.5", "elinewidth": 0.8, "color": INK, "markersize": 4}
    paper = _confirmed(panel)
    axes.errorbar(paper["paper_mean"], papers, xerr=paper["paper_std"], fmt="D", **whisker)

    lows = panel["mean"] - panel["std"].fillna(0)
    highs = [*(panel["mean"] + panel["std"].fillna(0)), *(paper["paper_mean"] + paper["paper_std"].fillna(0))]
    axes.set_xlim(np.nanmin([base, *lows]), highest if np.isfinite(highest) else 1.05 * np.nanmax(highs))
    unit = f" ({known['unit']})" if isinstance(known["unit"], str) else ""
    axes.set_title(known["benchmark"])
    axes.set_xlabel(f"{known['metric']}{unit}\n{'higher' if metric.higher_is_better else 'lower'} is better")
    axes.set_yticks(places, panel.index)
    axes.set_ylim(len(panel) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _confirmed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the paper's mean and standard deviation, float64, NaN where they are not confirmed."""
    check = table["paper_check"]
    return pd.DataFrame(
        {
            "paper_mean": table["paper_mean"].where(check.isin(["verified", "std unverified"])),
            "paper_std": table["paper_std"].where(check == "verified"),
        },
        dtype=float,
    )
