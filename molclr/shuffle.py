"""Random orders of any length of which nothing is kept in memory, and the hash behind them."""

import numpy as np
import torch
from torch import Tensor

_ROUNDS = 8


def mix(number: Tensor) -> Tensor:
    """The finalizer of splitmix64 (Steele et al., OOPSLA 2014), on int64 that overflow: bijective, each bit decides all."""
    number = (number ^ (number >> 30 & (1 << 34) - 1)) * -0x40A7B892E31B1A47
    number = (number ^ (number >> 27 & (1 << 37) - 1)) * -0x6B2FB644ECCEEE15
    return number ^ (number >> 31 & (1 << 33) - 1)


class Shuffle:
    """The numbers from 0 to `length` - 1 in an order that `seed` decides; who stands at a place is computed when asked for.

    A Feistel network permutes the numbers of as many bits; from one that is too large it goes on to the next (Black and
    Rogaway, CT-RSA 2002).
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        bits = max(2, (length - 1).bit_length())
        self._low_bits = bits // 2
        self._masks = (1 << self._low_bits) - 1, (1 << bits - self._low_bits) - 1  # of the lower half, of the upper
        self._keys = mix(mix(torch.tensor(seed)) + torch.arange(_ROUNDS)).tolist()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """The numbers at `places`: int64 of the same length. Raises IndexError for a place that does not exist."""
        if len(places) and not 0 <= places.min() <= places.max() < self.length:
            raise IndexError(f"There are {self.length} places.")
        numbers = self._permute(torch.from_numpy(places))
        while len(beyond := (numbers >= self.length).nonzero().squeeze(1)):
            numbers[beyond] = self._permute(numbers[beyond])
        return numbers.numpy()

    def _permute(self, numbers: Tensor) -> Tensor:
        low_mask, high_mask = self._masks
        low, high = numbers & low_mask, numbers >> self._low_bits
        for first, second in zip(self._keys[::2], self._keys[1::2], strict=True):
            low = low ^ mix(high + first) & low_mask
            high = high ^ mix(low + second) & high_mask
        return high << self._low_bits | low
