"""Division of a corpus into training and held-out molecules."""

import math
from typing import Any, NamedTuple

import numpy as np

from molclr.chem.seen import Seen, seen_atoms
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.hashing import hash64
from molclr.seeds import derive_seed

RULE = "hash"
"""Name of the rule by which molecules are held out, recorded in checkpoints. A changed rule needs a new name."""


class CorpusSplit(NamedTuple):
    """Positions in a corpus: `train`, int64 (n,), ascending; `held_out`, int64 (m,), in random order."""

    train: np.ndarray
    held_out: np.ndarray


def split_corpus(molecules: int, fraction: float, seed: int) -> CorpusSplit:
    """Hold out a random `fraction` of a corpus, the positions with the smallest hashes, and at least two molecules.

    Raises MolclrError if fewer than two training molecules are left, because the contrastive loss needs two.
    """
    held_out = _held_out_count(molecules, fraction)
    if molecules - held_out < 2:
        raise MolclrError(f"A corpus of {molecules} molecules is too small for pre-training; use at least 4.")
    order = hash64(hash64(np.array([derive_seed(seed, "held out")])) + np.arange(molecules)).argsort()
    return CorpusSplit(np.sort(order[held_out:]), order[:held_out].copy())


def held_out_positions(molecules: int, about: dict[str, Any]) -> np.ndarray | None:
    """Return the positions that pre-training held out of a corpus of this size: int64 (m,), ascending.

    about: `rule`, `fraction` and `seed` from the metadata of a checkpoint. Returns None for an unknown rule.
    """
    rule = about.get("rule")
    if rule == RULE:
        return np.sort(split_corpus(molecules, about["fraction"], about["seed"]).held_out)
    if rule == "Feistel":
        count = _held_out_count(molecules, about["fraction"])
        return np.sort(_feistel(count, molecules, derive_seed(about["seed"], "held out")))
    return None


def _held_out_count(molecules: int, fraction: float) -> int:
    return max(2, round(molecules * fraction))


def _feistel(count: int, molecules: int, seed: int) -> np.ndarray:
    """Compute the former rule: the positions to which a Feistel network of eight rounds maps 0 to `count` - 1.

    It permutes the numbers below low * high >= molecules, and is applied repeatedly until a number is below `molecules`.
    """
    low = math.isqrt(molecules - 1) + 1
    high = -(-molecules // low)
    keys = hash64(hash64(np.array([seed])) + np.arange(8)).tolist()

    def permuted(numbers: np.ndarray) -> np.ndarray:
        left, right = np.divmod(numbers, low)
        for first, second in zip(keys[::2], keys[1::2], strict=True):
            right = (right + (hash64(left + first) & (1 << 63) - 1) % low) % low
            left = (left + (hash64(right + second) & (1 << 63) - 1) % high) % high
        return left * low + right

    numbers = permuted(np.arange(count))
    while len(beyond := np.flatnonzero(numbers >= molecules)):
        numbers[beyond] = permuted(numbers[beyond])
    return numbers


def seen_in_store(store: GraphStore) -> Seen:
    """Collect the features that occur in a graph store, which does not contain charges."""
    numbers, chirality = np.zeros(256, bool), False
    for atoms in store.rows("atoms"):
        numbers |= np.bincount(atoms[:, 0], minlength=256) > 0
        chirality |= bool(atoms[:, 1].any())
    directions = any(bool(bonds[:, 1].any()) for bonds in store.rows("bond_features"))
    return seen_atoms(np.flatnonzero(numbers) + 1, chirality, directions)
