"""The representation from Python: `molclr.Encoder.load("official-gcn").embed(["CCO"])`."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import torch

from molclr.chem.smiles import RefusedMolecule, read_molecule
from molclr.config import ReleasedName, model_name
from molclr.data.featurize import featurize_part
from molclr.data.fetch import fetch, mirror_folder
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.models.encoder import Encoder
from molclr.training.checkpoint import load_encoder
from molclr.training.embed import embed
from molclr.training.official import import_official

MOLECULES_AT_A_TIME = 10_000


class PretrainedEncoder:
    """A pre-trained encoder that takes SMILES."""

    def __init__(self, encoder: Encoder, device: str | torch.device = "cpu") -> None:
        """Use `encoder` on `device`."""
        self.encoder, self.device = encoder, torch.device(device)

    @classmethod
    def load(
        cls, path_or_name: str | Path, device: str | torch.device = "cpu", encoder_class: str | None = None
    ) -> "PretrainedEncoder":
        """Load an encoder.safetensors, or by name ("official-gin", "official-gcn") one that the authors released.

        A released one is fetched once, imported and kept in $XDG_CACHE_HOME/molclr (~/.cache/molclr). encoder_class: the path of
        the class, such as "my_package.gat:GAT", for a file with an encoder of one's own; its code runs. Raises MolclrError if the
        file is missing or something else, or if no source of the released one answers.
        """
        return cls(load_encoder(encoder_file(path_or_name), encoder_class=encoder_class)[0], device)

    def __repr__(self) -> str:
        shape = self.encoder.shape
        network = model_name(self.encoder.name, pretrained=False)
        return f"<{network} of {shape.layers} x {shape.width}, h of {shape.feature} numbers>"

    def embed(self, smiles: Sequence[str], explicit_hydrogens: bool = False) -> np.ndarray:
        """The representation h of molecules: float32 (n, feature), in their order.

        explicit_hydrogens: as atoms, which the official code has in fine-tuning; an encoder has seen none in pre-training.

        Raises MolclrError, which names the first molecule that cannot be represented and its place in the list.
        """
        if isinstance(smiles, str):
            raise MolclrError(f"'{smiles}' is one SMILES, not a list of them; give ['{smiles}'].")
        parts = [np.empty((0, self.encoder.shape.feature), np.float32)]
        for first in range(0, len(smiles), MOLECULES_AT_A_TIME):
            part = list(smiles[first : first + MOLECULES_AT_A_TIME])
            try:
                store = GraphStore.of(featurize_part(part, explicit_hydrogens), explicit_hydrogens)
            except (RefusedMolecule, TypeError):
                raise _complaint(part, first) from None
            parts.append(embed(store, self.encoder, np.arange(len(part)), self.device))
        return np.concatenate(parts)


def encoder_file(path_or_name: str | Path) -> Path:
    """Path of an encoder given by its path, or by the name of one that the authors released."""
    names = get_args(ReleasedName)
    if str(path_or_name) in names:
        return released_encoder(str(path_or_name))
    path = Path(path_or_name)
    if not path.suffix and not path.exists():
        raise MolclrError(f"There is no encoder '{path}'; give an encoder.safetensors, or {' or '.join(names)}.")
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


def _complaint(smiles: list[str], first: int) -> MolclrError:
    """Which of `smiles` is refused and why; `first` is the place of the first of them."""
    for place, text in enumerate(smiles, first):
        if not isinstance(text, str):
            return MolclrError(f"Molecule {place} of the list, {text!r}, is no SMILES.")
        try:
            read_molecule(text)
        except RefusedMolecule as refusal:
            return MolclrError(f"Molecule {place} of the list, '{text}', is refused: {refusal.reason}.")
    raise AssertionError("one of the molecules was refused before")
