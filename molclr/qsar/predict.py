"""Predictions for the molecules of any table."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from molclr.config import Compute
from molclr.data.columns import TARGETS_SHOWN
from molclr.data.output import write_extended
from molclr.data.parts import Part, read_parts
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.progress import say
from molclr.qsar.domain import similarity_to
from molclr.qsar.model_folder import ModelFolder
from molclr.qsar.single_network import read_model

OUTSIDE = "outside_domain"


class Outcome(NamedTuple):
    """The name of the model, and the numbers of predicted molecules, of rejected rows and of molecules outside the domain."""

    model: str
    molecules: int
    rejected: int
    outside_domain: int | None
    """None if the model has no domain."""


def predict(
    table: Path,
    model: Path,
    output: Path,
    compute: Compute,
    smiles_column: str | None = None,
    processes: int = 1,
    encoder_class: str | None = None,
    use: str | None = None,
) -> Outcome:
    """Predict the molecules of a raw table part by part.

    table: as for `canonicalize`. model: see `read_model`. output: CSV, or Parquet if its name ends in .parquet, with all rows and
    columns of `table`, in order, the columns of `prediction_columns`, and the reason of a rejection. Salts and hydrogens are
    treated as in training. encoder_class: see `molclr.training.checkpoint.stored_encoder`. use: one of the models in the folder;
    None for the chosen one. Raises MolclrError, and writes nothing, if a file is missing or invalid, or all rows are rejected.
    """
    found = read_model(model, encoder_class)
    name, outside = found.name_of(use), 0
    found.require_outside(output)
    counts = RowCounts(seen=found.seen(name), explicit_hydrogens=found.explicit_hydrogens)

    def columns_of(part: Part[list[str]]) -> dict[str, pa.Array]:
        nonlocal outside
        columns = prediction_columns(found, part.made or [], compute, name)
        outside += int(np.sum(columns.get(OUTSIDE, 0)))
        return {column: pa.array(values, from_pandas=True) for column, values in columns.items()}

    with open_table(table) as raw:
        chosen = found.choose_columns(raw, smiles_column)
        words = list(found.words.items())[:TARGETS_SHOWN]
        say(*chosen.report, *(f"'{target}_mean' is the probability of '{word}'" for target, word in words))
        parts = read_parts(chosen, list, processes, f"predict {raw.name}", found.desalt)
        write_extended(parts, chosen.table, output, columns_of, counts)
    counts.report(found.desalt, advise=False)
    return Outcome(name, counts.accepted, counts.rejected, outside if found.about["domain"] else None)


def prediction_columns(
    model: ModelFolder, smiles: Sequence[str], compute: Compute | None = None, use: str | None = None
) -> dict[str, np.ndarray]:
    """Compute the columns that a prediction adds, float64 (n,) each, for canonical SMILES.

    For each target its mean, standard deviation over networks or trees and, for values, the bounds of the prediction interval;
    then the similarity to the nearest training molecule, and whether the molecule is outside the domain (1 or 0). A model of
    'molclr finetune' has neither intervals nor a domain.
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
    if model.about["domain"] is None:
        return columns
    similarity = similarity_to(model.fingerprints, smiles)
    outside = similarity < model.about["domain"]["similarity"]
    return columns | {"similarity": similarity, OUTSIDE: outside.astype(np.float64)}
