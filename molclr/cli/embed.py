"""The command that writes representations of the molecules of a table."""

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from molclr import config
from molclr.cli.command import (
    TABLE,
    Command,
    Parser,
    add_desalt,
    add_processes,
    add_smiles_column,
    csv_or_parquet,
    require_free,
)
from molclr.cli.encoders import add_encoder, add_encoder_class
from molclr.library import OnRejected
from molclr.progress import counted, say

if TYPE_CHECKING:
    from molclr.library.embedder import Embedder


def add_embedder(parser: Parser) -> None:
    """Add the options for what embeds molecules: an encoder or a fine-tuned model, and how it computes."""
    either = parser.add_mutually_exclusive_group()
    add_encoder(parser, "pre-trained encoder", either)
    parser.reads(
        "--model",
        folder=None,
        to=either,
        help="fine-tuned networks instead of an encoder: a folder of 'molclr train' or a model.safetensors of 'finetune'",
    )
    add_encoder_class(parser)
    add_smiles_column(parser)
    add_desalt(parser)
    add_processes(parser)
    parser.section("--settings", config.Compute)


def embedder_of(options: argparse.Namespace) -> "Embedder":
    """Load what the options of `add_embedder` name."""
    from molclr.library.embedder import finetuned_embedder, pretrained_embedder
    from molclr.training.encoder_files import encoder_file

    how = options.settings, options.encoder_class
    if options.model is not None:
        embedder = finetuned_embedder(options.model, *how)
    else:
        embedder = pretrained_embedder(encoder_file(options.encoder), *how)
    return replace(embedder, desalt=embedder.desalt or options.desalt)


def _arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.writes(
        "--output",
        "-o",
        type=csv_or_parquet,
        required=True,
        help="table to write (.parquet, or .csv with a column per number): the columns of the table, canonical_smiles, embedding",
    )
    parser.add_argument(
        "--on-error",
        choices=get_args(OnRejected),
        default="keep",
        help="rejected rows: keep them with the reason and no vector (default), drop them, or raise an error",
    )
    add_embedder(parser)
    parser.add_argument("--force", action="store_true", help="replace the output")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def _run(options: argparse.Namespace) -> None:
    from molclr.library.embed_table import embed_table

    require_free(options.output, options.force)
    summary = embed_table(
        options.table,
        options.output,
        embedder_of(options),
        options.on_error,
        options.smiles_column,
        options.processes,
    )
    if options.json:
        print(json.dumps(summary, indent=2))
    embedded, rejected = counted(summary["accepted"], "molecule"), counted(summary["rejected"], "row")
    say(
        f"{embedded} embedded with {summary['encoder']} ({summary['dimensions']} numbers each), {rejected} rejected, "
        f"see {options.output}"
    )


EMBED = Command(
    "embed",
    "write the representation of the molecules of a table",
    "molclr embed library.csv --output library.h.parquet\n"
    "molclr embed library.csv --model mine-model --on-error drop --output library.h.csv",
    _arguments,
    _run,
)
