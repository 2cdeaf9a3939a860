"""Summaries of runs: mean and standard deviation over seeds, comparisons between models, and the paper's values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from molclr.config import Labels
from molclr.errors import MolclrError
from molclr.evaluation.comparisons import COLUMNS as COMPARED
from molclr.evaluation.comparisons import NUMBERS as COMPARED_NUMBERS
from molclr.evaluation.comparisons import Key, Samples, compare, mean_validation
from molclr.evaluation.metrics import Metric, find_metric
from molclr.evaluation.published import published
from molclr.evaluation.runs import FurtherScore, RunMetrics
from molclr.model_names import FINGERPRINT_MODELS

COLUMNS = [
    *("benchmark", "model", "metric", "unit", "mean", "std", "seeds", "deterministic", "seed_scores"),
    *("validation", "test_molecules"),
    *("left_out_targets", "note", *COMPARED),
    *("paper_mean", "paper_std", "paper_check", "paper_note", "label"),
]
"""Columns of the table of primary metrics."""

NUMBERS = ["mean", "std", "seeds", "validation", *COMPARED_NUMBERS]
"""Those that are numbers; the others are text."""

SCORE_COLUMNS = ["benchmark", "model", "metric", "primary", "unit", "mean", "std", "seeds", "left_out_targets"]
"""Columns of the table of all metrics."""

Groups = dict[Key, list[RunMetrics]]
"""(benchmark, model) -> runs, one per seed."""


def summarise(
    runs: Sequence[RunMetrics],
    benchmarks: Mapping[str, Labels],
    samples: Samples,
) -> pd.DataFrame:
    """Summarise the primary metric: one row per benchmark and model with COLUMNS, in the paper's order.

    `mean` and `std` (sample standard deviation; NaN for one seed) are those of the `seeds` runs that have a score, ROC-AUC in %.
    `deterministic` is "yes" if nothing in the model is random, given its encoder. `seed_scores` lists the scores of the
    seeds. `validation` is the mean validation score, as in metrics.json. COMPARED are comparisons between models, computed from
    the `samples` of all of them. The paper's values are text as printed, empty if the paper has no value or another metric.
    """
    printed = {(row.method, row.benchmark): row for row in published().itertuples()}
    rows, groups = [], _groups(runs)
    compared = compare(groups, samples)
    for (key, model), group in groups.items():
        primary = find_metric(group[0].metric)
        row = _names(key, model, benchmarks) | _statistics(primary, key, benchmarks, [_primary(run) for run in group])
        row["test_molecules"] = distinct(str(run.test_molecules) for run in group)
        row["left_out_targets"] = distinct(target for run in group for target in run.left_out)
        row["note"] = distinct(run.note for run in group if run.note)
        row["deterministic"] = "yes" if all(run.deterministic for run in group) else ""
        row["seed_scores"] = "; ".join(f"{primary.factor * run.test:.6f}" for run in group if run.test is not None)
        row["validation"] = mean_validation(group)
        row |= compared[key, model].columns(primary.factor)
        paper = printed.get((model, row["benchmark"]))
        paper = paper if paper and paper.metric.removesuffix(" %") == primary.label else None
        row |= {f"paper_{field}": getattr(paper, field, "") for field in ("mean", "std", "check", "note")}
        row["label"] = f"{row['benchmark']}, {model}"  # for `dvc plots`
        rows.append(row)
    return pd.DataFrame(_sorted(rows), columns=COLUMNS)


def every_metric(runs: Sequence[RunMetrics], benchmarks: Mapping[str, Labels]) -> pd.DataFrame:
    """Summarise all metrics: one row per benchmark, model and metric with SCORE_COLUMNS, the primary metric first.

    `left_out_targets` lists the targets that are not in the mean, each with its reason.
    """
    rows = []
    for (key, model), group in _groups(runs).items():
        by_metric = [run.scores() for run in group]
        for name in by_metric[0]:
            of_seeds = [scores[name] for scores in by_metric if name in scores]
            row = _names(key, model, benchmarks) | _statistics(find_metric(name), key, benchmarks, of_seeds)
            row["primary"] = name == group[0].metric
            row["left_out_targets"] = distinct(
                f"{target}: {reason}" for scores in of_seeds for target, reason in scores.left_out.items()
            )
            rows.append(row)
    return pd.DataFrame(_sorted(rows), columns=SCORE_COLUMNS)


def _groups(runs: Sequence[RunMetrics]) -> Groups:
    """Group runs by benchmark and model. Raises MolclrError if they have different metrics or targets."""
    metrics: dict[str, str] = {}
    for run in runs:
        if metrics.setdefault(run.benchmark, run.metric) != run.metric:
            raise MolclrError(
                f"The runs of {run.benchmark} have different metrics, {metrics[run.benchmark]} and {run.metric}; "
                "give runs with the same metric."
            )
    groups: Groups = {}
    for (benchmark, model, _), same in groupby(sorted(runs, key=_key), _key):
        groups.setdefault((benchmark, model), []).append(_joined(list(same)))
    for (benchmark, model), group in groups.items():
        if len({frozenset(run.per_target) | frozenset(run.left_out) for run in group}) > 1:
            raise MolclrError(
                f"The seeds of {model} on {benchmark} have different targets; run all of them before this table."
            )
    return groups


def _names(key: str, model: str, benchmarks: Mapping[str, Labels]) -> dict[str, Any]:
    return {"benchmark": benchmarks[key].name if key in benchmarks else key, "model": model}


def _statistics(
    metric: Metric, key: str, benchmarks: Mapping[str, Labels], scores: Sequence[FurtherScore]
) -> dict[str, Any]:
    """Compute the columns metric, unit, mean, std and seeds (number of seeds that have a score)."""
    target_unit = _unit(benchmarks[key]) if key in benchmarks else ""
    values = [metric.factor * score.test for score in scores if score.test is not None]
    return {
        "metric": metric.label,
        "unit": target_unit if metric.unit == "target" else metric.unit,
        "mean": np.mean(values) if values else np.nan,
        "std": np.std(values, ddof=1) if len(values) > 1 else np.nan,
        "seeds": len(values),
    }


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort rows in the paper's order of benchmarks and methods (stable); all baselines come first."""
    paper = published()
    benchmarks, models = order(paper["benchmark"]), order([*FINGERPRINT_MODELS, *paper["method"]])
    return sorted(rows, key=lambda row: (benchmarks(row["benchmark"]), models(row["model"])))


def _primary(run: RunMetrics) -> FurtherScore:
    return run.scores()[run.metric]


def _key(run: RunMetrics) -> tuple[str, str, int]:
    return run.benchmark, run.model, run.seed


def _joined(runs: list[RunMetrics]) -> RunMetrics:
    """Merge the runs of one seed, which have different targets, into one run that is scored by the mean over all targets."""
    first = runs[0]
    if len(runs) == 1:
        return first
    targets = [target for run in runs for target in (*run.per_target, *run.left_out)]
    if not targets or len(targets) > len(set(targets)):
        raise MolclrError(
            f"Seed {first.seed} of {first.model} on {first.benchmark} is given twice; give each run once."
        )
    primary, validation = _merged([_primary(run) for run in runs]), mean_validation(runs)
    return replace(
        first,
        best_epoch=None,
        validation=None if np.isnan(validation) else validation,
        test=primary.test,
        test_molecules=max(run.test_molecules for run in runs),
        per_target=primary.per_target,
        left_out=primary.left_out,
        note=distinct(run.note for run in runs),
        also={name: _merged([run.also[name] for run in runs if name in run.also]) for name in first.also},
    )


def _merged(scores: Sequence[FurtherScore]) -> FurtherScore:
    """Merge scores of different targets into their mean over all targets."""
    per_target = {target: value for score in scores for target, value in score.per_target.items()}
    left_out = {target: reason for score in scores for target, reason in score.left_out.items()}
    return FurtherScore(float(np.mean(list(per_target.values()))) if per_target else None, per_target, left_out)


def _unit(benchmark: Labels) -> str:
    """Return the unit of a mean over the targets."""
    units = {unit_of(benchmark, target) for target in benchmark.targets}
    return units.pop() if len(units) == 1 else "mixed units"


def unit_of(benchmark: Labels, target: str) -> str:
    """Return the unit of a target; empty if it has none."""
    return benchmark.unit if isinstance(benchmark.unit, str) else benchmark.unit[target]


def order(names: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """Return a sort key: first the order of `names`, then alphabetical order."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return lambda name: (places.get(name, len(places)), name)


def distinct(texts: Iterable[str]) -> str:
    """Join the distinct non-empty texts, in order, with semicolons."""
    return "; ".join(dict.fromkeys(text for text in texts if text))
