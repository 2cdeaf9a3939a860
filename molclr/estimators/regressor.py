"""A regressor on molecules."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from molclr.data.inputs import Molecule
from molclr.estimators.base import MoleculePredictor
from molclr.estimators.labels import encode_values, mean_score, table_of, warn_of_indexes, without_axis
from molclr.evaluation.metrics import Task


class MolCLRRegressor(RegressorMixin, MoleculePredictor):
    """Predict values of molecules with fine-tuned networks, a random forest or SVMs; `fit` keeps the best.

    encoder: name or file of the encoder to start from, or "none" for a new GIN. model: "auto" to fit all models and keep the best
    on validation molecules, or the name of one, as in 'molclr train'. split, split_seed: how `fit` separates validation and test
    molecules, "scaffold", "butina" or "random". refit: fit the model that was kept again to all molecules, and calibrate its
    intervals out of fold; False leaves the test molecules out, as 'molclr train' does without --refit. desalt: keep the largest
    organic part of salts and mixtures. seeds: networks in the ensemble. epochs: maximum of a network. patience: epochs without
    a better validation score after which a network stops. device: "auto", "cpu" or "cuda". settings, shape, baselines: keys of
    these sections of the configuration. encoder_class: path of a user's encoder class. on_error: "raise" an error for the first
    rejected molecule, or "nan" to leave it out, with a warning. verbose: print what 'molclr train' prints.

    After `fit`, `targets_` are the names of targets, `chosen_` is the model that was kept and `metrics_` the content of
    metrics.json.
    """

    task: Task = "regression"

    def _encoded(self, labels: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
        return encode_values(labels), {}

    def predict(self, X: Iterable[Molecule]) -> np.ndarray:
        """Predict values: float64 (n,), or (n, targets) for several targets; NaN for targets without training labels."""
        return without_axis(self._means(self._accepted(X)))

    def predict_interval(self, X: Iterable[Molecule]) -> np.ndarray:
        """Predict the bounds of 90 % intervals: float64 (n, 2), or (n, targets, 2) for several targets.

        The intervals are those of 'molclr predict'. They are NaN, with a warning, if too few molecules calibrate them.
        """
        molecules = self._accepted(X)
        columns = self._columns(molecules.smiles)
        missing = np.full(len(molecules.smiles), np.nan)
        bounds = [[columns.get(f"{name}_{side}", missing) for side in ("low", "high")] for name in self.targets_]
        intervals = np.moveaxis(np.array(bounds), 2, 0)
        if molecules.smiles and np.isnan(intervals).all():
            warnings.warn("too few molecules calibrate the prediction intervals, so they are NaN", stacklevel=2)
        return without_axis(molecules.spread(intervals))

    def score(self, X: Iterable[Molecule], y: Any, sample_weight: Any = None) -> float:
        """Compute R² on the known labels; for several targets, the mean over those with at least two labels."""
        warn_of_indexes(X, y)
        predictions = self._means(self._accepted(X))
        labels = encode_values(table_of(y, len(predictions)))
        return mean_score(r2_score, labels, list(predictions.T), sample_weight, least=2)
