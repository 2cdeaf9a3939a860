"""Comparisons of models on a benchmark: with the same network from scratch, with the best baseline and with the best model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from molclr.errors import MolclrError
from molclr.evaluation.metrics import better, find_metric
from molclr.evaluation.runs import RunMetrics, read_run
from molclr.evaluation.statistics import Difference, Predictions, Sample, adjusted, difference, sample
from molclr.model_names import FINGERPRINT_MODELS, PRETRAINED, pretrained_of

_DIFFERENCE = ("", "_low", "_high", "_p", "_verdict")
COLUMNS = [
    *(f"minus_scratch{end}" for end in _DIFFERENCE),
    *("baseline", *(f"minus_baseline{end}" for end in _DIFFERENCE)),
    "best",
]
"""Columns of a table of results that `Comparison.columns` fills."""

NUMBERS = [f"minus_{other}{end}" for other in ("scratch", "baseline") for end in _DIFFERENCE[:-1]]
"""Those that are numbers; the others are text."""

Key = tuple[str, str]
"""Benchmark and model."""
Samples = Mapping[Key, Sample]
Best = Literal["best", "not distinguishable", ""]


def is_pretrained(model: str) -> bool:
    """Return whether a model uses a pre-trained encoder, by its name; it may be frozen."""
    return bool(pretrained_of(model))


def scratch_of(model: str) -> str:
    """Return the name of the same network from scratch, such as GIN for MolCLR_GIN; empty if there is none."""
    return model.removeprefix(PRETRAINED) if model.startswith(PRETRAINED) else ""


@dataclass(frozen=True)
class Comparison:
    """What a model is compared with; None and "" where there is nothing to compare with."""

    scratch: Difference | None
    """Difference of a pre-trained model to the same network from scratch."""
    baseline: str
    """The baseline with the best validation score."""
    over_baseline: Difference | None
    """Difference of a pre-trained model to that baseline."""
    best: Best
    """Whether the model has the best test score of the benchmark, or one that does not differ significantly from it.

    A difference to a model of one seed is not significant.
    """

    def columns(self, factor: float) -> dict[str, Any]:
        """Return the values of COLUMNS; `factor` converts a score to the number that tables show."""
        values: dict[str, Any] = {"baseline": self.baseline, "best": self.best}
        for name, found in (("minus_scratch", self.scratch), ("minus_baseline", self.over_baseline)):
            ends: list[Any] = [*[np.nan] * 4, ""]
            if found:
                ends = [factor * found.value, factor * found.low, factor * found.high, found.p, found.verdict]
            values |= {f"{name}{end}": value for end, value in zip(_DIFFERENCE, ends, strict=True)}
        return values


def compare(groups: Mapping[Key, Sequence[RunMetrics]], samples: Samples) -> dict[Key, Comparison]:
    """Compare the models of each benchmark by its primary metric.

    groups: (benchmark, model) -> runs, one per seed. p-values are adjusted (Holm) for the number of comparisons with networks
    from scratch, and likewise for the number of comparisons with baselines. A difference is None if a score is undefined or if
    there is only one test molecule. Raises MolclrError if models were tested on different molecules.
    """
    over_scratch: dict[Key, Difference] = {}
    over_baseline: dict[Key, Difference] = {}
    baselines: dict[Key, str] = {}
    for benchmark, model in groups:
        baselines[benchmark, model] = _best_baseline(benchmark, groups) if is_pretrained(model) else ""
        for found, other in ((over_scratch, scratch_of(model)), (over_baseline, baselines[benchmark, model])):
            if gain := _between(benchmark, model, other, groups, samples):
                found[benchmark, model] = gain
    over_scratch, over_baseline = adjusted(over_scratch), adjusted(over_baseline)
    best = {
        key: mark for benchmark in {key[0]: None for key in groups} for key, mark in _best(benchmark, groups, samples)
    }
    return {
        key: Comparison(
            over_scratch.get(key), baselines[key] if key in over_baseline else "", over_baseline.get(key), best[key]
        )
        for key in groups
    }


def _between(
    benchmark: str, model: str, other: str, groups: Mapping[Key, Sequence[RunMetrics]], samples: Samples
) -> Difference | None:
    """Return the score of `model` minus that of `other`, if both have one and more than one test molecule."""
    if (benchmark, other) not in groups:
        return None
    first, second = samples[benchmark, model], samples[benchmark, other]
    if not np.array_equal(first.rows, second.rows) or not np.array_equal(first.labels, second.labels, equal_nan=True):
        raise MolclrError(
            f"{model} and {other} were tested on different molecules of {benchmark}, so they cannot be "
            "compared; run both on the same split."
        )
    if len(first.rows) < 2:
        return None
    found = difference(groups[benchmark, model][0].metric, first, second)
    return None if np.isnan(found.value) else found


def _best_baseline(benchmark: str, groups: Mapping[Key, Sequence[RunMetrics]]) -> str:
    """Return the baseline with the best mean validation score; "" if none has one, unless there is only one baseline."""
    there = [model for model in FINGERPRINT_MODELS if (benchmark, model) in groups]
    best, best_score = there[0] if len(there) == 1 else "", np.nan
    for model in there:
        value = mean_validation(groups[benchmark, model])
        if better(groups[benchmark, model][0].metric, value, best_score):
            best, best_score = model, value
    return best


def mean_validation(runs: Sequence[RunMetrics]) -> float:
    """Return the mean validation score of runs; NaN if one has none."""
    return float(np.mean([np.nan if run.validation is None else run.validation for run in runs]))


def _best(benchmark: str, groups: Mapping[Key, Sequence[RunMetrics]], samples: Samples) -> list[tuple[Key, Best]]:
    """Mark the best model, and all models whose difference from it was tested and is not significant.

    The best is one of those with the most seeds, or deterministic. p-values are adjusted (Holm) for the number of models of the
    benchmark that are compared with it. A difference of one seed is not tested, and neither is one that is undefined.
    """
    scores = {
        model: [run.test for run in runs if run.test is not None]
        for (name, model), runs in groups.items()
        if name == benchmark
    }
    most = max(map(len, scores.values()))
    means = {
        model: float(np.mean(values))
        for model, values in scores.items()
        if values and (len(values) == most or samples[benchmark, model].deterministic)
    }
    metric = groups[benchmark, next(iter(scores))][0].metric
    first = (max if find_metric(metric).higher_is_better else min)(means, key=lambda model: means[model], default="")
    others = [model for model in scores if scores[model] and model != first]
    gaps = {model: _between(benchmark, model, first, groups, samples) for model in others}
    tested = adjusted({model: gap for model, gap in gaps.items() if gap})
    alike = [model for model, gap in tested.items() if gap.verdict == "not significant"]
    marks: dict[str, Best] = {first: "best", **{model: "not distinguishable" for model in alike}}
    return [((benchmark, model), marks.get(model, "")) for model in scores]


def read_samples(runs: Mapping[Path, RunMetrics]) -> dict[Key, Sample]:
    """Read the predictions of all runs, folder -> metrics, and score the models by the primary metric of the benchmark."""
    by_model = sorted(runs, key=lambda folder: (runs[folder].benchmark, runs[folder].model))
    found = {}
    for key, folders in groupby(by_model, lambda folder: (runs[folder].benchmark, runs[folder].model)):
        group = list(folders)
        deterministic = all(runs[folder].deterministic for folder in group)
        found[key] = sample(runs[group[0]].metric, read_predictions(group, runs), deterministic)
    return found


def read_predictions(folders: Iterable[Path], runs: Mapping[Path, RunMetrics]) -> Predictions:
    """Read the predictions.csv of all seeds of a model; a seed has one folder, or one folder per target."""
    folders = list(folders)
    every = [read_run(folder).assign(seed=runs[folder].seed) for folder in folders]
    return predictions_of(pd.concat(every), str(folders[-1].parent))


def predictions_of(every: pd.DataFrame, name: str) -> Predictions:
    """Arrange the predictions of all seeds of a model, a table with the columns seed, row, target, label and prediction.

    Labels of a target that no seed predicts, because the training set has none, become NaN. Raises MolclrError, which names
    the model by `name`, if the seeds have predictions for different molecules or targets.
    """
    labels = every.drop_duplicates(["row", "target"]).pivot(index="row", columns="target", values="label")
    values = np.stack(
        [
            of_seed.pivot(index="row", columns="target", values="prediction").reindex_like(labels).to_numpy()
            for _, of_seed in every.groupby("seed")
        ]
    )
    labels.loc[:, np.isnan(values).all(axis=(0, 1))] = np.nan
    if np.isnan(values[:, labels.notna().to_numpy()]).any():
        raise MolclrError(f"'{name}': the seeds have predictions for different molecules or targets; run them again.")
    return Predictions(labels.index.to_numpy(), labels.to_numpy(), values)
