"""Predictions for new molecules, with the folder of 'molclr train' or a fine-tuned model."""

import csv
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import ecfp4_counts
from molclr.chem.seen import warn_of_unseen
from molclr.config import Compute
from molclr.data.canonicalize import canonicalize
from molclr.data.columns import choose_columns
from molclr.data.featurize import featurize
from molclr.data.molecules import read_molecules, read_rejections
from molclr.data.store import GraphStore
from molclr.data.tables import free_names, kept_table, open_table
from molclr.distributed import tell
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.training.device import prepare
from molclr.training.domain import similarity_to
from molclr.training.finetune import load_model
from molclr.training.graphs import graphs_on
from molclr.training.inference import predict_molecules
from molclr.training.model_folder import ModelFolder


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

    table: as for `canonicalize`. model: a model.safetensors. output: CSV, or Parquet if it is called so, with all rows of `table`
    in order and the columns `row` (from 0), `smiles` (canonical; as given in rejected rows), one per target (the probability of
    class 1, or a value in the target's unit) and `reason`. Rejected rows have a reason and no prediction. Hydrogens are treated
    as in training.
    encoder_class: see `molclr.training.checkpoint.stored_encoder`. Prints a warning with the number of molecules that have
    features the encoder never saw in pre-training. Raises MolclrError if a file is missing or invalid, or all rows are rejected.
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
        tell(f"molclr: warning: {warning}")
    targets = list(run.targets)
    predicted = accepted.join(pd.DataFrame(values, columns=targets))
    rows = pd.concat([predicted, rejected]).sort_values("row")[["row", "smiles", *targets, "reason"]]
    with replacing(output) as temporary:
        if output.suffix == ".parquet":
            rows.to_parquet(temporary, index=False)
        else:
            rows.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")
    return len(accepted), len(rejected)


def predict_with_folder(
    table: Path,
    folder: Path,
    output: Path,
    compute: Compute,
    smiles_column: str | None = None,
    processes: int = 1,
    encoder_class: str | None = None,
    use: str | None = None,
) -> tuple[int, int]:
    """Predict the molecules of a raw table with the folder of 'molclr train'; return the numbers of predicted and rejected rows.

    use: one of the models in the folder; None for the chosen one. output: CSV, or Parquet if it is called so, with all rows and
    columns of `table`, in order, and for each target its mean, standard deviation over networks or trees and, for values, the
    bounds of the prediction interval; then the similarity to the nearest training molecule, whether the molecule is outside the
    domain (1 or 0), and the reason of a rejection. Raises MolclrError as `predict`.
    """
    model = ModelFolder.read(folder, encoder_class)
    if output.resolve().parent == folder.resolve():
        raise MolclrError(f"The output '{output}' would be in the folder of the model; choose another place.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as work:
        molecules, rejections = (Path(work, name) for name in ("parquet", "csv"))
        source = kept_table(table, Path(work))
        with open_table(source) as raw:
            known = model.about["smiles_column"]
            smiles_column = smiles_column or (known if raw.columns.count(known) == 1 else None)
            taken = choose_columns(raw, smiles_column, [])
            given = list(taken.table.rows())
        canonicalize(source, molecules, rejections, smiles_column=smiles_column, targets=[], processes=processes)
        accepted, rejected = read_molecules(molecules), read_rejections(rejections)
    smiles = accepted["smiles"].tolist()
    if warning := model.warning(smiles, use):
        tell(f"molclr: warning: {warning}")
    added = prediction_columns(model, smiles, compute, use)
    columns = list(taken.table.columns)
    outcomes = _by_row(accepted["row"].tolist(), added) | {
        row: [*[None] * len(added), reason] for row, reason in zip(rejected["row"], rejected["reason"], strict=True)
    }
    blank = [""] * len(columns)
    rows = [[*(fields + blank)[: len(columns)], *outcomes[row]] for row, fields in enumerate(given)]
    _write_table(output, [*columns, *free_names([*added, "reason"], columns)], rows, len(columns))
    return len(accepted), len(rejected)


def prediction_columns(
    model: ModelFolder, smiles: list[str], compute: Compute, use: str | None = None
) -> dict[str, np.ndarray]:
    """Compute the columns that a prediction adds, float64 (n,) each, for canonical SMILES."""
    name = use or model.about["chosen"]
    predicted = model.predict(smiles, name, compute)
    columns: dict[str, np.ndarray] = {}
    for place, target in enumerate(model.targets):
        mean = predicted.mean[:, place]
        columns |= {f"{target}_mean": mean, f"{target}_std": predicted.std[:, place]}
        if name in model.about["half_widths"]:
            width = model.about["half_widths"][name][place]
            width = math.nan if width is None else width
            columns |= {f"{target}_low": mean - width, f"{target}_high": mean + width}
    similarity = similarity_to(model.training.counts, csr_matrix(ecfp4_counts(smiles)))
    outside = similarity < model.about["domain"]["similarity"]
    return columns | {"similarity": similarity, "outside_domain": outside.astype(np.float64)}


def _by_row(rows: list[int], columns: dict[str, np.ndarray]) -> dict[int, list[Any]]:
    """Raw row number -> the numbers of its molecule, and no reason of a rejection."""
    return {
        row: [*numbers, ""] for row, numbers in zip(rows, np.stack(list(columns.values()), 1).tolist(), strict=True)
    }


def _write_table(output: Path, names: list[str], rows: list[list[Any]], given: int) -> None:
    """Write rows of text (the first `given` fields and the last) and numbers, as CSV with six digits or as Parquet."""
    with replacing(output) as temporary:
        if output.suffix == ".parquet":
            texts = {*range(given), len(names) - 1}
            columns = ([_or_none(value) for value in column] for column in zip(*rows, strict=True))
            arrays = [
                pa.array(column, pa.string() if place in texts else pa.float64())
                for place, column in enumerate(columns)
            ]
            pq.write_table(pa.Table.from_arrays(arrays, names=names), temporary)
            return
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            for row in rows:
                writer.writerow([field if isinstance(field, str) else _digits(field) for field in row])


def _or_none(value: Any) -> Any:
    """None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digits(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"
