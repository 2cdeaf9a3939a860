"""The folder of a model that 'molclr train' made: its layout, and predictions with it.

model.json                the models, their targets and their training, and the SHA-256 of the .safetensors files
fixed.safetensors         random forest and support vector machines, one per target, and features of the training molecules
network-SEED.safetensors  a network of the ensemble, as 'molclr finetune' writes it
network-SEED.history.csv  its training loss and validation score by epoch
encoder.safetensors       the encoder of the representation, unchanged
metrics.json              scores of all models, before a refit, and out-of-fold scores of the refitted model
predictions.csv           predictions of all models for validation and test molecules, before a refit
split.csv                 the subset of each row of the table
rejected.csv              rejected rows of the table
report.html               the page of the model, with structures of test molecules and of rejected rows

`molclr.qsar.model_files` has these names. Predictions need model.json and the .safetensors files, which contain fingerprints and
representations of the training molecules, not their structures. Nothing in the folder is executed.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from molclr import __version__
from molclr.chem.fingerprints import BITS, packed_bits
from molclr.chem.seen import Seen, warn_of_unseen
from molclr.config import Compute
from molclr.data.columns import ChosenColumns, choose_columns, report_other_smiles
from molclr.data.forms import RawTable
from molclr.errors import MolclrError
from molclr.files import replacing, sha256_of
from molclr.model_names import NETWORK, WITH_ENCODER
from molclr.models.encoder import GraphEncoder
from molclr.models.predictor import Predictor
from molclr.qsar.model_files import ENCODER, FIXED, MODEL_JSON, network_file
from molclr.qsar.queries import Queries
from molclr.training.checkpoint import METADATA_KEY, load_encoder
from molclr.training.device import prepare
from molclr.training.embed import embed
from molclr.training.finetune import FinetunedModel, load_model
from molclr.training.fixed import Change, Inputs, predict_fixed, unchanged
from molclr.training.forest import Arrays
from molclr.training.graphs import graphs_on
from molclr.training.inference import predict_molecules

FORMAT = 2
"""Version of the layout. Version 1 has no digests of files."""
REQUIRED = {
    "files",
    "task",
    "targets",
    "smiles_column",
    "models",
    "chosen",
    "networks",
    "half_widths",
    "domain",
    "settings",
}
"""Keys of model.json without which it is damaged."""
CLASSES = "classes"
"""Key of model.json: target -> its classes 0 and 1 as they were given, if they are not these numbers."""
MOLECULES_AT_A_TIME = 10_000
AGAIN = "copy the whole folder again, or train the model again."


class Predicted(NamedTuple):
    """Predictions of molecules: float64 (n, targets) each."""

    mean: np.ndarray
    """The probability of class 1, or a value in the target's unit."""
    std: np.ndarray
    """The sample standard deviation over networks or trees; NaN for a support vector machine, a single network or tree."""


@dataclass(frozen=True)
class ModelFolder:
    """A model in its folder. about: the content of model.json."""

    folder: Path
    about: dict[str, Any]
    encoder_class: str | None = None

    @classmethod
    def read(cls, folder: Path, encoder_class: str | None = None) -> "ModelFolder":
        """Read the model in a folder. Raises MolclrError if it has none, one of another format, or files of another model."""
        try:
            about = json.loads((folder / MODEL_JSON).read_text(encoding="utf-8"))
        except NotADirectoryError:
            raise MolclrError(f"'{folder}' is a file; name the folder that 'molclr train' made.") from None
        except FileNotFoundError:
            raise MolclrError(f"'{folder}' has no {MODEL_JSON}; name the folder that 'molclr train' made.") from None
        except ValueError:  # neither UTF-8 nor JSON
            about = None
        if not _is_intact(about):
            raise MolclrError(f"'{folder / MODEL_JSON}' is damaged; {AGAIN}")
        found = cls(folder, about, encoder_class)
        found._require_format()
        found._require_own_files()
        return found

    def _require_format(self) -> None:
        """Raise MolclrError if the folder has another format than the present one."""
        folder, version = self.folder, self.about["format"]
        if version > FORMAT:
            raise MolclrError(
                f"'{folder}' is a model of format {version}, and MolCLR {__version__} reads formats up to {FORMAT}; "
                "update MolCLR."
            )
        if version < FORMAT:
            raise MolclrError(f"'{folder}' is a model of the earlier format {version}; train the model again.")

    def _require_own_files(self) -> None:
        """Raise MolclrError if a file is missing or not the one that was written with model.json, or targets are renamed."""
        for name, digest in self.about["files"].items():
            path = self.folder / name
            if not path.is_file():
                raise MolclrError(f"'{self.folder}' is incomplete, it has no {name}; {AGAIN}")
            if sha256_of(path) != digest:
                raise MolclrError(
                    f"'{path}' does not belong to this model: its content differs from what {MODEL_JSON} records; {AGAIN}"
                )
        with safe_open(self.folder / FIXED, "np") as file:
            trained = json.loads(file.metadata()[METADATA_KEY])["targets"]
        if trained != self.targets:
            raise MolclrError(
                f"'{self.folder / MODEL_JSON}' names the targets {', '.join(self.targets)}, but the model was trained on "
                f"{', '.join(trained)}, in this order; {AGAIN}"
            )

    def write(self) -> None:
        """Write model.json, with the digests of all other files that predictions need."""
        files = {path.name: sha256_of(path) for path in sorted(self.folder.glob("*.safetensors"))}
        about = {**self.about, "format": FORMAT, "molclr": __version__, "files": files}
        with replacing(self.folder / MODEL_JSON) as temporary:
            text = json.dumps(about, indent=2, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    @property
    def targets(self) -> list[str]:
        """Names of the targets."""
        return [target["name"] for target in self.about["targets"]]

    @property
    def words(self) -> dict[str, str]:
        """Target -> the label of its class 1, where the labels were not 0 and 1."""
        given = self.about.get(CLASSES, {})
        return {name: str(classes[1]) for name, classes in given.items() if len(classes) == 2 and classes != [0, 1]}

    @cached_property
    def fixed(self) -> Arrays:
        """Arrays of fixed.safetensors."""
        return load_file(self.folder / FIXED)

    def arrays(self, name: str) -> list[Arrays]:
        """Return the arrays of a model on fixed features, for each target."""
        found: list[Arrays] = [{} for _ in self.targets]
        for key, array in self.fixed.items():
            model, _, rest = key.partition(".")
            if model == name:
                target, _, part = rest.partition(".")
                found[int(target)][part] = array
        return found

    @cached_property
    def fingerprints(self) -> np.ndarray:
        """Packed ECFP4 of the n training molecules: uint64 (n, WORDS)."""
        return packed_bits(self.training.counts)

    @cached_property
    def training(self) -> Inputs:
        """Inputs of models on fixed features: those of the training molecules."""
        data, indices, indptr = (self.fixed[f"ecfp.{part}"] for part in ("counts", "bits", "ends"))
        counts = csr_matrix((data.astype(np.float32), indices, indptr), shape=(len(indptr) - 1, BITS))
        return Inputs(counts, self.fixed.get("h"))

    def name_of(self, name: str | None) -> str:
        """Return the name of a model in the folder; None for the chosen one. Raises MolclrError if there is no such model."""
        name = name or self.about["chosen"]
        if name not in self.about["models"]:
            found = ", ".join(self.about["models"])
            raise MolclrError(f"'{self.folder}' has no model '{name}'; choose one of {found}.")
        return name

    def predict(self, smiles: Sequence[str], name: str | None = None, compute: Compute | None = None) -> Predicted:
        """Predict molecules, given as canonical SMILES, with the model `name`; None for the chosen one.

        Raises MolclrError if the folder has no such model.
        """
        name, nothing = self.name_of(name), np.empty((0, len(self.targets)))
        device = prepare(compute or Compute())
        parts = [Predicted(nothing, nothing)]
        for first in range(0, len(smiles), MOLECULES_AT_A_TIME):
            queries = Queries(smiles[first : first + MOLECULES_AT_A_TIME], self.explicit_hydrogens)
            parts.append(self.predict_queries(queries, name, device))
        return Predicted(*map(np.concatenate, zip(*parts, strict=True)))

    def predict_queries(
        self, queries: Queries, name: str, device: torch.device, change: Change = unchanged
    ) -> Predicted:
        """Predict each row of `queries`. change: function of the predictions of each network or tree."""
        if name == NETWORK:
            return self._networks(queries, device, change)
        return self._fixed(queries, name, device, change)

    @property
    def network_files(self) -> list[Path]:
        """The files of the networks of the ensemble."""
        return [network_file(self.folder, seed) for seed in range(self.about["networks"])]

    @cached_property
    def finetuned(self) -> list[FinetunedModel]:
        """The contents of `network_files`."""
        return [load_model(path, self.encoder_class) for path in self.network_files]

    @property
    def networks(self) -> list[Predictor]:
        """The networks of the ensemble."""
        return [each.predictor for each in self.finetuned]

    @cached_property
    def encoder(self) -> tuple[GraphEncoder, dict[str, Any]]:
        """The encoder of the representation, and the metadata of its file."""
        return load_encoder(self.folder / ENCODER, encoder_class=self.encoder_class)

    def _networks(self, queries: Queries, device: torch.device, change: Change) -> Predicted:
        places, values = np.arange(len(queries.graphs)), []
        for model in self.networks:
            graphs = graphs_on(device, queries.graphs, places, model.to(device).encoder)
            values.append(predict_molecules(model, graphs, places, queries.batch))
        each = change(np.stack(values).astype(np.float64))
        spread = each.std(axis=0, ddof=1) if len(each) > 1 else np.full(each.shape[1:], np.nan)
        return Predicted(each.mean(axis=0), spread)

    def _fixed(self, queries: Queries, name: str, device: torch.device, change: Change) -> Predicted:
        h = None
        if name in WITH_ENCODER:
            places = np.arange(len(queries.graphs))
            h = embed(queries.graphs, self.encoder[0], places, device, silent=True, size=queries.batch)
        inputs, task = Inputs(queries.counts, h), self.about["task"]
        each = [predict_fixed(name, arrays, self.training, inputs, task, change) for arrays in self.arrays(name)]
        return Predicted(*(np.stack(columns, axis=1) for columns in zip(*each, strict=True)))

    def require_outside(self, *outputs: Path | None) -> None:
        """Raise MolclrError if an output would be in the folder."""
        for output in outputs:
            if output and output.resolve().parent == self.folder.resolve():
                raise MolclrError(f"The output '{output}' would be in the folder of a model; choose another place.")

    @property
    def explicit_hydrogens(self) -> bool:
        """Whether the networks were trained on graphs with explicit hydrogens."""
        return False

    @property
    def desalt(self) -> bool:
        """Whether the model was trained on the largest organic part of salts and mixtures."""
        return bool(self.about.get("desalt"))

    def choose_columns(self, table: RawTable, smiles_column: str | None = None) -> ChosenColumns:
        """Choose the column of SMILES: by default that of the training table, else the one that is found."""
        known = self.about["smiles_column"]
        if smiles_column is None and table.columns.count(known) == 1:
            smiles_column = known
            report_other_smiles(table, known)
        return choose_columns(table, smiles_column, [])

    def seen(self, name: str) -> Seen | None:
        """Return the features that occurred in the pre-training of the encoder of a model; None if unknown, or without one."""
        if name == NETWORK:
            return self.finetuned[0].seen
        return self.encoder[1]["seen"] if name in WITH_ENCODER else None

    def warning(self, smiles: Sequence[str], name: str | None = None) -> str:
        """Describe how many molecules have features that the encoder of a model never saw in pre-training; empty if none."""
        return warn_of_unseen(self.seen(self.name_of(name)), smiles, self.explicit_hydrogens)


def number_or_none(value: float) -> float | None:
    """Replace a number that JSON does not have by None."""
    return float(value) if math.isfinite(value) else None


def stored_inputs(training: Inputs) -> Arrays:
    """Return the inputs of the training molecules as arrays for fixed.safetensors."""
    arrays = {
        "ecfp.counts": training.counts.data.astype(np.uint16),
        "ecfp.bits": training.counts.indices.astype(np.int32),
        "ecfp.ends": training.counts.indptr.astype(np.int64),
    }
    return arrays if training.h is None else arrays | {"h": training.h}


def write_fixed(folder: Path, arrays: Arrays, targets: Sequence[str]) -> None:
    """Write fixed.safetensors. targets: names of the targets, whose order is that of the arrays."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(folder / FIXED) as temporary:
        save_file(contiguous, temporary, metadata={METADATA_KEY: json.dumps({"targets": list(targets)})})


def _is_intact(about: Any) -> bool:
    """Return whether the content of model.json has a format and, in the present one, what reading the folder needs."""
    if not isinstance(about, dict) or not isinstance(version := about.get("format"), int):
        return False
    if version != FORMAT:
        return True
    return (
        about.keys() >= REQUIRED
        and isinstance(about["files"], dict)
        and FIXED in about["files"]
        and isinstance(about["targets"], list)
        and all(isinstance(target, dict) and "name" in target for target in about["targets"])
    )
