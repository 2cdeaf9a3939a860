"""Import of the encoders that the authors of MolCLR released (github.com/yuyangw/MolCLR, ckpt/)."""

import io
import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.models.encoder import GraphEncoder
from molclr.models.encoders import make_encoder
from molclr.training.checkpoint import save_encoder


def import_official(checkpoint: Path, output: Path) -> None:
    """Convert an official checkpoint, a model.pth of GIN or GCN, to a checkpoint of this package (safetensors).

    No code in the file is run. Raises MolclrError, and writes nothing, if the file is not such a checkpoint.
    """
    encoder = official_encoder(read_tensors(checkpoint), checkpoint)
    save_encoder(output, encoder, encoder.state_dict(), held_out=None)


def read_tensors(checkpoint: Path) -> dict[str, Tensor]:
    """Read the tensors of a file written by torch.save. Raises MolclrError if it is damaged or holds other objects."""
    if not checkpoint.is_file():
        raise MolclrError(
            f"The checkpoint '{checkpoint}' does not exist; correct the path ('finetune' and 'embed' download the released GCN "
            "themselves if you name it official-gcn)."
        )
    content = io.BytesIO(checkpoint.read_bytes())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns about unusual files that it can read.
            tensors = torch.load(content, map_location="cpu", weights_only=True)
        if zipfile.is_zipfile(content) and (damaged := zipfile.ZipFile(content).testzip()):  # PyTorch does not check.
            raise ValueError(f"wrong checksum of {damaged}")
        if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
            raise TypeError("the content is not a dictionary of tensors")
    except Exception as error:  # PyTorch's reader raises many types of errors for other files.
        raise MolclrError(
            f"'{checkpoint}' is damaged or not a checkpoint of tensors ({_cause(error)}); give a model.pth of the official code."
        ) from None
    return tensors


def _cause(error: Exception) -> str:
    """Return the type and the first sentence of a reading error, without PyTorch's advice to unpickle the file."""
    paragraphs = [text.strip() for text in str(error).split("\n\n")]
    is_refusal = isinstance(error, pickle.UnpicklingError) and len(paragraphs) > 1
    sentence = paragraphs[-2 if is_refusal else 0].partition(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {sentence}" if sentence else type(error).__name__


def official_encoder(tensors: dict[str, Tensor], checkpoint: Path) -> GraphEncoder:
    """Build the encoder from the tensors of an official pre-training checkpoint.

    Raises MolclrError if names or shapes differ from the official ones, or a number is not finite. Fine-tuned models, which have
    a pred_head instead of out_lin, are rejected, because they were trained on labels.
    """
    if tensors and all(name.startswith("module.") for name in tensors):  # saved from several GPUs (DataParallel)
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    try:
        for name, tensor in tensors.items():
            wanted = torch.int64 if name.endswith("num_batches_tracked") else torch.float32
            if tensor.dtype != wanted or not tensor.numel() or not tensor.isfinite().all():
                raise ValueError(f"{name} does not hold finite numbers in single precision")
        (hidden_dim,) = tensors["batch_norms.0.bias"].shape
        (embedding_dim,) = tensors["feat_lin.bias"].shape
        layers = sum(name.startswith("batch_norms.") and name.endswith(".bias") for name in tensors)
        shape = EncoderShape(layers=layers, hidden_dim=hidden_dim, embedding_dim=embedding_dim, gcn_normalization=False)
        encoder = make_encoder("gin" if "gnns.0.mlp.0.weight" in tensors else "gcn", shape)
        encoder.load_state_dict(_our_names(tensors, layers))
    except (KeyError, RuntimeError, ValueError) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error).splitlines()[-1].strip()
        raise MolclrError(
            f"'{checkpoint}' does not hold an official GIN or GCN ({reason}); give the model.pth of a pre-training."
        ) from None
    return encoder


def _our_names(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Rename the official tensors to the names of this package, without the projection head (out_lin)."""
    left = dict(tensors)
    renamed = {
        "atom_embedding.weight": left.pop("x_embedding1.weight"),
        "chirality_embedding.weight": left.pop("x_embedding2.weight"),
        "readout.weight": left.pop("feat_lin.weight"),
        "readout.bias": left.pop("feat_lin.bias"),
    }
    for i in range(layers):
        bonds = [left.pop(f"gnns.{i}.edge_embedding{k}.weight") for k in (1, 2)]
        renamed[f"layers.{i}.bond_embedding"] = torch.cat(bonds)
        if f"gnns.{i}.weight" in left:  # GCN; the official weight is the transpose
            renamed[f"layers.{i}.linear.weight"] = left.pop(f"gnns.{i}.weight").T
            renamed[f"layers.{i}.linear.bias"] = left.pop(f"gnns.{i}.bias")
    for name in tensors:
        if ".mlp." in name:
            renamed[name.replace("gnns.", "layers.")] = left.pop(name)
        elif name.startswith("batch_norms."):
            renamed[name.replace("batch_norms.", "norms.")] = left.pop(name)
    head = {name for name in left if name.startswith("out_lin.")}
    if not head or left.keys() > head:
        raise ValueError(f"it has {', '.join(sorted(left.keys() - head)) or 'no out_lin'}")
    return renamed
