"""Orders that are computed place by place are orders, and random ones."""

import numpy as np
import pytest
from scipy.stats import chi2

from molclr.shuffle import Shuffle


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 31, 32, 33, 1000, 65_537])
def test_every_number_is_there_once(length):
    numbers = Shuffle(length, 7).at(np.arange(length))
    assert numbers.dtype == np.int64
    assert sorted(numbers) == list(range(length))


def test_a_place_is_the_same_whoever_else_is_asked_for():
    shuffle = Shuffle(1000, 7)
    every = shuffle.at(np.arange(1000))
    places = np.array([999, 3, 3, 500])
    assert (shuffle.at(places) == every[places]).all()
    assert places.tolist() == [999, 3, 3, 500]


def test_the_order_is_the_one_that_encoders_were_made_with():
    """What an encoder held out is found again by it."""
    assert Shuffle(1000, 7).at(np.arange(5)).tolist() == [417, 415, 464, 51, 727]
    assert Shuffle(1000, 7).at(np.arange(5, dtype=np.int32)).tolist() == [417, 415, 464, 51, 727]


def test_seeds_decide():
    orders = {tuple(Shuffle(20, seed).at(np.arange(20))) for seed in range(200)}
    assert len(orders) == 200


@pytest.mark.parametrize("length", [4, 5, 6, 40])
def test_every_number_is_as_likely_at_every_place(length):
    orders = np.stack([Shuffle(length, seed).at(np.arange(length)) for seed in range(4_000)])
    counts = np.stack([np.bincount(numbers, minlength=length) for numbers in orders.T])
    statistic = ((counts - 4_000 / length) ** 2 / (4_000 / length)).sum() * (length - 1) / length
    assert chi2((length - 1) ** 2).sf(statistic) > 0.001


def test_neighbours_do_not_stay_neighbours():
    """The correlation of a number with the next one, and with its place, is that of independent ones."""
    numbers = Shuffle(1_000_003, 7).at(np.arange(1_000_003)).astype(float)
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.004
    assert abs(np.corrcoef(numbers, np.arange(len(numbers)))[0, 1]) < 0.004


def test_a_place_that_does_not_exist_is_an_error():
    for place in (-1, 10):
        with pytest.raises(IndexError, match="10 places"):
            Shuffle(10, 7).at(np.array([place]))
