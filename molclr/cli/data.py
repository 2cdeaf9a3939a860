"""Commands that make molecule tables, splits and graph stores."""

import argparse
from pathlib import Path
from typing import get_args

from molclr.cli.command import (
    TABLE,
    Command,
    Parser,
    add_decimal,
    add_desalt,
    add_processes,
    add_smiles_column,
    natural,
    parquet,
    positive,
)
from molclr.config import Exclusion
from molclr.progress import counted, say


def _fetch_arguments(parser: Parser) -> None:
    parser.add_argument("name", help="name in the catalogue, such as bbbp, zinc or official-gcn")
    parser.writes("--output", required=True, help="table (CSV: smiles and targets) or checkpoint to write")
    parser.writes("--source", required=True, help="JSON file to write, with the source of the data")
    parser.reads("--mirror", folder=True, help="folder with copies of data sets (default: MOLCLR_MIRROR)")


def _fetch(options: argparse.Namespace) -> None:
    from molclr.data.fetch import fetch, mirror_folder

    fetch(options.name, options.output, options.source, options.mirror or mirror_folder())


FETCH = Command(
    "fetch",
    "download a data set or checkpoint from the first source with the expected content",
    "molclr fetch bbbp --output bbbp.csv --source bbbp.source.json",
    _fetch_arguments,
    _fetch,
)


def _canonicalize_arguments(parser: Parser) -> None:
    parser.reads("raw", help=TABLE)
    parser.writes("--molecules", type=parquet, required=True, help="molecule table to write (Parquet)")
    parser.writes("--rejected", required=True, help="rejected rows to write (CSV)")
    add_smiles_column(parser)
    parser.add_argument(
        "--targets",
        nargs="*",
        help="columns with labels (default: all columns of numbers or classes; without a name: none)",
    )
    add_decimal(parser)
    parser.add_argument("--drop-first", action="store_true", help="reject the first row, as the official code does")
    parser.add_argument("--labelled", action="store_true", help="reject rows without any label")
    parser.add_argument("--limit", type=positive, help="use only this number of rows, evenly spaced")
    parser.add_argument("--unique", action="store_true", help="keep only the first of equal molecules (for a corpus)")
    add_desalt(parser)
    add_processes(parser)


def _canonicalize(options: argparse.Namespace) -> None:
    from molclr.data.canonicalize import Selection, canonicalize

    selection = Selection(
        smiles_column=options.smiles_column,
        targets=options.targets,
        decimal=options.decimal,
        limit=options.limit,
        drop_first=options.drop_first,
        labelled=options.labelled,
        unique=options.unique,
        desalt=options.desalt,
    )
    accepted, rejected = canonicalize(
        options.raw, options.molecules, options.rejected, selection, processes=options.processes
    )
    say(
        f"{counted(accepted, 'molecule')} in {options.molecules}, {counted(rejected, 'row')} rejected, see {options.rejected}"
    )


CANONICALIZE = Command(
    "canonicalize",
    "convert a raw table to canonical SMILES and labels; list rejected rows with their reasons",
    "molclr canonicalize mine.csv --targets logS --molecules mine.parquet --rejected mine.rejected.csv",
    _canonicalize_arguments,
    _canonicalize,
)


def _split_arguments(parser: Parser) -> None:
    parser.reads("molecules", help="molecule table")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--scheme", help="how to split: a name in molclr/data/splits.py, such as scaffold or random")
    parser.reads(
        "--given", to=how, metavar="CSV", help="the raw table, if one of its columns contains the split (--column)"
    )
    parser.add_argument("--column", default="subset", help="that column, with train, valid or test (default: subset)")
    parser.add_argument("--seed", type=natural, default=0, help="seed of a random choice (default: 0)")
    parser.writes("--output", required=True, help="CSV table row,subset to write")


def _split(options: argparse.Namespace) -> None:
    from molclr.data.splits import write_given_split, write_split

    if options.given:
        write_given_split(options.molecules, options.output, options.given, options.column, options.seed)
    else:
        write_split(options.molecules, options.output, options.scheme, options.seed)


SPLIT = Command(
    "split",
    "assign every molecule to train, valid or test, 80:10:10",
    "molclr split mine.parquet --scheme scaffold --output mine.split.csv",
    _split_arguments,
    _split,
)


def _featurize_arguments(parser: Parser) -> None:
    parser.reads("molecules", help="molecule table")
    parser.writes("--output", required=True, help="graph store to write (safetensors)")
    parser.add_argument("--explicit-hydrogens", action="store_true", help="make hydrogens explicit atoms")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="only the I-th of N shards")
    add_processes(parser)


def _shard(text: str) -> tuple[int, int]:
    """Parse a shard, such as 2/8."""
    number, _, shards = text.partition("/")
    if positive(number) > positive(shards):
        raise argparse.ArgumentTypeError(f"there is no shard {number} of {shards}; I/N needs I from 1 to N")
    return int(number), int(shards)


def _featurize(options: argparse.Namespace) -> None:
    from molclr.data.featurize import featurize

    featurize(options.molecules, options.output, options.explicit_hydrogens, options.processes, options.shard)


FEATURIZE = Command(
    "featurize",
    "convert a molecule table to a graph store, one file with the graphs as flat arrays",
    "molclr featurize mine.parquet --output mine.safetensors --processes 8",
    _featurize_arguments,
    _featurize,
)


def _join_arguments(parser: Parser) -> None:
    parser.reads("shards", nargs="+", help="graph stores, in order")
    parser.writes("--output", required=True, help="graph store to write (safetensors)")


def _join(options: argparse.Namespace) -> None:
    from molclr.data.featurize import join_stores

    join_stores(options.shards, options.output)


JOIN = Command(
    "join",
    "join the shards of a graph store into one",
    "molclr join 1.safetensors 2.safetensors --output whole.safetensors",
    _join_arguments,
    _join,
)


class _Benchmark(argparse.Action):
    """Append a name and the paths that follow it."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        name, *files = values
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), (name, *map(Path, files))])


def add_benchmarks(parser: Parser, required: bool = True) -> None:
    """Add the option for the files of benchmarks."""
    parser.reads(
        "--benchmark",
        dest="benchmarks",
        nargs=4,
        action=_Benchmark,
        required=required,
        metavar=("NAME", "MOLECULES", "REJECTED", "SPLIT"),
        help="a benchmark: its name, molecule table, rejected rows and split; may be given several times",
    )


def _audit_arguments(parser: Parser) -> None:
    add_benchmarks(parser)
    parser.writes("--output", required=True, help="table to write (CSV), one row per benchmark")
    add_processes(parser)


def _audit(options: argparse.Namespace) -> None:
    from molclr.data.audit import write_audit
    from molclr.data.molecules import BenchmarkFiles

    write_audit([BenchmarkFiles(*files) for files in options.benchmarks], options.output, options.processes)


AUDIT = Command(
    "audit",
    "count rejections, duplicates, conflicting and missing labels, and undefined stereochemistry",
    "molclr audit --benchmark mine mine.parquet mine.rejected.csv mine.split.csv --output mine.audit.csv",
    _audit_arguments,
    _audit,
)


def _leakage_arguments(parser: Parser) -> None:
    add_benchmarks(parser)
    parser.reads("--corpus", required=True, help="molecule table of the corpus")
    parser.writes("--output", required=True, help="table to write (CSV), one row per benchmark")
    parser.writes(
        "--molecules", required=True, help="table of the test molecules that are in the corpus, to write (CSV)"
    )
    add_processes(parser)


def _leakage(options: argparse.Namespace) -> None:
    from molclr.data.leakage import measure_leakage
    from molclr.data.molecules import BenchmarkFiles

    benchmarks = [BenchmarkFiles(*files) for files in options.benchmarks]
    measure_leakage(benchmarks, options.corpus, options.output, options.molecules, options.processes)


LEAKAGE = Command(
    "leakage",
    "count the test molecules whose structure or scaffold is in a corpus",
    "molclr leakage --benchmark mine mine.parquet mine.rejected.csv mine.split.csv --corpus zinc.parquet \\\n"
    "      --output leakage.csv --molecules leaked.csv",
    _leakage_arguments,
    _leakage,
)


def _exclude_arguments(parser: Parser) -> None:
    add_benchmarks(parser)
    parser.reads("--corpus", required=True, help="molecule table of the corpus")
    parser.add_argument(
        "--like",
        choices=get_args(Exclusion),
        required=True,
        help="exclude only the test molecules, or all molecules that share a scaffold with one",
    )
    parser.writes("--molecules", type=parquet, required=True, help="molecule table to write (Parquet)")
    parser.writes("--rejected", required=True, help="table of the excluded molecules to write (CSV)")
    add_processes(parser)


def _exclude(options: argparse.Namespace) -> None:
    from molclr.data.leakage import exclude
    from molclr.data.molecules import BenchmarkFiles

    kept, dropped = exclude(
        [BenchmarkFiles(*files) for files in options.benchmarks],
        options.corpus,
        options.like,
        options.molecules,
        options.rejected,
        options.processes,
    )
    say(f"{counted(kept, 'molecule')} in {options.molecules}, {dropped} excluded, see {options.rejected}")


EXCLUDE = Command(
    "exclude",
    "exclude the test molecules of benchmarks from a corpus",
    "molclr exclude --benchmark mine mine.parquet mine.rejected.csv mine.split.csv --corpus zinc.parquet \\\n"
    "      --like scaffolds --molecules zinc.clean.parquet --rejected left_out.csv",
    _exclude_arguments,
    _exclude,
)
