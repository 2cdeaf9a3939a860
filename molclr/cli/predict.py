"""The command that predicts new molecules."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from molclr import config
from molclr.cli.command import TABLE, Command, Parser, add_processes, add_smiles_column, csv_or_parquet, require_free
from molclr.cli.encoders import add_encoder_class
from molclr.errors import MolclrError
from molclr.model_names import TRAIN_MODELS


def _predict_arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.reads(
        "--model",
        "--model-path",
        "--model-paths",
        folder=None,
        required=True,
        help="folder that 'molclr train' made, or a folder or model.safetensors of 'molclr finetune'",
    )
    parser.writes(
        "--output",
        "--preds-path",
        "-o",
        type=csv_or_parquet,
        required=True,
        help="table to write: .csv or .parquet",
    )
    parser.add_argument("--use", choices=TRAIN_MODELS, help="model in the folder (default: the one that was chosen)")
    add_smiles_column(parser)
    add_processes(parser)
    parser.section("--settings", config.Compute)
    add_encoder_class(parser)
    parser.add_argument("--force", action="store_true", help="replace the output")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def _predict(options: argparse.Namespace) -> None:
    require_free(options.output, options.force)
    if not options.model.exists():
        raise MolclrError(f"There is no model '{options.model}'; name the folder that 'molclr train' made.")
    of_finetune = options.model / "model.safetensors"
    if options.model.is_dir() and not of_finetune.is_file():
        done = _with_folder(options)
    else:
        done = _with_file(options, of_finetune if options.model.is_dir() else options.model)
    if options.json:
        print(json.dumps({**done, "output": str(options.output)}))
    text = f"{done['molecules']} molecules predicted, {done['rejected']} rows rejected"
    text += f", {done['outside_domain']} outside the domain of the model" if "outside_domain" in done else ""
    print(f"{text}, see {options.output}", file=sys.stderr)


def _with_folder(options: argparse.Namespace) -> dict[str, Any]:
    """Predict with the folder of 'molclr train'."""
    from molclr.qsar.predict_folder import predict_with_folder

    how = options.settings, options.smiles_column, options.processes, options.encoder_class
    return predict_with_folder(options.table, options.model, options.output, *how, options.use)._asdict()


def _with_file(options: argparse.Namespace, model: Path) -> dict[str, Any]:
    """Predict with the model of 'molclr finetune'."""
    from molclr.qsar.predict import predict

    if options.use:
        raise MolclrError(f"'{options.model}' is one model; leave out --use.")
    how = options.settings, options.smiles_column, options.processes, options.encoder_class
    molecules, rejected = predict(options.table, model, options.output, *how)
    return {"model": str(options.model), "molecules": molecules, "rejected": rejected}


PREDICT = Command(
    "predict",
    "predict new molecules with a trained model",
    "molclr predict new.csv --model mine-model --output predictions.csv",
    _predict_arguments,
    _predict,
)
