"""'molclr train': from a table of molecules to a folder with models that predict, and what they are worth.

The training molecules fit the models. The validation molecules choose: the epoch of a network, the penalty of a support vector
machine, and the model. The test molecules only measure.
"""

import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from molclr.chem.fingerprints import ecfp4_counts
from molclr.config import Baselines, EncoderName, EncoderShape, Finetune
from molclr.data.canonicalize import canonicalize
from molclr.data.columns import choose_columns
from molclr.data.featurize import featurize
from molclr.data.labelled import LabelledMolecules, read_labelled
from molclr.data.labels import Decimal
from molclr.data.splits import SCHEMES, write_given_split, write_split
from molclr.data.store import open_store_of
from molclr.data.tables import kept_table, open_table
from molclr.errors import MolclrError
from molclr.evaluation.metrics import Task, check_labels
from molclr.evaluation.report.model import write_model_page
from molclr.evaluation.runs import Run
from molclr.files import new_folder
from molclr.progress import progress, say
from molclr.seeds import derive_seed
from molclr.training.assess import evaluate
from molclr.training.baselines import SVM_COSTS
from molclr.training.checkpoint import load_encoder
from molclr.training.device import prepare
from molclr.training.embed import embed
from molclr.training.finetune import Supervision, adam, finetune, new_predictor, starting_encoder
from molclr.training.fixed import Arrays, Features, fit_forest, fit_machine, log_counts
from molclr.training.graphs import graphs_on
from molclr.training.model_folder import (
    ENCODER,
    FOREST,
    MACHINE,
    MODEL_JSON,
    MODELS,
    NETWORK,
    REPRESENTATION,
    ModelFolder,
    domain_threshold,
    standardized,
    stored_counts,
    write_fixed,
)

AUTO = "auto"
PRIMARY: dict[Task, str] = {"classification": "roc_auc", "regression": "rmse"}
"""The metric by which epochs and models are chosen."""
PATIENCE = 20
"""Epochs without a better validation score after which a network stops."""
H_COSTS = (1.0, 10.0, 0.1, 100.0)
"""Candidates for the penalty C of a support vector machine on h; the first where validation is undefined."""
MACHINE_MOLECULES = 10_000
"""Training molecules beyond which a support vector machine takes a sample, because its kernel is quadratic."""
TIMED_BATCHES = 4
SPLIT, REJECTED = "split.csv", "rejected.csv"


@dataclass(frozen=True)
class Training:
    """What 'molclr train' is asked for.

    start: the file of an encoder, or the name of one that is trained from scratch. encoder: what the user called it. split: a
    scheme, or a column of the table with train, valid and test. model: AUTO, which fits all and keeps the best, or one of MODELS.
    """

    table: Path
    output: Path
    start: Path | EncoderName
    encoder: str
    task: Task | None = None
    targets: Sequence[str] | None = None
    smiles_column: str | None = None
    decimal: Decimal | None = None
    split: str = "scaffold"
    model: str = AUTO
    seeds: int = 3
    settings: Finetune = field(default_factory=Finetune)
    shape: EncoderShape = field(default_factory=EncoderShape)
    baselines: Baselines = field(default_factory=Baselines)
    encoder_class: str | None = None
    replace: bool = False

    @property
    def models(self) -> list[str]:
        """The models to fit. Raises MolclrError if there is no representation to use."""
        if self.model == REPRESENTATION and not isinstance(self.start, Path):
            raise MolclrError("There is no representation without an encoder; name one with --encoder.")
        if self.model != AUTO:
            return [self.model]
        return [name for name in MODELS if name != REPRESENTATION or isinstance(self.start, Path)]


def train(asked: Training) -> dict[str, Any]:
    """Train models on a table, choose one and write the folder `asked.output`; return what metrics.json contains.

    Nothing is left behind on failure. Raises MolclrError if table, columns or split do not fit, and if the output exists.
    """
    names = asked.models
    with new_folder(asked.output, MODEL_JSON, asked.replace) as folder:
        work = folder / "work"
        work.mkdir()
        data, run, smiles_column = _prepared(asked, folder, work)
        model = ModelFolder(folder, _about(asked, data, run, smiles_column, names), asked.encoder_class)
        if NETWORK in names:
            _tell_time(asked, data, run, work / "graphs.safetensors")
        write_fixed(folder, _fit_fixed(asked, data, run, names, work, folder))
        model.about["domain"] = {"similarity": domain_threshold(model.counts)}
        if NETWORK in names:
            _fit_networks(asked, data, run, work, folder)
        shutil.rmtree(work)
        metrics = evaluate(model, data, run)
        model.write()
        write_model_page(folder, dict(zip(data.rows.tolist(), data.smiles, strict=True)))
    return metrics


def _prepared(asked: Training, folder: Path, work: Path) -> tuple[LabelledMolecules, Run, str]:
    """Canonicalize, split and featurize the table; return its molecules, the run, and the column of SMILES."""
    table = kept_table(asked.table, work)
    molecules = work / "molecules.parquet"
    columns: dict[str, Any] = {"smiles_column": asked.smiles_column, "targets": asked.targets, "decimal": asked.decimal}
    canonicalize(table, molecules, folder / REJECTED, labelled=True, **columns)
    with open_table(table) as raw:
        taken = choose_columns(raw, **columns)
    _split(asked, molecules, table, folder / SPLIT)
    featurize(molecules, work / "graphs.safetensors")
    data = _trainable(read_labelled(molecules, folder / SPLIT))
    task = asked.task or guess_task(data)
    check_labels(task, data.labels, data.targets)
    run = Run(asked.table.stem, NETWORK, 0, task, PRIMARY[task], data.targets)
    return data, run, taken.table.columns[taken.columns.smiles]


def _split(asked: Training, molecules: Path, table: Path, output: Path) -> None:
    """Write the split, and tell its sizes."""
    try:
        if asked.split in SCHEMES:
            sizes = write_split(molecules, output, asked.split)
        else:
            sizes = write_given_split(molecules, output, table, asked.split)
    except MolclrError as error:  # The user has never seen the molecule table.
        raise MolclrError(str(error).replace(str(molecules), str(asked.table))) from None
    say(f"split: {asked.split}, " + ", ".join(f"{size} {subset}" for subset, size in sizes.items()))


def _trainable(data: LabelledMolecules) -> LabelledMolecules:
    """Leave out targets without labels of training molecules, and tell it."""
    known = ~np.isnan(data.labels[data.subsets["train"]]).all(axis=0)
    for target in (name for name, is_known in zip(data.targets, known, strict=True) if not is_known):
        say(f"warning: no training molecule has a label of '{target}', so it is not predicted")
    targets = [name for name, is_known in zip(data.targets, known, strict=True) if is_known]
    return replace(data, labels=data.labels[:, known], targets=targets)


def guess_task(data: LabelledMolecules) -> Task:
    """Return classification if all labels are 0 or 1, otherwise regression; tell the user which, and why."""
    is_class = [bool(np.isin(column[~np.isnan(column)], (0, 1)).all()) for column in data.labels.T]
    if all(is_class):
        say("task: classification, because all labels are 0 or 1 (--task changes it)")
        return "classification"
    first = data.targets[is_class.index(False)]
    say(f"task: regression, because '{first}' has labels other than 0 and 1 (--task changes it)")
    if any(is_class):
        both = ", ".join(f"'{name}'" for name, found in zip(data.targets, is_class, strict=True) if found)
        say(f"warning: {both} has only 0 and 1; for a classification, train it alone with --targets")
    return "regression"


def _about(asked: Training, data: LabelledMolecules, run: Run, smiles_column: str, names: list[str]) -> dict[str, Any]:
    """What model.json says before anything is trained."""
    targets = []
    for target, column in zip(data.targets, data.labels[data.subsets["train"]].T, strict=True):
        known = column[~np.isnan(column)]
        targets.append(
            {"name": target, "labels": len(known), "lowest": float(known.min()), "highest": float(known.max())}
        )
    return {
        "task": run.task,
        "metric": run.metric,
        "targets": targets,
        "table": asked.table.name,
        "smiles_column": smiles_column,
        "split": asked.split,
        "encoder": asked.encoder,
        "settings": asked.settings.model_dump(),
        "baselines": asked.baselines.model_dump(),
        "networks": asked.seeds,
        "models": names,
        "chosen": names[0],
    }


def _fit_fixed(
    asked: Training, data: LabelledMolecules, run: Run, names: list[str], work: Path, folder: Path
) -> Arrays:
    """Fit the models on fixed features; return the arrays of fixed.safetensors, with the training molecules' fingerprints."""
    counts = ecfp4_counts(data.smiles)
    arrays = stored_counts(counts[data.subsets["train"]])
    limit = min(MACHINE_MOLECULES, asked.baselines.svm_training_limit)
    if FOREST in names:
        arrays |= _fit_forests(asked, data, run, counts)
    if MACHINE in names:
        arrays |= _fit_machines(MACHINE, data, run, log_counts(counts), SVM_COSTS, limit)
    if REPRESENTATION in names and isinstance(asked.start, Path):
        shutil.copyfile(asked.start, folder / ENCODER)
        encoder, _ = load_encoder(asked.start, encoder_class=asked.encoder_class)
        places = np.arange(len(data.smiles))
        store = open_store_of(work / "graphs.safetensors", len(places), data.smiles, places)
        h = embed(store, encoder, places, prepare(asked.settings))
        arrays["h"] = h[data.subsets["train"]]
        arrays |= _fit_machines(REPRESENTATION, data, run, standardized(h, arrays["h"]), H_COSTS, limit)
    return arrays


def _fit_forests(asked: Training, data: LabelledMolecules, run: Run, counts: np.ndarray) -> Arrays:
    """Fit a random forest to each target."""
    arrays: Arrays = {}
    for place, target in enumerate(progress(data.targets, label="random forest", unit="target")):
        known, labels = _known(data, place)
        seed = derive_seed(run.seed, "RF", target) % 2**32  # scikit-learn takes 32 bits
        threads = len(os.sched_getaffinity(0))  # They change nothing but the time.
        forest = fit_forest(counts[known], labels, run.task, asked.baselines.trees, seed, threads)
        arrays |= {f"{FOREST}.{place}.{name}": array for name, array in forest.items()}
    return arrays


def _fit_machines(
    name: str, data: LabelledMolecules, run: Run, x: Features, costs: Sequence[float], limit: int
) -> Arrays:
    """Fit a support vector machine to each target, on a sample of at most `limit` molecules.

    The places of its support vectors count training molecules.
    """
    arrays: Arrays = {}
    train, valid = data.subsets["train"], data.subsets["valid"]
    for place, target in enumerate(progress(data.targets, label=f"support vector machine ({name})", unit="target")):
        known, labels = _known(data, place)
        if len(known) > limit:
            generator = np.random.default_rng(derive_seed(run.seed, name, target))
            sample = np.sort(generator.choice(len(known), limit, replace=False))
            known, labels = known[sample], labels[sample]
        machine = fit_machine(x[known], labels, (x[valid], data.labels[valid, place]), run.metric, run.task, costs)
        place_of = np.searchsorted(train, known)
        machine["support"] = place_of[machine["support"]]
        arrays |= {f"{name}.{place}.{part}": array for part, array in machine.items()}
    return arrays


def _known(data: LabelledMolecules, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Training molecules with a label of the target, int64 (n,), and their labels, float64 (n,)."""
    train = data.subsets["train"]
    known = train[~np.isnan(data.labels[train, target])]
    return known, data.labels[known, target]


def _tell_time(asked: Training, data: LabelledMolecules, run: Run, graphs: Path) -> None:
    """Tell how long the networks take at most."""
    seconds = seconds_per_epoch(asked, data, run, graphs)
    longest = seconds * asked.settings.epochs * asked.seeds
    say(
        f"networks: {asked.seeds} of at most {asked.settings.epochs} epochs take up to {_duration(longest)} "
        f"({seconds:.2g} s an epoch); one stops after {PATIENCE} epochs without a better validation score"
    )


def _fit_networks(asked: Training, data: LabelledMolecules, run: Run, work: Path, folder: Path) -> None:
    """Train the ensemble of networks."""
    graphs = work / "graphs.safetensors"
    for seed in range(asked.seeds):
        place, ours = work / f"{NETWORK}-{seed}", replace(run, seed=seed)
        settings, shape, own = asked.settings, asked.shape, asked.encoder_class
        finetune(data, graphs, place, ours, asked.start, settings, shape, own, patience=PATIENCE)
        os.replace(place / "model.safetensors", folder / f"{NETWORK}-{seed}.safetensors")
        os.replace(place / "history.csv", folder / f"{NETWORK}-{seed}.history.csv")


def seconds_per_epoch(asked: Training, data: LabelledMolecules, run: Run, graphs: Path) -> float:
    """Time a few steps, and estimate from them how long an epoch takes with its validation."""
    device, settings = prepare(asked.settings), asked.settings
    places = np.arange(len(data.smiles))
    store = open_store_of(graphs, len(places), data.smiles, places)
    encoder, _ = starting_encoder(asked.start, run.seed, settings, asked.shape, asked.encoder_class)
    train = data.subsets["train"]
    model = new_predictor(encoder, settings, run, data.labels[train]).to(device)
    few = train[: TIMED_BATCHES * settings.batch_size]
    optimizer = adam(model, settings, isinstance(asked.start, Path))
    learn = Supervision(model, run, graphs_on(device, store, places, encoder), data.labels, few, settings, optimizer)
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
