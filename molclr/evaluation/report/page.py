"""The page of a run of the workflow."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import pandas as pd

from molclr.evaluation.report.benchmark import benchmark_part
from molclr.evaluation.report.charts import Chart, Trace, chart, line_of
from molclr.evaluation.report.data import data_part
from molclr.evaluation.report.making import making_of, steps
from molclr.evaluation.report.overview import limits, meanings, result_rows, title_of, what_was_done
from molclr.evaluation.report.render import write_page
from molclr.evaluation.report.representation import representation_part
from molclr.evaluation.report.results import Results
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.statistics import CONFIDENCE
from molclr.evaluation.verdict import verdict
from molclr.model_names import PRETRAINED

COLUMNS = [
    *(("Benchmark", ""), ("Model", ""), ("Test score", "number"), ("Seeds", "number")),
    *(("Minus scratch", "number"), ("Minus best baseline", "number"), ("Paper", "number paper")),
]
"""Headings of the table of results, and classes of their cells."""


def write_run_page(results: Results, output: str | PathLike[str]) -> None:
    """Write the page of a run of the workflow."""
    structures, rows = Structures(), result_rows(results.table)
    has_paper = any(row.paper.text for row in rows)
    sections = {"verdict": "Verdict", "results": "Results", "benchmarks": "Benchmarks"}
    encoders = [part for name in results.encoders if (part := representation_part(name, results, structures))]
    histories = results.of_encoders("pretrain/{}/history.csv")
    if encoders or histories:
        sections["representation"] = "Representation"
    content = {
        "title": title_of(results),
        "sections": sections | {"data": "Data", "making": "How it was made"},
        "verdict": verdict(results.table),
        "done": what_was_done(results),
        "limits": limits(results),
        "confidence": f"{100 * CONFIDENCE:.0f} %",
        "columns": COLUMNS if has_paper else COLUMNS[:-1],
        "has_paper": has_paper,
        "rows": rows,
        "meanings": meanings(rows),
        "benchmarks": [benchmark_part(one, structures) for one in results.benchmarks],
        "encoders": encoders,
        "pretraining": pretraining_charts(histories, results.settings.pretrain.loss_label) if histories else [],
        "data": data_part(results, structures),
        "making": making_of([results.settings], _seeds(results), steps(results.logs, results.folder)),
    }
    write_page(output, "run.html", content, structures)


def _seeds(results: Results) -> str:
    settings = results.settings
    of_all = ", ".join(map(str, settings.seeds))
    others = [f"{name}: {', '.join(map(str, seeds))}" for name, seeds in settings.seeds_of.items()]
    return "; ".join([of_all, *others, f"pre-training: {settings.pretrain.seed}"])


def pretraining_charts(histories: Mapping[str, Path], loss: str) -> list[Chart]:
    """Draw the loss and the contrastive accuracy over the epochs; histories: encoder -> its history.csv; loss: its name."""
    tables = {f"{PRETRAINED}{name}": pd.read_csv(path) for name, path in histories.items()}

    def curves(column: str, **options: str) -> list[Trace]:
        shared = {"mode": "lines+markers", "meta": options}
        return [
            {**shared, "x": table["epoch"], "y": table[column], "name": model, "line": line_of(model)}
            for model, table in tables.items()
        ]

    losses = [*curves("validation_loss", Molecules="held out"), *curves("train_loss", Molecules="training")]
    note = "How often the most similar view is the other view of the same held-out molecule."
    epoch, accuracy = {"title": "epoch"}, {"title": "", "tickformat": ".0%", "rangemode": "tozero"}
    return [
        chart(f"Pre-training: {loss}", "Lower is better.", losses, epoch, {}),
        chart("Pre-training: contrastive accuracy", note, curves("contrastive_accuracy"), epoch, accuracy),
    ]
