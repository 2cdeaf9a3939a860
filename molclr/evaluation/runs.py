"""The folder of a run (benchmark, model, seed) with its test predictions and metrics."""

import csv
import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molclr.errors import MolclrError
from molclr.evaluation.metrics import NOT_PREDICTED, Score, Task, find_metric, metrics_of, score
from molclr.files import replacing

METRICS_FILE, PREDICTIONS_FILE, HISTORY_FILE, WEIGHTS_FILE = (
    "metrics.json",
    "predictions.csv",
    "history.csv",
    "model.safetensors",
)
FILES_OF_RUN = (METRICS_FILE, PREDICTIONS_FILE, HISTORY_FILE, WEIGHTS_FILE)
"""The files in the folder of a run; baselines have the first two."""
PREDICTION_COLUMNS = ["row", "target", "label", "prediction"]
KEEPING_NAMES: dict[str, Any] = {
    "dtype": {"benchmark": str, "model": str, "target": str},
    "keep_default_na": False,
    "na_values": ["", "nan"],
}
"""Options of pandas.read_csv with which a benchmark or target may be called 2024 or NA; nan is an undefined number."""


@dataclass(frozen=True)
class Run:
    """The name and task of a run."""

    benchmark: str
    """Key in the catalogue."""
    model: str
    """Name in tables, as in the paper: MolCLR_GIN, GIN, RF, ..."""
    seed: int
    task: Task
    metric: str
    """The primary metric, a name in METRICS, which determines the loss and the best epoch and is shown in tables."""
    targets: Sequence[str]

    def __post_init__(self) -> None:
        """Raise MolclrError if the metric is unknown or not a metric of the task."""
        find_metric(self.metric, self.task)


@dataclass(frozen=True)
class FurtherScore:
    """The score of the test molecules by a metric other than the primary one."""

    test: float | None
    """Mean over targets; None if no target has a score."""
    per_target: dict[str, float]
    left_out: dict[str, str]


@dataclass(frozen=True)
class RunMetrics:
    """The content of a metrics.json."""

    benchmark: str
    model: str
    seed: int
    task: Task
    metric: str
    """The primary metric, by which the fields below are scored."""
    best_epoch: int | None
    """The epoch (from 1) with the best validation score, which made the predictions; None for models without epochs."""
    validation: float | None
    """Validation score, for networks that of the best epoch; several regression targets are scored in the scale of the loss."""
    test: float | None
    """Test score: mean over targets; None if no target has a score."""
    test_molecules: int
    per_target: dict[str, float]
    left_out: dict[str, str]
    note: str
    """Remark that is shown with the tables."""
    also: dict[str, FurtherScore] = field(default_factory=dict)
    """The other metrics of the task, by name."""
    deterministic: bool = False
    """Whether nothing in the model is random, given its encoder, so that every seed gives the same predictions."""

    def scores(self) -> dict[str, FurtherScore]:
        """Return the test scores by all metrics, the primary one first."""
        return {self.metric: FurtherScore(self.test, self.per_target, self.left_out), **self.also}


def write_run(
    folder: str | PathLike[str],
    run: Run,
    rows: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    *,
    best_epoch: int | None = None,
    validation: float | None = None,
    note: str = "",
    deterministic: bool = False,
) -> RunMetrics:
    """Write predictions.csv and metrics.json of the test molecules to `folder`.

    rows: (n,) raw row numbers; labels: float64 (n, targets), NaN where missing; predictions: (n, targets), the probability of
    class 1 or a value in the target's unit, rounded to single precision. Raises ValueError if the shapes differ, and MolclrError
    like `metrics.score`; then nothing is written.
    """
    if not labels.shape == predictions.shape == (len(rows), len(run.targets)):
        shapes = f"labels {labels.shape}, predictions {predictions.shape}"
        raise ValueError(f"{shapes} of {len(rows)} molecules and {len(run.targets)} targets")
    # Score what is written, so that predictions.csv gives the same score.
    predictions = predictions.astype(np.float32)
    names = [run.metric, *(name for name in metrics_of(run.task) if name != run.metric)]
    scores = {name: _on_test(score(name, labels, predictions, run.targets)) for name in names}
    test = scores.pop(run.metric)
    metrics = RunMetrics(
        benchmark=run.benchmark,
        model=run.model,
        seed=run.seed,
        task=run.task,
        metric=run.metric,
        best_epoch=best_epoch,
        validation=_number(validation),
        test=test.test,
        test_molecules=len(rows),
        per_target=test.per_target,
        left_out=test.left_out,
        note=note,
        also=scores,
        deterministic=deterministic,
    )
    _write_predictions(Path(folder) / PREDICTIONS_FILE, run.targets, rows, labels, predictions)
    with replacing(Path(folder) / METRICS_FILE) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(metrics), indent=2, allow_nan=False) + "\n")
    return metrics


def summary(metrics: RunMetrics) -> str:
    """Return the scores of a run in a line; an undefined one with the reason."""
    why = Score(math.nan, {}, metrics.left_out).why_undefined
    validation = "undefined" if metrics.validation is None else f"{metrics.validation:.4g}"
    test = f"undefined ({why})" if metrics.test is None else f"{metrics.test:.4g}"
    note = f" ({metrics.note})" if metrics.note else ""
    numbers = f"validation {validation}, test {test} on {metrics.test_molecules} molecules"
    return f"{metrics.benchmark}, {metrics.model}, {metrics.metric}: {numbers}{note}"


def read_metrics(path: str | PathLike[str]) -> RunMetrics:
    """Read a metrics.json. Raises MolclrError if it is missing or invalid."""
    try:
        values = json.loads(Path(path).read_text())
        also = {name: FurtherScore(**further) for name, further in values.pop("also", {}).items()}
        return RunMetrics(**values, also=also)
    except FileNotFoundError:
        raise MolclrError(f"'{path}' does not exist; run the benchmark that writes it.") from None
    except (ValueError, TypeError, AttributeError):
        raise MolclrError(f"'{path}' does not contain the metrics of a run; delete it and run again.") from None


def read_run(folder: Path, **options: Any) -> pd.DataFrame:
    """Read the predictions.csv in the folder of a run, with `options` of pandas.read_csv instead of `KEEPING_NAMES`.

    Raises MolclrError if it is missing or has other columns.
    """
    try:
        table = pd.read_csv(folder / PREDICTIONS_FILE, **(options or KEEPING_NAMES))
    except FileNotFoundError:
        raise MolclrError(f"'{folder / PREDICTIONS_FILE}' does not exist; run the benchmark that writes it.") from None
    except ValueError:
        table = pd.DataFrame()
    if list(table.columns) != PREDICTION_COLUMNS:
        raise MolclrError(
            f"'{folder / PREDICTIONS_FILE}' does not contain the predictions of a run; delete it and run again."
        )
    return table


def _on_test(scored: Score) -> FurtherScore:
    left_out = {
        target: reason if reason == NOT_PREDICTED else f"{reason} in the test set"
        for target, reason in scored.left_out.items()
    }
    return FurtherScore(_number(scored.value), scored.per_target, left_out)


def _number(value: float | None) -> float | None:
    """Replace NaN, which JSON does not have, by None."""
    return None if value is None or math.isnan(value) else float(value)


def _write_predictions(
    path: Path, targets: Sequence[str], rows: np.ndarray, labels: np.ndarray, predictions: np.ndarray
) -> None:
    """Write one line per molecule and target; nine digits represent single precision exactly."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PREDICTION_COLUMNS)
        for row, truths, guesses in zip(rows.tolist(), labels.tolist(), predictions.tolist(), strict=True):
            for target, truth, guess in zip(targets, truths, guesses, strict=True):
                writer.writerow(
                    [row, target, *("" if math.isnan(value) else f"{value:.9g}" for value in (truth, guess))]
                )
