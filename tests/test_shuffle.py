"""Orders that are computed place by place are orders, and random ones."""

import numpy as np
import pytest
from scipy.stats import chisquare

from molclr.shuffle import Shuffle


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 31, 32, 33, 1000, 65_537])
def test_every_number_is_there_once(length):
    numbers = Shuffle(length, 7)[np.arange(length)]
    assert numbers.dtype == np.int64
    assert sorted(numbers) == list(range(length))


def test_a_place_is_the_same_whoever_else_is_asked_for():
    shuffle = Shuffle(1000, 7)
    every = shuffle[np.arange(1000)]
    places = np.array([999, 3, 3, 500])
    assert (shuffle[places] == every[places]).all()
    assert places.tolist() == [999, 3, 3, 500]


def test_seeds_decide():
    orders = {tuple(Shuffle(20, seed)[np.arange(20)]) for seed in range(200)}
    assert len(orders) == 200


def test_all_orders_are_as_likely():
    counts = {}
    for seed in range(4_800):
        order = tuple(Shuffle(4, seed)[np.arange(4)])
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > 0.001


def test_neighbours_do_not_stay_neighbours():
    """The correlation of a number with the next one, and with its place, is that of independent ones."""
    numbers = Shuffle(1_000_003, 7)[np.arange(1_000_003)].astype(float)
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.004
    assert abs(np.corrcoef(numbers, np.arange(len(numbers)))[0, 1]) < 0.004


def test_a_place_that_does_not_exist_is_an_error():
    for place in (-1, 10):
        with pytest.raises(IndexError, match="10 places"):
            Shuffle(10, 7)[np.array([place])]
