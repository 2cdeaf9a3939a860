"""The command that trains models on a table of molecules with labels."""

import argparse
import json
from typing import TYPE_CHECKING, get_args

from molclr import config
from molclr.cli.command import TABLE, Command, Parser, add_decimal, add_desalt, add_smiles_column, natural, positive
from molclr.cli.encoders import NAMES, add_encoder_class
from molclr.definitions import keys_of
from molclr.errors import MolclrError
from molclr.model_names import DEFAULT_ENCODER, FROM_SCRATCH, TRAIN_MODELS
from molclr.progress import say

if TYPE_CHECKING:
    from molclr.qsar.fit import Recipe


SCHEMES_OF_CHEMPROP = {"scaffold_balanced": "scaffold", "random_with_repeated_smiles": "random"}
"""Names of split schemes in chemprop -> the name here, where they differ."""


def _split(text: str) -> str:
    """Parse a split scheme, in any case, or the name of a column."""
    scheme = SCHEMES_OF_CHEMPROP.get(text.lower(), text.lower())
    return scheme if scheme in keys_of("molclr.data.splits:SCHEMES") else text


def _train_arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.writes(
        "--output",
        "--output-dir",
        "--save-dir",
        "-o",
        folder=True,
        model=True,
        required=True,
        help="folder to write, with the models and their scores",
    )
    parser.add_argument(
        "--task",
        "--task-type",
        choices=get_args(config.Task),
        help="kind of labels (default: classification if all labels are 0 or 1, otherwise regression)",
    )
    parser.add_argument(
        "--targets",
        "--target-columns",
        nargs="+",
        help="columns with labels (default: all columns of numbers or classes, except identifiers)",
    )
    add_smiles_column(parser)
    add_decimal(parser)
    add_desalt(parser)
    parser.add_argument(
        "--split",
        "--split-type",
        type=_split,
        default="scaffold",
        metavar="SCHEME",
        help="scaffold (default), random, butina (clusters by ECFP4), or a column of the table with train, valid and test",
    )
    parser.add_argument(
        "--split-seed", "--data-seed", type=natural, default=0, help="seed of a random or butina split (default: 0)"
    )
    parser.add_argument("--refit", action="store_true", help="after scoring, fit the chosen model to all molecules")
    _add_models(parser)
    parser.add_argument("--force", action="store_true", help="replace a model in the folder")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")


def _add_models(parser: Parser) -> None:
    """Add the arguments that decide which models are fitted and how."""
    parser.add_argument(
        "--encoder",
        default=DEFAULT_ENCODER,
        help=f"encoder to start from: {', '.join(NAMES)}, a file, or {FROM_SCRATCH} for a new GIN (default: "
        f"{DEFAULT_ENCODER})",
    )
    add_encoder_class(parser)
    parser.add_argument(
        "--model",
        choices=("auto", *TRAIN_MODELS),
        default="auto",
        help="model to train (default: auto: train all and keep the best)",
    )
    parser.add_argument(
        "--seeds", "--ensemble-size", type=positive, default=3, help="networks in the ensemble (default: 3)"
    )
    parser.add_argument("--epochs", type=positive, help="maximum number of epochs of a network (default: 100)")
    parser.add_argument(
        "--patience",
        type=positive,
        default=20,
        help="stop a network after this many epochs without a better validation score (default: 20)",
    )
    parser.section("--settings", config.Finetune)
    parser.section("--shape", config.EncoderShape)
    parser.section("--baselines", config.Baselines)


def _recipe_of(options: argparse.Namespace) -> "Recipe":
    """Return the models to fit."""
    from molclr.qsar.fit import Recipe, with_given

    if options.shape.model_fields_set and options.encoder != FROM_SCRATCH:
        raise MolclrError(
            f"--shape is that of a new encoder, and '{options.encoder}' has its own; leave it out, or add --encoder none."
        )
    return Recipe(
        encoder=options.encoder,
        model=options.model,
        seeds=options.seeds,
        patience=options.patience,
        settings=with_given(options.settings, {"epochs": options.epochs} if options.epochs else {}, dashes="--"),
        shape=options.shape,
        baselines=options.baselines,
        encoder_class=options.encoder_class,
    )


def _train(options: argparse.Namespace) -> None:
    from molclr.qsar.summary import summary
    from molclr.qsar.train import TrainingRequest, train

    asked = TrainingRequest(
        table=options.table,
        output=options.output,
        recipe=_recipe_of(options),
        task=options.task,
        targets=options.targets,
        smiles_column=options.smiles_column,
        decimal=options.decimal,
        desalt=options.desalt,
        split=options.split,
        split_seed=options.split_seed,
        refit=options.refit,
        replace=options.force,
    )
    metrics = train(asked)
    print(json.dumps(metrics, indent=2) if options.json else "\n".join(summary(metrics)))
    say(f"the model is in {options.output}")


TRAIN = Command(
    "train",
    "train models on a table of molecules with labels, and keep the best",
    "molclr train mine.csv --output mine-model",
    _train_arguments,
    _train,
)
