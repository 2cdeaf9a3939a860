"""The wide form of a table of results, as in the paper: one row per method, one column per benchmark."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from molclr.evaluation.comparisons import scratch_of
from molclr.evaluation.metrics import Task
from molclr.evaluation.published import decimals_of, published
from molclr.evaluation.statistics import CONFIDENCE, RESAMPLES
from molclr.evaluation.summary import distinct, order
from molclr.evaluation.text import fixed, metric_heading
from molclr.evaluation.verdict import verdict
from molclr.model_names import AND_ECFP, SVM, SVM_TANIMOTO, pretrained_of

VERDICT_MARKS = {"better": "", "worse": "", "not significant": "∘", "one seed": "§"}
PAPER_MARKS = {"verified": "", "std unverified": "‡", "unverified": "†"}
MEANING = {
    "∘": "∘ not significant: p ≥ 0.05 after adjustment for the number of comparisons of the run (Holm). Intervals are not "
    "adjusted, so one without 0 may be marked.",
    "§": "§ one seed: an interval for test molecules alone, which does not show significance.",
    "†": "† unconfirmed value of the paper: it may be wrong, and figures leave it out.",
    "‡": "‡ the mean is confirmed, the standard deviation is not.",
}


@dataclass(frozen=True)
class Cell:
    """A cell of a wide table."""

    text: str = ""
    mark: str = ""
    bold: bool = False

    @property
    def marked(self) -> str:
        """Return the text with its mark."""
        return f"{self.text} {self.mark}".rstrip()


@dataclass(frozen=True)
class Column:
    """A column of a wide table, from top to bottom."""

    heads: list[str]
    cells: list[Cell]
    is_paper: bool = False
    """Whether the values are the paper's, which are shown less prominently."""


@dataclass(frozen=True)
class Grid:
    """A grid of cells with a caption; the first column has the labels of the rows."""

    caption: str
    columns: list[Column]

    @property
    def marks(self) -> set[str]:
        """Return the marks that occur."""
        return {cell.mark for column in self.columns for cell in column.cells}


@dataclass(frozen=True)
class Wide:
    """The verdict of a table of results, its scores next to the paper's, differences between models, and notes."""

    task: Task
    verdict: list[str]
    """Sentences, the first of which is the headline."""
    grids: list[Grid]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, table: pd.DataFrame, task: Task) -> "Wide":
        """Make the wide form of a table of `summarise`, whose rows have one task."""
        if table.empty:
            return cls(task, [f"No {task} benchmark was run."], [])
        places = {name: decimals_of(name) for name in dict.fromkeys(table["benchmark"])}
        grids = [_scores(table, task, places), *_differences(table, places)]
        headline, *details = verdict(table).sentences
        return cls(task, [f"{task.capitalize()}. {headline}", *details], grids, _notes(table, grids))


def _scores(table: pd.DataFrame, task: Task, places: dict[str, int]) -> Grid:
    """Make the grid of our scores, with the paper's values of the same method in a column of their own."""
    models = sorted(dict.fromkeys(table["model"]), key=order(published()["method"]))
    seeds_of = {name: counted_seeds(rows) for name, rows in table.groupby("benchmark", sort=False)}
    fewest, most = min(map(min, seeds_of.values())), max(map(max, seeds_of.values()))
    count = 3 + (fewest < most)
    heads = ["Method", "metric", "test molecules", "seeds"][:count]
    columns = [Column(heads, [Cell(model) for model in models])]
    for benchmark, rows in table.groupby("benchmark", sort=False):
        by_model = {row.model: row for row in rows.itertuples()}
        best = fixed(max(rows["mean"][rows["best"] == "best"], default=np.nan), places[benchmark])
        ours = [_our_cell(by_model.get(model), places[benchmark], best) for model in models]
        of_runs = [distinct(rows["test_molecules"]), distinct(seeds_of[benchmark].astype(str))]
        columns.append(Column([benchmark, metric_heading(*rows[["metric", "unit"]].iloc[0]), *of_runs][:count], ours))
        papers = [_paper_cell(by_model.get(model)) for model in models]
        if any(cell.text for cell in papers):
            columns.append(Column([f"{benchmark}, paper", *[""] * (count - 1)], papers, is_paper=True))
    seeds = f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"
    scores = f"mean ± standard deviation over {seeds}" if most > 1 else "one seed"
    close = (table["best"] == "not distinguishable").any()
    bold = ", and all that were tested against it and do not differ significantly (Holm)" if close else ""
    return Grid(f"Test scores, {task}: {scores}. In bold: the best of our scores{bold}.", columns)


def _differences(table: pd.DataFrame, places: dict[str, int]) -> list[Grid]:
    """Make the grid of the differences of pre-trained models to networks from scratch and to the best baseline, if any."""
    by_key = {(row.benchmark, row.model): row for row in table.itertuples()}
    lines: list[tuple[str, list[Cell]]] = []
    if (table["baseline"] != "").any():
        names = [distinct(table["baseline"][table["benchmark"] == benchmark]) for benchmark in places]
        lines.append(("best baseline", [Cell(name) for name in names]))
    for model in dict.fromkeys(table["model"]):
        rows = [by_key.get((benchmark, model)) for benchmark in places]
        for other, name in (("scratch", scratch_of(model)), ("baseline", "best baseline")):
            cells = [_gain_cell(row, other, digits) for row, digits in zip(rows, places.values(), strict=True)]
            if any(cell.text for cell in cells):
                lines.append((f"{model} minus {name}", cells))
    if not lines:
        return []
    labels = Column(["Difference"], [Cell(label) for label, _ in lines])
    columns = [Column([name], [cells[place] for _, cells in lines]) for place, name in enumerate(places)]
    shown = [column for column in columns if any(cell.text for cell in column.cells)]
    return [Grid(f"Differences between models, with {100 * CONFIDENCE:.0f} % intervals.", [labels, *shown])]


def counted_seeds(rows: pd.DataFrame) -> pd.Series:
    """Return the numbers of seeds of the models of a benchmark; deterministic ones, for which one is enough, only if alone."""
    random = rows["seeds"][rows["deterministic"] != "yes"]
    return random if len(random) else rows["seeds"]


def _our_cell(row: Any, decimals: int, best: str) -> Cell:
    """Format mean and standard deviation; the mean alone for one seed and for a score that all seeds share.

    best: the best mean; equal ones are bold, too.
    """
    if row is None or np.isnan(row.mean):
        return Cell()
    mean = fixed(row.mean, decimals)
    has_spread = not np.isnan(row.std) and row.std > 0
    return Cell(f"{mean} ± {row.std:.{decimals}f}" if has_spread else mean, bold=bool(row.best) or mean == best)


def _gain_cell(row: Any, other: str, decimals: int) -> Cell:
    """Format the difference to `other`, scratch or baseline, with its interval and the mark of its verdict."""
    found = "" if row is None else getattr(row, f"minus_{other}_verdict")
    if not found:
        return Cell()
    gain, low, high = (fixed(getattr(row, f"minus_{other}{end}"), decimals, "+") for end in ("", "_low", "_high"))
    return Cell(f"{gain} ({low} to {high})", VERDICT_MARKS[found])


def _paper_cell(row: Any) -> Cell:
    if row is None or not row.paper_mean:
        return Cell()
    return Cell(f"{row.paper_mean} ± {row.paper_std}", PAPER_MARKS[row.paper_check])


def _notes(table: pd.DataFrame, grids: list[Grid]) -> list[str]:
    """Make the notes below a wide table, about what is in it: marks, the paper's values, targets left out, runs."""
    notes = []
    if (table["std"] == 0).any() or 0 < (table["deterministic"] == "yes").sum() < len(table):
        notes.append(
            "A score without ± is the same for all seeds; if nothing in a model is random, "
            "given its encoder, one is enough."
        )
    if any(column.is_paper for grid in grids for column in grid.columns):
        notes.append(
            "paper: Wang et al., 2022, pre-trained on 10 million molecules, with settings searched for each benchmark; its "
            "baselines are other papers' numbers, on splits of their own. Our scores are those of the configuration that was run."
        )
    if (table[["minus_scratch_verdict", "minus_baseline_verdict"]] != "").any(axis=None):
        notes.append(
            f"Intervals of differences cover test molecules (bootstrap, {RESAMPLES} resamples) and seeds (their variance, "
            "Welch's t), for one pre-training and one split; they are not adjusted for the number of comparisons."
        )
    notes += _on_machines(list(dict.fromkeys(table["model"])))
    used: set[str] = set().union(*(grid.marks for grid in grids))
    notes += [meaning for mark, meaning in MEANING.items() if mark in used]
    for benchmark, rows in table.groupby("benchmark", sort=False):
        if left_out := distinct(rows["left_out_targets"]):
            notes.append(f"{benchmark}: not in the mean, since their score is undefined: {left_out}.")
    return notes + [f"{row.benchmark}, {row.model}: {row.note}" for row in table.itertuples() if row.note]


def _on_machines(models: list[str]) -> list[str]:
    """Say what the names of support vector machines mean, if there is one on a representation, and what confounds them."""
    frozen = [name for name in models if name.startswith(SVM) and pretrained_of(name)]
    if not frozen:
        return []
    network = pretrained_of(frozen[0])
    notes = [
        f"{SVM}: a support vector machine on ECFP4 counts, with a Gaussian kernel; {SVM_TANIMOTO}: with a Tanimoto kernel; "
        f"{SVM}_{network}: one on the frozen representation of the encoder with which {network} begins; with {AND_ECFP}: on that "
        "and ECFP4 counts, compared by the Tanimoto kernel. Like the other models, they keep the validation molecules out of "
        "training."
    ]
    if SVM_TANIMOTO not in models and any(name.endswith(AND_ECFP) for name in frozen):
        notes.append(
            f"A difference of a model with {AND_ECFP} to a baseline is partly that of the kernel, because {SVM_TANIMOTO} was not "
            "run."
        )
    return notes
