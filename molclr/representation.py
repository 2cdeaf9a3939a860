"""The Python interface to the representation: `molclr.Encoder.load().embed(["CCO"])`."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from molclr.chem.seen import Seen, warn_of_unseen
from molclr.data.inputs import Molecule, OnError, accept
from molclr.model_names import DEFAULT_ENCODER, model_name
from molclr.models.encoder import GraphEncoder
from molclr.progress import called_from_python
from molclr.training.checkpoint import load_encoder
from molclr.training.device import unchanged_torch, usable_device
from molclr.training.embed_smiles import embed_smiles
from molclr.training.encoder_files import encoder_file


class Encoder:
    """A pre-trained encoder that embeds molecules in memory, given as SMILES or RDKit molecules."""

    def __init__(self, encoder: GraphEncoder, device: str | torch.device = "auto", seen: Seen | None = None) -> None:
        """Use `encoder` on `device`, see `load`. seen: the features that occurred in its corpus; None if unknown."""
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
        device: str | torch.device = "auto",
        encoder_class: str | None = None,
    ) -> "Encoder":
        """Load an encoder from an encoder.safetensors or by name.

        "molclr-gin" and "molclr-gcn" are part of the package (docs/encoders.md). "official-gin" and "official-gcn" are the
        encoders released by the authors, which are downloaded once, converted and cached in $XDG_CACHE_HOME/molclr
        (~/.cache/molclr). device: "auto", which is a GPU if there is one, "cpu", "cuda" or "cuda:0". encoder_class: the path of a
        user's encoder class, such as "my_package.gat:GAT", whose code is run; required for a file with such an encoder.
        Raises MolclrError if the file is missing or not an encoder, or if a released encoder cannot be downloaded.
        """
        with unchanged_torch():  # A module begins with random weights.
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
            with _evaluating(self.module):
                h = embed_smiles(accepted.smiles, [self.encoder], self.device, explicit_hydrogens)
            return accepted.spread(h)


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


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Context in which a module is in evaluation mode."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
