"""Predictions for new molecules with a fine-tuned model; see `molclr.qsar.predict_folder` for those of 'molclr train'."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from molclr.chem.seen import warn_of_unseen
from molclr.config import Compute
from molclr.data.canonicalize import canonicalize
from molclr.data.featurize import featurize
from molclr.data.molecules import read_molecules, read_rejections
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.progress import say
from molclr.training.device import prepare
from molclr.training.finetune import load_model
from molclr.training.graphs import graphs_on
from molclr.training.inference import predict_molecules


def predict(
    table: Path,
    model: Path,
    output: Path,
    compute: Compute,
    smiles_column: str | None = None,
    processes: int = 1,
    encoder_class: str | None = None,
) -> tuple[int, int]:
    """Predict the molecules of a raw table with a fine-tuned model; return the numbers of predicted and rejected rows.

    table: as for `canonicalize`. model: a model.safetensors. output: CSV, or Parquet if its name ends in .parquet, with all rows
    of `table` in order and the columns `row` (from 0), `smiles` (canonical; as given in rejected rows), one per target (the
    probability of class 1, or a value in the target's unit) and `reason`. Rejected rows have a reason and no prediction.
    Hydrogens are treated as in training. encoder_class: see `molclr.training.checkpoint.stored_encoder`. Prints a warning with
    the number of molecules that have features the encoder never saw in pre-training. Raises MolclrError if a file is missing or
    invalid, or all rows are rejected.
    """
    if output.resolve() in [
        model.with_name(name).resolve() for name in ("predictions.csv", "metrics.json", "history.csv")
    ]:
        raise MolclrError(f"The output '{output}' is a file of the run that made the model; choose another file.")
    predictor, run, explicit_hydrogens, seen = load_model(model, encoder_class)
    device = prepare(compute)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as folder:
        molecules, rejections, store = (Path(folder, name) for name in ("parquet", "csv", "safetensors"))
        canonicalize(table, molecules, rejections, smiles_column=smiles_column, targets=[], processes=processes)
        featurize(molecules, store, explicit_hydrogens, processes)
        accepted, rejected = read_molecules(molecules), read_rejections(rejections)
        places = np.arange(len(accepted))
        graphs = graphs_on(device, GraphStore(store), places, predictor.to(device).encoder)
        values = predict_molecules(predictor, graphs, places)
    if warning := warn_of_unseen(seen, accepted["smiles"].tolist(), explicit_hydrogens):
        say(f"warning: {warning}")
    targets = list(run.targets)
    predicted = accepted.join(pd.DataFrame(values, columns=targets))
    rows = pd.concat([predicted, rejected]).sort_values("row")[["row", "smiles", *targets, "reason"]]
    with replacing(output) as temporary:
        if output.suffix == ".parquet":
            rows.to_parquet(temporary, index=False)
        else:
            rows.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")
    return len(accepted), len(rejected)
