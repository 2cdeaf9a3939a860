"""Files of encoders and fine-tuned models: safetensors with a JSON header, which are read without unpickling."""

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
from molclr.models.encoder import GraphEncoder
from molclr.models.encoders import make_encoder

METADATA_KEY = "molclr"
"""The only metadata entry, a JSON object. Several entries would be written in a varying order."""
FORMAT = 1
"""Version of the metadata. Version 0 is that of files without a version number, which lack `seen`."""
RENAMED = {"width": "hidden_dim", "feature": "embedding_dim", "share": "fraction"}
"""Earlier keys of `shape` and `held_out`, also in files of version 1 -> the present ones."""


def save_weights(path: str | Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write `weights` with the JSON object `metadata` and the version of its format. Raises MolclrError if that fails."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps({"format": FORMAT, **metadata})})
        except SafetensorError as error:
            raise MolclrError(
                f"'{path}' cannot be written ({error}); free disk space or choose another place."
            ) from None


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and metadata written by `save_weights`; metadata of earlier versions are converted to the present one.

    Raises MolclrError for a file that is missing, damaged, not a checkpoint or of a newer version.
    """
    if Path(path).is_dir():
        raise MolclrError(f"'{path}' is a folder; name the checkpoint in it, encoder.safetensors or model.safetensors.")
    if not Path(path).is_file():
        raise MolclrError(
            f"The checkpoint '{path}' does not exist; correct the path, or make an encoder with 'molclr pretrain' or a model "
            "with 'molclr finetune'."
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = _of_this_format(json.loads((file.metadata() or {})[METADATA_KEY]), path)
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, KeyError, AttributeError, TypeError, json.JSONDecodeError):
        raise MolclrError(
            f"'{path}' is damaged or not a MolCLR checkpoint; give a file made by 'molclr pretrain' or 'molclr finetune' "
            "('molclr import-official' converts a model.pth of the official code)."
        ) from None


def _of_this_format(metadata: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Convert metadata to the present version, without its number. Raises MolclrError for a newer version."""
    version = metadata.pop("format", 0)
    if version > FORMAT:
        raise MolclrError(
            f"'{path}' is a checkpoint of format {version}, and MolCLR {__version__} reads formats up to {FORMAT}; update MolCLR "
            "('git pull', then 'make install')."
        )
    for part in ("shape", "held_out"):
        if metadata.get(part):
            metadata[part] = {RENAMED.get(key, key): value for key, value in metadata[part].items()}
    return metadata if version else metadata | {"seen": None}


def save_encoder(
    path: str | Path,
    encoder: GraphEncoder,
    weights: dict[str, Tensor],
    held_out: dict[str, float | str] | None,
    seen: Seen | None = None,
) -> None:
    """Write `weights` of `encoder` with its name, its shape and a description of its corpus.

    held_out: `corpus` (`GraphStore.identity`) and the rule, fraction and seed that determine the molecules that were held out.
    seen: the atom and bond features that occur in the corpus. Both are None if unknown.
    """
    about = {"encoder": encoder.name, "shape": encoder.shape.model_dump(), "held_out": held_out}
    save_weights(path, weights, about | {"seen": seen and seen._asdict()})


def load_encoder(
    path: str | Path, dropout: float = 0.0, encoder_class: str | None = None
) -> tuple[GraphEncoder, dict[str, Any]]:
    """Read a pre-trained encoder and its metadata (see `save_encoder`), in which `seen` is a Seen or None.

    encoder_class: see `stored_encoder`. Raises MolclrError like `load_weights`, and if the file does not hold an encoder.
    """
    weights, about = load_weights(path)
    if about.keys() != {"encoder", "shape", "held_out", "seen"}:
        raise MolclrError(f"'{path}' is not the checkpoint of an encoder; give a file made by 'molclr pretrain'.")
    encoder = stored_encoder(about, path, dropout, encoder_class)
    load_state(encoder, weights, path, about, encoder_class)
    return encoder, about | {"seen": read_seen(about)}


def read_seen(about: dict[str, Any]) -> Seen | None:
    """Read from metadata which features occurred in the corpus of the encoder; None if unknown."""
    return Seen(**about["seen"]) if about["seen"] else None


def stored_encoder(about: dict[str, Any], path: str | Path, dropout: float, encoder_class: str | None) -> GraphEncoder:
    """Make an encoder without weights from the metadata `about` of the file `path`.

    The path of a user's class in the file is never imported, because the file may come from an untrusted source: the user has to
    give the path as `encoder_class`. Raises MolclrError if it is missing.
    """
    name = about["encoder"]
    if is_dotted_path(name) and encoder_class is None:
        raise MolclrError(
            f"'{path}' holds an encoder of the class {name}, which is not part of MolCLR; if you trust that code, give "
            f"--encoder-class {name} (in Python, encoder_class='{name}')."
        )
    return make_encoder(
        encoder_class if is_dotted_path(name) and encoder_class else name, EncoderShape(**about["shape"]), dropout
    )


def load_state(
    module: nn.Module, weights: dict[str, Tensor], path: str | Path, about: dict[str, Any], encoder_class: str | None
) -> None:
    """Load the `weights` of the file `path` into a module. Raises MolclrError if names or shapes do not match.

    about, encoder_class: see `stored_encoder`.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        if encoder_class not in (None, about["encoder"]):
            raise MolclrError(
                f"The weights in '{path}' are those of the class {about['encoder']}, but the class given is {encoder_class}, "
                "which they do not fit; give the class that made the file, or another file."
            ) from None
        reason = str(error).splitlines()[-1].strip()
        raise MolclrError(
            f"The weights in '{path}' do not fit the network that it describes ({reason}); give an unchanged file."
        ) from None


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """Copy the weights of a module to the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
