"""A classifier of molecules."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags

from molclr.data.inputs import Molecule
from molclr.estimators.base import MoleculePredictor
from molclr.estimators.labels import decode_classes, encode_classes, mean_score, table_of, warn_of_indexes
from molclr.evaluation.metrics import Task
from molclr.qsar.model_folder import CLASSES


class MolCLRClassifier(ClassifierMixin, MoleculePredictor):
    """Predict one of two classes for each target, with the models and parameters of `MolCLRRegressor`.

    The classes may be numbers, words or booleans. After `fit`, `classes_` are the sorted classes, or a list of them for several
    targets; the other attributes are those of `MolCLRRegressor`.
    """

    task: Task = "classification"

    def _encoded(self, labels: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
        codes, classes = encode_classes(labels)
        return codes, {CLASSES: {name: found.tolist() for name, found in classes.items()}}

    def _describe(self) -> None:
        super()._describe()
        given = self.model_.model.about.get(CLASSES, {})
        self._classes = [np.array(given.get(name, [0, 1])) for name in self.targets_]
        self.classes_ = self._classes[0] if len(self.targets_) == 1 else self._classes

    def predict(self, X: Iterable[Molecule]) -> np.ndarray:
        """Predict the more probable class: (n,), or (n, targets) for several targets.

        NaN, or None for classes that are not numbers, where a molecule is rejected or a target had no training labels.
        """
        columns = self._decoded(self._means(self._accepted(X)))
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)

    def predict_proba(self, X: Iterable[Molecule]) -> np.ndarray | list[np.ndarray]:
        """Predict class probabilities: float64 (n, 2), in the order of `classes_`; for several targets, a list of arrays.

        A target whose training labels were all equal has one column, as in scikit-learn's forests.
        """
        means = self._means(self._accepted(X))
        found = []
        for probabilities, classes in zip(means.T, self._classes, strict=True):
            both = np.stack([1 - probabilities, probabilities], axis=1)
            found.append(both if len(classes) == 2 else both.sum(axis=1, keepdims=True))
        return found[0] if len(found) == 1 else found

    def score(self, X: Iterable[Molecule], y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy on the known labels; for several targets, the mean over targets."""
        warn_of_indexes(X, y)
        means = self._means(self._accepted(X))
        labels = table_of(y, len(means))
        return mean_score(accuracy_score, labels, self._decoded(means), sample_weight, least=1)

    def _decoded(self, means: np.ndarray) -> list[np.ndarray]:
        """Return the predicted class of each molecule, for each target."""
        return [decode_classes(*pair) for pair in zip(means.T, self._classes, strict=True)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class, tags.classifier_tags.multi_label = False, True
        return tags
