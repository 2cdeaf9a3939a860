"""Fitting of the chosen model to all molecules after its score is known, with intervals that are calibrated out of fold.

The molecules are divided into FOLDS folds, which keep the groups of the split scheme together, or scaffolds if a column of the
table is the split. A group is never divided, so that folds may differ in size. A model with the same settings, fitted to the
other folds, predicts each fold, so that every residual is that of a molecule to which the model was not fitted.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from molclr.data.labelled import LabelledMolecules
from molclr.data.splits import GROUPS, groups_of
from molclr.errors import MolclrError
from molclr.evaluation.runs import Run
from molclr.model_names import FOREST, NETWORK
from molclr.progress import say
from molclr.qsar.fit import Recipe, fit_targets, write_models
from molclr.qsar.model_files import ENCODER, network_file
from molclr.qsar.model_folder import ModelFolder
from molclr.training.checkpoint import copy_weights, save_weights
from molclr.training.finetune import begin, train_for
from molclr.training.fixed import Inputs, costs_of, predict_fixed
from molclr.training.inference import predict_molecules
from molclr.training.svm import cost_of

FOLDS = 5
NO_MOLECULES = np.empty(0, np.int64)


def refit(
    model: ModelFolder, recipe: Recipe, data: LabelledMolecules, run: Run, scheme: str, inputs: Inputs, graphs: Path
) -> np.ndarray:
    """Replace the models of a folder by the chosen one, fitted to all molecules.

    scheme: the split scheme. inputs, graphs: see `molclr.qsar.fit.fit_models`. Returns predictions out of fold, float64
    (n, targets), NaN for a target that lacks labels outside some fold.
    """
    name = model.about["chosen"]
    recipe = replace(recipe, model=name)
    folds = list(_folds(data, scheme))
    _report_folds(name, len(data.smiles), [len(part.subsets["test"]) for part in folds])
    if name == NETWORK:
        guesses = _refit_networks(model, recipe, data, run, inputs, graphs, folds)
    else:
        guesses = _refit_fixed(model, recipe, data, run, inputs, folds)
    guesses[:, np.isnan(guesses).any(axis=0)] = np.nan
    return guesses


def _folds(data: LabelledMolecules, scheme: str) -> Iterator[LabelledMolecules]:
    """Yield the molecules with each fold as the test set and the others as the training set."""
    groups = _groups(data.smiles, scheme)
    if len(set(groups)) < 2:
        raise MolclrError("There is only one molecule to refit to; give more, or leave out --refit.")
    splitter = GroupKFold(min(FOLDS, len(set(groups))))
    for rest, fold in splitter.split(data.labels, groups=groups):
        yield replace(data, subsets={"train": rest, "valid": NO_MOLECULES, "test": fold})


def _groups(smiles: list[str], scheme: str) -> list[str]:
    """Return the group of each molecule; report which groups these are unless the scheme has some."""
    groups = groups_of(scheme, smiles)
    if scheme in GROUPS:
        return groups
    if len(set(groups)) > 1:
        say(f"refit: '{scheme}' does not tell what belongs together, so the folds keep scaffolds together")
        return groups
    say("warning: all molecules have one scaffold, so the intervals are those of molecules that resemble known ones")
    return smiles


def _report_folds(name: str, molecules: int, sizes: list[int]) -> None:
    """Report how many molecules each model is fitted without."""
    each = f"{sizes[0]}" if len(set(sizes)) == 1 else f"{min(sizes)} to {max(sizes)}"
    say(
        f"refit: {name} is fitted to all {molecules} molecules, and {len(sizes)} times without a fold of {each} of them"
    )
    if max(sizes) > 2 * molecules / FOLDS:
        say(
            f"refit: {max(sizes)} of {molecules} molecules belong together and are predicted from the others, "
            "so the intervals may be too wide"
        )


def all_training(data: LabelledMolecules) -> LabelledMolecules:
    """Return the molecules, all of them in the training set."""
    return replace(data, subsets={"train": np.arange(len(data.smiles)), "valid": NO_MOLECULES, "test": NO_MOLECULES})


def _refit_fixed(
    model: ModelFolder,
    recipe: Recipe,
    data: LabelledMolecules,
    run: Run,
    inputs: Inputs,
    folds: list[LabelledMolecules],
) -> np.ndarray:
    """Refit a model on fixed features, with the penalties that the validation molecules selected.

    A target that had no training labels has the first candidate.
    """
    name, costs = recipe.model, None
    if name != FOREST:
        selected = {target: cost_of(arrays) for target, arrays in zip(model.targets, model.arrays(name), strict=True)}
        costs = [selected.get(target, costs_of(name)[0]) for target in data.targets]
    guesses = np.full(data.labels.shape, np.nan)
    for part in folds:
        rest, fold = part.subsets["train"], part.subsets["test"]
        for target, fitted in enumerate(fit_targets(recipe, name, inputs, part, run, costs)):
            if fitted:
                guesses[fold, target] = predict_fixed(name, fitted, inputs[rest], inputs[fold], run.task)[0]
    _clear(model.folder)
    refitted = fit_targets(recipe, name, inputs, all_training(data), run, costs)
    write_models(recipe, model.folder, inputs, {name: refitted}, data.targets)
    return guesses


def _refit_networks(
    model: ModelFolder,
    recipe: Recipe,
    data: LabelledMolecules,
    run: Run,
    inputs: Inputs,
    graphs: Path,
    folds: list[LabelledMolecules],
) -> np.ndarray:
    """Refit the networks, each for the epochs that were best for its seed; one network is fitted without each fold."""
    epochs = model.about["epochs"]
    guesses = np.full(data.labels.shape, np.nan)

    def trained(part: LabelledMolecules, seed: int) -> Any:
        ours, rest = replace(run, seed=seed), part.subsets["train"]
        settings, shape, own = recipe.settings, recipe.shape, recipe.encoder_class
        learn, about = begin(data, graphs, ours, recipe.start, settings, shape, rest, own)
        train_for(epochs[seed], learn)
        return learn, about

    for number, part in enumerate(folds):
        learn, _ = trained(part, number % recipe.seeds)
        guesses[part.subsets["test"]] = predict_molecules(learn.model, learn.graphs, part.subsets["test"])
    _clear(model.folder)
    write_models(recipe, model.folder, Inputs(inputs.counts), {}, data.targets)
    for seed in range(recipe.seeds):
        learn, about = trained(all_training(data), seed)
        save_weights(network_file(model.folder, seed), copy_weights(learn.model), about)
    return guesses


def _clear(folder: Path) -> None:
    """Delete networks and encoder; those of the refitted model are written afterwards."""
    for path in [*folder.glob(f"{NETWORK}-*"), folder / ENCODER]:
        path.unlink(missing_ok=True)
