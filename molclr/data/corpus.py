"""The molecules of a corpus that pre-training learns from, and those that it holds out."""

import numpy as np

from molclr.chem.seen import Seen, seen_atoms
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.seeds import derive_seed
from molclr.shuffle import Shuffle


class CorpusSplit:
    """A random split of the positions in a corpus, computed where it is asked for: no memory grows with the corpus.

    train, held_out: how many molecules there are of each. RULE: by what rule; it stands in what was trained.
    """

    RULE = "Feistel"

    def __init__(self, molecules: int, share: float, seed: int) -> None:
        """Hold out a `share` of the molecules.

        Raises MolclrError when fewer than two molecules are left on either side: a contrast needs two.
        """
        self.held_out = max(2, round(molecules * share))
        self.train = molecules - self.held_out
        if self.train < 2:
            raise MolclrError(f"A corpus of {molecules} molecules is too small to pre-train on; give it at least 4.")
        self._order = Shuffle(molecules, derive_seed(seed, "held out"))

    def to_train_on(self, numbers: np.ndarray) -> np.ndarray:
        """Positions in the corpus, ascending int64, of the molecules to train on with these numbers, from 0 to `train` - 1."""
        return np.sort(self._order.at(numbers + self.held_out))

    def to_hold_out(self, numbers: np.ndarray) -> np.ndarray:
        """Positions in the corpus, ascending int64, of the held-out molecules with these numbers, from 0 to `held_out` - 1."""
        return np.sort(self._order.at(numbers))


def seen_in_store(store: GraphStore) -> Seen:
    """What the molecules of a graph store have; their charges are not known."""
    numbers, chirality = np.zeros(256, bool), False
    for atoms in store.rows("atoms"):
        numbers |= np.bincount(atoms[:, 0], minlength=256) > 0
        chirality |= bool(atoms[:, 1].any())
    directions = any(bool(bonds[:, 1].any()) for bonds in store.rows("bond_features"))
    return seen_atoms(np.flatnonzero(numbers) + 1, chirality, directions)
