"""Commands that train models on the benchmarks of the workflow."""

import argparse
from typing import TYPE_CHECKING, get_args

from molclr import config
from molclr.cli.command import Command, Parser, natural, positive
from molclr.cli.encoders import add_encoder, add_encoder_class
from molclr.errors import MolclrError
from molclr.progress import say

if TYPE_CHECKING:
    from molclr.data.labelled import LabelledMolecules
    from molclr.evaluation.runs import Run, RunMetrics


def _add_run(parser: Parser) -> None:
    """Add the arguments of all supervised runs."""
    parser.reads("molecules", help="molecule table")
    parser.reads("--split", required=True, help="split of the molecule table, made by 'molclr split'")
    parser.add_argument("--benchmark", required=True, help="name of the data set in the tables")
    parser.add_argument("--model", required=True, help="name of the model in the tables")
    parser.add_argument("--seed", type=natural, required=True, help="seed of the run")
    parser.add_argument("--task", choices=get_args(config.Task), required=True, help="kind of labels")
    parser.add_argument(
        "--metric",
        required=True,
        help="primary metric: a name in molclr/evaluation/metrics.py, such as roc_auc, pr_auc, rmse or mae",
    )
    parser.writes("--output", folder=True, required=True, help="folder for predictions and metrics")


def _run_of(options: argparse.Namespace) -> "tuple[LabelledMolecules, Run]":
    """Return the labelled molecules, and the run on them."""
    from molclr.data.labelled import read_labelled
    from molclr.evaluation.runs import Run

    data = read_labelled(options.molecules, options.split)
    return data, Run(options.benchmark, options.model, options.seed, options.task, options.metric, data.targets)


def _report(metrics: "RunMetrics") -> None:
    from molclr.evaluation.runs import summary

    say(summary(metrics))


def _finetune_arguments(parser: Parser) -> None:
    _add_run(parser)
    parser.reads("--graphs", required=True, help="graph store of the molecules")
    start = parser.add_mutually_exclusive_group()
    add_encoder(parser, "pre-trained encoder to start from", start)
    start.add_argument(
        "--from-scratch", metavar="NAME", help="train a new encoder: gin, gcn or the path of your own class"
    )
    add_encoder_class(parser)
    parser.section("--shape", config.EncoderShape)
    parser.section("--settings", config.Finetune)
    parser.add_argument(
        "--trial", type=natural, help="use the settings of this trial of the random search, counted from 0"
    )


def _finetune(options: argparse.Namespace) -> None:
    from molclr.training.encoder_files import encoder_file
    from molclr.training.finetune import finetune
    from molclr.training.random_search import propose

    data, run = _run_of(options)
    start = options.from_scratch or encoder_file(options.encoder)
    settings = options.settings if options.trial is None else propose(options.settings, options.trial)
    _report(finetune(data, options.graphs, options.output, run, start, settings, options.shape, options.encoder_class))


FINETUNE = Command(
    "finetune",
    "train an encoder with a prediction head on a benchmark and predict its test molecules",
    "molclr finetune mine.parquet --graphs mine.safetensors --split mine.split.csv --benchmark mine \\\n"
    "      --model MolCLR_GIN --seed 0 --task regression --metric rmse --output mine",
    _finetune_arguments,
    _finetune,
)


def _choose_arguments(parser: Parser) -> None:
    parser.reads("folders", nargs="+", folder=True, help="folders of the trials")
    parser.writes("--chosen", required=True, help="settings to write (YAML), for --settings")
    parser.writes("--trials", required=True, help="table of all trials to write (CSV)")


def _choose(options: argparse.Namespace) -> None:
    from molclr.training.random_search import choose

    choose(options.folders, options.chosen, options.trials)


CHOOSE = Command(
    "choose",
    "choose the settings of a random search with the best validation score",
    "molclr choose search/trial-0 search/trial-1 --chosen chosen.yaml --trials trials.csv",
    _choose_arguments,
    _choose,
)


def _baseline_arguments(parser: Parser) -> None:
    _add_run(parser)
    parser.reads("--encoder", help="file of a pre-trained encoder, for SVM_MolCLR_GIN and SVM_MolCLR_GIN_ECFP")
    parser.reads("--graphs", help="graph store of the molecules, for the encoder")
    add_encoder_class(parser)
    parser.section("--settings", config.Baselines)
    parser.add_argument(
        "--threads", type=positive, default=1, help="CPU threads, without effect on results (default: 1)"
    )


def _baseline(options: argparse.Namespace) -> None:
    from molclr.training.baselines import baseline

    if (options.encoder is None) != (options.graphs is None):
        raise MolclrError("--encoder and --graphs belong together: name the graph store of the molecules, too.")
    data, run = _run_of(options)
    h = None
    if options.encoder:
        from molclr.training.embed import embed_labelled

        h = embed_labelled(data, options.graphs, options.encoder, options.encoder_class)
    _report(baseline(data, options.output, run, options.settings, options.threads, h))


BASELINE = Command(
    "baseline",
    "train a random forest or support vector machine on ECFP4 counts or a representation",
    "molclr baseline mine.parquet --split mine.split.csv --benchmark mine --model RF --seed 0 \\\n"
    "      --task regression --metric rmse --output mine-rf",
    _baseline_arguments,
    _baseline,
)
