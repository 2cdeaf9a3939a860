"""The head of a page: a description of the run, its limits, and the table of results."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from molclr.config import Augmentation, Config, Labels, OwnBenchmark, Pretrain
from molclr.evaluation.published import decimals_of
from molclr.evaluation.reference import compared_with_published
from molclr.evaluation.report.results import Results
from molclr.evaluation.text import fixed, listed, metric_heading
from molclr.evaluation.wide import MEANING, PAPER_MARKS, VERDICT_MARKS
from molclr.model_names import PRETRAINED, pretrained_of
from molclr.progress import counted

MANY_SEEDS = 5
"""Seeds below which their number is a reason for caution."""
LARGE_CORPUS = 9_000_000
"""Molecules from which on a corpus is like the paper's, which had 10 million before the rejection of some."""


@dataclass(frozen=True)
class PageCell:
    """A cell of the table of results. value: what it is sorted by; cells with an empty one come last."""

    text: str = ""
    value: float | str = ""
    note: str = ""
    interval: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class ResultRow:
    """A row of the table of results."""

    benchmark: str
    metric: str
    model: str
    score: PageCell
    seeds: int
    scratch: PageCell
    baseline: PageCell
    paper: PageCell
    best: str
    """best, "not distinguishable" from the best, or empty."""
    first: bool
    """Whether it is the first row of its benchmark."""


def result_rows(table: pd.DataFrame) -> list[ResultRow]:
    """Make the rows of the table of results, one per benchmark and model."""
    first = ~table["benchmark"].duplicated()
    return [
        ResultRow(
            *(row.benchmark, metric_heading(row.metric, row.unit), row.model, _score(row, digits), row.seeds),
            *(_difference(row, "scratch", digits), _difference(row, "baseline", digits), _paper(row)),
            best=row.best,
            first=is_first,
        )
        for row, is_first in zip(table.itertuples(index=False), first, strict=True)
        for digits in [decimals_of(row.benchmark)]
    ]


def meanings(rows: list[ResultRow]) -> list[str]:
    """Return the meaning of the verdicts of differences, and of the marks of the paper's values, in the rows."""
    verdicts = {cell.verdict for row in rows for cell in (row.scratch, row.baseline)}
    verdict_marks = [mark for verdict, mark in VERDICT_MARKS.items() if mark and verdict in verdicts]
    paper_marks = sorted({row.paper.note for row in rows} - {""})
    return [
        *(MEANING[mark].removeprefix(f"{mark} ") for mark in verdict_marks),
        *(MEANING[mark] for mark in paper_marks),
    ]


def _score(row: Any, digits: int) -> PageCell:
    if np.isnan(row.mean):
        return PageCell("undefined", "", row.left_out_targets)
    # A standard deviation of 0 belongs to a method without random numbers.
    spread = f" ± {row.std:.{digits}f}" if row.std > 0 else ""
    return PageCell(f"{row.mean:.{digits}f}{spread}", row.mean, row.note)


def _difference(row: Any, other: str, digits: int) -> PageCell:
    """Format a difference with its interval; the note is the verdict."""
    value, low, high, verdict = (getattr(row, f"minus_{other}{end}") for end in ("", "_low", "_high", "_verdict"))
    if not verdict:
        return PageCell()
    shown, lowest, highest = (fixed(number, digits, "+") for number in (value, low, high))
    note = f"against {row.baseline}: {verdict}" if other == "baseline" else verdict
    return PageCell(shown, value, note, f"{lowest} to {highest}", verdict)


def _paper(row: Any) -> PageCell:
    if not row.paper_mean:
        return PageCell()
    mark = PAPER_MARKS[row.paper_check]
    return PageCell(f"{row.paper_mean} ± {row.paper_std} {mark}".rstrip(), float(row.paper_mean), mark)


def title_of(results: Results) -> str:
    """Return the title of the page."""
    names = list(dict.fromkeys(results.table["benchmark"]))
    return f"MolCLR on {listed(names) if len(names) <= 5 else f'{len(names)} benchmarks'}"


def what_was_done(results: Results) -> str:
    """Describe in a few sentences pre-training, models, benchmarks and splits."""
    table = results.table
    names = list(dict.fromkeys(table["benchmark"]))
    models = list(dict.fromkeys(table["model"]))
    fewest, most = int(table["seeds"].min()), int(table["seeds"].max())
    seeds = counted(most, "seed") if fewest == most else f"up to {most} seeds"
    encoders = list(dict.fromkeys(name.removeprefix(PRETRAINED) for name in map(pretrained_of, models) if name))
    start = f"{_pretraining(encoders, results.settings)} " if encoders else ""
    were = "was" if len(models) == 1 else "were"
    return (
        f"{start}{listed(models)} {were} trained on {listed(names)} with {seeds} each, and scored on test molecules that neither "
        f"training nor the choice of epochs saw. {_splits(results)}"
    )


def _pretraining(encoders: list[str], settings: Config) -> str:
    if settings.encoder.released:
        return f"The encoder is {settings.encoder.released}, released by the authors of the paper."
    molecules = f"{settings.corpus.molecules:,}" if settings.corpus.molecules else "all"
    held_out = f"{100 * settings.pretrain.validation_fraction:g} %"
    epochs = counted(settings.pretrain.epochs, "epoch")
    given, corpus = settings.pretrain, settings.corpus.name
    were = "was" if len(encoders) == 1 else "were"
    sentence = (
        f"{listed(encoders)} {were} pre-trained without labels on {molecules} molecules of {corpus}, of which {held_out} were "
        f"held out, for {epochs}"
    )
    ways = []
    if given.loss != Pretrain.model_fields["loss"].default:
        ways.append(f"with the loss {given.loss}")
    if given.augmentation.composition != Augmentation.model_fields["composition"].default:
        ways.append(f"with views by {_composition(given.augmentation.composition)}")
    return ", ".join([sentence, *filter(None, [" and ".join(ways)])]) + "."


def _composition(composition: str | list[dict[str, float]]) -> str:
    """Name the augmentations of a view with their ratios, in order."""
    if isinstance(composition, str):
        return f"the composition {composition}"
    return ", then ".join(f"{name} ({ratio:g})" for step in composition for name, ratio in step.items())


def _splits(results: Results) -> str:
    """Say how the benchmarks were split."""
    by_split: dict[str, list[str]] = {}
    for one in results.benchmarks:
        if labels := results.known.get(one.key):
            by_split.setdefault(_split(labels), []).append(one.name)
    if len(by_split) < 2:
        return "".join(f"Split: {split}." for split in by_split)
    return f"Splits: {'; '.join(f'{split} ({listed(names)})' for split, names in by_split.items())}."


def _split(labels: Labels) -> str:
    """Name the split of a benchmark."""
    if isinstance(labels, OwnBenchmark) and labels.split == "given":
        return f"given by the column '{labels.split_column}'"
    seed = labels.split.partition("-")[2]
    return f"{labels.scheme} with seed {seed}" if seed else labels.scheme


def limits(results: Results) -> list[str]:
    """List reasons for caution that follow from what was run."""
    settings, table = results.settings, results.table
    found = []
    if (fewest := int(table.groupby("benchmark")["seeds"].max().min())) < MANY_SEEDS:
        found.append(
            f"{counted(fewest, 'seed')} of one split and one pre-training: intervals cover test molecules and seeds, not "
            "another split, another pre-training or another machine."
        )
    if elsewhere := compared_with_published(results.folder / "tables"):
        found.append(elsewhere)
    smallest = table.loc[table["test_molecules"].map(_largest).idxmin()]
    found.append(f"The smallest test set, {smallest['benchmark']}, has {smallest['test_molecules']} molecules.")
    leakage = results.optional_table("leakage.csv")
    if leakage is not None:
        among, tests = leakage["in_corpus"].sum(), leakage["test_molecules"].sum()
        for_each = ", counted once for each target of which they have a label," if settings.single_task else ""
        found.append(
            f"{among:,} of {tests:,} test molecules{for_each} are in the corpus of pre-training, without their labels."
            if among
            else "No test molecule is in the corpus of pre-training."
        )
        if unseen := leakage["unseen_features"].sum():
            found.append(
                f"{unseen:,} of {tests:,} test molecules{for_each} have an element, a charge, a stereocentre or bond directions "
                "that no molecule of the corpus has, so their representation is less reliable."
            )
    if not settings.encoder.released and (results.corpus_molecules or 0) < LARGE_CORPUS:
        found.append(
            "The paper pre-trained on 10 million molecules and searched settings for each benchmark, so its values are not the "
            "expected outcome here."
        )
    if "unverified" in set(table["paper_check"]):
        found.append("Some values of the paper could not be confirmed; they are marked.")
    return found


def _largest(molecules: object) -> int:
    """Return the number of test molecules, which is a list where targets have different ones."""
    return max(int(part) for part in str(molecules).replace(";", ",").split(","))
