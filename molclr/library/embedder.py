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
from molclr.model_names import NETWORK, WITH_ENCODER
from molclr.models.encoder import GraphEncoder
from molclr.progress import say
from molclr.qsar.model_folder import ENCODER, ModelFolder
from molclr.qsar.single_network import read_model
from molclr.training.checkpoint import load_encoder
from molclr.training.device import prepare
from molclr.training.embed_smiles import dim_of, embed_graphs


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
    found, name = read_model(model, encoder_class), model.resolve().name if model.is_dir() else model.stem
    if NETWORK in found.about["models"]:
        _report_choice(found)
        networks, seen = [each.encoder for each in found.networks], found.seen(NETWORK)
        return _embedder(name, found.network_files, networks, found.explicit_hydrogens, seen, compute, found.desalt)
    if (path := model / ENCODER).is_file():
        say(f"'{model}' has no fine-tuned network; the pre-trained encoder of its model is used")
        network, about = found.encoder
        return _embedder(name, [path], [network], False, about["seen"], compute, found.desalt)
    raise MolclrError(
        f"The models in '{model}' ({', '.join(found.about['models'])}) use fingerprints and have no representation; "
        "name an encoder with --encoder, or train with --model network."
    )


def _report_choice(folder: ModelFolder) -> None:
    """Report that another model than the network was chosen, if it was."""
    chosen = folder.about["chosen"]
    if chosen != NETWORK:
        why = "" if chosen in WITH_ENCODER else f", because '{chosen}' has no representation"
        say(f"'{folder.folder}': '{chosen}' was chosen, but its fine-tuned networks are used{why}")


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
