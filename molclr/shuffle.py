"""Random orders of which nothing is kept in memory."""

import math

import numpy as np

from molclr.hashing import hash64

_ROUNDS = 8


class Shuffle:
    """The numbers from 0 to `length` - 1 in an order that `seed` decides; who stands at a place is computed when asked for.

    A Feistel network permutes the numbers below low * high >= length; from one that is too large it goes on to the next (Black
    and Rogaway, CT-RSA 2002).
    """

    def __init__(self, length: int, seed: int) -> None:
        self._length = length
        self._low = math.isqrt(length - 1) + 1
        self._high = -(-length // self._low)
        self._keys = hash64(hash64(np.array([seed])) + np.arange(_ROUNDS)).tolist()

    def at(self, places: np.ndarray) -> np.ndarray:
        """The numbers at `places`: int64 of the same length. Raises IndexError for a place that does not exist."""
        places = np.asarray(places, np.int64)
        if len(places) and not 0 <= places.min() <= places.max() < self._length:
            raise IndexError(f"There are {self._length} places.")
        numbers = self._permute(places)
        while len(beyond := np.flatnonzero(numbers >= self._length)):
            numbers[beyond] = self._permute(numbers[beyond])
        return numbers

    def _permute(self, numbers: np.ndarray) -> np.ndarray:
        high, low = np.divmod(numbers, self._low)
        for first, second in zip(self._keys[::2], self._keys[1::2], strict=True):
            low = (low + _below(self._low, high + first)) % self._low
            high = (high + _below(self._high, low + second)) % self._high
        return high * self._low + low


def _below(bound: int, numbers: np.ndarray) -> np.ndarray:
    """A hash of each number, from 0 to `bound` - 1."""
    return (hash64(numbers) & (1 << 63) - 1) % bound
