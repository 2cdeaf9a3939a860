"""The folder of a model that 'molclr train' made: how it is laid out, and predictions with it.

model.json                what predicts what, and how it was trained
network-SEED.safetensors  a network of the ensemble, as 'molclr finetune' writes it
encoder.safetensors       the encoder of the representation, unchanged
fixed.safetensors         random forest and support vector machines, a target each, and the features that they compare with

Nothing in it is executed, and it has no structures of training molecules: only their fingerprints and representations.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rdkit.DataStructs import BulkTanimotoSimilarity, ExplicitBitVect
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from molclr import __version__
from molclr.chem.fingerprints import BITS, ecfp4_counts
from molclr.chem.seen import warn_of_unseen
from molclr.config import Compute
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.models.predictor import Predictor
from molclr.training.checkpoint import load_encoder
from molclr.training.device import prepare
from molclr.training.embed import embed
from molclr.training.finetune import load_model
from molclr.training.fixed import Arrays, Features, log_counts, predict_machine, predict_trees
from molclr.training.graphs import graphs_on
from molclr.training.inference import predict_molecules
from molclr.training.queries import Queries

FORMAT = 1
"""Version of the layout."""
MODEL_JSON, ENCODER, FIXED = "model.json", "encoder.safetensors", "fixed.safetensors"
NETWORK, FOREST, MACHINE, REPRESENTATION = MODELS = ("network", "rf", "svm", "representation")
"""The models: an ensemble of networks, a random forest and a support vector machine on ECFP4 counts, and one on h."""
DOMAIN_QUANTILE = 0.05
MOLECULES_AT_A_TIME = 10_000

Change = Callable[[np.ndarray], np.ndarray]
"""Function of the predictions of each network or tree: float64 (networks, n, targets) or (trees, n), of the same shape."""


class Predicted(NamedTuple):
    """Predictions of molecules: float64 (n, targets) each."""

    mean: np.ndarray
    """The probability of class 1, or a value in the target's unit."""
    std: np.ndarray
    """The standard deviation over networks or trees; NaN for a support vector machine or a single network."""


@dataclass(frozen=True)
class ModelFolder:
    """A model in its folder. about: the content of model.json."""

    folder: Path
    about: dict[str, Any]
    encoder_class: str | None = None

    @classmethod
    def read(cls, folder: Path, encoder_class: str | None = None) -> "ModelFolder":
        """Read the model in a folder. Raises MolclrError if it has none, or one of a newer format."""
        try:
            about = json.loads((folder / MODEL_JSON).read_text(encoding="utf-8"))
            version = about["format"]
        except FileNotFoundError:
            raise MolclrError(f"'{folder}' has no {MODEL_JSON}; name the folder that 'molclr train' made.") from None
        except (ValueError, KeyError, TypeError):
            raise MolclrError(f"'{folder / MODEL_JSON}' is damaged; train the model again.") from None
        if version > FORMAT:
            raise MolclrError(
                f"'{folder}' is a model of format {version}, and MolCLR {__version__} reads formats up to {FORMAT}; "
                "update MolCLR."
            )
        return cls(folder, about, encoder_class)

    def write(self) -> None:
        """Write model.json."""
        with replacing(self.folder / MODEL_JSON) as temporary:
            text = json.dumps({"format": FORMAT, "molclr": __version__, **self.about}, indent=2, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    @property
    def targets(self) -> list[str]:
        """Names of the targets."""
        return [target["name"] for target in self.about["targets"]]

    @cached_property
    def fixed(self) -> Arrays:
        """Arrays of fixed.safetensors."""
        try:
            return load_file(self.folder / FIXED)
        except (OSError, SafetensorError) as error:
            raise MolclrError(f"'{self.folder / FIXED}' cannot be read ({error}); train the model again.") from None

    @cached_property
    def counts(self) -> csr_matrix:
        """ECFP4 counts of the training molecules, (n, BITS)."""
        data, indices, indptr = (self.fixed[f"ecfp.{part}"] for part in ("counts", "bits", "ends"))
        return csr_matrix((data.astype(np.float32), indices, indptr), shape=(len(indptr) - 1, BITS))

    def predict(self, smiles: Sequence[str], name: str | None = None, compute: Compute | None = None) -> Predicted:
        """Predict molecules, given as canonical SMILES, with the model `name`; None for the one that was chosen.

        Raises MolclrError if the folder has no such model.
        """
        parts = []
        for first in range(0, len(smiles), MOLECULES_AT_A_TIME):
            part = Queries(smiles[first : first + MOLECULES_AT_A_TIME])
            parts.append(self.predict_queries(part, name, prepare(compute or Compute())))
        return Predicted(*map(np.concatenate, zip(*parts, strict=True)))

    def predict_queries(
        self, queries: Queries, name: str | None, device: torch.device, change: Change = lambda values: values
    ) -> Predicted:
        """Predict each row of `queries` as `predict` does, with a function `change` of what each network or tree predicts."""
        name = name or self.about["chosen"]
        if name not in self.about["models"]:
            found = ", ".join(self.about["models"])
            raise MolclrError(f"'{self.folder}' has no model '{name}'; choose one of {found}.")
        return (
            self._networks(queries, device, change) if name == NETWORK else self._fixed(queries, name, device, change)
        )

    @cached_property
    def networks(self) -> list[Predictor]:
        """The networks of the ensemble."""
        paths = (self.folder / f"{NETWORK}-{seed}.safetensors" for seed in range(self.about["networks"]))
        return [load_model(path, self.encoder_class).predictor for path in paths]

    def _networks(self, queries: Queries, device: torch.device, change: Change) -> Predicted:
        places, values = np.arange(len(queries.graphs)), []
        for model in self.networks:
            graphs = graphs_on(device, queries.graphs, places, model.to(device).encoder)
            values.append(predict_molecules(model, graphs, places, queries.batch))
        each = change(np.stack(values).astype(np.float64))
        spread = each.std(axis=0, ddof=1) if len(each) > 1 else np.full(each.shape[1:], np.nan)
        return Predicted(each.mean(axis=0), spread)

    def _fixed(self, queries: Queries, name: str, device: torch.device, change: Change) -> Predicted:
        x, fitted_to = self._features(queries, name, device)
        shape = (x.shape[0], len(self.targets))
        mean, std = np.empty(shape), np.full(shape, np.nan)
        for target in range(shape[1]):
            arrays = arrays_of(self.fixed, f"{name}.{target}.")
            if name == FOREST:
                trees = change(predict_trees(arrays, x))
                mean[:, target], std[:, target] = trees.mean(axis=0), trees.std(axis=0)
            else:
                mean[:, target] = change(predict_machine(arrays, fitted_to, x, self.about["task"])[None])[0]
        return Predicted(mean, std)

    def _features(self, queries: Queries, name: str, device: torch.device) -> tuple[Features, Features]:
        """Features of molecules and of the training molecules."""
        if name == REPRESENTATION:
            encoder = load_encoder(self.folder / ENCODER, encoder_class=self.encoder_class)[0]
            h = embed(queries.graphs, encoder, np.arange(len(queries.graphs)), device, queries.batch)
            return standardized(h, self.fixed["h"]), standardized(self.fixed["h"], self.fixed["h"])
        if name == FOREST:
            return queries.counts, queries.counts
        return log_counts(queries.counts), csr_matrix(self.counts.log1p(), dtype=np.float64)

    def similarity(self, smiles: Sequence[str]) -> np.ndarray:
        """Compute the Tanimoto similarity (ECFP4, 2048 bits) to the nearest training molecule: float64 (n,)."""
        training = bits_of(self.counts)
        new = bits_of(csr_matrix(ecfp4_counts(smiles)))
        return np.array([max(BulkTanimotoSimilarity(each, training)) for each in new], np.float64)

    def warning(self, smiles: Sequence[str]) -> str:
        """Say how many molecules have features that the encoder never saw in pre-training; empty if none."""
        if self.about["chosen"] == NETWORK:
            seen = load_model(self.folder / f"{NETWORK}-0.safetensors", self.encoder_class).seen
        elif self.about["chosen"] == REPRESENTATION:
            seen = load_encoder(self.folder / ENCODER, encoder_class=self.encoder_class)[1]["seen"]
        else:
            return ""
        return warn_of_unseen(seen, smiles)


def arrays_of(fixed: Arrays, prefix: str) -> Arrays:
    """Select the arrays whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): array for name, array in fixed.items() if name.startswith(prefix)}


def standardized(h: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Standardise representations by mean and standard deviation of the training molecules: float64 (n, embedding_dim)."""
    spread = training.std(axis=0, dtype=np.float64)
    return (h - training.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)


def stored_counts(counts: np.ndarray) -> Arrays:
    """Arrange ECFP4 counts, float32 (n, BITS), for fixed.safetensors."""
    sparse = csr_matrix(counts)
    return {
        "ecfp.counts": sparse.data.astype(np.uint16),
        "ecfp.bits": sparse.indices.astype(np.int32),
        "ecfp.ends": sparse.indptr.astype(np.int64),
    }


def write_fixed(folder: Path, arrays: Arrays) -> None:
    """Write fixed.safetensors."""
    with replacing(folder / FIXED) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)


def bits_of(counts: csr_matrix) -> list[ExplicitBitVect]:
    """Convert ECFP4 counts, (n, BITS), to fingerprints of bits."""
    found = []
    for start, end in zip(counts.indptr[:-1], counts.indptr[1:], strict=True):
        bits = ExplicitBitVect(BITS)
        bits.SetBitsFromList(counts.indices[start:end].tolist())
        found.append(bits)
    return found


def domain_threshold(counts: csr_matrix, limit: int = 2000) -> float:
    """Compute the similarity below which a molecule is outside the domain, from the training molecules' ECFP4 counts.

    It is the quantile DOMAIN_QUANTILE of the similarity of training molecules to the nearest other one: 95 % of them are at
    least as similar to another. Repeated fingerprints count once. limit: molecules, evenly spaced, that are compared with all
    others.
    """
    unique = list({bits.ToBase64(): bits for bits in bits_of(counts)}.values())
    if len(unique) < 2:
        return 1.0
    nearest = []
    for place in np.linspace(0, len(unique) - 1, min(limit, len(unique)), dtype=np.int64).tolist():
        similarity = BulkTanimotoSimilarity(unique[place], unique)
        similarity[place] = -1.0
        nearest.append(max(similarity))
    return float(np.quantile(nearest, DOMAIN_QUANTILE))
