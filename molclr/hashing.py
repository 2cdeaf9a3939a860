"""Hashing of 64-bit integers."""

from typing import TypeVar

import numpy as np
from torch import Tensor

Numbers = TypeVar("Numbers", Tensor, np.ndarray)


def hash64(number: Numbers) -> Numbers:
    """Hash int64 by the finalizer of splitmix64 (Steele et al., OOPSLA 2014), with overflow. The map is bijective."""
    number = (number ^ (number >> 30 & (1 << 34) - 1)) * -0x40A7B892E31B1A47
    number = (number ^ (number >> 27 & (1 << 37) - 1)) * -0x6B2FB644ECCEEE15
    return number ^ (number >> 31 & (1 << 33) - 1)
