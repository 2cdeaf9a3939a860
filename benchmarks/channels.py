"""Dead channels and weights of a trained encoder: `python benchmarks/channels.py ENCODER STORE`.

ENCODER is a file or a name; STORE is a graph store (see `molclr featurize`) of molecules like those of pre-training. Prints for
each layer the fraction of weights and of batch-norm weights below 1e-20, and the fraction of dead channels
(molclr/training/channels.py), and then the number of embeddings that are alive, which have an absolute value of at least 1e-6.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from molclr.batch import GraphBatch
from molclr.data.store import GraphStore
from molclr.models.encoder import BOND_TYPES
from molclr.training.channels import DEAD_BELOW, dead_channels
from molclr.training.checkpoint import load_encoder
from molclr.training.encoder_files import encoder_file

STARVED = 1e-20
"""Absolute value below which a weight has no effect; far above the smallest normal number in single precision, 1e-38."""
ALIVE = 1e-6
"""Smallest maximum of the absolute values of an embedding that is alive."""
BATCH = 512


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("encoder", help="encoder.safetensors, or a name such as molclr-gin or official-gcn")
    parser.add_argument("store", type=Path, help="graph store of molecules")
    parser.add_argument("--molecules", type=int, default=2048, help="how many of them, evenly spaced (default: 2048)")
    options = parser.parse_args()

    encoder, _ = load_encoder(encoder_file(options.encoder))
    store = GraphStore(options.store)
    places = np.unique(np.linspace(0, len(store) - 1, options.molecules).astype(np.int64))
    dead = dead_channels(encoder, batches(store, places))
    print(f"{options.encoder}, {len(places)} molecules of {options.store}; weights below {STARVED} are starved")
    print(f"{'layer':>5} {'weights':>8} {'first product':>14} {'batch norm':>11} {'dead channels':>14}")
    for number, (layer, norm, of_activations) in enumerate(zip(encoder.layers, encoder.norms, dead, strict=True), 1):
        product = next(weight for name, weight in layer.named_parameters() if weight.ndim == 2 and "bond" not in name)
        weights = torch.cat([weight.flatten() for weight in layer.parameters()])
        row = starved(weights), starved(product), starved(norm.weight), of_activations
        print(f"{number:>5} {row[0]:>8.1%} {row[1]:>14.1%} {row[2]:>11.1%} {row[3]:>14.1%}")
    print(f"dead channels: variance below {DEAD_BELOW} of that of the layer's most variable channel")
    bonds = encoder.layers[0].bond_embedding
    for what, rows in {
        "elements and the mask": encoder.atom_embedding.weight,
        "chirality tags": encoder.chirality_embedding.weight,
        "bond types and the self-loop, first layer": bonds[:BOND_TYPES],
        "bond directions, first layer": bonds[BOND_TYPES:],
    }.items():
        alive = (rows.abs() >= ALIVE).any(dim=1).sum()
        print(f"{what}: {alive} of {len(rows)} embeddings are alive")


def starved(weights: Tensor) -> float:
    """Return the fraction of weights that have no effect."""
    return float((weights.abs() < STARVED).double().mean())


def batches(store: GraphStore, places: np.ndarray) -> Iterator[GraphBatch]:
    """Yield the molecules at positions `places` of the store in batches."""
    return (store.batch(places[first : first + BATCH]) for first in range(0, len(places), BATCH))


if __name__ == "__main__":
    main()
