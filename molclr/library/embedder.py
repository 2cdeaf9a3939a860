"""Networks that embed tables and libraries: a pre-trained encoder, or the fine-tuned networks of a model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molclr.chem.seen import Seen
from molclr.config import Compute
from molclr.data.featurize import featurize_part
from molclr.digest import code_digest
from molclr.errors import MolclrError
from molclr.imports import modules_of
from molclr.model_names import NETWORK
from molclr.models.encoder import GraphEncoder
from molclr.progress import say
from molclr.qsar.model_folder import ENCODER, ModelFolder, network_file
from molclr.training.checkpoint import load_encoder
from molclr.training.device import prepare
from molclr.training.embed_smiles import dim_of, embed_graphs
from molclr.training.finetune import load_model


@dataclass(frozen=True)
class Embedder:
    """One or more networks that embed tables and libraries, with what identifies them in the files that are written.

    `molclr.Encoder` embeds molecules in memory by one encoder; both use `molclr.training.embed_smiles`.

    name: the one that is shown to the user. digest: SHA-256 of the files. seen: the features that occurred in pre-training; None
    if unknown.
    """

    name: str
    digest: str
    networks: Sequence[GraphEncoder]
    explicit_hydrogens: bool
    seen: Seen | None
    device: torch.device
    desalt: bool = False
    """Whether only the largest organic part of salts and mixtures is embedded."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return dim_of(self.networks)

    @property
    def code(self) -> str | None:
        """A digest of the code of a user's encoder class; None for encoders of the package."""
        modules = modules_of([str(network.name) for network in self.networks])
        return code_digest(*modules) if modules else None

    @property
    def featurize(self) -> Any:
        """Function that makes the graphs for `embed` from canonical SMILES."""
        return partial(featurize_part, explicit_hydrogens=self.explicit_hydrogens)

    def embed(self, graphs: dict[str, np.ndarray]) -> np.ndarray:
        """Compute the representation of one or more molecules, whose graphs `featurize` made: float32 (n, dim)."""
        return embed_graphs(graphs, self.networks, self.device, self.explicit_hydrogens)


def pretrained_embedder(encoder: Path, compute: Compute, encoder_class: str | None = None) -> Embedder:
    """Return the embedder of a pre-trained encoder. Raises MolclrError as `load_encoder`."""
    network, about = load_encoder(encoder, encoder_class=encoder_class)
    return _embedder(encoder.stem, [encoder], [network], False, about["seen"], compute)


def finetuned_embedder(model: Path, compute: Compute, encoder_class: str | None = None) -> Embedder:
    """Return the embedder of the networks in a folder of 'molclr train', or of a model of 'molclr finetune', file or folder.

    Salts are treated as in training. If a folder has no networks, but a model on the representation, the pre-trained encoder of
    that model is used. Reports this, and if the chosen model is not the network. Raises MolclrError if all models of the
    folder use fingerprints only.
    """
    of_finetune = model / "model.safetensors" if model.is_dir() else model
    if of_finetune.is_file() or not model.is_dir():
        found = load_model(of_finetune, encoder_class)
        networks = [found.predictor.encoder]
        return _embedder(model.stem, [of_finetune], networks, found.explicit_hydrogens, found.seen, compute)
    folder = ModelFolder.read(model, encoder_class)
    models, name, desalt = folder.about["models"], model.resolve().name, bool(folder.about.get("desalt"))
    if NETWORK in models:
        _report_choice(folder)
        paths = [network_file(model, seed) for seed in range(folder.about["networks"])]
        loaded = [load_model(path, encoder_class) for path in paths]
        networks = [each.predictor.encoder for each in loaded]
        return _embedder(name, paths, networks, loaded[0].explicit_hydrogens, loaded[0].seen, compute, desalt)
    if (path := model / ENCODER).is_file():
        network, about = load_encoder(path, encoder_class=encoder_class)
        say(f"'{model}' has no fine-tuned network; the pre-trained encoder of its model is used")
        return _embedder(name, [path], [network], False, about["seen"], compute, desalt)
    raise MolclrError(
        f"The models in '{model}' ({', '.join(models)}) use fingerprints and have no representation; "
        "name an encoder with --encoder, or train with --model network."
    )


def _report_choice(folder: ModelFolder) -> None:
    """Report that another model than the network was chosen, if it was."""
    chosen = folder.about["chosen"]
    if chosen != NETWORK:
        say(
            f"'{folder.folder}': the model that was chosen is '{chosen}'; the fine-tuned networks are used all the same"
        )


def _embedder(
    name: str,
    files: Sequence[Path],
    networks: Sequence[GraphEncoder],
    explicit_hydrogens: bool,
    seen: Seen | None,
    compute: Compute,
    desalt: bool = False,
) -> Embedder:
    device = prepare(compute)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    networks = [network.to(device).eval() for network in networks]
    return Embedder(name, digest, networks, explicit_hydrogens, seen, device, desalt)
