"""The command that predicts new molecules."""

import argparse
import sys
from typing import Any

from molclr import config
from molclr.cli.command import TABLE, Command, Parser, add_processes, require_free
from molclr.cli.encoders import add_encoder_class
from molclr.cli.train import MODELS
from molclr.errors import MolclrError


def _predict_arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.reads(
        "--model",
        folder=None,
        required=True,
        help="folder of 'molclr train', or a model.safetensors of 'molclr finetune'",
    )
    parser.writes("--output", required=True, help="table to write (CSV, or Parquet if it is called .parquet)")
    parser.add_argument("--use", choices=MODELS, help="model in the folder (default: the one that was chosen)")
    parser.add_argument("--smiles-column", help="column with the SMILES (default: found by its name or its content)")
    add_processes(parser)
    parser.section("--settings", config.Compute)
    add_encoder_class(parser)
    parser.add_argument("--force", action="store_true", help="replace the output")


def _predict(options: argparse.Namespace) -> None:
    from molclr.training.predict import predict, predict_with_folder

    require_free(options.output, options.force)
    more: dict[str, Any] = {"use": options.use} if options.model.is_dir() else {}
    if options.use and not more:
        raise MolclrError(f"'{options.model}' is one model; leave out --use.")
    predicted, rejected = (predict_with_folder if options.model.is_dir() else predict)(
        options.table,
        options.model,
        options.output,
        options.settings,
        options.smiles_column,
        options.processes,
        options.encoder_class,
        **more,
    )
    print(f"{predicted} molecules predicted, {rejected} rows rejected, see {options.output}", file=sys.stderr)


PREDICT = Command(
    "predict",
    "predict new molecules with a trained model",
    "molclr predict new.csv --model mine-model --output predictions.csv",
    _predict_arguments,
    _predict,
)
