"""'molclr train': from a table of molecules to a folder with fitted models and their scores.

The training molecules fit the models. The validation molecules choose: the epoch of a network, the penalty of a support vector
machine, and the model. The test molecules only measure. With `refit`, the chosen model is then fitted to all molecules.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from molclr.data.audit import conflicting_labels
from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.columns import ChosenColumns, choose_columns
from molclr.data.featurize import featurize
from molclr.data.labelled import LabelledMolecules, read_labelled
from molclr.data.labels import DecimalSign
from molclr.data.molecules import read_molecules
from molclr.data.splits import SCHEMES, write_given_split, write_split
from molclr.data.tables import kept_table, name_of, open_table
from molclr.errors import MolclrError
from molclr.evaluation.metrics import Task, check_all_labels
from molclr.evaluation.runs import Run
from molclr.model_names import NETWORK
from molclr.progress import counted, say
from molclr.qsar.assess import evaluate, evaluate_refit, write_metrics
from molclr.qsar.domain import domain_threshold
from molclr.qsar.duration import report_duration
from molclr.qsar.fit import Recipe, fit_models, inputs_of
from molclr.qsar.model_files import MODEL_FILE, MODEL_JSON, REJECTED, SPLIT
from molclr.qsar.model_folder import CLASSES, ModelFolder
from molclr.qsar.own_folder import own_folder
from molclr.qsar.page import write_model_page
from molclr.qsar.refit import all_training, refit

PRIMARY: dict[Task, str] = {"classification": "roc_auc", "regression": "rmse"}
"""The metric by which epochs and models are chosen."""


@dataclass(frozen=True)
class TrainingRequest:
    """The request to 'molclr train'.

    split: a scheme, or a column of the table with train, valid and test. refit: whether the chosen model is fitted again to all
    molecules. page: whether report.html is written.
    """

    table: Path
    output: Path
    recipe: Recipe
    task: Task | None = None
    targets: Sequence[str] | None = None
    smiles_column: str | None = None
    decimal: DecimalSign | None = None
    desalt: bool = False
    split: str = "scaffold"
    split_seed: int = 0
    refit: bool = False
    page: bool = True
    replace: bool = False


def train(asked: TrainingRequest) -> dict[str, Any]:
    """Train models on a table, choose one and write the folder `asked.output`; return the content of metrics.json.

    Nothing is left behind on failure. Raises MolclrError if table, columns or split do not fit, and if the output exists.
    """
    recipe = asked.recipe
    names = recipe.models
    with own_folder(asked.output, MODEL_JSON, MODEL_FILE, asked.replace) as folder:
        work = folder / "work"
        work.mkdir()
        graphs = work / "graphs.safetensors"
        whole, run, columns = _prepared(asked, folder, graphs)
        noted = {
            "molecules_in_several_subsets": len(whole.in_several_subsets),
            "molecules_with_conflicting_labels": _report_conflicts(graphs.with_name("molecules.parquet")),
        }
        data = _trainable(whole)
        whole_run, run = run, replace(run, targets=data.targets)
        if NETWORK in names:
            report_duration(recipe, data, run, graphs, asked.refit)
        inputs = inputs_of(recipe, data, graphs)
        about = _about(asked, run) | columns | {"models": names, "chosen": names[0]}
        about["epochs"] = fit_models(recipe, data, run, inputs, graphs, folder)
        model = ModelFolder(
            folder, about | _training_set(data, inputs.counts[data.subsets["train"]]), recipe.encoder_class
        )
        metrics = evaluate(model, data, run) | noted
        if asked.refit:
            guesses = refit(model, recipe, whole, whole_run, asked.split, inputs, graphs)
            about = model.about | _training_set(all_training(whole), inputs.counts)
            model = ModelFolder(folder, about, recipe.encoder_class)
            metrics["refit"] = evaluate_refit(model, whole, whole_run, guesses)
        shutil.rmtree(work)
        write_metrics(folder, metrics)
        model.write()
        if asked.page:
            write_model_page(folder, dict(zip(data.rows.tolist(), data.smiles, strict=True)))
    return metrics


def _prepared(asked: TrainingRequest, folder: Path, graphs: Path) -> tuple[LabelledMolecules, Run, dict[str, Any]]:
    """Canonicalize, split and featurize the table; return its molecules, the run, and what model.json says of its columns."""
    table = kept_table(asked.table, graphs.parent)
    molecules = graphs.with_name("molecules.parquet")
    columns: dict[str, Any] = {"smiles_column": asked.smiles_column, "targets": asked.targets, "decimal": asked.decimal}
    columns["split_column"] = None if asked.split in SCHEMES else asked.split
    selection = Selection(labelled=True, desalt=asked.desalt, **columns)
    canonicalize(table, molecules, folder / REJECTED, selection, name=name_of(asked.table))
    with open_table(table, name_of(asked.table)) as raw:
        chosen = choose_columns(raw, **columns)
        words = class_words(chosen)
    _split(asked, molecules, table, folder / SPLIT)
    featurize(molecules, graphs)
    fate = "only the refitted model predicts it, without a test score" if asked.refit else "it is not predicted"
    data = read_labelled(molecules, folder / SPLIT, fate)
    data = data if asked.refit else _trainable(data)
    task = asked.task or guess_task(data)
    check_all_labels(task, data.labels, data.targets)
    run = Run(asked.table.stem, NETWORK, 0, task, PRIMARY[task], data.targets)
    about: dict[str, Any] = {"smiles_column": chosen.table.columns[chosen.columns.smiles]}
    known = {target: words[target] for target in data.targets if target in words}
    return data, run, about | ({CLASSES: known} if known and task == "classification" else {})


def _report_conflicts(molecules: Path) -> int:
    """Report and return the number of molecules with conflicting labels."""
    conflicts = conflicting_labels(read_molecules(molecules))
    if conflicts:
        say(
            f"warning: {counted(conflicts, 'molecule')} {'has' if conflicts == 1 else 'have'} conflicting labels: several rows "
            "with different labels of a target; all of these rows are used"
        )
    return conflicts


def class_words(chosen: ChosenColumns) -> dict[str, list[str]]:
    """Return target -> words for the classes 0 and 1, as most of its labels spell them; no targets whose labels are numbers."""
    readers = {place: reader for place, reader in chosen.columns.targets.items() if reader.words}
    texts = {place: Counter[str]() for place in readers}
    for row in chosen.table.rows() if readers else ():
        for place, found in texts.items():
            found.update(field.strip() for field in row[place : place + 1])
    return {reader.target: [_spelled(word, texts[place]) for word in reader.words] for place, reader in readers.items()}


def _spelled(word: str, texts: Counter[str]) -> str:
    """Return the most frequent text that is a word in lower case; the word if there is none."""
    return next((text for text, _ in texts.most_common() if text.lower() == word), word)


def _split(asked: TrainingRequest, molecules: Path, table: Path, output: Path) -> None:
    """Write the split, and report its sizes."""
    try:
        if asked.split in SCHEMES:
            sizes = write_split(molecules, output, asked.split, asked.split_seed)
        else:
            sizes = write_given_split(molecules, output, table, asked.split, asked.split_seed)
    except MolclrError as error:  # The user has never seen the molecule table.
        raise MolclrError(
            str(error).replace(str(molecules), name_of(asked.table)).replace(str(table), name_of(asked.table))
            + f" '{asked.split}' is not a scheme either: {', '.join(SCHEMES)}." * (" has no column" in str(error))
        ) from None
    say(f"split: {asked.split}, " + ", ".join(f"{size} {subset}" for subset, size in sizes.items()))


def _trainable(data: LabelledMolecules) -> LabelledMolecules:
    """Leave out targets without labels of training molecules."""
    known = ~np.isnan(data.labels[data.subsets["train"]]).all(axis=0)
    targets = [name for name, is_known in zip(data.targets, known, strict=True) if is_known]
    return replace(data, labels=data.labels[:, known], targets=targets)


def guess_task(data: LabelledMolecules) -> Task:
    """Return classification if all labels are 0 or 1, otherwise regression; report which and why."""
    is_class = [bool(np.isin(column[~np.isnan(column)], (0, 1)).all()) for column in data.labels.T]
    if all(is_class):
        say("task: classification, because all labels are 0 or 1 (--task changes it)")
        return "classification"
    first = data.targets[is_class.index(False)]
    say(f"task: regression, because '{first}' has labels other than 0 and 1 (--task changes it)")
    for name, column in zip(data.targets, data.labels.T, strict=True):
        if len(found := np.unique(column[~np.isnan(column)])) == 2 and found.tolist() != [0, 1]:
            say(f"warning: '{name}' has only {found[0]:g} and {found[1]:g}; if they are classes, write 0 and 1")
    if any(is_class):
        both = ", ".join(f"'{name}'" for name, found in zip(data.targets, is_class, strict=True) if found)
        say(f"warning: {both} has only 0 and 1; for a classification, train it alone with --targets")
    return "regression"


def _about(asked: TrainingRequest, run: Run) -> dict[str, Any]:
    """Return the entries of model.json about task and training."""
    recipe = asked.recipe
    return {
        "task": run.task,
        "metric": run.metric,
        "table": name_of(asked.table.name),
        "desalt": asked.desalt,
        "split": asked.split,
        "split_seed": asked.split_seed,
        "encoder": Path(recipe.encoder).name,  # The folder may be shared, and a path may contain private names.
        "model": recipe.model,
        "patience": recipe.patience,
        "settings": recipe.settings.model_dump(),
        "shape": recipe.shape.model_dump(),
        "baselines": recipe.baselines.model_dump(),
        "networks": recipe.seeds,
    }


def _training_set(data: LabelledMolecules, counts: csr_matrix) -> dict[str, Any]:
    """Return the entries of model.json about the training molecules: labels and domain. counts: their ECFP4 counts."""
    targets = []
    for target, column in zip(data.targets, data.labels[data.subsets["train"]].T, strict=True):
        known = column[~np.isnan(column)]
        extent = {"lowest": float(known.min()), "highest": float(known.max())}
        targets.append({"name": target, "labels": len(known), **extent})
    return {"targets": targets, "domain": {"similarity": domain_threshold(counts)}}
