"""The folder of a run (benchmark, model, seed): what it predicted for the test molecules, and how good that was."""

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
from molclr.evaluation.metrics import Score, Task, find_metric, metrics_of, score
from molclr.files import replacing

PREDICTION_COLUMNS = ["row", "target", "label", "prediction"]


@dataclass(frozen=True)
class Run:
    """Which run it is, and what it predicts."""

    benchmark: str
    """Key in the catalogue."""
    model: str
    """As the paper's tables call it: MolCLR_GIN, GIN, RF, ..."""
    seed: int
    task: Task
    metric: str
    """The primary metric, a name in METRICS: it decides the loss, the best epoch and the table."""
    targets: Sequence[str]

    def __post_init__(self) -> None:
        """Raise MolclrError if the metric is unknown or not one of the task."""
        find_metric(self.metric, self.task)


@dataclass(frozen=True)
class FurtherScore:
    """The score of the test molecules by a metric that is not the primary one."""

    test: float | None
    """Mean over targets; None if no target could be scored."""
    per_target: dict[str, float]
    left_out: dict[str, str]


@dataclass(frozen=True)
class RunMetrics:
    """A metrics.json, field by field."""

    benchmark: str
    model: str
    seed: int
    task: Task
    metric: str
    """The primary metric, of which the fields below tell."""
    best_epoch: int | None
    """The epoch, from 1, that was best on the validation molecules and made the predictions; None without epochs."""
    validation: float | None
    """Score on the validation molecules: a network's of that epoch, and of several regression targets in the loss's scale."""
    test: float | None
    """Score on the test molecules: mean over targets; None if no target could be scored."""
    test_molecules: int
    per_target: dict[str, float]
    left_out: dict[str, str]
    note: str
    """What a reader of the tables should know about this run."""
    also: dict[str, FurtherScore] = field(default_factory=dict)
    """The other metrics of the task, by name."""

    def scores(self) -> dict[str, FurtherScore]:
        """Scores of the test molecules by every metric, the primary one first."""
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
) -> RunMetrics:
    """Write predictions.csv and metrics.json of the test molecules into `folder`.

    rows: (n,) raw row numbers; labels: float64 (n, targets), NaN where missing; predictions: (n, targets), the
    probability of class 1 or a value in the target's unit, taken in single precision. Raises ValueError if the
    shapes differ, and MolclrError as `metrics.score` does; then nothing is written.
    """
    if not labels.shape == predictions.shape == (len(rows), len(run.targets)):
        shapes = f"labels {labels.shape}, predictions {predictions.shape}"
        raise ValueError(f"{shapes} of {len(rows)} molecules and {len(run.targets)} targets")
    # What is scored is what is written: whoever reads predictions.csv finds the same score.
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
    )
    _write_predictions(Path(folder) / "predictions.csv", run.targets, rows, labels, predictions)
    with replacing(Path(folder) / "metrics.json") as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(metrics), indent=2, allow_nan=False) + "\n")
    return metrics


def read_metrics(path: str | PathLike[str]) -> RunMetrics:
    """Read a metrics.json. Raises MolclrError if there is none or it is not one."""
    try:
        values = json.loads(Path(path).read_text())
        also = {name: FurtherScore(**further) for name, further in values.pop("also", {}).items()}
        return RunMetrics(**values, also=also)
    except FileNotFoundError:
        raise MolclrError(f"There is no '{path}'; run the benchmark that makes it.") from None
    except (ValueError, TypeError, AttributeError):
        raise MolclrError(f"'{path}' does not hold the metrics of a run; delete it and run again.") from None


def read_run(folder: Path, **options: Any) -> pd.DataFrame:
    """The predictions.csv in the folder of a run, with `options` of pandas.read_csv.

    Raises MolclrError if there is none or it is something else.
    """
    try:
        table = pd.read_csv(folder / "predictions.csv", **options)
    except FileNotFoundError:
        raise MolclrError(f"There is no '{folder}/predictions.csv'; run the benchmark that makes it.") from None
    except ValueError:
        table = pd.DataFrame()
    if list(table.columns) != PREDICTION_COLUMNS:
        raise MolclrError(f"'{folder}/predictions.csv' does not hold what a run predicted; delete it and run again.")
    return table


def _on_test(scored: Score) -> FurtherScore:
    left_out = {target: f"{reason} in the test set" for target, reason in scored.left_out.items()}
    return FurtherScore(_number(scored.value), scored.per_target, left_out)


def _number(value: float | None) -> float | None:
    """JSON knows no NaN."""
    return None if value is None or math.isnan(value) else float(value)


def _write_predictions(
    path: Path, targets: Sequence[str], rows: np.ndarray, labels: np.ndarray, predictions: np.ndarray
) -> None:
    """One line a molecule and target, molecule by molecule; nine digits give a single-precision number back exactly."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PREDICTION_COLUMNS)
        for row, truths, guesses in zip(rows.tolist(), labels.tolist(), predictions.tolist(), strict=True):
            for target, truth, guess in zip(targets, truths, guesses, strict=True):
                writer.writerow([row, target, "" if math.isnan(truth) else f"{truth:.9g}", f"{guess:.9g}"])
