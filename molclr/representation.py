"""The Python interface to the representation: `molclr.Encoder.load().embed(["CCO"])`."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from molclr.chem.seen import Seen, warn_of_unseen
from molclr.config import DEFAULT_ENCODER, ReleasedName, ShippedName, model_name
from molclr.data.featurize import featurize_part
from molclr.data.fetch import fetch, mirror_folder
from molclr.data.inputs import Molecule, OnError, accept
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.models.encoder import GraphEncoder
from molclr.progress import called_from_python, progress
from molclr.training.checkpoint import load_encoder
from molclr.training.device import usable_device
from molclr.training.embed import embed
from molclr.training.official import import_official

MOLECULES_AT_A_TIME = 4096
SHIPPED = Path(__file__).parent / "encoders"
"""Folder of the encoders in the package; see docs/encoders.md."""


class Encoder:
    """A pre-trained encoder that embeds molecules given as SMILES."""

    def __init__(self, encoder: GraphEncoder, device: str | torch.device = "cpu", seen: Seen | None = None) -> None:
        """Use `encoder` on `device`. seen: the features that occurred in its corpus; None if unknown."""
        self.device, self.seen = usable_device(device), seen
        self.module = BatchEncoder(encoder.to(self.device)).eval()
        """The encoder as a module of torch that takes torch-geometric batches; trains the weights that `embed` uses."""

    @property
    def encoder(self) -> GraphEncoder:
        """The encoder as a module that takes tensors."""
        return self.module.encoder

    @classmethod
    def load(
        cls,
        path_or_name: str | Path = DEFAULT_ENCODER,
        device: str | torch.device = "cpu",
        encoder_class: str | None = None,
    ) -> "Encoder":
        """Load an encoder from an encoder.safetensors or by name.

        "molclr-gin" is part of the package (docs/encoders.md). "official-gin" and "official-gcn" are the encoders released by the
        authors, which are downloaded once, converted and cached in $XDG_CACHE_HOME/molclr (~/.cache/molclr). encoder_class: the
        path of a user's encoder class, such as "my_package.gat:GAT", whose code is run; required for a file with such an encoder.
        Raises MolclrError if the file is missing or not an encoder, or if a released encoder cannot be downloaded.
        """
        encoder, about = load_encoder(encoder_file(path_or_name), encoder_class=encoder_class)
        return cls(encoder, device, about["seen"])

    def __repr__(self) -> str:
        shape = self.encoder.shape
        return f"<{self._network} of {shape.layers} x {shape.hidden_dim}, h of {shape.embedding_dim} numbers>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        shape = self.encoder.shape
        rows = {
            "network": f"{self._network}, {shape.layers} layers, hidden_dim {shape.hidden_dim}",
            "representation": f"float32 (n, {shape.embedding_dim})",
            "parameters": f"{sum(parameter.numel() for parameter in self.encoder.parameters()):,}",
            "elements of its corpus": ", ".join(self.seen.elements) if self.seen else "not known",
            "device": str(self.device),
        }
        cells = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items())
        return f"<table><caption>MolCLR encoder</caption>{cells}</table>"

    @property
    def _network(self) -> str:
        return model_name(self.encoder.name, pretrained=False)

    def embed(
        self, smiles: Iterable[Molecule], explicit_hydrogens: bool = False, *, on_error: OnError = "raise"
    ) -> np.ndarray:
        """Compute the representation h of molecules, in order: float32 (n, embedding_dim).

        smiles: a list, array, Series or generator of SMILES strings or RDKit molecules; all SMILES of a molecule give the same h.
        explicit_hydrogens: add hydrogens as atoms, as the official code does in fine-tuning; pre-training does not. on_error:
        "raise" an error for the first rejected molecule, or "nan" for a row of NaN and a warning with the number of rejected
        molecules and the commonest reasons.

        Warns (UserWarning) with the number of molecules that have features the encoder never saw in pre-training. Raises
        MolclrError, which names the first rejected molecule and its position in the list.
        """
        with called_from_python():
            accepted = accept(smiles, on_error)
            if warning := warn_of_unseen(self.seen, accepted.smiles, explicit_hydrogens):
                warnings.warn(warning, stacklevel=2)
            dim = self.encoder.shape.embedding_dim
            with _evaluating(self.module):
                return accepted.spread(embed_in_parts(accepted.smiles, dim, partial(self._embed, explicit_hydrogens)))

    def _embed(self, explicit_hydrogens: bool, smiles: list[str]) -> np.ndarray:
        """Embed canonical SMILES: float32 (n, embedding_dim)."""
        store = GraphStore.of(featurize_part(smiles, explicit_hydrogens), explicit_hydrogens)
        return embed(store, self.encoder, np.arange(len(smiles)), self.device, silent=True)


class BatchEncoder(nn.Module):
    """An encoder that takes torch-geometric data."""

    def __init__(self, encoder: GraphEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, data: Any) -> Tensor:
        """Compute the representation h: float (num_graphs, embedding_dim).

        data: a torch-geometric Batch, or the Data of one molecule, as `molclr.to_pyg` makes them.
        """
        if data.batch is None:
            return self.encoder(data.x, data.edge_index, data.edge_attr, data.x.new_zeros(len(data.x)), 1)
        return self.encoder(data.x, data.edge_index, data.edge_attr, data.batch, data.num_graphs)


def embed_in_parts(smiles: list[str], dim: int, embed_part: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """Embed canonical SMILES in parts, with a display of the progress: float32 (n, dim)."""
    parts = [np.empty((0, dim), np.float32)]
    molecules = progress(smiles, label="embed", unit="molecule")
    while part := list(islice(molecules, MOLECULES_AT_A_TIME)):
        parts.append(embed_part(part))
    return np.concatenate(parts)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Context in which a module is in evaluation mode."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def encoder_file(path_or_name: str | Path) -> Path:
    """Return the path of an encoder given by path or by the name of a shipped or released encoder."""
    shipped, released = get_args(ShippedName), get_args(ReleasedName)
    if str(path_or_name) in shipped:
        return SHIPPED / f"{path_or_name}.safetensors"
    if str(path_or_name) in released:
        return released_encoder(str(path_or_name))
    path = Path(path_or_name)
    if not path.suffix and not path.exists():
        names = ", ".join((*shipped, *released))
        raise MolclrError(f"Unknown encoder '{path}'; choose {names}, or give the path of an encoder.safetensors.")
    return path


def released_encoder(name: str) -> Path:
    """Return the path of a released encoder in the user's cache; download and convert it if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "molclr")
    encoder = cache / f"{name}.safetensors"
    if not encoder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix=".") as folder:
            checkpoint = Path(folder, f"{name}.pth")
            fetch(name, checkpoint, checkpoint.with_suffix(".json"), mirror_folder())
            import_official(checkpoint, encoder)
    return encoder
