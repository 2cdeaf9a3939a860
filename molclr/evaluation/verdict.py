"""The verdict on results in sentences: whether pre-training helps, and comparisons with baselines and with the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from molclr.evaluation.comparisons import is_pretrained, scratch_of
from molclr.evaluation.metrics import find_label
from molclr.evaluation.published import confirmed
from molclr.progress import counted


@dataclass(frozen=True)
class ComparisonCounts:
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
    scratch: ComparisonCounts
    """Compared with the same network from scratch."""
    baseline: ComparisonCounts
    """Compared with the baseline that has the best validation score."""
    paper: tuple[PaperValue, ...]

    def sentence(self) -> str:
        """Return the comparisons of this model in one sentence; empty if it was compared with nothing."""
        reached = sum(value.reached for value in self.paper)
        parts = [
            _compared(f"{scratch_of(self.model)} from scratch", self.scratch),
            _compared("the best baseline", self.baseline),
            f"reaches the paper's mean on {reached} of {counted(len(self.paper), 'benchmark')}" if self.paper else "",
        ]
        known = [part for part in parts if part]
        return f"{self.model}: {'; '.join(known)}." if known else ""


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
        answers = [sentence for sentence in against if sentence]
        nothing = (
            "Pre-trained models were not compared with others, so these results do not say whether pre-training helps."
        )
        return " ".join(answers) or nothing

    @property
    def sentences(self) -> list[str]:
        """Return the headline, one sentence for each pre-trained model, and how significance was decided."""
        tested = any(counts.tested for model in self.models for counts in (model.scratch, model.baseline))
        how = (
            "Significant: p < 0.05 after adjustment for the number of comparisons (Holm); intervals are not adjusted. The best "
            "baseline is the one with the best validation score."
        )
        return [self.headline, *filter(None, (model.sentence() for model in self.models)), *([how] if tested else [])]


def verdict(table: pd.DataFrame) -> Verdict:
    """Return the verdict on a table with the columns of `molclr.evaluation.summary.COLUMNS`, such as a CSV of `molclr table`.

    The table may be a part of that of a run: p-values and verdicts were adjusted for all comparisons of the run. Unconfirmed
    values of the paper are left out.
    """
    models = [model for model in dict.fromkeys(table["model"]) if is_pretrained(model)]
    return Verdict(tuple(_of_model(model, table[table["model"] == model]) for model in models))


def _of_model(model: str, rows: pd.DataFrame) -> ModelVerdict:
    known = rows[confirmed(rows)].dropna(subset="mean")
    scratch, baseline = (_counts(rows, f"minus_{other}_verdict") for other in ("scratch", "baseline"))
    return ModelVerdict(model, scratch, baseline, tuple(map(_paper_value, known.itertuples())))


def _counts(rows: pd.DataFrame, column: str) -> ComparisonCounts:
    names = {
        field: tuple(rows["benchmark"][rows[column] == field.replace("_", " ")])
        for field in ComparisonCounts.__dataclass_fields__
    }
    return ComparisonCounts(**names)


def _paper_value(row: Any) -> PaperValue:
    ours, paper = float(row.mean), float(row.paper_mean)
    reached = ours >= paper if find_label(row.metric).higher_is_better else ours <= paper
    return PaperValue(row.benchmark, ours, paper, reached)


def _answer(counts: Sequence[ComparisonCounts], subject: str, other: str) -> str:
    """Return a sentence that counts significant differences over all models; empty without comparisons."""
    better, worse, same, one_seed = (
        sum(len(getattr(counts, verdict)) for counts in counts) for verdict in ComparisonCounts.__dataclass_fields__
    )
    if not better + worse + same:
        without_verdict = f"{subject} was compared with {other} with one seed, which does not show significance."
        return without_verdict if one_seed else ""
    more = f" ({counted(one_seed, 'more comparison')} with one seed, without a verdict)" if one_seed else ""
    compared = better + worse + same
    if not better + worse:
        return f"{subject} is not significantly better or worse than {other} in {_any(compared, 'comparison')}{more}."
    return (
        f"{subject} is significantly better than {other} in {better} of {counted(compared, 'comparison')} and significantly "
        f"worse in {worse}{more}."
    )


def _compared(other: str, counts: ComparisonCounts) -> str:
    """Return the comparison with `other` as part of a sentence, with the names of the benchmarks."""
    of = f" of {counted(counts.tested, 'benchmark')}"
    parts = [
        f"significantly {side} than {other} on {len(names)}{of} ({', '.join(names)})"
        for side, names in (("better", counts.better), ("worse", counts.worse))
        if names
    ]
    if counts.tested and not parts:
        parts = [f"not significantly better or worse than {other} on {_any(counts.tested, 'benchmark')}"]
    if counts.one_seed:
        parts += [f"compared with {other} with one seed, without a verdict, on {', '.join(counts.one_seed)}"]
    return ", ".join(parts)


def _any(number: int, noun: str) -> str:
    return f"any of {counted(number, noun)}" if number > 1 else f"the only {noun}"
