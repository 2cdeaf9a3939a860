"""The random search of the paper: settings of fine-tuning tried on each benchmark, chosen by the validation molecules only."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from molclr.config import Finetune
from molclr.errors import MolclrError
from molclr.evaluation.metrics import better
from molclr.evaluation.runs import read_metrics
from molclr.files import replacing, write_rows
from molclr.seeds import derive_seed
from molclr.training.checkpoint import load_weights

RANGES: dict[str, list[Any]] = {
    "batch_size": [32, 128, 256],
    "head_learning_rate": [5e-4, 1e-3],
    "encoder_learning_rate": [5e-5, 1e-4, 2e-4, 5e-4],
    "dropout": [0.0, 0.1, 0.3, 0.5],
    "activation": ["softplus", "relu"],
}
"""What is tried (paper, Supplementary; the official code has no search)."""


def propose(settings: Finetune, trial: int) -> Finetune:
    """Settings of a `trial`, from 0: another random point of RANGES in each, the same for every model; the rest as given.

    A new encoder learns at the encoder's rate here, so that every point is another one for a model from scratch too.
    Raises MolclrError when there are no more points.
    """
    points = list(itertools.product(*RANGES.values()))
    if trial >= len(points):
        raise MolclrError(f"There are {len(points)} settings to try, and no trial {trial}; lower search_trials.")
    order = np.random.default_rng(derive_seed(0, "search")).permutation(len(points))
    point = dict(zip(RANGES, points[order[trial]], strict=True))
    return settings.model_copy(update=point | {"new_encoder_rate": "encoder"})


def choose(folders: Sequence[Path], chosen: Path, trials: Path) -> None:
    """Of the runs in `folders` write the settings of the best on validation (YAML) and a table of all (CSV).

    Of equally good ones the first counts. Test scores are not looked at. Raises MolclrError if no trial could be scored.
    """
    rows: list[dict[str, Any]] = []
    best = None
    for number, folder in enumerate(folders):
        metrics = read_metrics(folder / "metrics.json")
        settings = load_weights(folder / "model.safetensors")[1]["finetune"]
        value = float("nan") if metrics.validation is None else metrics.validation
        rows.append(
            {"trial": number, **settings, "best_epoch": metrics.best_epoch, "validation": value, "chosen": False}
        )
        if better(metrics.metric, value, float("nan") if best is None else best["validation"]):
            best, chosen_settings = rows[-1], settings
    if best is None:
        raise MolclrError(
            f"None of the trials in '{folders[0].parent}' has a validation score; search is not possible."
        )
    best["chosen"] = True
    write_rows(trials, rows)
    with replacing(chosen) as temporary:
        temporary.write_text(yaml.safe_dump(chosen_settings, sort_keys=False))
