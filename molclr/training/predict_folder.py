"""Predictions for the molecules of any table, with the folder that 'molclr train' made."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import ecfp4_counts
from molclr.config import Compute
from molclr.data.canonicalize import canonicalize
from molclr.data.columns import choose_columns
from molclr.data.molecules import read_molecules, read_rejections
from molclr.data.tables import free_names, kept_table, open_table
from molclr.distributed import tell
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.training.domain import similarity_to
from molclr.training.model_folder import ModelFolder

Field = str | float | None
"""A field of the output: text, a number, or nothing."""


class Outcome(NamedTuple):
    """What was predicted: the name of the model, numbers of molecules, rejected rows, and molecules outside the domain."""

    model: str
    molecules: int
    rejected: int
    outside_domain: int


class GivenTable(NamedTuple):
    """A raw table as it was given, and what became of its rows."""

    columns: list[str]
    rows: list[list[str]]
    accepted: pd.DataFrame
    rejected: pd.DataFrame


def predict_with_folder(
    table: Path,
    folder: Path,
    output: Path,
    compute: Compute,
    smiles_column: str | None = None,
    processes: int = 1,
    encoder_class: str | None = None,
    use: str | None = None,
) -> Outcome:
    """Predict the molecules of a raw table with the folder of 'molclr train'.

    use: one of the models in the folder; None for the chosen one. output: CSV, or Parquet if it is called so, with all rows and
    columns of `table`, in order, the columns of `prediction_columns`, and the reason of a rejection. Raises MolclrError as
    `molclr.training.predict.predict`.
    """
    model = ModelFolder.read(folder, encoder_class)
    name = model.name_of(use)
    if output.resolve().parent == folder.resolve():
        raise MolclrError(f"The output '{output}' would be in the folder of the model; choose another place.")
    given = _read(table, output, model, smiles_column, processes)
    smiles = given.accepted["smiles"].tolist()
    if warning := model.warning(smiles, name):
        tell(f"molclr: warning: {warning}")
    added = prediction_columns(model, smiles, compute, name)
    _write(output, given, added)
    return Outcome(name, len(smiles), len(given.rejected), int(added["outside_domain"].sum()))


def prediction_columns(
    model: ModelFolder, smiles: Sequence[str], compute: Compute | None = None, use: str | None = None
) -> dict[str, np.ndarray]:
    """Compute the columns that a prediction adds, float64 (n,) each, for canonical SMILES.

    For each target its mean, standard deviation over networks or trees and, for values, the bounds of the prediction interval;
    then the similarity to the nearest training molecule, and whether the molecule is outside the domain (1 or 0).
    """
    name = model.name_of(use)
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


def _read(table: Path, output: Path, model: ModelFolder, smiles_column: str | None, processes: int) -> GivenTable:
    """Read a table and canonicalize its molecules as in training, in a temporary folder next to `output`."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as work:
        molecules, rejections = (Path(work, name) for name in ("parquet", "csv"))
        source = kept_table(table, Path(work))
        with open_table(source) as raw:
            known = model.about["smiles_column"]
            column = smiles_column or (known if raw.columns.count(known) == 1 else None)
            taken = choose_columns(raw, column, [])
            rows = list(taken.table.rows())
        desalt = model.about.get("desalt") or None
        canonicalize(
            source, molecules, rejections, smiles_column=column, targets=[], processes=processes, desalt=desalt
        )
        return GivenTable(taken.table.columns, rows, read_molecules(molecules), read_rejections(rejections))


def _write(output: Path, given: GivenTable, added: dict[str, np.ndarray]) -> None:
    """Write the given rows with the added columns and the reason of a rejection."""
    numbers = np.stack(list(added.values()), axis=1).tolist()
    outcomes: dict[int, list[Field]] = {
        row: [*values, ""] for row, values in zip(given.accepted["row"], numbers, strict=True)
    }
    nothing = [None] * len(added)
    for row, reason in zip(given.rejected["row"], given.rejected["reason"], strict=True):
        outcomes[row] = [*nothing, reason]
    width = len(given.columns)
    rows = [[*(fields + [""] * width)[:width], *outcomes[row]] for row, fields in enumerate(given.rows)]
    names = [*given.columns, *free_names([*added, "reason"], given.columns)]
    with replacing(output) as temporary:
        if output.suffix == ".parquet":
            _write_parquet(temporary, names, rows, {*range(width), len(names) - 1})
        else:
            _write_csv(temporary, names, rows)


def _write_parquet(path: Path, names: list[str], rows: list[list[Any]], texts: set[int]) -> None:
    """Write rows as Parquet. texts: places of columns of text; the others have numbers."""
    columns = []
    for place, column in enumerate(zip(*rows, strict=True)):
        kept = [None if isinstance(value, float) and not math.isfinite(value) else value for value in column]
        columns.append(pa.array(kept, pa.string() if place in texts else pa.float64()))
    pq.write_table(pa.Table.from_arrays(columns, names=names), path)


def _write_csv(path: Path, names: list[str], rows: list[list[Any]]) -> None:
    """Write rows as CSV, numbers with six digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([field if isinstance(field, str) else digits(field) for field in row])


def digits(value: float | None) -> str:
    """Write a number with six digits; empty if it is not finite or None."""
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"
