"""The command that predicts new molecules."""

import argparse
import json

from molclr import config
from molclr.cli.command import TABLE, Command, Parser, add_processes, add_smiles_column, csv_or_parquet, require_free
from molclr.cli.encoders import add_encoder_class
from molclr.model_names import TRAIN_MODELS
from molclr.progress import counted, say

MODEL = "folder that 'molclr train' made, or a folder or model.safetensors of 'molclr finetune'"


def _predict_arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.reads(
        "--model",
        "--model-path",
        "--model-paths",
        folder=None,
        required=True,
        help=MODEL,
    )
    parser.writes(
        "--output",
        "--preds-path",
        "-o",
        type=csv_or_parquet,
        required=True,
        help="table to write: .csv or .parquet",
    )
    parser.add_argument(
        "--use", choices=TRAIN_MODELS, help="model of the folder to use (default: the one that 'train' chose)"
    )
    add_smiles_column(parser)
    add_processes(parser)
    parser.section("--settings", config.Compute)
    add_encoder_class(parser)
    parser.add_argument("--force", action="store_true", help="replace the output")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def _predict(options: argparse.Namespace) -> None:
    from molclr.qsar.predict import predict

    require_free(options.output, options.force)
    how = options.settings, options.smiles_column, options.processes, options.encoder_class, options.use
    done = predict(options.table, options.model, options.output, *how)
    if options.json:
        print(json.dumps({**done._asdict(), "output": str(options.output)}))
    text = f"{counted(done.molecules, 'molecule')} predicted, {counted(done.rejected, 'row')} rejected"
    text += "" if done.outside_domain is None else f", {done.outside_domain} outside the domain of the model"
    say(f"{text}, see {options.output}")


PREDICT = Command(
    "predict",
    "predict new molecules with a trained model",
    "molclr predict new.csv --model mine-model --output predictions.csv",
    _predict_arguments,
    _predict,
)
