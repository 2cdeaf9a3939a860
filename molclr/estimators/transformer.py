"""A transformer from molecules to their representation."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from molclr.data.inputs import Molecule, OnError
from molclr.estimators.base import MoleculeEstimator
from molclr.model_names import DEFAULT_ENCODER
from molclr.representation import Encoder


class MolCLRTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, MoleculeEstimator):
    """Embed molecules with a pre-trained encoder, as the first step of a pipeline.

    encoder, device, encoder_class: see `molclr.Encoder.load`. explicit_hydrogens, on_error: see `molclr.Encoder.embed`; with
    on_error="nan", the next step has to accept or impute NaN. After `fit`, `encoder_` is the molclr.Encoder.
    """

    def __init__(
        self,
        encoder: str | Path = DEFAULT_ENCODER,
        *,
        device: str = "auto",
        explicit_hydrogens: bool = False,
        encoder_class: str | None = None,
        on_error: OnError = "raise",
    ) -> None:
        self.encoder = encoder
        self.device = device
        self.explicit_hydrogens = explicit_hydrogens
        self.encoder_class = encoder_class
        self.on_error = on_error

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Iterable[Molecule], y: Any = None) -> Self:
        """Load the encoder; X and y are not used."""
        self.encoder_ = Encoder.load(self.encoder, self.device, self.encoder_class)
        self._n_features_out = self.encoder_.encoder.shape.embedding_dim
        return self

    def transform(self, X: Iterable[Molecule]) -> np.ndarray:
        """Compute the representation of molecules: float32 (n, embedding_dim)."""
        check_is_fitted(self)
        return self.encoder_.embed(X, self.explicit_hydrogens, on_error=self.on_error)
