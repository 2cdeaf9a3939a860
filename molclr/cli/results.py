"""Commands that make tables and figures from the files of training."""

import argparse
from pathlib import Path

from molclr import config
from molclr.cli.command import Command, Parser, positive


def _table_arguments(parser: Parser) -> None:
    parser.reads("metrics", nargs="*", help="metrics.json of the runs")
    parser.add_argument(
        "--task", choices=["classification", "regression"], required=True, help="kind of the runs to tabulate"
    )
    for form in ("csv", "scores", "json", "markdown", "latex", "html"):
        everything = "table of all metrics to write (CSV); the other tables have the primary one"
        parser.writes(f"--{form}", required=True, help=everything if form == "scores" else "table to write")
    parser.section("--settings", config.OwnBenchmarks)


def _table(options: argparse.Namespace) -> None:
    from molclr.evaluation.tables import write_tables

    files = (options.csv, options.scores, options.json, options.markdown, options.latex, options.html)
    write_tables(options.metrics, options.task, options.settings.own_benchmarks, *files)


TABLE = Command(
    "table",
    "tabulate mean and standard deviation over seeds, with the paper's values",
    "molclr table mine*/metrics.json --task regression --csv t.csv --scores s.csv --json t.json \\\n"
    "      --markdown t.md --latex t.tex --html t.html",
    _table_arguments,
    _table,
)


def _predictions_arguments(parser: Parser) -> None:
    parser.reads("metrics", nargs="*", help="metrics.json of the runs, in the folders of their predictions.csv")
    parser.writes("--output", required=True, help="table to write (gzipped CSV)")


def _predictions(options: argparse.Namespace) -> None:
    from molclr.evaluation.predictions import gather_predictions

    gather_predictions(options.metrics, options.output)


PREDICTIONS = Command(
    "predictions",
    "collect the test predictions of all runs in one table",
    "molclr predictions mine*/metrics.json --output predictions.csv.gz",
    _predictions_arguments,
    _predictions,
)


def _add_images(parser: Parser) -> None:
    parser.writes("--png", required=True, help="raster image to write")
    parser.writes("--svg", required=True, help="vector image to write")


def _benchmarks_arguments(parser: Parser) -> None:
    parser.reads("classification", help="classification.csv of 'molclr table'")
    parser.reads("regression", help="regression.csv of 'molclr table'")
    _add_images(parser)


def _benchmarks(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.benchmarks import benchmark_bars

    benchmark_bars(options.classification, options.regression, options.png, options.svg)


FIGURE_BENCHMARKS = Command(
    "figure benchmarks",
    "draw the scores of all models on all benchmarks, with the paper's values",
    "molclr figure benchmarks classification.csv regression.csv --png benchmarks.png --svg benchmarks.svg",
    _benchmarks_arguments,
    _benchmarks,
)


def _pretraining_arguments(parser: Parser) -> None:
    parser.reads("histories", nargs="+", help="history.csv of each pre-training")
    _add_images(parser)


def _pretraining(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.pretraining import pretraining_curves

    pretraining_curves(options.histories, options.png, options.svg)


FIGURE_PRETRAINING = Command(
    "figure pretraining",
    "draw loss, contrastive accuracy and learning rate over the epochs of pre-training",
    "molclr figure pretraining encoder/history.csv --png pretraining.png --svg pretraining.svg",
    _pretraining_arguments,
    _pretraining,
)


def _tsne_arguments(parser: Parser) -> None:
    parser.reads("embeddings", help="table of embeddings (Parquet)")
    _add_images(parser)
    parser.add_argument(
        "--property",
        choices=["molecular_weight", "logp", "tpsa", "rings"],
        default="logp",
        help="property shown by colour (default: logp)",
    )


def _tsne(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.tsne import tsne

    tsne(options.embeddings, options.png, options.svg, options.property)


FIGURE_TSNE = Command(
    "figure tsne",
    "draw a t-SNE of the representation, coloured by a property",
    "molclr figure tsne mine.h.parquet --property tpsa --png tsne.png --svg tsne.svg",
    _tsne_arguments,
    _tsne,
)


def _retrieval_arguments(parser: Parser) -> None:
    parser.reads("embeddings", help="table of embeddings (Parquet)")
    _add_images(parser)
    parser.add_argument("--neighbours", type=positive, default=8, help="number of neighbours (default: 8)")
    parser.add_argument("--query", type=int, help="raw row number of the query (default: the first molecule)")


def _retrieval(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.retrieval import retrieval

    retrieval(options.embeddings, options.png, options.svg, options.neighbours, options.query)


FIGURE_RETRIEVAL = Command(
    "figure retrieval",
    "draw a molecule and its nearest neighbours in the representation",
    "molclr figure retrieval mine.h.parquet --query 12 --png retrieval.png --svg retrieval.svg",
    _retrieval_arguments,
    _retrieval,
)


def _show_arguments(parser: Parser) -> None:
    parser.reads(
        "results", nargs="?", folder=True, default=Path("results"), help="folder of results (default: results)"
    )


def _show(options: argparse.Namespace) -> None:
    from molclr.evaluation.tables import terminal_summary

    tables = [options.results / "tables" / f"{task}.md" for task in ("classification", "regression")]
    print(terminal_summary(tables, sorted(options.results.glob("figures/*.png"))))


SHOW = Command(
    "show",
    "print the tables of a run of the workflow and the paths of its figures",
    "molclr show results",
    _show_arguments,
    _show,
)
