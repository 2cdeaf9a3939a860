"""Models of 'molclr finetune', which have a single network, and reading of models of 'train' and 'finetune' by their path."""

from pathlib import Path
from typing import Any

from molclr.errors import MolclrError
from molclr.evaluation.runs import FILES_OF_RUN, WEIGHTS_FILE
from molclr.model_names import NETWORK
from molclr.qsar.model_folder import ModelFolder
from molclr.training.finetune import load_model


class SingleNetwork(ModelFolder):
    """A model.safetensors. Its training molecules are unknown, so it has no prediction intervals and no domain."""

    @classmethod
    def read(cls, folder: Path, encoder_class: str | None = None) -> "SingleNetwork":
        """Read a model.safetensors, or that of a folder. Raises MolclrError as `load_model`."""
        run = load_model(_file_of(folder), encoder_class).run
        about: dict[str, Any] = {"task": run.task, "targets": [{"name": name} for name in run.targets]}
        about |= {"models": [NETWORK], "chosen": NETWORK, "half_widths": {}, "domain": None, "smiles_column": None}
        return cls(folder, about, encoder_class)

    @property
    def network_files(self) -> list[Path]:
        """The file of the network."""
        return [_file_of(self.folder)]

    @property
    def explicit_hydrogens(self) -> bool:
        """Whether the network was trained on graphs with explicit hydrogens."""
        return self.finetuned[0].explicit_hydrogens

    def require_outside(self, *outputs: Path | None) -> None:
        """Raise MolclrError if an output is a file of the run that made the model."""
        own = [_file_of(self.folder).with_name(name).resolve() for name in FILES_OF_RUN]
        for output in outputs:
            if output and output.resolve() in own:
                raise MolclrError(
                    f"The output '{output}' is a file of the run that made the model; choose another file."
                )


def read_model(path: Path, encoder_class: str | None = None) -> ModelFolder:
    """Read the folder of 'molclr train', or a folder or model.safetensors of 'molclr finetune'.

    Raises MolclrError if there is none, and as `ModelFolder.read` and `load_model`.
    """
    if not path.exists():
        raise MolclrError(f"There is no model '{path}'; name the folder that 'molclr train' or 'molclr finetune' made.")
    kind = SingleNetwork if _file_of(path).is_file() else ModelFolder
    return kind.read(path, encoder_class)


def _file_of(path: Path) -> Path:
    return path / WEIGHTS_FILE if path.is_dir() else path
