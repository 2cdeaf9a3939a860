"""'molclr train': from a table of molecules to a folder with models that predict, and what they are worth.

The training molecules fit the models. The validation molecules choose: the epoch of a network, the penalty of a support vector
machine, and the model. The test molecules only measure.
"""

import json
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
from molclr.config import Baselines, Compute, EncoderName, EncoderShape, Finetune
from molclr.data.canonicalize import canonicalize
from molclr.data.columns import choose_columns
from molclr.data.featurize import featurize
from molclr.data.labelled import LabelledMolecules, read_labelled
from molclr.data.labels import Decimal
from molclr.data.splits import SCHEMES, write_given_split, write_split
from molclr.data.store import open_store_of
from molclr.data.tables import kept_table, open_table
from molclr.errors import MolclrError
from molclr.evaluation.conformal import LEVEL, coverage, half_widths
from molclr.evaluation.metrics import Task, better, check_labels, find_metric, metrics_of, score
from molclr.evaluation.runs import Run
from molclr.evaluation.statistics import CONFIDENCE, WEIGHTED, score_interval
from molclr.files import new_folder, replacing, write_rows
from molclr.progress import progress, say
from molclr.seeds import derive_seed
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
    Predicted,
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
MANY_TARGETS = 20
"""Targets beyond which metrics whose resamples are scored one by one have no interval."""
SCORED = ("valid", "test")
PREDICTIONS, METRICS, SPLIT, REJECTED = "predictions.csv", "metrics.json", "split.csv", "rejected.csv"


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
        write_fixed(folder, _fit_fixed(asked, data, run, names, work, folder))
        model.about["domain"] = {"similarity": domain_threshold(model.counts)}
        if NETWORK in names:
            _fit_networks(asked, data, run, work, folder)
        shutil.rmtree(work)
        metrics = _evaluate(model, data, run)
        model.write()
    return metrics


def _prepared(asked: Training, folder: Path, work: Path) -> tuple[LabelledMolecules, Run, str]:
    """Canonicalize, split and featurize the table; return its molecules, the run, and the column of SMILES."""
    table = kept_table(asked.table, work)
    molecules = work / "molecules.parquet"
    columns: dict[str, Any] = {"smiles_column": asked.smiles_column, "targets": asked.targets, "decimal": asked.decimal}
    canonicalize(table, molecules, folder / REJECTED, labelled=True, **columns)
    with open_table(table) as raw:
        taken = choose_columns(raw, **columns)
    if asked.split in SCHEMES:
        sizes = write_split(molecules, folder / SPLIT, asked.split)
    else:
        sizes = write_given_split(molecules, folder / SPLIT, table, asked.split)
    say(f"split: {asked.split}, " + ", ".join(f"{size} {subset}" for subset, size in sizes.items()))
    featurize(molecules, work / "graphs.safetensors")
    data = _trainable(read_labelled(molecules, folder / SPLIT))
    task = asked.task or guess_task(data)
    check_labels(task, data.labels, data.targets)
    run = Run(asked.table.stem, NETWORK, 0, task, PRIMARY[task], data.targets)
    return data, run, taken.table.columns[taken.columns.smiles]


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


def _fit_networks(asked: Training, data: LabelledMolecules, run: Run, work: Path, folder: Path) -> None:
    """Train the ensemble of networks, after an estimate of how long it takes."""
    graphs = work / "graphs.safetensors"
    seconds = seconds_per_epoch(asked, data, run, graphs)
    longest = seconds * asked.settings.epochs * asked.seeds
    say(
        f"networks: {asked.seeds} of at most {asked.settings.epochs} epochs take up to {_duration(longest)} "
        f"({seconds:.1f} s an epoch); one stops after {PATIENCE} epochs without a better validation score"
    )
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


def _evaluate(model: ModelFolder, data: LabelledMolecules, run: Run) -> dict[str, Any]:
    """Predict validation and test molecules with all models, choose one, and write predictions.csv and metrics.json."""
    predicted = {name: _predict_scored(model, data, name) for name in model.about["models"]}
    widths = {}
    if run.task == "regression":
        valid = data.labels[data.subsets["valid"]]
        widths = {name: half_widths(valid, found["valid"].mean) for name, found in predicted.items()}
    scores = {name: _scores(data, run, found, widths.get(name)) for name, found in predicted.items()}
    values = {name: found["validation"][run.metric]["value"] for name, found in scores.items()}
    model.about["chosen"] = choose_model(run.metric, values)
    model.about["half_widths"] = {name: [_number(width) for width in found] for name, found in widths.items()}
    _write_predictions(model.folder, data, predicted, widths)
    metrics = {
        "task": run.task,
        "metric": run.metric,
        "chosen": model.about["chosen"],
        "molecules": {subset: len(places) for subset, places in data.subsets.items()},
        "confidence": CONFIDENCE,
        "models": scores,
    }
    with replacing(model.folder / METRICS) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return metrics


def _predict_scored(model: ModelFolder, data: LabelledMolecules, name: str) -> dict[str, Predicted]:
    """Predict the molecules of each subset of SCORED with a model."""
    compute = Compute(device=model.about["settings"]["device"])
    smiles = {subset: [data.smiles[place] for place in data.subsets[subset]] for subset in SCORED}
    return {subset: model.predict(molecules, name, compute) for subset, molecules in smiles.items()}


def choose_model(metric: str, validation: dict[str, float | None]) -> str:
    """Return the model with the best validation score; the first if none has one, or of equal ones."""
    best, best_score = next(iter(validation)), math.nan
    for name, value in validation.items():
        if value is not None and better(metric, value, best_score):
            best, best_score = name, value
    return best


def _scores(
    data: LabelledMolecules, run: Run, predicted: dict[str, Predicted], widths: list[float] | None
) -> dict[str, Any]:
    """Score a model on validation and test molecules, by all metrics."""
    found: dict[str, Any] = {}
    for subset, label in zip(SCORED, ("validation", "test"), strict=True):
        labels, mean = data.labels[data.subsets[subset]], predicted[subset].mean
        found[label] = {
            metric: _scored(metric, labels, mean, data.targets, with_interval=subset == "test")
            for metric in metrics_of(run.task)
        }
    if widths is not None:
        test = data.labels[data.subsets["test"]]
        covered = coverage(test, predicted["test"].mean, widths)
        found["prediction_interval"] = {
            target: {"level": LEVEL, "half_width": _number(width), "coverage_of_test": _number(fraction)}
            for target, width, fraction in zip(data.targets, widths, covered, strict=True)
        }
    return found


def _scored(
    metric: str, labels: np.ndarray, predictions: np.ndarray, targets: Sequence[str], with_interval: bool
) -> dict[str, Any]:
    scored = score(metric, labels, predictions, targets)
    found: dict[str, Any] = {
        "value": _number(scored.value),
        "per_target": scored.per_target,
        "undefined": scored.left_out,
    }
    if with_interval and (metric in WEIGHTED or len(targets) <= MANY_TARGETS):
        found["interval"] = [_number(bound) for bound in score_interval(metric, labels, predictions)]
    return found


def _number(value: float) -> float | None:
    """Replace numbers that JSON does not have by None."""
    return float(value) if math.isfinite(value) else None


def _write_predictions(
    folder: Path, data: LabelledMolecules, predicted: dict[str, dict[str, Predicted]], widths: dict[str, list[float]]
) -> None:
    """Write predictions.csv: a line for each validation and test molecule, target and model."""
    rows: list[dict[str, Any]] = []
    for subset in SCORED:
        for place, molecule in enumerate(data.subsets[subset].tolist()):
            for index, target in enumerate(data.targets):
                label = digits(data.labels[molecule, index])
                known = {"row": int(data.rows[molecule]), "subset": subset, "target": target, "label": label}
                for name, found in predicted.items():
                    mean, std = (array[place, index] for array in found[subset])
                    width = widths[name][index] if name in widths else math.nan
                    bounds = {"low": digits(mean - width), "high": digits(mean + width)}
                    rows.append({**known, "model": name, "mean": digits(mean), "std": digits(std), **bounds})
    write_rows(folder / PREDICTIONS, rows)


def digits(value: float) -> str:
    """Write a number with six digits; empty if it is not finite."""
    return f"{value:.6g}" if math.isfinite(value) else ""


def summary(metrics: dict[str, Any]) -> list[str]:
    """Describe in lines what the models are worth, and which was chosen."""
    metric = find_metric(metrics["metric"])
    values = {name: found["validation"][metrics["metric"]]["value"] for name, found in metrics["models"].items()}
    lines = [f"{'':2}{'model':16}{'validation':>12}{'test':>10}   {CONFIDENCE:.0%} interval ({metric.label})"]
    for name, found in metrics["models"].items():
        test = found["test"][metrics["metric"]]
        low, high = test.get("interval") or (None, None)
        between = f"   {_shown(low)} to {_shown(high)}"
        star = "* " if name == metrics["chosen"] else "  "
        lines.append(f"{star}{name:16}{_shown(values[name]):>12}{_shown(test['value']):>10}{between}")
        lines += [f"    test score of '{target}' undefined: {why}" for target, why in test["undefined"].items()][:3]
    chosen = metrics["chosen"]
    others = {name: value for name, value in values.items() if name != chosen}
    if others and values[chosen] is not None:
        second = choose_model(metrics["metric"], others)
        if others[second] is not None:
            gap = abs(values[chosen] - others[second])
            lines.append(f"* chosen on the validation molecules, {gap:.3g} better than {second}")
    return lines


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
