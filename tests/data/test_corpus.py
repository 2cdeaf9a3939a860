"""Which molecules of a corpus are held out."""

import numpy as np
import pytest

from molclr.data.corpus import CorpusSplit
from molclr.errors import MolclrError


def parts(molecules, share, seed):
    split = CorpusSplit(molecules, share, seed)
    return split.to_train_on(np.arange(split.train)), split.to_hold_out(np.arange(split.held_out))


def test_a_corpus_is_split_by_share_and_seed():
    train, held_out = parts(1000, 0.05, 0)
    assert len(held_out) == 50
    assert sorted([*train, *held_out]) == list(range(1000))
    assert not np.array_equal(held_out, parts(1000, 0.05, 1)[1])


def test_the_split_is_the_one_that_encoders_were_made_with():
    """For another one, CorpusSplit.RULE has to be another."""
    assert CorpusSplit.RULE == "Feistel"
    assert CorpusSplit(1000, 0.05, 0).to_hold_out(np.arange(5)).tolist() == [109, 176, 281, 565, 832]


def test_positions_are_ascending():
    for part in parts(1000, 0.3, 0):
        assert (np.diff(part) > 0).all()


def test_a_corpus_of_three_molecules_is_an_error():
    with pytest.raises(MolclrError, match="3 molecules is too small"):
        CorpusSplit(3, 0.05, 0)
