"""Random search for fine-tuning settings on each benchmark, as in the paper, by the validation score."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from molclr.config import Finetune
from molclr.errors import MolclrError
from molclr.evaluation.metrics import better
from molclr.evaluation.runs import METRICS_FILE, WEIGHTS_FILE, read_metrics
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
"""The search space (paper, Supplementary; the official code has no search)."""


def propose(settings: Finetune, trial: int) -> Finetune:
    """Return the settings of a `trial` (from 0): a random point of RANGES, without repetition; other settings are unchanged.

    The points are the same for all models. A new encoder is trained at `encoder_learning_rate` here, so that all points also
    differ for a model from scratch. Raises MolclrError if there are fewer points than trials.
    """
    points = list(itertools.product(*RANGES.values()))
    if trial >= len(points):
        raise MolclrError(
            f"Trial {trial} does not exist: there are {len(points)} settings to try; lower search_trials."
        )
    order = np.random.default_rng(derive_seed(0, "search")).permutation(len(points))
    point = dict(zip(RANGES, points[order[trial]], strict=True))
    return settings.model_copy(update=point | {"new_encoder_rate": "encoder"})


def choose(folders: Sequence[Path], chosen: Path, trials: Path) -> None:
    """Select the run in `folders` with the best validation score; write its settings (YAML) and a table of all runs (CSV).

    Ties go to the first run. Test scores are not used. Raises MolclrError if no run has a validation score.
    """
    rows: list[dict[str, Any]] = []
    best = None
    for number, folder in enumerate(folders):
        metrics = read_metrics(folder / METRICS_FILE)
        settings = load_weights(folder / WEIGHTS_FILE)[1]["finetune"]
        value = float("nan") if metrics.validation is None else metrics.validation
        rows.append(
            {"trial": number, **settings, "best_epoch": metrics.best_epoch, "validation": value, "chosen": False}
        )
        if better(metrics.metric, value, float("nan") if best is None else best["validation"]):
            best, chosen_settings = rows[-1], settings
    if best is None:
        raise MolclrError(
            f"None of the trials in '{folders[0].parent}' has a validation score; set search_trials to null."
        )
    best["chosen"] = True
    write_rows(trials, rows)
    with replacing(chosen) as temporary:
        temporary.write_text(yaml.safe_dump(chosen_settings, sort_keys=False))
