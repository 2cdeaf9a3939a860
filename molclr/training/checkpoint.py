"""What training leaves on disk: encoders and fine-tuned models as safetensors, and the state of an unfinished run.

Nothing is unpickled: safetensors hold arrays and a JSON header, and a training state is loaded with `weights_only`.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.models.encoder import Encoder

METADATA_KEY = "molclr"
"""The one metadata entry, a JSON object: several would be written in any order."""


def save_weights(path: str | Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write `weights` and a JSON object beside them."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(metadata)})


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_weights` wrote. Raises MolclrError for a file that is missing, damaged or something else."""
    if not Path(path).is_file():
        raise MolclrError(f"There is no checkpoint '{path}'; make it with 'molclr pretrain' or correct the path.")
    try:
        with safe_open(path, "pt") as file:
            metadata = json.loads((file.metadata() or {})[METADATA_KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError):
        raise MolclrError(
            f"'{path}' is damaged or no MolCLR checkpoint; make it anew with 'molclr pretrain'."
        ) from None


def save_encoder(path: str | Path, encoder: Encoder, weights: dict[str, Tensor]) -> None:
    """Write `weights` of `encoder` together with its name and shape."""
    save_weights(path, weights, {"encoder": encoder.name, "shape": encoder.shape.model_dump()})


def load_encoder(path: str | Path, dropout: float = 0.0) -> Encoder:
    """Read a pre-trained encoder. Raises MolclrError as `load_weights` does, and when the file holds something else."""
    weights, metadata = load_weights(path)
    if metadata.keys() != {"encoder", "shape"}:
        raise MolclrError(f"'{path}' holds no encoder by itself; give a checkpoint of 'molclr pretrain'.")
    encoder = Encoder(metadata["encoder"], EncoderShape(**metadata["shape"]), dropout)
    encoder.load_state_dict(weights)
    return encoder


def save_state(path: str | Path, state: dict[str, Any]) -> None:
    """Write the state of an unfinished run."""
    with replacing(path) as temporary:
        torch.save(state, temporary)


def load_state(path: str | Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The state of an unfinished run, or None if there is none.

    Raises MolclrError when it is damaged, and when it belongs to another run: `identity` says what decides a run.
    """
    if not Path(path).exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        raise MolclrError(f"The unfinished run in '{path}' is damaged; delete the file to start afresh.") from None
    for key, value in identity.items():
        before = state["identity"].get(key)
        if before != value:
            raise MolclrError(
                f"The unfinished run in '{path}' has {key} = {before}, now it is {value}; "
                "undo the change to continue, or delete the file to start afresh."
            )
    return state


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's weights that training does not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
