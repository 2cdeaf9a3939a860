"""Result tables like the paper's tables 1 and 2: CSV and JSON for programs; Markdown, LaTeX and HTML for readers."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from os import PathLike
from pathlib import Path

import pandas as pd
import yaml

from molclr.config import Config
from molclr.errors import MolclrError
from molclr.evaluation.benchmarks import known_benchmarks
from molclr.evaluation.comparisons import read_samples
from molclr.evaluation.formats import bulleted, html, latex, markdown
from molclr.evaluation.metrics import TASKS, find_label
from molclr.evaluation.reference import CONFIGURATION, compared_with_published
from molclr.evaluation.runs import KEEPING_NAMES, read_metrics
from molclr.evaluation.summary import COLUMNS, NUMBERS, every_metric, summarise
from molclr.evaluation.verdict import verdict
from molclr.evaluation.wide import Wide
from molclr.files import replacing

AnyPath = str | PathLike[str]


def write_tables(metrics_files: Iterable[AnyPath], folder: AnyPath, settings: Config | None = None) -> None:
    """Write the tables of the runs with the `metrics_files` (metrics.json) to `folder`, for each task.

    TASK.csv, .json, .md, .tex and .html have the primary metric of each benchmark, TASK_scores.csv has all metrics of the task.
    settings: the configuration of the runs, if they have one. The keys that decide the tables are written to configuration.yaml.
    Names and units of benchmarks come from the catalogue and from the configuration; other benchmarks are shown by their keys.
    Differences between models are computed from predictions.csv next to metrics.json. Without runs of a task, its
    tables are empty. Raises MolclrError if two files are of the same run or two benchmarks have the same name.
    """
    runs = {Path(file).parent: read_metrics(file) for file in metrics_files}
    benchmarks = known_benchmarks(settings.own_benchmarks if settings else {})
    scores = every_metric(list(runs.values()), benchmarks)
    table = summarise(list(runs.values()), benchmarks, read_samples(runs))
    texts = {CONFIGURATION: yaml.safe_dump(settings.decisive(), sort_keys=False)} if settings else {}
    for task in TASKS:
        rows, all_rows = (each[each["metric"].map(_task_of) == task] for each in (table, scores))
        wide = Wide.of(rows, task)
        if wide.grids:
            wide.notes.append(f"All metrics of these runs: {task}_scores.csv.")
        texts |= {
            f"{task}.csv": rows.to_csv(index=False, float_format="%.6f", lineterminator="\n"),
            f"{task}_scores.csv": all_rows.to_csv(index=False, float_format="%.6f", lineterminator="\n"),
            f"{task}.json": json.dumps(_means(rows), indent=2) + "\n",
            f"{task}.md": markdown(wide),
            f"{task}.tex": latex(wide),
            f"{task}.html": html(wide),
        }
    for name, text in texts.items():
        with replacing(Path(folder) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def read_table(path: AnyPath) -> pd.DataFrame:
    """Read a TASK.csv of `write_tables`: text columns as text, with the digits of the paper; numbers as numbers.

    Raises MolclrError if it is missing or lacks a column.
    """
    text = {name: str for name in COLUMNS if name not in NUMBERS}
    try:
        table = pd.read_csv(path, **KEEPING_NAMES | {"dtype": text})
    except FileNotFoundError:
        raise MolclrError(f"'{path}' does not exist; run 'make all' first.") from None
    except (ValueError, UnicodeDecodeError):
        table = pd.DataFrame()
    if missing := [name for name in COLUMNS if name not in table]:
        raise MolclrError(f"'{path}' has no column '{missing[0]}'; write the table again with 'molclr table'.")
    return table.fillna(dict.fromkeys(text, ""))


def terminal_summary(folder: AnyPath, figures: Iterable[AnyPath]) -> str:
    """Format the verdict, the tables in `folder` and the paths of the figures to the width of the terminal.

    The verdict says how far the means differ from published ones, see `compared_with_published`. The width is 100 characters if
    there is no terminal. Raises MolclrError if a table is missing.
    """
    width = shutil.get_terminal_size((100, 24)).columns
    tables = {task: read_table(Path(folder) / f"{task}.csv") for task in TASKS}
    sentences = [*verdict(pd.concat(tables.values())).sentences, compared_with_published(Path(folder))]
    head = bulleted([sentence for sentence in sentences if sentence], width)
    wide = [Wide.of(table, task) for task, table in tables.items()]
    notes = dict.fromkeys(note for each in wide for note in each.notes)  # many are those of both tables
    texts = [markdown(replace(each, verdict=each.verdict[:1], notes=[]), width) for each in wide]
    below = [bulleted(["Notes:", *notes], width) + "\n"] if notes else []
    return "\n".join([f"{head}\n", *texts, *below, "Figures:", *(f"  {Path(path)}" for path in figures)])


def _task_of(label: str) -> str:
    return find_label(label).task


def _means(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Convert a table of `summarise` to benchmark -> model -> mean, for `dvc metrics`; rows without a mean are left out."""
    means: dict[str, dict[str, float]] = {}
    for row in table.dropna(subset="mean").itertuples():
        means.setdefault(str(row.benchmark), {})[str(row.model)] = round(float(row.mean), 6)
    return means
