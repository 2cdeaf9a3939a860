"""Bar charts of our scores and the paper's, with one panel per benchmark."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from molclr.errors import MolclrError
from molclr.evaluation.figures.style import INK, WIDTH, AnyPath, colour_of, legend_below, read_csv, save, styled
from molclr.evaluation.metrics import Metric, find_label
from molclr.evaluation.published import confirmed
from molclr.evaluation.summary import COLUMNS
from molclr.evaluation.text import with_unit
from molclr.evaluation.wide import counted_seeds

MOST_COLUMNS = 3
SYMBOLS = {"better": "\N{BLACK UP-POINTING TRIANGLE}", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}"}
SYMBOLS |= {"not significant": "\N{WHITE CIRCLE}", "one seed": "?"}
"""Verdict of a comparison -> symbol to the right of a panel."""
COMPARISONS = {"scratch": "with the network from scratch", "baseline": "with the best baseline"}

_MEANING = {
    "better": "significantly better",
    "worse": "significantly worse",
    "not significant": "no significant difference",
}
_MEANING |= {"one seed": "one seed, not tested"}
_CAPTION = (
    "Test scores. Bars: mean over seeds; whiskers: standard deviation over seeds; circles: seeds. {paper}{marks}{chance}"
    "Seeds show the variation of training on one split, not that of the choice of molecules."
)
_PAPER = (
    "Diamonds: the paper's value with its standard deviation, where they are confirmed; unconfirmed values are not "
    "drawn. "
)
_MARKS = (
    "Symbols to the right of a panel compare pre-trained models with the same network from scratch (column s) and with the "
    "baseline that has the best validation score (column b): significantly better or worse (p < 0.05, adjusted for the number "
    "of comparisons by Holm's method) or not. "
)


@styled
def benchmark_bars(classification_csv: AnyPath, regression_csv: AnyPath, output: AnyPath) -> None:
    """Draw mean, standard deviation and seeds of each benchmark and model of two result tables, and the paper's confirmed values.

    Symbols say which differences to the network from scratch and to the best baseline are significant. Raises MolclrError if both
    tables are empty.
    """
    tables = [
        read_csv(path, ["benchmark", "model", "mean", "std"]).reindex(columns=COLUMNS)
        for path in (classification_csv, regression_csv)
    ]
    panels = [[panel for _, panel in table.groupby("benchmark", sort=False)] for table in tables]
    if not any(panels):
        raise MolclrError(
            f"'{classification_csv}' and '{regression_csv}' contain no benchmarks to draw; run a benchmark first."
        )
    models = list(dict.fromkeys(pd.concat([table["model"] for table in tables])))

    columns = min(MOST_COLUMNS, max(map(len, panels)))
    # Classification and regression have separate lines of panels.
    lines = [kind[start : start + columns] for kind in panels for start in range(0, len(kind), columns)]
    # The legend has the width of two panels.
    width = max(4.2, 1.2 + (WIDTH - 1.2) / MOST_COLUMNS * columns)
    figure = Figure(figsize=(width, 0.7 + (1.0 + 0.21 * len(models)) * len(lines)))
    grid = figure.subplots(len(lines), columns, squeeze=False, sharey=True)
    for line, row in zip(lines, grid, strict=True):
        for panel, axes in zip(line, row, strict=False):
            _draw(axes, panel.set_index("model").reindex(models))
        for axes in row[len(line) :]:
            axes.set_axis_off()

    save(figure, output, _explain(figure, pd.concat([table for table in tables if len(table)])))


def _explain(figure: Figure, rows: pd.DataFrame) -> str:
    """Draw the legend of what is in the figure, and return the caption."""
    has_paper = bool(_confirmed(rows)["paper_mean"].notna().any())
    found = {name: rows[f"minus_{name}_verdict"].dropna() for name in COMPARISONS}
    shown = [name for name, verdicts in found.items() if len(verdicts)]
    keys = [*_handles(rows, has_paper), *_symbols({verdict for verdicts in found.values() for verdict in verdicts})]
    letters, others = (
        ", ".join(texts) for texts in ([name[0] for name in shown], [COMPARISONS[name] for name in shown])
    )
    title = f"{letters}: compared {others}" if shown else None
    legend_below(figure, keys, 3, title=title, title_fontsize=7.5)
    return _CAPTION.format(paper=_PAPER if has_paper else "", marks=_MARKS if shown else "", chance=_chance(rows))


def _chance(rows: pd.DataFrame) -> str:
    """Return a sentence for each metric whose bars do not begin at 0."""
    metrics = [find_label(label) for label in rows["metric"].dropna().unique()]
    return "".join(
        f"Bars of {metric.label} begin at {metric.factor * metric.chance:g}{' %' * (metric.unit == '%')}, which is chance. "
        for metric in metrics
        if metric.chance
    )


def _draw(axes: Axes, panel: pd.DataFrame) -> None:
    """Draw our bars and the paper's markers of one benchmark. panel: one row per model, NaN where a model has no run."""
    places = np.arange(len(panel))
    known = panel.dropna(subset="metric").iloc[0]
    metric = find_label(known["metric"])
    base, highest = metric.factor * metric.chance, metric.factor * metric.range[1]
    seeds = _draw_ours(axes, panel, places - 0.1, base)
    paper = _confirmed(panel)
    axes.errorbar(paper["paper_mean"], places + 0.3, xerr=paper["paper_std"], fmt="D", **_DIAMOND)
    _mark(axes, panel, places)
    lows = [*(panel["mean"] - panel["std"].fillna(0)), *seeds]
    highs = [*(panel["mean"] + panel["std"].fillna(0)), *(paper["paper_mean"] + paper["paper_std"].fillna(0)), *seeds]
    lowest, end = np.nanmin([base, *lows]), highest if np.isfinite(highest) else 1.05 * np.nanmax(highs)
    margin = 0.03 * (end - base) if lowest < base else 0.0  # for a marker below the beginning of bars
    axes.set_xlim(lowest - margin, end)
    _label(axes, panel, known, metric)
    axes.set_yticks(places, panel.index)
    axes.set_ylim(len(panel) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_ours(axes: Axes, panel: pd.DataFrame, places: np.ndarray, base: float) -> list[float]:
    """Draw the mean of each model as a bar that begins at `base`, with whiskers and its seeds; return the scores of all seeds."""
    axes.barh(places, panel["mean"] - base, left=base, height=0.55, color=[colour_of(model) for model in panel.index])
    spread = panel["std"].where(panel["std"] > 0)
    whiskers: dict[str, Any] = {"fmt": "none", "ecolor": INK, "elinewidth": 0.9, "capsize": 2, "capthick": 0.9}
    axes.errorbar(panel["mean"], places - 0.14, xerr=spread, **whiskers)
    of_models = [_seeds(text) for text in panel["seed_scores"]]
    scores = [score for of_model in of_models for score in of_model]
    axes.plot(scores, np.repeat(places + 0.1, [len(of_model) for of_model in of_models]), **_SEED)
    return scores


def _label(axes: Axes, panel: pd.DataFrame, known: pd.Series, metric: Metric) -> None:
    """Write the title, the line below it and the label of the axis. known: a row of `panel` that has a metric."""
    axes.set_title(known["benchmark"], pad=15)
    below: dict[str, Any] = {"xy": (0.5, 1), "xycoords": "axes fraction"}
    below |= {"xytext": (0, 5), "textcoords": "offset points"}
    axes.annotate(_counts(panel), **below, ha="center", fontsize=7)
    label = with_unit(known["metric"], known["unit"] if isinstance(known["unit"], str) else "")
    axes.set_xlabel(f"{label}\n{'higher' if metric.higher_is_better else 'lower'} is better")


_SEED: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3, "markerfacecolor": "white"}
_SEED |= {"markeredgecolor": INK, "markeredgewidth": 0.6, "clip_on": False, "in_layout": False}
_DIAMOND: dict[str, Any] = {"ecolor": "0.5", "elinewidth": 0.8, "color": INK, "markersize": 3.5}


def _mark(axes: Axes, panel: pd.DataFrame, places: np.ndarray) -> None:
    """Write the symbols of the comparisons to the right of a panel, one column for each of COMPARISONS."""
    for column, name in enumerate(COMPARISONS):
        verdicts = panel[f"minus_{name}_verdict"]
        if verdicts.notna().any():
            look: dict[str, Any] = {
                "transform": axes.get_yaxis_transform(),
                "ha": "center",
                "va": "center",
                "fontsize": 7,
            }
            across = 1.04 + 0.08 * column
            axes.text(across, -0.75, name[0], **look, style="italic")
            for place, verdict in zip(places, verdicts, strict=True):
                axes.text(across, place, SYMBOLS.get(verdict, ""), **look)


def _seeds(text: Any) -> list[float]:
    """Return the scores in a cell of the column `seed_scores`, which is a number for one seed."""
    return [] if pd.isna(text) else [float(score) for score in str(text).split(";")]


def _counts(panel: pd.DataFrame) -> str:
    """Return the numbers of test molecules and seeds of a benchmark; empty if the table does not have them."""
    shown = []
    for name, noun in (("test_molecules", "test molecule"), ("seeds", "seed")):
        cells = (counted_seeds(panel) if name == "seeds" else panel[name]).dropna()
        values = sorted({int(float(value)) for cell in cells for value in str(cell).split(";")})
        if values:
            few, many = f"{values[0]:,}", f"{values[-1]:,}"
            shown.append(f"{few if few == many else f'{few} to {many}'} {noun}{'' if values[-1] == 1 else 's'}")
    return ", ".join(shown)


def _handles(rows: pd.DataFrame, has_paper: bool) -> list[Artist]:
    """Make the keys of the legend for what is drawn."""
    handles: list[Artist] = [Patch(color="0.7", label="mean")]
    if (rows["std"] > 0).any():
        handles.append(Line2D([], [], color=INK, linewidth=0.9, marker="|", label="standard deviation"))
    if rows["seed_scores"].notna().any():
        handles.append(Line2D([], [], **_SEED, label="seed"))
    if has_paper:
        diamond = Line2D(
            [], [], color=INK, marker="D", markersize=3.5, linestyle="none", label="paper, confirmed values"
        )
        handles.append(diamond)
    return handles


def _symbols(verdicts: set[str]) -> list[Artist]:
    """Make the keys of the symbols."""
    markers = {"better": "^", "worse": "v", "not significant": "o", "one seed": "$?$"}
    return [
        Line2D([], [], linestyle="none", marker=markers[verdict], markersize=4, color=INK,
               markerfacecolor="none" if verdict == "not significant" else INK, label=meaning)
        for verdict, meaning in _MEANING.items()
        if verdict in verdicts
    ]  # fmt: skip


def _confirmed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the paper's mean and standard deviation, float64, NaN where they are not confirmed."""
    return pd.DataFrame(
        {
            "paper_mean": table["paper_mean"].where(confirmed(table)),
            "paper_std": table["paper_std"].where(table["paper_check"] == "verified"),
        },
        dtype=float,
    )
