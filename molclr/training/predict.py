"""What a fine-tuned model says of new molecules."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from molclr.chem.seen import warn_of_unseen
from molclr.config import Compute
from molclr.data.canonicalize import canonicalize
from molclr.data.featurize import featurize
from molclr.data.molecules import read_molecules, read_refusals
from molclr.data.store import GraphStore
from molclr.distributed import tell
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.training.device import prepare
from molclr.training.finetune import load_predictor
from molclr.training.graphs import graphs_on


def predict(
    table: Path,
    model: Path,
    output: Path,
    compute: Compute,
    smiles_column: str | None = None,
    processes: int = 1,
    encoder_class: str | None = None,
) -> tuple[int, int]:
    """Predict the molecules of a raw table with the model.safetensors of a fine-tuning; return how many, and refused rows.

    `output` (CSV) has every row of `table` in its order: `row` (from 0), `smiles` (canonical; as given where it is refused), a
    column a target with the probability of class 1 or a value in the target's unit, and `reason`. Where a row is refused there
    is a reason and no prediction. Hydrogens are treated as in training. encoder_class: see
    `molclr.training.checkpoint.stored_encoder`. Tells on standard error how many molecules have what the encoder never saw in
    pre-training. Raises MolclrError if the files are not what they should be, or every row is refused.
    """
    if output.resolve() in [
        model.with_name(name).resolve() for name in ("predictions.csv", "metrics.json", "history.csv")
    ]:
        raise MolclrError(f"'{output}' belongs to the run that made the model; name another file.")
    predictor, explicit_hydrogens = load_predictor(model, encoder_class)
    device = prepare(compute)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as folder:
        molecules, rejected, graphs = (Path(folder, name) for name in ("parquet", "csv", "safetensors"))
        canonicalize(table, molecules, rejected, smiles_column=smiles_column, targets=[], processes=processes)
        featurize(molecules, graphs, explicit_hydrogens, processes)
        accepted, refused = read_molecules(molecules), read_refusals(rejected)
        molecules_here = np.arange(len(accepted))
        here = graphs_on(device, GraphStore(graphs), molecules_here, predictor.to(device).encoder)
        values = predictor.predict(here, molecules_here)
    if warning := warn_of_unseen(predictor.seen, accepted["smiles"].tolist(), explicit_hydrogens):
        tell(f"molclr: warning: {warning}")
    targets = list(predictor.run.targets)
    predicted = accepted.join(pd.DataFrame(values, columns=targets))
    rows = pd.concat([predicted, refused]).sort_values("row")[["row", "smiles", *targets, "reason"]]
    with replacing(output) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")
    return len(accepted), len(refused)
