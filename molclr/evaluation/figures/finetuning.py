"""Curves of fine-tuning: training loss and validation score of every run."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from molclr.config import OwnBenchmark
from molclr.errors import MolclrError
from molclr.evaluation.benchmarks import known_benchmarks
from molclr.evaluation.figures.style import INK, WIDTH, AnyPath, colour_of, legend_below, read_csv, save, styled
from molclr.evaluation.metrics import find_metric
from molclr.evaluation.runs import HISTORY_FILE, RunMetrics, read_metrics
from molclr.progress import counted

COLUMNS = 4
LABEL_CHARACTERS = 22
"""Largest length of a line of an axis label, which a panel is high enough for."""
CAPTION = (
    "Training of every network on each benchmark, {runs}: one line for each {line}. Above, the mean training loss of an epoch; "
    "below, the score of the validation molecules, where a circle marks the best epoch, whose weights predict the test "
    "molecules. "
    "Scores of regression with several targets are in units of the standard deviation of the training labels."
)

Curve = tuple[RunMetrics, pd.DataFrame]


@styled
def finetuning_curves(metrics_files: Sequence[Path], own: dict[str, OwnBenchmark], output: AnyPath) -> None:
    """Draw the history.csv next to each of the `metrics_files` of networks, with two panels for each benchmark.

    own: user-defined benchmarks, whose names are in the titles. Raises MolclrError without files and if one has no history.
    """
    curves = [_read(path) for path in metrics_files]
    if not curves:
        raise MolclrError("There are no runs of networks to draw; give the metrics.json of a fine-tuning.")
    known = known_benchmarks(own)
    benchmarks = list(dict.fromkeys(run.benchmark for run, _ in curves))
    columns = min(COLUMNS, len(benchmarks))
    blocks = math.ceil(len(benchmarks) / columns)
    figure = Figure(figsize=(max(3.2, WIDTH / COLUMNS * columns), 0.5 + 3.0 * blocks))
    grid = figure.subplots(2 * blocks, columns, squeeze=False)
    for place, benchmark in enumerate(benchmarks):
        line, column = divmod(place, columns)
        pair = (grid[2 * line, column], grid[2 * line + 1, column])
        name = known[benchmark].name if benchmark in known else benchmark
        _draw(*pair, name, [curve for curve in curves if curve[0].benchmark == benchmark])
        if column == 0:
            pair[0].set_ylabel("Training loss")
    for axes in grid[-2:, 1 + (len(benchmarks) - 1) % columns :].ravel():
        axes.set_axis_off()
    figure.align_ylabels()
    models = dict.fromkeys(run.model for run, _ in curves)
    handles = [Line2D([], [], color=colour_of(model), label=model) for model in models]
    handles.append(Line2D([], [], **_BEST, markeredgecolor=INK, label="best epoch"))
    legend_below(figure, handles, 5)
    several = len({(run.benchmark, run.model, run.seed) for run, _ in curves}) < len(curves)
    of_each = "seed and target" if several else "seed"
    save(figure, output, CAPTION.format(runs=counted(len(curves), "run"), line=of_each))


def _read(path: Path) -> Curve:
    history = read_csv(path.parent / HISTORY_FILE, ["epoch", "train_loss", "validation"])
    if history.empty:
        raise MolclrError(f"'{path.parent / HISTORY_FILE}' has no epochs to draw; run the benchmark again.")
    return read_metrics(path), history


_BEST: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.5, "markerfacecolor": "white"}


def _draw(loss: Axes, score: Axes, name: str, curves: list[Curve]) -> None:
    """Draw the runs of a benchmark: training loss in one panel, validation score in the other."""
    for run, history in curves:
        look: dict[str, Any] = {"color": colour_of(run.model), "linewidth": 0.9}
        metric = find_metric(run.metric)
        loss.plot(history["epoch"], history["train_loss"], **look)
        score.plot(history["epoch"], metric.factor * history["validation"], **look)
        best = history[history["epoch"] == run.best_epoch]
        mark = _BEST | {"markeredgecolor": look["color"], "markeredgewidth": 0.9, "zorder": 3}
        score.plot(best["epoch"], metric.factor * best["validation"], **mark)
    loss.set_title(name)
    loss.tick_params(labelbottom=False)
    score.set_xlabel("Epoch")
    label = f"Validation {metric.label}{' (%)' if metric.unit == '%' else ''}"
    score.set_ylabel(textwrap.fill(label, LABEL_CHARACTERS))
    for axes in (loss, score):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.spines[["top", "right"]].set_visible(False)
