"""Training on molecules in memory with the code of 'molclr train', and trained models that can be pickled."""

import json
import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pandas as pd

from molclr.data.inputs import InvalidInput
from molclr.errors import MolclrError
from molclr.progress import called_from_python, say
from molclr.qsar.model_files import METRICS_FILE, MODEL_FILE, MODEL_JSON
from molclr.qsar.model_folder import ModelFolder
from molclr.qsar.own_folder import own_folder
from molclr.qsar.summary import summary
from molclr.qsar.train import TrainingRequest, train
from molclr.training.device import unchanged_torch

SMILES = "smiles"
TABLE = "training data.parquet"


class TrainedModel:
    """A model in a temporary folder, which is removed with this object. A pickle of it contains all files of the folder."""

    def __init__(self, files: Mapping[str, bytes], encoder_class: str | None = None) -> None:
        """Write `files`, the files of the folder of a model by name. encoder_class: see `ModelFolder`."""
        folder = Path(mkdtemp(prefix="molclr-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self.model = ModelFolder.read(folder, encoder_class)

    @classmethod
    def read(cls, folder: Path, encoder_class: str | None = None) -> "TrainedModel":
        """Copy the folder of a model. Raises MolclrError if it is not one."""
        ModelFolder.read(folder, encoder_class)
        return cls(files_of(folder), encoder_class)

    def __reduce__(self) -> tuple[Any, ...]:
        return TrainedModel, (files_of(self.model.folder), self.model.encoder_class)

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json; empty if the file was deleted, which no prediction needs."""
        path = self.model.folder / METRICS_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def save(self, folder: Path, replace: bool = False) -> None:
        """Write the folder, which 'molclr predict' reads. replace: whether another model may be replaced. Raises MolclrError."""
        with own_folder(folder, MODEL_JSON, MODEL_FILE, replace) as temporary:
            for name, content in files_of(self.model.folder).items():
                (temporary / name).write_bytes(content)


def files_of(folder: Path) -> dict[str, bytes]:
    """Read the files of a model; other files of its folder are not part of it."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if MODEL_FILE.fullmatch(path.name)}


def train_in_memory(
    smiles: list[str], labels: pd.DataFrame, about: Mapping[str, Any], verbose: bool = False, **options: Any
) -> TrainedModel:
    """Train on canonical SMILES and labels, float64 (n, targets), NaN where missing.

    about: additional entries of model.json. verbose: print what 'molclr train' prints. options: fields of `TrainingRequest`,
    without table, output, columns and targets. Raises InvalidInput where `train` raises MolclrError.
    """
    with (
        TemporaryDirectory(prefix="molclr-") as work,
        called_from_python(verbose, hidden=f"{work}/"),
        unchanged_torch(),
    ):
        table, output = Path(work, TABLE), Path(work, "model")
        columns = {SMILES: smiles} | {name: labels[name].to_numpy() for name in labels.columns}
        pd.DataFrame(columns).to_parquet(table, index=False)
        targets = list(labels.columns)
        try:
            asked = TrainingRequest(table, output, smiles_column=SMILES, targets=targets, page=False, **options)
            say(*summary(train(asked)))
        except MolclrError as error:  # The user has never seen the table.
            text = str(error).replace(f"'{table}'", "the training data")
            raise InvalidInput(text[:1].upper() + text[1:]) from None
        trained = TrainedModel.read(output, options["recipe"].encoder_class)
    trained.model.about.update(about)
    trained.model.write()
    return trained
