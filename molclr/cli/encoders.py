"""Commands that make encoders, and represent the molecules of a graph store with them."""

import argparse
from pathlib import Path
from typing import get_args

from molclr import config
from molclr.cli.command import Command, Parser, add_smiles_column, parquet, positive
from molclr.model_names import DEFAULT_ENCODER, ReleasedName, ShippedName

NAMES = (*get_args(ShippedName), *get_args(ReleasedName))
"""Encoders that have a name in place of a file."""


def add_encoder(parser: Parser, purpose: str, to: argparse._ActionsContainer | None = None) -> None:
    """Add the option for a pre-trained encoder, a file or a name."""
    named = f"a file, or {', '.join(NAMES[:-1])} or {NAMES[-1]} (default: {DEFAULT_ENCODER})"
    parser.reads("--encoder", to=to, type=_encoder, default=DEFAULT_ENCODER, help=f"{purpose}: {named}")


def _encoder(text: str) -> str | Path:
    """Parse the name of an encoder, or the path of a file."""
    return text if text in NAMES else Path(text)


def add_encoder_class(parser: Parser) -> None:
    """Add the option for a user-defined encoder class."""
    parser.add_argument(
        "--encoder-class",
        metavar="PATH",
        help="import path of your own encoder class, such as my_package.gat:GAT, if the file has its weights; runs its code",
    )


def _pretrain_arguments(parser: Parser) -> None:
    parser.reads(
        "corpus",
        help="table with SMILES, such as a CSV or .smi file, or a molecule table or graph store made of one",
    )
    parser.add_argument(
        "--encoder", default="gin", help="gin (default), gcn or the path of your own class, such as my_package.gat:GAT"
    )
    parser.writes("--output", folder=True, required=True, help="folder for encoder, history and state")
    add_smiles_column(parser)
    parser.add_argument("--processes", type=positive, help="processes that prepare the corpus (default: all cores)")
    parser.section("--shape", config.EncoderShape)
    parser.section("--settings", config.Pretrain)
    parser.add_argument(
        "--begin-anew",
        action="store_true",
        help="move an unfinished run with other inputs to OUTPUT/kept, and start a new one",
    )
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=300.0, metavar="S", help="time between checkpoints (default: 300)"
    )


def _pretrain(options: argparse.Namespace) -> None:
    from molclr.data.prepare import prepare_corpus
    from molclr.progress import say
    from molclr.training.pretrain import pretrain

    prepared = options.output / "corpus"
    graphs = prepare_corpus(options.corpus, prepared, options.smiles_column, options.processes)
    often, anew = options.checkpoint_seconds, options.begin_anew
    pretrain(graphs, options.output, options.encoder, options.shape, options.settings, often, anew)
    made = "" if graphs == options.corpus else f"; the molecules and graphs that it was trained on are in '{prepared}'"
    say(f"'{options.output / 'encoder.safetensors'}' is the encoder of the best epoch{made}.")


PRETRAIN = Command(
    "pretrain",
    "pre-train an encoder on unlabelled molecules by contrastive learning; an interrupted run continues",
    "molclr pretrain corpus.smi --output encoder",
    _pretrain_arguments,
    _pretrain,
)


def _import_official_arguments(parser: Parser) -> None:
    parser.reads("checkpoint", help="model.pth of the official code, GIN or GCN")
    parser.writes("--output", required=True, help="encoder to write (safetensors)")


def _import_official(options: argparse.Namespace) -> None:
    from molclr.training.official import import_official

    import_official(options.checkpoint, options.output)


IMPORT_OFFICIAL = Command(
    "import-official",
    "convert an encoder that the authors of MolCLR released",
    "molclr import-official model.pth --output official-gcn.safetensors",
    _import_official_arguments,
    _import_official,
)


def _embed_store_arguments(parser: Parser) -> None:
    parser.reads("molecules", help="molecule table, made by canonicalize (Parquet)")
    parser.reads("--graphs", required=True, help="graph store of the molecule table, made by featurize")
    add_encoder(parser, "pre-trained encoder")
    add_encoder_class(parser)
    parser.writes("--output", type=parquet, required=True, help="table row,smiles,embedding (Parquet)")
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="only molecules that pre-training held out; the table must be its corpus",
    )
    parser.add_argument("--limit", type=positive, help="use at most this number of molecules, evenly spaced")
    parser.section("--settings", config.Compute)


def _embed_store(options: argparse.Namespace) -> None:
    from molclr.training.embed import write_embeddings
    from molclr.training.encoder_files import encoder_file

    write_embeddings(
        options.molecules,
        options.graphs,
        options.output,
        encoder_file(options.encoder),
        options.settings,
        options.held_out,
        options.limit,
        options.encoder_class,
    )


EMBED_STORE = Command(
    "embed-store",
    "write the representation of the molecules of a graph store as a table",
    "molclr embed-store zinc.parquet --graphs zinc.safetensors --output zinc.h.parquet",
    _embed_store_arguments,
    _embed_store,
)
