"""The command that explains predictions."""

import argparse
import json

from molclr import config
from molclr.cli.command import TABLE, Command, Parser, add_processes, add_smiles_column, csv_or_parquet, require_free
from molclr.cli.encoders import add_encoder_class
from molclr.cli.predict import MODEL
from molclr.model_names import TRAIN_MODELS
from molclr.progress import counted, say


def _explain_arguments(parser: Parser) -> None:
    parser.reads("table", help=TABLE)
    parser.reads("--model", folder=None, required=True, help=MODEL)
    parser.writes("--output", "-o", type=csv_or_parquet, required=True, help="table to write: .csv or .parquet")
    parser.writes(
        "--figure",
        folder=None,
        help="molecules with coloured atoms: a page (.html), a drawing (.svg) or a folder of drawings",
    )
    parser.add_argument(
        "--use", choices=TRAIN_MODELS, help="model of the folder to use (default: the one that 'train' chose)"
    )
    parser.add_argument("--targets", nargs="+", help="targets to explain (default: all)")
    add_smiles_column(parser)
    add_processes(parser)
    parser.section("--settings", config.Compute)
    add_encoder_class(parser)
    parser.add_argument("--force", action="store_true", help="replace output and figure")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def _explain(options: argparse.Namespace) -> None:
    from molclr.qsar.explain_table import explain_table

    require_free(options.output, options.force)
    if options.figure and not options.figure.is_dir():
        require_free(options.figure, options.force)
    done = explain_table(
        options.table,
        options.model,
        options.output,
        options.settings,
        figure=options.figure,
        smiles_column=options.smiles_column,
        processes=options.processes,
        encoder_class=options.encoder_class,
        use=options.use,
        targets=options.targets,
        force=options.force,
    )
    if options.json:
        print(json.dumps(done, indent=2))
    figure = f" and {options.figure}" if options.figure else ""
    explained, rejected = counted(done["explained"], "molecule"), counted(done["rejected"], "row")
    say(f"{explained} explained, {rejected} rejected, see {options.output}{figure}")


EXPLAIN = Command(
    "explain",
    "compute the contribution of each atom to a prediction, as a table and drawings",
    "molclr explain new.csv --model mine-model --output explained.csv --figure explained.html",
    _explain_arguments,
    _explain,
)
