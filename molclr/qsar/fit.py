"""The models of 'molclr train', fitted to labelled molecules: networks, and models on fixed features."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import ecfp4_counts
from molclr.config import Baselines, EncoderShape, Finetune, parse_section
from molclr.data.labelled import LabelledMolecules
from molclr.errors import MolclrError
from molclr.evaluation.runs import HISTORY_FILE, WEIGHTS_FILE, Run
from molclr.model_names import FOREST, FROM_SCRATCH, NETWORK, TRAIN_MODELS, WITH_ENCODER, EncoderName
from molclr.parallel import available_cores
from molclr.progress import progress, say
from molclr.qsar.model_files import ENCODER, history_file, network_file
from molclr.qsar.model_folder import stored_inputs, write_fixed
from molclr.seeds import derive_seed
from molclr.training.embed import embed_labelled
from molclr.training.encoder_files import encoder_file
from molclr.training.finetune import finetune
from molclr.training.fixed import Inputs, ValidationMolecules, fit_fixed
from molclr.training.forest import Arrays

AUTO = "auto"


@dataclass(frozen=True)
class Recipe:
    """The models to fit, and their settings.

    encoder: the name or file of an encoder, or FROM_SCRATCH for a new GIN. model: AUTO, which fits all and keeps the best, or one
    of TRAIN_MODELS. seeds: networks in the ensemble. patience, encoder_class: see `molclr.training.finetune.finetune`.
    """

    encoder: str | Path
    model: str = AUTO
    seeds: int = 3
    patience: int = 20
    settings: Finetune = field(default_factory=Finetune)
    shape: EncoderShape = field(default_factory=EncoderShape)
    baselines: Baselines = field(default_factory=Baselines)
    encoder_class: str | None = None

    @cached_property
    def start(self) -> Path | EncoderName:
        """The file of the encoder, or the name of the one that is trained from scratch. Raises MolclrError as `encoder_file`."""
        return "gin" if self.encoder == FROM_SCRATCH else encoder_file(self.encoder)

    @property
    def models(self) -> list[str]:
        """The models to fit. Raises MolclrError if there is no representation to use."""
        has_encoder = isinstance(self.start, Path)
        if self.model in WITH_ENCODER and not has_encoder:
            raise MolclrError("There is no representation without an encoder; name one with --encoder.")
        if self.model != AUTO:
            return [self.model]
        return [name for name in TRAIN_MODELS if has_encoder or name not in WITH_ENCODER]


def with_given(settings: Finetune, given: dict[str, Any], dashes: str = "") -> Finetune:
    """Return settings with the keys `given`, which are parameters or, with `dashes`, options of their own.

    Raises MolclrError for a key that is also in `settings`, and for an invalid value.
    """
    known = settings.model_dump(exclude_unset=True)
    for name in given.keys() & known.keys():
        raise MolclrError(
            f"{dashes}{name} is {given[name]!r} and '{name}' in {dashes}settings is {known[name]!r}; give one of them."
        )
    return parse_section(Finetune, known | given, f"{dashes}settings")


def fit_models(
    recipe: Recipe, data: LabelledMolecules, run: Run, inputs: Inputs, graphs: Path, folder: Path
) -> list[int]:
    """Fit the models of a recipe and write their files to `folder`; return the best epoch of each network.

    inputs: those of models on fixed features, of all molecules. graphs: the graph store of all molecules.
    """
    limit, known = recipe.baselines.svm_training_limit, ~np.isnan(data.labels[data.subsets["train"]])
    machines = [name for name in recipe.models if name not in (NETWORK, FOREST)]
    if machines and (most := int(known.sum(axis=0).max())) > limit:
        say(f"{', '.join(machines)}: fitted to a random sample of {limit} of {most} labelled training molecules")
    fitted = {name: fit_targets(recipe, name, inputs, data, run) for name in recipe.models if name != NETWORK}
    write_models(recipe, folder, inputs[data.subsets["train"]], fitted, data.targets)
    return fit_networks(recipe, data, run, graphs, folder) if NETWORK in recipe.models else []


def inputs_of(recipe: Recipe, data: LabelledMolecules, graphs: Path) -> Inputs:
    """Compute the inputs of models on fixed features for all molecules. graphs: their graph store."""
    h = None
    if isinstance(recipe.start, Path) and not {*WITH_ENCODER}.isdisjoint(recipe.models):
        h = embed_labelled(data, graphs, recipe.start, recipe.encoder_class, recipe.settings)
    return Inputs(csr_matrix(ecfp4_counts(data.smiles)), h)


def fit_targets(
    recipe: Recipe,
    name: str,
    inputs: Inputs,
    data: LabelledMolecules,
    run: Run,
    costs: Sequence[float] | None = None,
) -> list[Arrays]:
    """Fit the model `name` on fixed features to the training molecules, for each target; {} for one without labels.

    The validation molecules select the penalty of a machine, unless `costs` has one for each target.
    """
    train, valid, threads = data.subsets["train"], data.subsets["valid"], available_cores()
    training, found = inputs[train], list[Arrays]()
    for place, target in enumerate(progress(data.targets, label=f"fit {name}", unit="target")):
        labels, seed = data.labels[:, place], derive_seed(run.seed, name, target) % 2**32
        if np.isnan(labels[train]).all():
            found.append({})
            continue
        selection = None if costs else ValidationMolecules(inputs[valid], labels[valid], run.metric)
        cost = costs[place : place + 1] if costs else None
        task, settings = run.task, recipe.baselines
        found.append(fit_fixed(name, training, labels[train], task, settings, seed, threads, selection, cost))
    return found


def write_models(
    recipe: Recipe, folder: Path, training: Inputs, fitted: dict[str, list[Arrays]], targets: Sequence[str]
) -> None:
    """Write models on fixed features, and their encoder if they have one.

    training: inputs of their training molecules. targets: their names.
    """
    arrays = stored_inputs(training)
    for name, found in fitted.items():
        for place, model in enumerate(found):
            arrays |= {f"{name}.{place}.{part}": array for part, array in model.items()}
    write_fixed(folder, arrays, targets)
    if isinstance(recipe.start, Path) and not {*WITH_ENCODER}.isdisjoint(fitted):
        shutil.copyfile(recipe.start, folder / ENCODER)


def fit_networks(recipe: Recipe, data: LabelledMolecules, run: Run, graphs: Path, folder: Path) -> list[int]:
    """Train the ensemble of networks and write it to `folder`; return the best epoch of each."""
    epochs = []
    for seed in range(recipe.seeds):
        place, ours = folder / "work" / f"{NETWORK}-{seed}", replace(run, seed=seed)
        settings, shape, own = recipe.settings, recipe.shape, recipe.encoder_class
        metrics = finetune(data, graphs, place, ours, recipe.start, settings, shape, own, patience=recipe.patience)
        epochs.append(metrics.best_epoch or settings.epochs)
        os.replace(place / WEIGHTS_FILE, network_file(folder, seed))
        os.replace(place / HISTORY_FILE, history_file(folder, seed))
        shutil.rmtree(place)
    return epochs
