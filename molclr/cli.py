"""The command line: one subcommand for each step of the workflow. No logic of its own; heavy imports where they are used."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, get_args

from molclr import __version__, config
from molclr.errors import MolclrError

if TYPE_CHECKING:
    from molclr.data.audit import BenchmarkFiles
    from molclr.evaluation.runs import RunMetrics


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code: 0, 1 for a mistake that the user can mend, or 130 when interrupted."""
    options = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _check_paths(options)
        options.run(options)
    except (MolclrError, OSError) as error:  # A full disk or a missing right is the user's to mend.
        print(f"molclr: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("molclr: interrupted", file=sys.stderr)
        return 130
    return 0


TABLE_HELP = {"scores": "table of all metrics to write (CSV); the others show the primary one"}
READ_ALIKE = {"benchmarks", "corpus", "embeddings", "library"}
"""Options that are only read, of which two may name the same file."""


ENCODERS = (*get_args(config.ShippedName), *get_args(config.ReleasedName))
NAMED = f"a file, or {', '.join(ENCODERS[:-1])} or {ENCODERS[-1]} (default: {config.DEFAULT_ENCODER})"


def _check_paths(options: argparse.Namespace) -> None:
    """Raise MolclrError if a file is named where a folder is wanted or the other way round, or one is written over another."""
    given = vars(options)
    output, folder = given.get("output"), given.get("folder")
    if output and output.exists() and not output.is_file():
        raise MolclrError(f"--output: '{output}' is no file; name one.")
    if place := folder or (output and output.parent):
        above = next(parent for parent in (place, *place.parents) if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise MolclrError(f"'{above}' is no folder in which something can be written; name another one.")
    used: dict[Path, str] = {}
    for name, value in given.items():
        if name == "benchmarks":
            value = [Path(file) for _, *files in value for file in files]
        for path in value if isinstance(value, list) else [value]:
            before = used.setdefault(path.resolve(), name) if isinstance(path, Path) else name
            if before != name and not {before, name} <= READ_ALIKE:
                raise MolclrError(f"'{path}' is given as {before} and as {name}; name another file.")


def _terminate(*_: object) -> NoReturn:
    """End as if by Ctrl-C when a scheduler says so, so that temporary files go."""
    raise KeyboardInterrupt


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="molclr", description="Molecular contrastive learning of representations.")
    parser.add_argument("--version", action="version", version=f"molclr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, help_text: str) -> argparse.ArgumentParser:
        name = function.__name__.removeprefix("_").replace("_", "-")
        subparser = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        subparser.set_defaults(run=function)
        return subparser

    fetch = command(_fetch, "get a data set or checkpoint from the first of its sources with the right bytes")
    fetch.add_argument("name", help="name in the catalogue, such as bbbp, zinc or official-gcn")
    fetch.add_argument(
        "--output", type=Path, required=True, help="table (CSV: smiles and targets) or checkpoint to write"
    )
    fetch.add_argument("--source", type=Path, required=True, help="JSON file that says where it came from")
    fetch.add_argument("--mirror", type=Path, help="folder with copies of data sets (default: MOLCLR_MIRROR)")

    canonicalize = command(_canonicalize, "canonical SMILES of a raw table, refused rows apart with their reason")
    canonicalize.add_argument(
        "raw", type=Path, help="table: CSV, TSV, .smi, Excel, Parquet or SDF, compressed or not; - is standard input"
    )
    canonicalize.add_argument("--molecules", type=_parquet, required=True, help="molecule table to write (Parquet)")
    canonicalize.add_argument("--rejected", type=Path, required=True, help="refused rows to write (CSV)")
    canonicalize.add_argument(
        "--smiles-column", help="column with the SMILES (default: found by its name or its content)"
    )
    canonicalize.add_argument(
        "--targets", nargs="*", help="columns with labels (default: all of numbers or classes; without a name: none)"
    )
    canonicalize.add_argument("--decimal", choices=[",", "."], help="decimal sign of labels (default: found)")
    canonicalize.add_argument(
        "--drop-first", action="store_true", help="refuse the first row, as the official code does"
    )
    canonicalize.add_argument("--labelled", action="store_true", help="refuse rows without any label")
    canonicalize.add_argument("--limit", type=_positive, help="take so many rows, evenly spaced")
    canonicalize.add_argument("--unique", action="store_true", help="keep the first of equal molecules (for a corpus)")
    canonicalize.add_argument("--processes", type=_positive, default=1, help="processes (default: 1)")

    split = command(_split, "assign every molecule to train, valid or test, 80:10:10")
    split.add_argument("molecules", type=Path, help="molecule table")
    how = split.add_mutually_exclusive_group(required=True)
    how.add_argument("--scheme", help="how to split: a name in molclr/data/splits.py, such as scaffold or random")
    how.add_argument("--given", type=Path, metavar="CSV", help="the raw table, with a column that says it (--column)")
    split.add_argument("--column", default="subset", help="its column with train, valid or test (default: subset)")
    split.add_argument("--seed", type=_natural, default=0, help="seed of a random scheme (default: 0)")
    split.add_argument("--output", type=Path, required=True, help="CSV table row,subset to write")

    featurize = command(_featurize, "the graphs of a molecule table as flat arrays in one file")
    featurize.add_argument("molecules", type=Path, help="molecule table")
    featurize.add_argument("--output", type=Path, required=True, help="graph store to write (safetensors)")
    featurize.add_argument("--explicit-hydrogens", action="store_true", help="hydrogens as atoms of their own")
    featurize.add_argument("--processes", type=_positive, default=1, help="processes (default: 1)")

    featurize.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="only the I-th of N shards")

    gather = command(_gather, "the shards of a graph store as one")
    gather.add_argument("shards", nargs="+", type=Path, help="graph stores, in order")
    gather.add_argument("--output", type=Path, required=True, help="graph store to write (safetensors)")

    audit = command(_audit, "what is in benchmarks: refused, repeated, contradicting, missing, undefined")
    _add_benchmarks(audit)
    audit.add_argument("--output", type=Path, required=True, help="table to write (CSV), a row a benchmark")
    audit.add_argument("--processes", type=_positive, default=1, help="processes (default: 1)")

    leakage = command(_leakage, "how many test molecules, and scaffolds of them, are in a corpus")
    _add_benchmarks(leakage)
    leakage.add_argument("--corpus", type=Path, required=True, help="molecule table of the corpus")
    leakage.add_argument("--output", type=Path, required=True, help="table to write (CSV), a row a benchmark")
    leakage.add_argument("--molecules", type=Path, required=True, help="table of these test molecules to write (CSV)")
    leakage.add_argument("--processes", type=_positive, default=1, help="processes (default: 1)")

    exclude = command(_exclude, "a corpus without the test molecules of benchmarks")
    _add_benchmarks(exclude)
    exclude.add_argument("--corpus", type=Path, required=True, help="molecule table of the corpus")
    exclude.add_argument(
        "--like",
        choices=["molecules", "scaffolds"],
        required=True,
        help="only these, or all that share a scaffold with one",
    )
    exclude.add_argument("--molecules", type=_parquet, required=True, help="molecule table to write (Parquet)")
    exclude.add_argument("--rejected", type=Path, required=True, help="what is left out, to write (CSV)")
    exclude.add_argument("--processes", type=_positive, default=1, help="processes (default: 1)")

    pretrain = command(_pretrain, "contrastive pre-training on a graph store; a run that was cut off continues")
    pretrain.add_argument("graphs", type=Path, help="graph store of the corpus")
    pretrain.add_argument(
        "--encoder", required=True, help="gin, gcn or the path of your own class, such as my_package.gat:GAT"
    )
    pretrain.add_argument("--folder", type=Path, required=True, help="folder for encoder, history and state")
    _add_settings(pretrain, "--shape", config.EncoderShape)
    _add_settings(pretrain, "--settings", config.Pretrain)
    pretrain.add_argument(
        "--begin-anew", action="store_true", help="keep an unfinished run of something else in FOLDER/kept, and begin"
    )
    pretrain.add_argument(
        "--checkpoint-seconds", type=float, default=300.0, metavar="S", help="time between checkpoints (default: 300)"
    )

    official = command(_import_official, "an encoder that the authors of MolCLR released, as one of ours")
    official.add_argument("checkpoint", type=Path, help="model.pth of the official code, GIN or GCN")
    official.add_argument("--output", type=Path, required=True, help="encoder to write (safetensors)")

    finetune = command(
        _finetune, "train an encoder with a prediction head on a benchmark and predict its test molecules"
    )
    _add_run(finetune)
    finetune.add_argument("--graphs", type=Path, required=True, help="graph store of the molecules")
    start = finetune.add_mutually_exclusive_group()
    start.add_argument("--encoder", default=config.DEFAULT_ENCODER, help=f"pre-trained encoder to start from: {NAMED}")
    start.add_argument("--from-scratch", metavar="NAME", help="a new encoder: gin, gcn or the path of your own class")
    _add_encoder_class(finetune)
    _add_settings(finetune, "--shape", config.EncoderShape)
    _add_settings(finetune, "--settings", config.Finetune)

    finetune.add_argument("--trial", type=_natural, help="settings of this trial of the random search, from 0")

    choose = command(_choose, "of the trials of a random search, the settings that are best on validation")
    choose.add_argument("folders", nargs="+", type=Path, help="folders of the trials")
    choose.add_argument("--chosen", type=Path, required=True, help="settings to write (YAML), as --settings takes them")
    choose.add_argument("--trials", type=Path, required=True, help="table of all trials to write (CSV)")

    predict = command(_predict, "what a fine-tuned model says of new molecules")
    predict.add_argument("table", type=Path, help="table with SMILES, as for canonicalize; - is standard input")
    predict.add_argument("--model", type=Path, required=True, help="model.safetensors of a fine-tuning")
    predict.add_argument("--output", type=Path, required=True, help="table row,smiles,TARGET,...,reason to write (CSV)")
    predict.add_argument("--smiles-column", help="column with the SMILES (default: found by its name or its content)")
    predict.add_argument("--processes", type=_positive, default=1, help="processes (default: 1)")
    _add_settings(predict, "--settings", config.Compute)
    _add_encoder_class(predict)

    baseline = command(_baseline, "random forest or support vector machine on ECFP4 counts")
    _add_run(baseline)
    _add_settings(baseline, "--settings", config.Baselines)
    baseline.add_argument("--threads", type=_positive, default=1, help="CPU threads; they decide nothing but the time")

    embed = command(_embed, "the representation of molecules as a table")
    embed.add_argument("molecules", type=Path, help="molecule table")
    embed.add_argument("--graphs", type=Path, required=True, help="its graph store")
    embed.add_argument("--encoder", default=config.DEFAULT_ENCODER, help=f"pre-trained encoder: {NAMED}")
    _add_encoder_class(embed)
    embed.add_argument("--output", type=_parquet, required=True, help="table row,smiles,embedding to write (Parquet)")
    embed.add_argument(
        "--held-out", action="store_true", help="only what pre-training held out of the table, its corpus"
    )
    embed.add_argument("--limit", type=_positive, help="take at most so many molecules, evenly spaced")
    _add_settings(embed, "--settings", config.Compute)

    neighbours = command(_neighbours, "the nearest molecules by the representation, for each of a table of embeddings")
    neighbours.add_argument("embeddings", type=Path, help="table of embeddings that is asked about (Parquet)")
    neighbours.add_argument("--library", type=Path, help="table of embeddings that is searched (default: the same)")
    neighbours.add_argument("--count", type=_positive, default=8, help="neighbours of each molecule (default: 8)")
    neighbours.add_argument("--output", type=Path, required=True, help="table to write (CSV), a row a pair")

    table = command(_table, "mean and standard deviation over the seeds, with the paper's values")
    table.add_argument("metrics", nargs="*", type=Path, help="metrics.json of the runs")
    table.add_argument("--task", choices=["classification", "regression"], required=True, help="which runs to take")
    for form in ("csv", "scores", "json", "markdown", "latex", "html"):
        table.add_argument(f"--{form}", type=Path, required=True, help=TABLE_HELP.get(form, "table to write"))
    _add_settings(table, "--settings", config.OwnBenchmarks)

    predictions = command(_predictions, "what all runs predict for their test molecules, as one table")
    predictions.add_argument(
        "metrics", nargs="*", type=Path, help="metrics.json of the runs, predictions.csv beside it"
    )
    predictions.add_argument("--output", type=Path, required=True, help="table to write (gzipped CSV)")

    figure = command(_figure, "a figure as PNG and SVG")
    figure.add_argument("kind", choices=["pretraining", "benchmarks", "tsne", "retrieval"], help="which figure")
    figure.add_argument(
        "inputs", nargs="+", type=Path, help="histories, the two tables (CSV), or one table of embeddings"
    )
    figure.add_argument("--png", type=Path, required=True, help="raster image to write")
    figure.add_argument("--svg", type=Path, required=True, help="vector image to write")
    figure.add_argument(
        "--property",
        choices=["molecular_weight", "logp", "tpsa", "rings"],
        default="logp",
        help="t-SNE: what the colours show (default: logp)",
    )
    figure.add_argument("--neighbours", type=_positive, default=8, help="retrieval: how many (default: 8)")
    figure.add_argument(
        "--query", type=int, help="retrieval: raw row number of the query (default: the first molecule)"
    )

    show = command(_show, "print the tables of a run, and where its figures are")
    show.add_argument(
        "results", nargs="?", type=Path, default=Path("results"), help="folder of results (default: results)"
    )
    return parser


def _natural(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 on")
    return int(text)


def _positive(text: str) -> int:
    """A whole number from 1 on."""
    if _natural(text) == 0:
        raise argparse.ArgumentTypeError("it has to be at least 1")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    """A shard, such as 2/8."""
    number, _, shards = text.partition("/")
    if _positive(number) > _positive(shards):
        raise argparse.ArgumentTypeError(f"there is no shard {number} of {shards}")
    return int(number), int(shards)


def _parquet(text: str) -> Path:
    """A Parquet file to write."""
    if not text.endswith(".parquet"):
        raise argparse.ArgumentTypeError(f"'{text}' will be a Parquet file; name it so, as in table.parquet")
    return Path(text)


def _add_settings(parser: argparse.ArgumentParser, option: str, section: type[config.Section]) -> None:
    parser.add_argument(
        option,
        type=str,
        default="{}",
        metavar="YAML",
        help=f"keys of '{section.__name__}' in molclr/config.py, inline or the path of a YAML file (default: its defaults)",
    )


def _add_encoder_class(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoder-class",
        metavar="PATH",
        help="path of the class of an encoder of your own that is read from a file, such as my_package.gat:GAT; its code runs",
    )


def _add_benchmarks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--benchmark",
        dest="benchmarks",
        nargs=4,
        action="append",
        required=True,
        metavar=("NAME", "MOLECULES", "REJECTED", "SPLIT"),
        help="a benchmark: its name, molecule table, rejected rows and split; may be given several times",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("molecules", type=Path, help="molecule table")
    parser.add_argument("--split", type=Path, required=True, help="its split")
    parser.add_argument("--benchmark", required=True, help="name of the data set in the tables")
    parser.add_argument("--model", required=True, help="name of the model in the tables")
    parser.add_argument("--seed", type=_natural, required=True, help="seed of the run")
    parser.add_argument("--task", choices=["classification", "regression"], required=True, help="kind of labels")
    parser.add_argument(
        "--metric",
        required=True,
        help="primary metric: a name in molclr/evaluation/metrics.py, such as roc_auc, pr_auc, rmse or mae",
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder for predictions and metrics")


def _fetch(options: argparse.Namespace) -> None:
    from molclr.data.fetch import fetch, mirror_folder

    fetch(options.name, options.output, options.source, options.mirror or mirror_folder())


def _canonicalize(options: argparse.Namespace) -> None:
    from molclr.data.canonicalize import canonicalize

    accepted, refused = canonicalize(
        options.raw,
        options.molecules,
        options.rejected,
        limit=options.limit,
        drop_first=options.drop_first,
        labelled=options.labelled,
        unique=options.unique,
        processes=options.processes,
        smiles_column=options.smiles_column,
        targets=options.targets,
        decimal=options.decimal,
    )
    print(
        f"{accepted} molecules in {options.molecules}, {refused} rows rejected, see {options.rejected}", file=sys.stderr
    )


def _split(options: argparse.Namespace) -> None:
    from molclr.data.splits import write_given_split, write_split

    if options.given:
        write_given_split(options.molecules, options.output, options.given, options.column)
    else:
        write_split(options.molecules, options.output, options.scheme, options.seed)


def _featurize(options: argparse.Namespace) -> None:
    from molclr.data.featurize import featurize

    featurize(options.molecules, options.output, options.explicit_hydrogens, options.processes, options.shard)


def _gather(options: argparse.Namespace) -> None:
    from molclr.data.featurize import gather

    gather(options.shards, options.output)


def _benchmarks(options: argparse.Namespace) -> "list[BenchmarkFiles]":
    from molclr.data.audit import BenchmarkFiles

    return [BenchmarkFiles(name, *map(Path, files)) for name, *files in options.benchmarks]


def _audit(options: argparse.Namespace) -> None:
    from molclr.data.audit import write_audit

    write_audit(_benchmarks(options), options.output, options.processes)


def _leakage(options: argparse.Namespace) -> None:
    from molclr.data.leakage import measure_leakage

    measure_leakage(_benchmarks(options), options.corpus, options.output, options.molecules, options.processes)


def _exclude(options: argparse.Namespace) -> None:
    from molclr.data.leakage import exclude

    kept, dropped = exclude(
        _benchmarks(options), options.corpus, options.like, options.molecules, options.rejected, options.processes
    )
    print(f"{kept} molecules in {options.molecules}, {dropped} left out, see {options.rejected}", file=sys.stderr)


def _pretrain(options: argparse.Namespace) -> None:
    shape = config.parse_settings(config.EncoderShape, options.shape, "--shape")
    settings = config.parse_settings(config.Pretrain, options.settings)
    from molclr.training.pretrain import pretrain

    often, anew = options.checkpoint_seconds, options.begin_anew
    pretrain(options.graphs, options.folder, options.encoder, shape, settings, often, anew)


def _import_official(options: argparse.Namespace) -> None:
    from molclr.training.official import import_official

    import_official(options.checkpoint, options.output)


def _finetune(options: argparse.Namespace) -> None:
    shape = config.parse_settings(config.EncoderShape, options.shape, "--shape")
    settings = config.parse_settings(config.Finetune, options.settings)
    from molclr.data.labelled import read_labelled
    from molclr.evaluation.runs import Run
    from molclr.representation import encoder_file
    from molclr.training.finetune import finetune
    from molclr.training.search import propose

    data = read_labelled(options.molecules, options.split)
    run = Run(options.benchmark, options.model, options.seed, options.task, options.metric, data.targets)
    start = options.from_scratch or encoder_file(options.encoder)
    if options.trial is not None:
        settings = propose(settings, options.trial)
    _tell(finetune(data, options.graphs, options.folder, run, start, settings, shape, options.encoder_class))


def _predict(options: argparse.Namespace) -> None:
    compute = config.parse_settings(config.Compute, options.settings)
    from molclr.training.predict import predict

    predicted, refused = predict(
        options.table,
        options.model,
        options.output,
        compute,
        options.smiles_column,
        options.processes,
        options.encoder_class,
    )
    print(f"{predicted} molecules predicted, {refused} rows rejected, see {options.output}", file=sys.stderr)


def _choose(options: argparse.Namespace) -> None:
    from molclr.training.search import choose

    choose(options.folders, options.chosen, options.trials)


def _baseline(options: argparse.Namespace) -> None:
    settings = config.parse_settings(config.Baselines, options.settings)
    from molclr.data.labelled import read_labelled
    from molclr.evaluation.runs import Run
    from molclr.training.baselines import baseline

    data = read_labelled(options.molecules, options.split)
    run = Run(options.benchmark, options.model, options.seed, options.task, options.metric, data.targets)
    _tell(baseline(data, options.folder, run, settings, options.threads))


def _tell(metrics: "RunMetrics") -> None:
    from molclr.evaluation.runs import summary

    print(summary(metrics), file=sys.stderr)


def _embed(options: argparse.Namespace) -> None:
    compute = config.parse_settings(config.Compute, options.settings)
    from molclr.representation import encoder_file
    from molclr.training.embed import write_embeddings

    encoder = encoder_file(options.encoder)
    write_embeddings(
        options.molecules,
        options.graphs,
        options.output,
        encoder,
        compute,
        options.held_out,
        options.limit,
        options.encoder_class,
    )


def _neighbours(options: argparse.Namespace) -> None:
    from molclr.evaluation.neighbours import write_neighbours

    library = options.library or options.embeddings
    write_neighbours(options.embeddings, library, options.output, options.count)


def _table(options: argparse.Namespace) -> None:
    from molclr.evaluation.tables import write_tables

    own = config.parse_settings(config.OwnBenchmarks, options.settings).own_benchmarks
    files = (options.csv, options.scores, options.json, options.markdown, options.latex, options.html)
    write_tables(options.metrics, options.task, own, *files)


def _predictions(options: argparse.Namespace) -> None:
    from molclr.evaluation.predictions import gather_predictions

    gather_predictions(options.metrics, options.output)


def _figure(options: argparse.Namespace) -> None:
    match options.kind:
        case "pretraining":
            from molclr.evaluation.figures.pretraining import pretraining_curves

            pretraining_curves(options.inputs, options.png, options.svg)
        case "benchmarks":
            from molclr.evaluation.figures.benchmarks import benchmark_bars

            if len(options.inputs) != 2:
                raise MolclrError("'molclr figure benchmarks' wants two tables: classification.csv and regression.csv.")
            classification, regression = options.inputs
            benchmark_bars(classification, regression, options.png, options.svg)
        case "tsne":
            from molclr.evaluation.figures.tsne import tsne

            tsne(options.inputs[0], options.png, options.svg, options.property)
        case "retrieval":
            from molclr.evaluation.figures.retrieval import retrieval

            retrieval(options.inputs[0], options.png, options.svg, options.neighbours, options.query)


def _show(options: argparse.Namespace) -> None:
    from molclr.evaluation.tables import terminal_summary

    tables = [options.results / "tables" / f"{task}.md" for task in ("classification", "regression")]
    print(terminal_summary(tables, sorted(options.results.glob("figures/*.png"))))


if __name__ == "__main__":
    sys.exit(main())
