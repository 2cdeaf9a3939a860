"""Commands that make tables and figures from the files of training."""

import argparse
from pathlib import Path
from typing import get_args

from molclr import config
from molclr.cli.command import Command, Parser, positive
from molclr.cli.data import add_benchmarks


def _table_arguments(parser: Parser) -> None:
    parser.reads("metrics", nargs="*", help="metrics.json of the runs, predictions.csv beside it")
    parser.writes("--output", folder=True, required=True, help="folder of the tables to write")
    parser.section("--settings", config.Config, default=None)


def _table(options: argparse.Namespace) -> None:
    from molclr.evaluation.tables import write_tables

    write_tables(options.metrics, options.output, options.settings)


TABLE = Command(
    "table",
    "write means over the seeds, differences between models and the paper's values",
    "molclr table mine*/metrics.json --output tables",
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


def _add_output(parser: Parser) -> None:
    parser.writes(
        "--output", required=True, help="figure to write, without suffix: .png, .svg, .pdf and the caption, .txt"
    )


def _benchmarks_arguments(parser: Parser) -> None:
    parser.reads("classification", help="classification.csv of 'molclr table'")
    parser.reads("regression", help="regression.csv of 'molclr table'")
    _add_output(parser)


def _benchmarks(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.benchmarks import benchmark_bars

    benchmark_bars(options.classification, options.regression, options.output)


FIGURE_BENCHMARKS = Command(
    "figure benchmarks",
    "draw the scores of all models on all benchmarks, with the paper's values",
    "molclr figure benchmarks classification.csv regression.csv --output benchmarks",
    _benchmarks_arguments,
    _benchmarks,
)


def _pretraining_arguments(parser: Parser) -> None:
    parser.reads("histories", nargs="+", help="history.csv of pre-trainings")
    _add_output(parser)
    parser.add_argument("--names", nargs="+", help="models in the legend (default: from the folders of the histories)")
    parser.add_argument("--loss", default="contrastive loss", help="name of the loss (default: %(default)s)")


def _pretraining(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.pretraining import pretraining_curves

    pretraining_curves(options.histories, options.output, options.names, options.loss)


FIGURE_PRETRAINING = Command(
    "figure pretraining",
    "draw loss, contrastive accuracy and learning rate over the epochs of pre-training",
    "molclr figure pretraining encoder/history.csv --output pretraining",
    _pretraining_arguments,
    _pretraining,
)


def _finetuning_arguments(parser: Parser) -> None:
    parser.reads("metrics", nargs="+", help="metrics.json of the runs of networks, history.csv beside it")
    _add_output(parser)
    parser.section("--settings", config.OwnBenchmarks)


def _finetuning(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.finetuning import finetuning_curves

    finetuning_curves(options.metrics, options.settings.own_benchmarks, options.output)


FIGURE_FINETUNING = Command(
    "figure finetuning",
    "draw training loss and validation score over the epochs of every run",
    "molclr figure finetuning mine*/metrics.json --output finetuning",
    _finetuning_arguments,
    _finetuning,
)


def _maps_arguments(parser: Parser) -> None:
    parser.reads("embeddings", nargs="+", help="tables of embeddings (Parquet)")
    parser.writes("--output", nargs="+", required=True, help="tables to write (CSV), one for each table of embeddings")


def _maps(options: argparse.Namespace) -> None:
    from molclr.evaluation.maps import write_maps

    write_maps(options.embeddings, options.output)


MAPS = Command(
    "maps",
    "compute t-SNE, UMAP and principal components of representations (needs umap-learn)",
    "molclr maps mine.h.parquet --output mine.map.csv",
    _maps_arguments,
    _maps,
)


def _tsne_arguments(parser: Parser) -> None:
    parser.reads("embeddings", help="table of embeddings (Parquet)")
    _add_output(parser)
    parser.add_argument("--name", help="name of the encoder in the title (default: that of the file)")
    parser.add_argument(
        "--property",
        choices=get_args(config.MolecularProperty),
        default="logp",
        help="property shown by colour (default: logp)",
    )
    parser.reads("--coordinates", help="coordinates of 'molclr maps' (default: they are computed)")


def _tsne(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.tsne import tsne

    tsne(options.embeddings, options.output, options.property, name=options.name, coordinates=options.coordinates)


FIGURE_TSNE = Command(
    "figure tsne",
    "draw a t-SNE of the representation, coloured by a property",
    "molclr figure tsne mine.h.parquet --property tpsa --output tsne",
    _tsne_arguments,
    _tsne,
)


def _retrieval_arguments(parser: Parser) -> None:
    parser.reads("embeddings", help="table of embeddings (Parquet)")
    _add_output(parser)
    parser.add_argument("--name", help="name of the encoder in the title (default: that of the file)")
    parser.add_argument("--neighbours", type=positive, default=8, help="number of neighbours (default: 8)")
    parser.add_argument("--query", type=int, help="raw row number of the query (default: the first molecule)")


def _retrieval(options: argparse.Namespace) -> None:
    from molclr.evaluation.figures.retrieval import retrieval

    retrieval(options.embeddings, options.output, options.neighbours, options.query, options.name)


FIGURE_RETRIEVAL = Command(
    "figure retrieval",
    "draw a molecule and its nearest neighbours in the representation",
    "molclr figure retrieval mine.h.parquet --query 12 --output retrieval",
    _retrieval_arguments,
    _retrieval,
)


def _show_arguments(parser: Parser) -> None:
    parser.reads(
        "results", nargs="?", folder=True, default=Path("results"), help="folder of results (default: results)"
    )


def _show(options: argparse.Namespace) -> None:
    from molclr.evaluation.tables import terminal_summary

    print(terminal_summary(options.results / "tables", sorted(options.results.glob("figures/*.png"))))
    if (page := options.results / "report.html").exists():
        print(f"All of it on one page:\n  {page}")


SHOW = Command(
    "show",
    "print the tables of a run of the workflow and the paths of its figures and its page",
    "molclr show results",
    _show_arguments,
    _show,
)


def _report_arguments(parser: Parser) -> None:
    parser.reads("results", folder=True, help="folder of results of the workflow")
    parser.writes("--output", required=True, help="page to write (HTML)")
    add_benchmarks(parser, required=False)
    parser.reads("--corpus-rejected", help="rejected rows of the corpus (CSV)")
    parser.reads("--logs", folder=True, help="folder with Snakemake's records of the jobs")


def _report(options: argparse.Namespace) -> None:
    from molclr.data.molecules import BenchmarkFiles
    from molclr.evaluation.report.page import write_run_page
    from molclr.evaluation.report.results import Results

    files = [BenchmarkFiles(*paths) for paths in options.benchmarks or []]
    results = Results(options.results, files, options.corpus_rejected, options.logs)
    write_run_page(results, options.output)


REPORT = Command(
    "report",
    "write the results of a run as one HTML page",
    "molclr report results --output report.html",
    _report_arguments,
    _report,
)
