"""What the runs come to: mean and deviation over the seeds, the difference to scratch, and the paper's values beside them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from molclr.data.catalogue import Benchmark
from molclr.errors import MolclrError
from molclr.evaluation.metrics import Metric
from molclr.evaluation.published import published
from molclr.evaluation.runs import RunMetrics
from molclr.evaluation.statistics import Difference

METRIC_NAMES: dict[Metric, str] = {"roc_auc": "ROC-AUC", "rmse": "RMSE", "mae": "MAE"}
COLUMNS = [
    *("benchmark", "model", "metric", "unit", "mean", "std", "seeds", "test_molecules", "left_out_targets", "note"),
    *("minus_scratch", "minus_scratch_low", "minus_scratch_high", "minus_scratch_verdict"),
    *("paper_mean", "paper_std", "paper_check", "paper_note", "label"),
]


def summarise(
    runs: Sequence[RunMetrics],
    catalogue: Mapping[str, Benchmark],
    from_scratch: Mapping[tuple[str, str], Difference],
) -> pd.DataFrame:
    """One row a benchmark and model, COLUMNS, in the paper's order: benchmark after benchmark.

    `mean` and `std` (sample standard deviation; NaN for one seed) are over the `seeds` runs that could be scored,
    ROC-AUC in %. `minus_scratch` is the difference of a pre-trained model, `from_scratch` by benchmark and model, with
    bounds and verdict. The paper's values are text as printed, empty where it has none.
    """
    metrics: dict[str, Metric] = {}
    for run in runs:
        if metrics.setdefault(run.benchmark, run.metric) != run.metric:
            raise MolclrError(
                f"The runs of {run.benchmark} have different metrics, {metrics[run.benchmark]} and {run.metric}; give one."
            )
    groups: dict[tuple[str, str], list[RunMetrics]] = {}
    for (benchmark, model, _), same in groupby(sorted(runs, key=_key), _key):
        groups.setdefault((benchmark, model), []).append(_joined(list(same)))

    paper = published()
    printed = {(row.method, row.benchmark): row for row in paper.itertuples()}
    rows = []
    for (key, model), group in groups.items():
        if len({frozenset(run.per_target) | frozenset(run.left_out) for run in group}) > 1:
            raise MolclrError(
                f"The seeds of {model} on {key} have different targets; run all of them before this table."
            )
        benchmark = catalogue[key].name if key in catalogue else key
        metric = group[0].metric
        scale, unit = (100, "%") if metric == "roc_auc" else (1, _unit(catalogue[key]) if key in catalogue else "")
        values = [scale * run.test for run in group if run.test is not None]
        row: dict[str, Any] = {
            "benchmark": benchmark,
            "model": model,
            "metric": METRIC_NAMES[metric],
            "unit": unit,
            "mean": np.mean(values) if values else np.nan,
            "std": np.std(values, ddof=1) if len(values) > 1 else np.nan,
            "seeds": len(values),
            "test_molecules": distinct(str(run.test_molecules) for run in group),
            "left_out_targets": distinct(target for run in group for target in run.left_out),
            "note": distinct(run.note for run in group if run.note),
        }
        gain = from_scratch.get((key, model))
        row |= {
            "minus_scratch": scale * gain.value if gain else np.nan,
            "minus_scratch_low": scale * gain.low if gain else np.nan,
            "minus_scratch_high": scale * gain.high if gain else np.nan,
            "minus_scratch_verdict": gain.verdict if gain else "",
        }
        beside = printed.get((model, benchmark))
        row |= {f"paper_{field}": getattr(beside, field, "") for field in ("mean", "std", "check", "note")}
        row["label"] = f"{benchmark}, {model}"  # a bar of `dvc plots`
        rows.append(row)
    benchmarks, models = order(paper["benchmark"]), order(paper["method"])
    rows.sort(key=lambda row: (benchmarks(row["benchmark"]), models(row["model"])))
    return pd.DataFrame(rows, columns=COLUMNS)


def _key(run: RunMetrics) -> tuple[str, str, int]:
    return run.benchmark, run.model, run.seed


def _joined(runs: list[RunMetrics]) -> RunMetrics:
    """Runs of one seed, each of other targets, as one: scored by the mean over all targets, as one of all would be."""
    first = runs[0]
    if len(runs) == 1:
        return first
    targets = [target for run in runs for target in (*run.per_target, *run.left_out)]
    if not targets or len(targets) > len(set(targets)):
        raise MolclrError(
            f"Seed {first.seed} of {first.model} on {first.benchmark} is given twice; give each run once."
        )
    per_target = {target: value for run in runs for target, value in run.per_target.items()}
    return replace(
        first,
        best_epoch=None,
        validation=None,
        test=float(np.mean(list(per_target.values()))) if per_target else None,
        test_molecules=max(run.test_molecules for run in runs),
        per_target=per_target,
        left_out={target: reason for run in runs for target, reason in run.left_out.items()},
        note=distinct(run.note for run in runs),
    )


def _unit(benchmark: Benchmark) -> str:
    """The unit of a mean over the targets."""
    units = {benchmark.unit_of(target) for target in benchmark.targets}
    return units.pop() if len(units) == 1 else "mixed units"


def order(names: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """A sorting key: the order in which `names` come first, then the alphabet."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return lambda name: (places.get(name, len(places)), name)


def distinct(texts: Iterable[str]) -> str:
    """The different non-empty texts, in order, as one."""
    return "; ".join(dict.fromkeys(text for text in texts if text))
