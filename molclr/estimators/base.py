"""The base of classifier and regressor: parameters, fit, and predictions as a table."""

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from molclr.config import Baselines, Compute, EncoderShape, Finetune, parse_section
from molclr.data.inputs import Accepted, InvalidInput, Molecule, OnError, accept
from molclr.data.splits import SCHEMES
from molclr.errors import MolclrError
from molclr.estimators.in_memory import TrainedModel, train_in_memory
from molclr.estimators.labels import table_of, warn_of_indexes
from molclr.evaluation.metrics import Task
from molclr.library.embedder import finetuned_embedder
from molclr.model_names import DEFAULT_ENCODER, TRAIN_MODELS
from molclr.progress import called_from_python
from molclr.qsar.fit import AUTO, Recipe, with_given
from molclr.qsar.predict import prediction_columns
from molclr.training.device import unchanged_torch
from molclr.training.embed_smiles import embed_smiles

STACK = 3
"""Frames from a warning in `_accepted` to the user's call of a method."""
ESTIMATOR = "estimator"
"""Key of model.json: the names of all targets in y, and the parameters of the estimator."""
NOT_STORED = ("device", "encoder_class")
"""Parameters that a folder does not determine: the machine, and code that its reader would execute."""


def _whole(name: str, value: Any, least: int) -> int:
    """Return a parameter as an int, also those of NumPy that searches give. Raises InvalidInput for other values."""
    if not isinstance(value, int | np.integer) or value < least:
        raise InvalidInput(f"{name} is {value!r}; give a whole number of at least {least}.")
    return int(value)


class MoleculeEstimator(BaseEstimator):
    """An estimator whose X is a list of SMILES strings or RDKit molecules."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string = True, False, True
        return tags


class MoleculePredictor(MoleculeEstimator):
    """An estimator that is trained like 'molclr train' and predicts like 'molclr predict'."""

    task: Task

    def __init__(
        self,
        encoder: str | Path = DEFAULT_ENCODER,
        *,
        model: str = AUTO,
        split: str = "scaffold",
        split_seed: int = 0,
        refit: bool = True,
        desalt: bool = False,
        seeds: int = 3,
        epochs: int | None = None,
        patience: int = 20,
        device: str = "auto",
        settings: Mapping[str, Any] | None = None,
        shape: Mapping[str, Any] | None = None,
        baselines: Mapping[str, Any] | None = None,
        encoder_class: str | None = None,
        on_error: OnError = "raise",
        verbose: bool = False,
    ) -> None:
        self.encoder = encoder
        self.model = model
        self.split = split
        self.split_seed = split_seed
        self.refit = refit
        self.desalt = desalt
        self.seeds = seeds
        self.epochs = epochs
        self.patience = patience
        self.device = device
        self.settings = settings
        self.shape = shape
        self.baselines = baselines
        self.encoder_class = encoder_class
        self.on_error = on_error
        self.verbose = verbose

    def fit(self, X: Iterable[Molecule], y: Any) -> Self:
        """Train models on molecules and labels, and keep the best.

        X: SMILES strings or RDKit molecules. y: labels, (n,) or (n, targets); NaN or None where missing. The columns of a table
        name the targets. Warns of molecules that are left out: rejected ones (with on_error="nan") and those without labels.
        Rows of X and y belong together by position, and a warning says if their indexes differ.
        Raises MolclrError, which is also a ValueError, for molecules and labels that cannot be used.
        """
        warn_of_indexes(X, y)
        molecules = accept(X, self.on_error, outcome="they are left out", desalt=self.desalt)
        labels, about = self._encoded(table_of(y, molecules.total))
        labels = labels.iloc[molecules.places]
        labelled = labels.notna().any(axis=1).to_numpy()
        if not labelled.any():
            raise InvalidInput(f"There is no molecule with a label (0 sample(s) of {molecules.total}); give some.")
        if not labelled.all():
            missing = f"{(~labelled).sum()} of {len(labelled)} molecules have no label"
            warnings.warn(f"{missing}; they are left out", stacklevel=2)
        smiles = [text for text, is_labelled in zip(molecules.smiles, labelled, strict=True) if is_labelled]
        about[ESTIMATOR] = {"targets": list(labels.columns), "parameters": self._stored()}
        self.model_ = train_in_memory(smiles, labels[labelled], about, self.verbose, **self._options())
        self.targets_ = list(labels.columns)
        self._describe()
        return self

    def _encoded(self, labels: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Encode labels as float64, NaN where missing; return them and the entries of model.json about them."""
        raise NotImplementedError

    def _stored(self) -> dict[str, Any]:
        """Return the parameters that `load` restores, as JSON has them."""

        def plain(value: Any) -> Any:
            if isinstance(value, Mapping):
                return dict(value)
            return value.item() if isinstance(value, np.generic) else str(value)

        given = {name: value for name, value in self.get_params().items() if name not in NOT_STORED}
        return json.loads(json.dumps(given, default=plain))

    def _options(self) -> dict[str, Any]:
        """Return the fields of `TrainingRequest` that the parameters determine."""
        return {
            "recipe": self._recipe(),
            "task": self.task,
            "split": self.split,
            "split_seed": _whole("split_seed", self.split_seed, 0),
            "refit": bool(self.refit),
            "desalt": bool(self.desalt),
        }

    def _recipe(self) -> Recipe:
        """Return the models to fit. Raises MolclrError for a parameter that cannot be used."""
        if self.model not in (AUTO, *TRAIN_MODELS):
            raise InvalidInput(f"There is no model '{self.model}'; choose one of {', '.join((AUTO, *TRAIN_MODELS))}.")
        if self.split not in [*SCHEMES]:
            raise InvalidInput(
                f"There is no split '{self.split}'; choose one of {', '.join(SCHEMES)}. A column cannot name the subsets, "
                "because an estimator is given molecules and labels, not a table."
            )
        settings = parse_section(Finetune, self._section("settings"), "settings")
        return Recipe(
            encoder=self.encoder,
            model=self.model,
            seeds=_whole("seeds", self.seeds, 1),
            patience=_whole("patience", self.patience, 1),
            settings=with_given(settings, self._given()),
            shape=parse_section(EncoderShape, self._section("shape"), "shape"),
            baselines=parse_section(Baselines, self._section("baselines"), "baselines"),
            encoder_class=self.encoder_class,
        )

    def _section(self, name: str) -> dict[str, Any]:
        """Return the keys of a section of the configuration. Raises InvalidInput if the parameter is not a dict."""
        given = getattr(self, name)
        if not isinstance(given, Mapping | None):
            raise InvalidInput(f"{name} is {given!r}; give a dict of keys and values.")
        return dict(given or {})

    def _given(self) -> dict[str, Any]:
        """Return the parameters that are also keys of settings, where they differ from the default."""
        epochs = {} if self.epochs is None else {"epochs": self.epochs}
        return epochs | ({} if self.device == "auto" else {"device": self.device})

    def _describe(self) -> None:
        """Set the attributes that describe the trained model."""
        self.metrics_, self.chosen_ = self.model_.metrics, self.model_.model.about["chosen"]

    def _accepted(self, X: Iterable[Molecule]) -> Accepted:
        """Return the molecules to predict; warn of those that have features the encoder never saw."""
        check_is_fitted(self)
        molecules = accept(X, self.on_error, stacklevel=STACK, desalt=self.model_.model.about.get("desalt", False))
        if warning := self.model_.model.warning(molecules.smiles):
            warnings.warn(warning, stacklevel=STACK)
        return molecules

    def _means(self, molecules: Accepted) -> np.ndarray:
        """Predict probabilities of class 1, or values: float64 (n, targets), NaN for what is not predicted."""
        mean = np.full((len(molecules.smiles), len(self.targets_)), np.nan)
        model = self.model_.model
        places = [self.targets_.index(name) for name in model.targets]
        with called_from_python(), unchanged_torch():
            mean[:, places] = model.predict(molecules.smiles, compute=Compute(device=self.device)).mean
        return molecules.spread(mean)

    def _columns(self, smiles: list[str]) -> dict[str, np.ndarray]:
        """Compute the columns that 'molclr predict' adds to canonical SMILES."""
        if not smiles:
            return {}
        with called_from_python(), unchanged_torch():
            return prediction_columns(self.model_.model, smiles, Compute(device=self.device))

    def predict_table(self, X: Iterable[Molecule]) -> pd.DataFrame:
        """Return the columns of 'molclr predict' as a table with one row per molecule.

        The columns are `smiles` (canonical), for each target mean, standard deviation over networks or trees and, for values, the
        bounds of the 90 % interval; then the similarity to the nearest training molecule and whether a molecule is outside the
        domain (1 or 0). Rejected molecules (on_error="nan") have an empty row.
        """
        molecules = self._accepted(X)
        table = pd.DataFrame({"smiles": molecules.smiles} | self._columns(molecules.smiles), index=molecules.places)
        return table.reindex(range(molecules.total))

    def embed(self, X: Iterable[Molecule]) -> np.ndarray:
        """Compute the representation of molecules: float32 (n, m), as 'molclr embed --model' does.

        Concatenates the vectors of the fine-tuned networks. Without networks, uses the pre-trained encoder. Raises MolclrError if
        the model uses only fingerprints.
        """
        molecules, model = self._accepted(X), self.model_.model
        with called_from_python(self.verbose), unchanged_torch():
            try:
                embedder = finetuned_embedder(model.folder, Compute(device=self.device), self.encoder_class)
            except MolclrError as error:  # The user does not know the folder.
                raise InvalidInput(str(error).replace(f"'{model.folder}'", "the estimator")) from None
            vectors = embed_smiles(molecules.smiles, embedder.networks, embedder.device, embedder.explicit_hydrogens)
        return molecules.spread(vectors)

    def save(self, folder: str | Path, force: bool = False) -> None:
        """Write the model as a folder, which `load` and 'molclr predict' read. force: replace another model."""
        check_is_fitted(self)
        self.model_.save(Path(folder), force)

    @classmethod
    def load(cls, folder: str | Path, encoder_class: str | None = None) -> Self:
        """Read a model from a folder that `save` or 'molclr train' made. Unlike a pickle, it cannot execute code.

        The parameters of a saved estimator are restored, except for `device`. encoder_class: path of a user's encoder class,
        which is executed.
        """
        model = TrainedModel.read(Path(folder), encoder_class)
        about = model.model.about
        if about["task"] != cls.task:
            other = "MolCLRClassifier" if about["task"] == "classification" else "MolCLRRegressor"
            raise MolclrError(
                f"The model in '{folder}' is a {about['task']}; {cls.__name__} cannot load it, so use {other}."
            )
        own = about.get(ESTIMATOR, {"targets": model.model.targets, "parameters": {}})
        known = {*cls._get_param_names()} - {*NOT_STORED}
        stored = {name: value for name, value in own["parameters"].items() if name in known}
        estimator = cls(**_parameters_of(about) | stored, encoder_class=encoder_class)
        estimator.model_, estimator.targets_ = model, own["targets"]
        estimator._describe()
        return estimator

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = tags.target_tags.multi_output = True
        return tags


def _parameters_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an estimator that trains as 'molclr train' did, by the content of model.json."""
    fitted = about["models"]
    return {
        "encoder": about["encoder"],
        "model": about.get("model", fitted[0] if len(fitted) == 1 else AUTO),
        "split": about["split"],
        "split_seed": about.get("split_seed", 0),
        "refit": about.get("refit", False),
        "desalt": about.get("desalt", False),
        "seeds": about["networks"],
        "epochs": about["settings"]["epochs"],
        "patience": about.get("patience", 20),
        "settings": {name: value for name, value in about["settings"].items() if name not in ("device", "epochs")},
        "shape": about.get("shape"),
        "baselines": about["baselines"],
    }
