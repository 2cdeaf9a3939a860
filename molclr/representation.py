"""The representation from Python: `molclr.Encoder.load().embed(["CCO"])`."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import torch

from molclr.chem.seen import Seen, warn_of_unseen
from molclr.chem.smiles import RefusedMolecule, canonicalize_all
from molclr.config import DEFAULT_ENCODER, ReleasedName, ShippedName, model_name
from molclr.data.featurize import featurize_part
from molclr.data.fetch import fetch, mirror_folder
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.models.encoder import Encoder
from molclr.training.checkpoint import load_encoder
from molclr.training.device import usable_device
from molclr.training.embed import embed
from molclr.training.official import import_official

MOLECULES_AT_A_TIME = 10_000
SHIPPED = Path(__file__).parent / "encoders"
"""Folder of the encoders that are part of the package; docs/encoders.md describes them."""


class PretrainedEncoder:
    """A pre-trained encoder that takes SMILES."""

    def __init__(self, encoder: Encoder, device: str | torch.device = "cpu", seen: Seen | None = None) -> None:
        """Use `encoder` on `device`; `seen` is what its corpus has shown to it, if that is known."""
        self.encoder, self.device, self.seen = encoder, usable_device(device), seen

    @classmethod
    def load(
        cls,
        path_or_name: str | Path = DEFAULT_ENCODER,
        device: str | torch.device = "cpu",
        encoder_class: str | None = None,
    ) -> "PretrainedEncoder":
        """Load an encoder.safetensors, or one by name: "molclr-gin" is part of the package (docs/encoders.md).

        "official-gin" and "official-gcn" are those that the authors released, fetched once, imported and kept in
        $XDG_CACHE_HOME/molclr (~/.cache/molclr). encoder_class: the path of the class, such as "my_package.gat:GAT", for a file
        with an encoder of one's own; its code runs. Raises MolclrError if the file is missing or something else, or if no
        source of the released one answers.
        """
        encoder, about = load_encoder(encoder_file(path_or_name), encoder_class=encoder_class)
        return cls(encoder, device, about["seen"])

    def __repr__(self) -> str:
        shape = self.encoder.shape
        network = model_name(self.encoder.name, pretrained=False)
        return f"<{network} of {shape.layers} x {shape.hidden_dim}, h of {shape.embedding_dim} numbers>"

    def embed(self, smiles: Sequence[str], explicit_hydrogens: bool = False) -> np.ndarray:
        """The representation h of molecules, in their order: float32 (n, embedding_dim), the same for every spelling of one.

        Warns once (UserWarning) with the number of molecules that have what the encoder has never seen.

        explicit_hydrogens: as atoms, which the official code has in fine-tuning; an encoder has seen none in pre-training.

        Raises MolclrError, which names the first molecule that cannot be represented and its place in the list.
        """
        if isinstance(smiles, str):
            raise MolclrError(f"'{smiles}' is one SMILES, not a list of them; give ['{smiles}'].")
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
    """Path of an encoder given by its path, by the name of a shipped one, or of one that the authors released."""
    shipped, released = get_args(ShippedName), get_args(ReleasedName)
    if str(path_or_name) in shipped:
        return SHIPPED / f"{path_or_name}.safetensors"
    if str(path_or_name) in released:
        return released_encoder(str(path_or_name))
    path = Path(path_or_name)
    if not path.suffix and not path.exists():
        names = " or ".join((*shipped, *released))
        raise MolclrError(f"There is no encoder '{path}'; give an encoder.safetensors, or {names}.")
    return path


def released_encoder(name: str) -> Path:
    """Path of a released encoder in the user's cache, fetched and imported if it is not there yet."""
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
    """The canonical SMILES of each molecule. Raises MolclrError, which names the first that is rejected and says why."""
    for place, text in enumerate(smiles):
        if not isinstance(text, str):
            raise MolclrError(f"Molecule {place} of the list, {text!r}, is no SMILES.")
    canonical = list[str]()
    for place, verdict in enumerate(canonicalize_all(smiles)):
        if isinstance(verdict, RefusedMolecule):
            raise MolclrError(f"Molecule {place} of the list, '{smiles[place]}', is rejected: {verdict.reason}.")
        canonical.append(verdict)
    return canonical
