"""What training leaves on disk: encoders and fine-tuned models as safetensors, arrays and a JSON header: nothing to unpickle."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from molclr import __version__
from molclr.chem.seen import Seen
from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.imports import is_dotted_path
from molclr.models.encoder import Encoder
from molclr.models.encoders import make_encoder

METADATA_KEY = "molclr"
"""The one metadata entry, a JSON object: several would be written in any order."""
FORMAT = 1
"""Version of what the metadata say. 0: files without a version; they lack `seen`."""
RENAMED = {"width": "hidden_dim", "feature": "embedding_dim", "share": "fraction"}
"""Keys of `shape` and `held_out` in earlier files."""


def save_weights(path: str | Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write `weights` and a JSON object beside them, with the version of its format."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps({"format": FORMAT, **metadata})})
        except SafetensorError as error:
            raise MolclrError(f"'{path}' cannot be written ({error}).") from None


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_weights` wrote, in this version or an earlier one; the metadata are returned as those of this one.

    Raises MolclrError for a file that is missing, damaged, something else or of a newer version.
    """
    if Path(path).is_dir():
        raise MolclrError(f"'{path}' is a folder; name the checkpoint in it, encoder.safetensors or model.safetensors.")
    if not Path(path).is_file():
        raise MolclrError(
            f"There is no checkpoint '{path}'; correct the path, or make an encoder with 'molclr pretrain' and a model with "
            "'molclr finetune'."
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = _of_this_format(json.loads((file.metadata() or {})[METADATA_KEY]), path)
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, KeyError, AttributeError, TypeError, json.JSONDecodeError):
        raise MolclrError(
            f"'{path}' is damaged or no MolCLR checkpoint; give one of 'molclr pretrain' or 'molclr finetune' (a model.pth of "
            "the official code becomes one by 'molclr import-official')."
        ) from None


def _of_this_format(metadata: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Metadata as this version writes them, without the number of the version. Raises MolclrError if they are of a newer one."""
    version = metadata.pop("format", 0)
    if version > FORMAT:
        raise MolclrError(
            f"'{path}' is a checkpoint of format {version}, and MolCLR {__version__} reads formats up to {FORMAT}; update MolCLR "
            "('pip install --upgrade molclr')."
        )
    for part in ("shape", "held_out"):
        if metadata.get(part):
            metadata[part] = {RENAMED.get(key, key): value for key, value in metadata[part].items()}
    return metadata if version == FORMAT else metadata | {"seen": None}


def save_encoder(
    path: str | Path,
    encoder: Encoder,
    weights: dict[str, Tensor],
    held_out: dict[str, float | str] | None,
    seen: Seen | None = None,
) -> None:
    """Write `weights` of `encoder` with its name and shape and what is known of its corpus.

    held_out: `corpus` (`GraphStore.identity`), and the rule, fraction and seed that say which of its molecules were held out.
    seen: what its molecules have. Both are None where that is not known.
    """
    about = {"encoder": encoder.name, "shape": encoder.shape.model_dump(), "held_out": held_out}
    save_weights(path, weights, about | {"seen": seen and seen._asdict()})


def load_encoder(
    path: str | Path, dropout: float = 0.0, encoder_class: str | None = None
) -> tuple[Encoder, dict[str, Any]]:
    """Read a pre-trained encoder, and what `save_encoder` says about it; `seen` is a Seen or None.

    encoder_class: see `stored_encoder`. Raises MolclrError as `load_weights` does, and when the file holds something else.
    """
    weights, about = load_weights(path)
    if about.keys() != {"encoder", "shape", "held_out", "seen"}:
        raise MolclrError(f"'{path}' holds no encoder by itself; give a checkpoint of 'molclr pretrain'.")
    encoder = stored_encoder(about, path, dropout, encoder_class)
    load_state(encoder, weights, path)
    return encoder, about | {"seen": read_seen(about)}


def read_seen(about: dict[str, Any]) -> Seen | None:
    """What the corpus of an encoder, or of the one that a model began with, has shown; None if that is not known."""
    return Seen(**about["seen"]) if about["seen"] else None


def stored_encoder(about: dict[str, Any], path: str | Path, dropout: float, encoder_class: str | None) -> Encoder:
    """A new encoder of the kind and shape that the header `about` of the file `path` names.

    A file may come from anywhere, so the path of a class in it is not imported: the user has to give it too, as `encoder_class`.
    Raises MolclrError if that is missing.
    """
    name = about["encoder"]
    if is_dotted_path(name) and encoder_class is None:
        raise MolclrError(
            f"'{path}' holds an encoder of the class {name}, which is not part of MolCLR; if you trust that code, name it with "
            f"--encoder-class {name} (in Python, encoder_class='{name}')."
        )
    return make_encoder(
        encoder_class if is_dotted_path(name) and encoder_class else name, EncoderShape(**about["shape"]), dropout
    )


def load_state(module: nn.Module, weights: dict[str, Tensor], path: str | Path) -> None:
    """Put the `weights` of the file `path` into a module. Raises MolclrError if they are not those of such a module."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise MolclrError(f"'{path}' holds the weights of another network ({reason}).") from None


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's weights that training does not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
