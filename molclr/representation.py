"""The Python interface to the representation: `molclr.Encoder.load().embed(["CCO"])`."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import torch

from molclr.chem.seen import Seen, warn_of_unseen
from molclr.chem.smiles import RejectedMolecule, canonicalize_all
from molclr.config import DEFAULT_ENCODER, ReleasedName, ShippedName, model_name
from molclr.data.featurize import featurize_part
from molclr.data.fetch import fetch, mirror_folder
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.models.encoder import GraphEncoder
from molclr.training.checkpoint import load_encoder
from molclr.training.device import usable_device
from molclr.training.embed import embed
from molclr.training.official import import_official

MOLECULES_AT_A_TIME = 10_000
SHIPPED = Path(__file__).parent / "encoders"
"""Folder of the encoders in the package; see docs/encoders.md."""


class Encoder:
    """A pre-trained encoder that embeds molecules given as SMILES."""

    def __init__(self, encoder: GraphEncoder, device: str | torch.device = "cpu", seen: Seen | None = None) -> None:
        """Use `encoder` on `device`. seen: the features that occurred in its corpus; None if unknown."""
        self.encoder, self.device, self.seen = encoder, usable_device(device), seen

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
        network = model_name(self.encoder.name, pretrained=False)
        return f"<{network} of {shape.layers} x {shape.hidden_dim}, h of {shape.embedding_dim} numbers>"

    def embed(self, smiles: Sequence[str], explicit_hydrogens: bool = False) -> np.ndarray:
        """Compute the representation h of molecules, in order: float32 (n, embedding_dim).

        smiles: any SMILES; all SMILES of a molecule give the same h. explicit_hydrogens: add hydrogens as atoms, as the official
        code does in fine-tuning; pre-training does not.

        Warns (UserWarning) with the number of molecules that have features the encoder never saw in pre-training. Raises
        MolclrError, which names the first rejected molecule and its position in the list.
        """
        if isinstance(smiles, str):
            raise MolclrError(f"'{smiles}' is a single SMILES, not a list; give ['{smiles}'].")
        parts = [np.empty((0, self.encoder.shape.embedding_dim), np.float32)]
        canonical = _canonical(list(smiles))
        if warning := warn_of_unseen(self.seen, canonical, explicit_hydrogens):
            warnings.warn(warning, stacklevel=2)
        for first in range(0, len(canonical), MOLECULES_AT_A_TIME):
            part = canonical[first : first + MOLECULES_AT_A_TIME]
            store = GraphStore.of(featurize_part(part, explicit_hydrogens), explicit_hydrogens)
            parts.append(embed(store, self.encoder, np.arange(len(part)), self.device))
        return np.concatenate(parts)


def encoder_file(path_or_name: str | Path) -> Path:
    """Return the path of an encoder given by path or by the name of a shipped or released encoder."""
    shipped, released = get_args(ShippedName), get_args(ReleasedName)
    if str(path_or_name) in shipped:
        return SHIPPED / f"{path_or_name}.safetensors"
    if str(path_or_name) in released:
        return released_encoder(str(path_or_name))
    path = Path(path_or_name)
    if not path.suffix and not path.exists():
        names = " or ".join((*shipped, *released))
        raise MolclrError(f"Unknown encoder '{path}'; give the path of an encoder.safetensors, or {names}.")
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


def _canonical(smiles: list[str]) -> list[str]:
    """Canonicalize SMILES. Raises MolclrError, which names the first rejected molecule and the reason."""
    for place, text in enumerate(smiles):
        if not isinstance(text, str):
            raise MolclrError(f"Molecule {place} of the list, {text!r}, is not a SMILES string.")
    canonical = list[str]()
    for place, verdict in enumerate(canonicalize_all(smiles)):
        if isinstance(verdict, RejectedMolecule):
            raise MolclrError(f"Molecule {place} of the list, '{smiles[place]}', is rejected: {verdict.reason}.")
        canonical.append(verdict)
    return canonical
