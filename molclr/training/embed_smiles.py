"""Representations h of molecules in memory, by one or more networks whose representations are concatenated."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.models.encoder import GraphEncoder
from molclr.progress import progress
from molclr.training.embed import embed

MOLECULES_AT_A_TIME = 4096


def embed_smiles(
    smiles: list[str], networks: Sequence[GraphEncoder], device: torch.device, explicit_hydrogens: bool = False
) -> np.ndarray:
    """Embed canonical SMILES in parts, with a display of the progress: float32 (n, dim)."""
    parts = [np.empty((0, dim_of(networks)), np.float32)]
    molecules = progress(smiles, label="embed", unit="molecule")
    while part := list(islice(molecules, MOLECULES_AT_A_TIME)):
        parts.append(embed_graphs(featurize_part(part, explicit_hydrogens), networks, device, explicit_hydrogens))
    return np.concatenate(parts)


def embed_graphs(
    graphs: dict[str, np.ndarray], networks: Sequence[GraphEncoder], device: torch.device, explicit_hydrogens: bool
) -> np.ndarray:
    """Embed the graphs that `featurize_part` made: float32 (n, dim)."""
    store = GraphStore.of(graphs, explicit_hydrogens)
    places = np.arange(len(store))
    return np.concatenate([embed(store, network, places, device, silent=True) for network in networks], axis=1)


def dim_of(networks: Sequence[GraphEncoder]) -> int:
    """Return the length of the concatenated representations."""
    return sum(network.shape.embedding_dim for network in networks)
