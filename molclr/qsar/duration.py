"""Duration of the training of networks by 'molclr train', estimated from a few timed steps."""

import math
import time
from pathlib import Path

from molclr.data.labelled import LabelledMolecules
from molclr.evaluation.runs import Run
from molclr.progress import say
from molclr.qsar.fit import Recipe
from molclr.qsar.refit import FOLDS
from molclr.training.finetune import begin

TIMED_BATCHES = 4


def report_duration(recipe: Recipe, data: LabelledMolecules, run: Run, graphs: Path, refit: bool) -> None:
    """Report the longest time that the networks take. graphs: the graph store of all molecules."""
    seconds, epochs = seconds_per_epoch(recipe, data, run, graphs), recipe.settings.epochs
    again = (recipe.seeds + FOLDS) * seconds * epochs
    say(
        f"networks: {recipe.seeds} of at most {epochs} epochs take up to {_duration(recipe.seeds * seconds * epochs)} "
        f"({seconds:.2g} s an epoch); each stops after {recipe.patience} epochs without a better validation score"
        + f"; if they are chosen, --refit takes up to {_duration(again)} more"
        * refit
    )


def seconds_per_epoch(recipe: Recipe, data: LabelledMolecules, run: Run, graphs: Path) -> float:
    """Estimate the seconds of an epoch with its validation from a few timed steps."""
    train, settings = data.subsets["train"], recipe.settings
    few = train[: TIMED_BATCHES * settings.batch_size]
    learn, _ = begin(data, graphs, run, recipe.start, settings, recipe.shape, few, recipe.encoder_class)
    learn.epoch(1)  # Memory is allocated and caches are filled.
    start = time.perf_counter()
    learn.epoch(2)
    each = (time.perf_counter() - start) / len(few)
    return each * (len(train) + len(data.subsets["valid"]) / 3)  # Inference takes about a third of a step.


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{math.ceil(seconds)} s"
