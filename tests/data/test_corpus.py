"""Which molecules of a corpus are held out."""

import numpy as np
import pytest

from molclr.data.corpus import RULE, held_out_positions, split_corpus
from molclr.errors import MolclrError


def test_a_corpus_is_split_by_fraction_and_seed():
    train, held_out = split_corpus(1000, 0.05, 0)
    assert len(held_out) == 50
    assert sorted([*train, *held_out]) == list(range(1000))
    assert (np.diff(train) > 0).all()
    assert not np.array_equal(held_out, split_corpus(1000, 0.05, 1).held_out)


def test_held_out_molecules_are_from_everywhere_and_in_a_random_order():
    held_out = split_corpus(100_000, 0.1, 0).held_out
    assert (np.histogram(held_out, 10, (0, 100_000))[0] / 1000 - 1 < 0.15).all()
    assert abs(np.corrcoef(held_out[1:], held_out[:-1])[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("rule", "positions"), [("Feistel", [109, 176, 281, 565, 832]), ("hash", [381, 573, 732, 749, 988])]
)
def test_the_split_is_the_one_that_encoders_were_made_with(rule, positions):
    """Another split needs another name of its rule."""
    assert RULE == "hash"
    found = held_out_positions(1000, {"rule": rule, "fraction": 0.005, "seed": 0})
    assert found.tolist() == positions


def test_the_former_rule_held_out_each_position_once():
    found = held_out_positions(1009, {"rule": "Feistel", "fraction": 1.0, "seed": 3})
    assert found.tolist() == list(range(1009))


@pytest.mark.parametrize("about", [{}, {"rule": "dice", "fraction": 0.1, "seed": 0}, {"fraction": 0.1, "seed": 0}])
def test_an_unknown_rule_gives_no_held_out_positions(about):
    assert held_out_positions(1000, about) is None


def test_a_corpus_of_three_molecules_is_an_error():
    with pytest.raises(MolclrError, match="3 molecules is too small"):
        split_corpus(3, 0.05, 0)
