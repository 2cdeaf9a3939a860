"""Result tables like the paper's tables 1 and 2: CSV and JSON for programs; Markdown, LaTeX and HTML for readers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molclr.config import AND_ECFP, SVM, OwnBenchmark, pretrained_of
from molclr.data.catalogue import load_catalogue
from molclr.errors import MolclrError
from molclr.evaluation.metrics import Task, find_label
from molclr.evaluation.published import published
from molclr.evaluation.runs import read_metrics
from molclr.evaluation.statistics import CONFIDENCE, RESAMPLES, differences, scratch_of
from molclr.evaluation.summary import distinct, every_metric, order, summarise
from molclr.files import replacing

AnyPath = str | PathLike[str]

VERDICT_MARKS = {"better": "", "worse": "", "not significant": "∘", "one seed": "§"}
PAPER_MARKS = {"verified": "", "std unverified": "‡", "unverified": "†"}

_DECIMALS_WITHOUT_PAPER = 3
_LATEX = {character: f"\\{character}" for character in "_%&#$"} | {
    "^": r"\^{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "∘": r"$^\circ$",
    "§": r"\textsuperscript{\S}",
    "²": r"$^2$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
}


def write_tables(
    metrics_files: Iterable[AnyPath],
    task: Task,
    own: Mapping[str, OwnBenchmark],
    output_csv: AnyPath,
    output_scores: AnyPath,
    output_json: AnyPath,
    output_markdown: AnyPath,
    output_latex: AnyPath,
    output_html: AnyPath,
) -> None:
    """Write the tables of the runs of `task` among the metrics.json `metrics_files`.

    `output_scores` (CSV) has all metrics of the task; the other tables have the primary metric of each benchmark. Names and units
    of benchmarks come from the catalogue and from `own`, the user-defined benchmarks; other benchmarks are shown by their keys.
    If a pre-trained model and the same network from scratch are among the runs, their difference is computed from predictions.csv
    next to metrics.json. Without runs of the task, the tables are empty. Raises MolclrError if two files are of the same run.
    """
    runs = {Path(file).parent: run for file in metrics_files if (run := read_metrics(file)).task == task}
    benchmarks = {**load_catalogue().benchmarks, **own}
    table = summarise(list(runs.values()), benchmarks, differences(runs))
    wide = Wide.of(table, task)
    if wide.body:
        wide.notes.append(f"All metrics of these runs: {Path(output_scores).name}.")
    for frame, path in ((table, output_csv), (every_metric(list(runs.values()), benchmarks), output_scores)):
        with replacing(path) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    with replacing(output_json) as temporary:
        temporary.write_text(json.dumps(_means(table), indent=2) + "\n", encoding="utf-8")
    with replacing(output_markdown) as temporary:
        temporary.write_text(wide.markdown(), encoding="utf-8")
    with replacing(output_latex) as temporary:
        temporary.write_text(wide.latex(), encoding="utf-8")
    with replacing(output_html) as temporary:
        temporary.write_text(wide.html(), encoding="utf-8")


def terminal_summary(markdown_tables: Iterable[AnyPath], figures: Iterable[AnyPath]) -> str:
    """Format the wide tables and the paths of the figures for the terminal. Raises MolclrError if a table is missing."""
    try:
        tables = [Path(path).read_text(encoding="utf-8") for path in markdown_tables]
    except FileNotFoundError as error:
        raise MolclrError(f"'{error.filename}' does not exist; run 'make all' first.") from None
    return "\n".join([*tables, "Figures:", *(f"  {Path(path)}" for path in figures)])


@dataclass(frozen=True)
class Cell:
    """A cell of a wide table."""

    text: str = ""
    mark: str = ""
    best: bool = False


@dataclass(frozen=True)
class Wide:
    """A table as in the paper: one column per benchmark, one row per method, followed by the paper's values of the method."""

    caption: str
    heads: list[list[str]]
    """Header lines: names, metrics, numbers of test molecules."""
    body: list[tuple[str, list[Cell]]]
    notes: list[str]

    @classmethod
    def of(cls, table: pd.DataFrame, task: Task) -> "Wide":
        """Make the wide form of a table of `summarise`."""
        if table.empty:
            return cls(f"No {task} benchmark was run.", [["Method"]], [], [])
        paper = published()
        ours = {(row.model, row.benchmark): row for row in table.itertuples()}
        printed = {(row.method, row.benchmark): row for row in paper.itertuples()}
        decimals = {row.benchmark: len(row.mean.partition(".")[2]) for row in paper.itertuples()}
        benchmarks = list(dict.fromkeys(table["benchmark"]))
        models = sorted(dict.fromkeys(table["model"]), key=order(paper["method"]))

        columns = [table[table["benchmark"] == benchmark] for benchmark in benchmarks]
        heads = [
            ["Method", *benchmarks],
            ["metric", *(_metric_head(column.iloc[0]) for column in columns)],
            ["test molecules", *(distinct(column["test_molecules"]) for column in columns)],
        ]
        seeds_of = [
            rest if len(rest := column["seeds"][~_runs_once(column)]) else column["seeds"] for column in columns
        ]
        fewest, most = min(map(min, seeds_of)), max(map(max, seeds_of))
        if fewest < most:
            heads.append(["seeds", *(distinct(seeds.astype(str)) for seeds in seeds_of)])
        places = [decimals.get(benchmark, _DECIMALS_WITHOUT_PAPER) for benchmark in benchmarks]
        best = [_best(column, digits) for column, digits in zip(columns, places, strict=True)]
        body = []
        for model in models:
            fields = [ours.get((model, benchmark)) for benchmark in benchmarks]
            body.append((model, [_our_cell(*field) for field in zip(fields, places, best, strict=True)]))
            from_paper = [_paper_cell(printed.get((model, benchmark))) for benchmark in benchmarks]
            if any(cell.text for cell in from_paper):
                body.append(("paper", from_paper))
            gains = [_gain_cell(*field) for field in zip(fields, places, strict=True)]
            if any(cell.text for cell in gains):
                body.append((f"{model} minus {scratch_of(model)}", gains))
        seeds = f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"
        scores = f"mean ± standard deviation over {seeds}" if most > 1 else "one seed"
        caption = f"Test scores, {task}: {scores}. In bold: the best of our own rows."
        return cls(caption, heads, body, _notes(table, body))

    def markdown(self) -> str:
        """Format as a GitHub table, padded so that it is readable as text; only the caption if the table is empty."""
        if not self.body:
            return f"{self.caption}\n"
        lines = [*self.heads]
        for label, cells in self.body:
            texts = [f"**{cell.text}**" if cell.best else f"{cell.text} {cell.mark}".rstrip() for cell in cells]
            lines.append([f"*{label}*" if label == "paper" else label, *texts])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        # The first column is left-aligned, the others are right-aligned, in the text and by the colons of the rule.
        padded = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
        padded.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
        table = "\n".join(f"| {' | '.join(line)} |" for line in padded)
        return "\n\n".join([self.caption, table, *self.notes]) + "\n"

    def html(self) -> str:
        """Format as an HTML page, for the report."""

        def line(tag: str, texts: Iterable[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"

        body = []
        for label, cells in self.body:
            texts = [escape(f"{cell.text} {cell.mark}".rstrip()) for cell in cells]
            texts = [f"<b>{text}</b>" if cell.best else text for text, cell in zip(texts, cells, strict=True)]
            body.append(line("td", [f"<i>{label}</i>" if label == "paper" else escape(label), *texts]))
        return "\n".join(
            [
                '<!doctype html><html lang="en"><meta charset="utf-8"><title>MolCLR</title>',
                "<style>body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:right}",
                "td:first-child,th:first-child{text-align:left}</style>",
                f"<p>{escape(self.caption)}</p><table>",
                *(line("th", map(escape, head)) for head in self.heads),
                *body,
                "</table>",
                *(f"<p>{escape(note)}</p>" for note in self.notes),
                "</html>",
                "",
            ]
        )

    def latex(self) -> str:
        """Format as a table environment that needs the package booktabs."""
        plain = str.maketrans(_LATEX)

        def line(texts: Iterable[str]) -> str:
            return " & ".join(texts) + r" \\"

        body = []
        for label, cells in self.body:
            texts = [(cell.text + cell.mark).translate(plain) for cell in cells]
            texts = [rf"\textbf{{{text}}}" if cell.best else text for text, cell in zip(texts, cells, strict=True)]
            body.append(line([r"\quad paper" if label == "paper" else label.translate(plain), *texts]))
        return "\n".join(
            [
                "% Needs \\usepackage{booktabs}.",
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{self.caption.translate(plain)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.heads[0]) - 1)}}}",
                r"\toprule",
                *(line(text.translate(plain) for text in head) for head in self.heads),
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                *(rf"\par {{\footnotesize {note.translate(plain)}}}" for note in self.notes),
                r"\end{table}",
                "",
            ]
        )


def _metric_head(row: pd.Series) -> str:
    unit = f" ({row['unit']})" if row["unit"] else ""
    return f"{row['metric']}{unit} {'↑' if _higher_is_better(row) else '↓'}"


def _higher_is_better(row: pd.Series) -> bool:
    return find_label(row["metric"]).higher_is_better


def _best(column: pd.DataFrame, decimals: int) -> str:
    """Return the best mean of a benchmark as rounded text, so that equal rounded values are all bold; empty without means."""
    means = column["mean"][(column["seeds"] == column["seeds"].max()) | _runs_once(column)].dropna()
    if means.empty:
        return ""
    return f"{means.max() if _higher_is_better(column.iloc[0]) else means.min():.{decimals}f}"


def _runs_once(column: pd.DataFrame) -> pd.Series:
    """Return which rows of a benchmark are of a support vector machine with one seed, because nothing in it is random."""
    return column["model"].str.startswith(SVM) & (column["seeds"] == 1)


def _our_cell(row: Any, decimals: int, best: str) -> Cell:
    if row is None or np.isnan(row.mean):
        return Cell()
    mean = f"{row.mean:.{decimals}f}"
    return Cell(mean if np.isnan(row.std) else f"{mean} ± {row.std:.{decimals}f}", best=mean == best)


def _gain_cell(row: Any, decimals: int) -> Cell:
    """Format the difference to the network from scratch with its interval and the mark of its verdict."""
    if row is None or not row.minus_scratch_verdict:
        return Cell()
    gain, low, high = (
        f"{value:+z.{decimals}f}" for value in (row.minus_scratch, row.minus_scratch_low, row.minus_scratch_high)
    )
    return Cell(f"{gain} ({low} to {high})", VERDICT_MARKS[row.minus_scratch_verdict])


def _paper_cell(row: Any) -> Cell:
    return Cell(f"{row.mean} ± {row.std}", PAPER_MARKS[row.check]) if row is not None else Cell()


def _notes(table: pd.DataFrame, body: list[tuple[str, list[Cell]]]) -> list[str]:
    """Make the notes below a wide table: the meaning of marks, targets that were left out, and notes of runs."""
    notes = []
    if any(label == "paper" for label, _ in body):
        notes.append("paper: Wang et al., 2022; its baselines are other papers' numbers, on splits of their own.")
    used = {cell.mark for _, cells in body for cell in cells}
    if any(" minus " in label for label, _ in body):
        notes.append(
            f"minus: pre-trained less from scratch, with a {CONFIDENCE:.0%} interval for test molecules (bootstrap, {RESAMPLES}"
            " resamples) and seeds (their variance, Welch's t), of one pre-training and one split; not adjusted for the number of"
            " comparisons."
        )
    if (mark := VERDICT_MARKS["not significant"]) in used:
        notes.append(f"{mark} not significant: 0 is in the interval.")
    if (mark := VERDICT_MARKS["one seed"]) in used:
        notes.append(f"{mark} one seed: an interval for test molecules alone, which does not tell what is significant.")
    if PAPER_MARKS["unverified"] in used:
        notes.append("† nobody could confirm this value of the paper; it may be wrong, and figures do not show it.")
    if PAPER_MARKS["std unverified"] in used:
        notes.append("‡ the mean is confirmed, the standard deviation is not.")
    if any(label == "paper" for label, _ in body):
        notes.append(
            "Our rows are those of the configuration that was run; the paper's are of 10 million molecules, and of settings"
            " searched for each benchmark."
        )
    if any(name.startswith(SVM) for name in table["model"]):
        notes.append(
            f"{SVM}: a support vector machine on ECFP4 counts. Nothing in such a machine is random, so that one run is enough, "
            "unless it learns from a sample."
        )
    if frozen := [name for name in dict.fromkeys(table["model"]) if name.startswith(f"{SVM}_")]:
        network = pretrained_of(frozen[0])
        notes.append(
            f"{SVM}_{network}: one on the frozen representation of the encoder with which {network} begins; with {AND_ECFP} on "
            "that and ECFP4 counts. Like the other models, they keep the validation molecules out of training."
        )
    for benchmark, rows in table.groupby("benchmark", sort=False):
        if left_out := distinct(rows["left_out_targets"]):
            notes.append(f"{benchmark}: not in the mean, since their score is undefined: {left_out}.")
    notes += [f"{row.benchmark}, {row.model}: {row.note}" for row in table.itertuples() if row.note]
    return notes


def _means(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Convert a table of `summarise` to benchmark -> model -> mean, for `dvc metrics`; rows without a mean are left out."""
    means: dict[str, dict[str, float]] = {}
    for row in table.dropna(subset="mean").itertuples():
        means.setdefault(str(row.benchmark), {})[str(row.model)] = round(float(row.mean), 6)
    return means
