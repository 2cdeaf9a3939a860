"""Predictions for the molecules of any table, with the folder that 'molclr train' made."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from molclr.config import Compute
from molclr.data.columns import TARGETS_SHOWN
from molclr.progress import say
from molclr.qsar.domain import similarity_to
from molclr.qsar.model_folder import ModelFolder


class Outcome(NamedTuple):
    """The name of the model, and the numbers of predicted molecules, of rejected rows and of molecules outside the domain."""

    model: str
    molecules: int
    rejected: int
    outside_domain: int


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

    use: one of the models in the folder; None for the chosen one. output: CSV, or Parquet if its name ends in .parquet, with all
    rows and columns of `table`, in order, the columns of `prediction_columns`, and the reason of a rejection. Raises MolclrError
    as `molclr.qsar.predict.predict`.
    """
    model = ModelFolder.read(folder, encoder_class)
    name = model.name_of(use)
    model.require_outside(output)
    given = model.read_table(table, output, smiles_column, processes)
    smiles = list(given.molecules.values())
    if warning := model.warning(smiles, name):
        say(f"warning: {warning}")
    for target, word in list(model.words.items())[:TARGETS_SHOWN]:
        say(f"'{target}_mean' is the probability of '{word}'")
    added = prediction_columns(model, smiles, compute, name)
    given.write(output, {name: given.column(values, pa.float64()) for name, values in added.items()})
    return Outcome(name, len(smiles), len(given.reasons), int(added["outside_domain"].sum()))


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
    similarity = similarity_to(model.training.counts, smiles)
    outside = similarity < model.about["domain"]["similarity"]
    return columns | {"similarity": similarity, "outside_domain": outside.astype(np.float64)}
