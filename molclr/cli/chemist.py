"""Commands from a table of molecules to predictions."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from molclr import config
from molclr.cli.command import Command, Parser, add_processes, positive, require_free
from molclr.cli.encoders import NAMES, add_encoder_class
from molclr.errors import MolclrError

FROM_SCRATCH = "none"
MODELS = ("auto", "network", "rf", "svm", "representation")
TABLE = "table: CSV, TSV, .smi, Excel, Parquet or SDF, compressed or not; - is standard input"


def _train_arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.writes(
        "--output", folder=True, required=True, help="folder to write, with the models and what they are worth"
    )
    parser.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="kind of labels (default: by the labels, 0 and 1 or not)",
    )
    parser.add_argument("--targets", nargs="+", help="columns with labels (default: all of numbers or classes)")
    parser.add_argument("--smiles-column", help="column with the SMILES (default: found by its name or its content)")
    parser.add_argument("--decimal", choices=[",", "."], help="decimal sign of labels (default: found)")
    parser.add_argument(
        "--split",
        default="scaffold",
        help="scaffold (default), random, or a column of the table with train, valid and test",
    )
    parser.add_argument(
        "--encoder",
        default=config.DEFAULT_ENCODER,
        help=f"encoder to start from: {', '.join(NAMES)}, a file, or {FROM_SCRATCH} for a new GIN (default: "
        f"{config.DEFAULT_ENCODER})",
    )
    add_encoder_class(parser)
    parser.add_argument(
        "--model", choices=MODELS, default="auto", help="model to fit; auto: all, of which the best is kept"
    )
    parser.add_argument("--seeds", type=positive, default=3, help="networks in the ensemble (default: 3)")
    parser.add_argument("--epochs", type=positive, help="most epochs of a network (default: 100)")
    parser.section("--settings", config.Finetune)
    parser.section("--shape", config.EncoderShape)
    parser.section("--baselines", config.Baselines)
    parser.add_argument("--force", action="store_true", help="replace a model in the folder")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")


def _train(options: argparse.Namespace) -> None:
    from molclr.representation import encoder_file
    from molclr.training.assess import summary
    from molclr.training.train import Training, train

    from_scratch = options.encoder == FROM_SCRATCH
    asked = Training(
        table=options.table,
        output=options.output,
        start="gin" if from_scratch else encoder_file(options.encoder),
        encoder=Path(options.encoder).name,  # A folder is shared, and a path says too much.
        task=options.task,
        targets=options.targets,
        smiles_column=options.smiles_column,
        decimal=options.decimal,
        split=options.split,
        model=options.model,
        seeds=options.seeds,
        settings=options.settings.model_copy(update={"epochs": options.epochs} if options.epochs else {}),
        shape=options.shape,
        baselines=options.baselines,
        encoder_class=options.encoder_class,
        replace=options.force,
    )
    metrics = train(asked)
    print(json.dumps(metrics, indent=2) if options.json else "\n".join(summary(metrics)))
    print(f"molclr: the model is in {options.output}", file=sys.stderr)


TRAIN = Command(
    "train",
    "train models on a table of molecules with labels, and keep the best",
    "molclr train mine.csv --output mine-model",
    _train_arguments,
    _train,
)


def _predict_arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.reads(
        "--model",
        folder=None,
        required=True,
        help="folder of 'molclr train', or a model.safetensors of 'molclr finetune'",
    )
    parser.writes("--output", required=True, help="table to write (CSV, or Parquet if it is called .parquet)")
    parser.add_argument("--use", choices=MODELS[1:], help="model in the folder (default: the one that was chosen)")
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
