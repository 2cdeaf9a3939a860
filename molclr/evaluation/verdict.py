"""What results say in words: does pre-training help, does it beat the best baseline, and how close are the paper's values?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from molclr.evaluation.comparisons import is_pretrained, scratch_of
from molclr.evaluation.metrics import find_label


@dataclass(frozen=True)
class Tally:
    """The benchmarks on which a model was compared, by the verdict of the comparison."""

    better: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    not_significant: tuple[str, ...] = ()
    one_seed: tuple[str, ...] = ()

    @property
    def tested(self) -> int:
        """Return the number of comparisons that allow a verdict."""
        return len(self.better) + len(self.worse) + len(self.not_significant)


@dataclass(frozen=True)
class PaperValue:
    """A confirmed mean of the paper and ours, in the unit of the table."""

    benchmark: str
    ours: float
    paper: float
    reached: bool
    """Whether our mean is at least as good."""


@dataclass(frozen=True)
class ModelVerdict:
    """The verdict on a pre-trained model."""

    model: str
    scratch: Tally
    """Compared with the same network from scratch."""
    baseline: Tally
    """Compared with the baseline that has the best validation score."""
    paper: tuple[PaperValue, ...]

    def sentence(self) -> str:
        """Return the comparisons of this model in one sentence; empty if it was compared with nothing."""
        reached = sum(value.reached for value in self.paper)
        parts = [
            _compared(f"{scratch_of(self.model)} from scratch", self.scratch),
            _compared("the best baseline", self.baseline),
            f"it reaches the paper's mean on {reached} of {_count(len(self.paper), 'benchmark')}" if self.paper else "",
        ]
        told = [part for part in parts if part]
        return f"{self.model}: {'; '.join(told)}." if told else ""


@dataclass(frozen=True)
class Verdict:
    """The verdict on all pre-trained models of a table of results."""

    models: tuple[ModelVerdict, ...]

    @property
    def headline(self) -> str:
        """Return the answer in one or two sentences: does pre-training help, and against what?"""
        against = [
            _answer([model.scratch for model in self.models], "Pre-training", "the same network from scratch"),
            _answer(
                [model.baseline for model in self.models], "A model with a pre-trained encoder", "the best baseline"
            ),
        ]
        told = [sentence for sentence in against if sentence]
        nothing = (
            "Pre-trained models were not compared with others, so these results do not say whether pre-training helps."
        )
        return " ".join(told) or nothing

    @property
    def sentences(self) -> list[str]:
        """Return the headline, one sentence for each pre-trained model, and how significance was decided."""
        tested = any(tally.tested for model in self.models for tally in (model.scratch, model.baseline))
        how = (
            "Significant: p < 0.05 after adjustment for the number of comparisons (Holm). The best baseline is the one with the "
            "best validation score."
        )
        return [self.headline, *filter(None, (model.sentence() for model in self.models)), *([how] if tested else [])]


def verdict(table: pd.DataFrame) -> Verdict:
    """Return the verdict on a table with the columns of `molclr.evaluation.summary.COLUMNS`, such as a CSV of `molclr table`.

    The table may be a part of that of a run: p-values and verdicts were adjusted for all comparisons of the run. Values of the
    paper that nobody could confirm are left out.
    """
    models = [model for model in dict.fromkeys(table["model"]) if is_pretrained(model)]
    return Verdict(tuple(_of_model(model, table[table["model"] == model]) for model in models))


def _of_model(model: str, rows: pd.DataFrame) -> ModelVerdict:
    confirmed = rows[rows["paper_check"].isin(["verified", "std unverified"])].dropna(subset="mean")
    scratch, baseline = (_tally(rows, f"minus_{other}_verdict") for other in ("scratch", "baseline"))
    return ModelVerdict(model, scratch, baseline, tuple(map(_paper_value, confirmed.itertuples())))


def _tally(rows: pd.DataFrame, column: str) -> Tally:
    names = {
        field: tuple(rows["benchmark"][rows[column] == field.replace("_", " ")]) for field in Tally.__dataclass_fields__
    }
    return Tally(**names)


def _paper_value(row: Any) -> PaperValue:
    ours, paper = float(row.mean), float(row.paper_mean)
    reached = ours >= paper if find_label(row.metric).higher_is_better else ours <= paper
    return PaperValue(row.benchmark, ours, paper, reached)


def _answer(tallies: Sequence[Tally], subject: str, other: str) -> str:
    """Return a sentence that counts significant differences over all models; empty without comparisons."""
    better, worse, same, one_seed = (
        sum(len(getattr(tally, verdict)) for tally in tallies) for verdict in Tally.__dataclass_fields__
    )
    if not better + worse + same:
        untold = f"{subject} was compared with {other} with one seed, which does not tell what is significant."
        return untold if one_seed else ""
    more = f" ({_count(one_seed, 'more comparison')} with one seed, without a verdict)" if one_seed else ""
    return (
        f"{subject} is significantly better than {other} in {better} of "
        f"{_count(better + worse + same, 'comparison')}, significantly worse in {worse} and not distinguishable "
        f"in {same}{more}."
    )


def _compared(other: str, tally: Tally) -> str:
    """Return the comparison with `other` as part of a sentence, with the names of the benchmarks."""
    told = []
    if tally.tested:
        tested = f" of {_count(tally.tested, 'benchmark')}"
        told += [f"significantly better than {other} on {_named(tally.better, tested)}"]
        told += [
            f"significantly worse on {_named(tally.worse)}, not distinguishable on {_named(tally.not_significant)}"
        ]
    if tally.one_seed:
        told += [f"compared with {other} with one seed, without a verdict, on {_named(tally.one_seed)}"]
    return ", ".join(told)


def _named(benchmarks: Sequence[str], of: str = "") -> str:
    """Return the number of benchmarks and their names."""
    names = f" ({', '.join(benchmarks)})" if benchmarks else ""
    return f"{len(benchmarks)}{of}{names}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
