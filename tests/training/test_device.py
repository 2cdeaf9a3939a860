import threading

import pytest
import torch

from molclr.config import Compute
from molclr.training import device
from molclr.training.device import flushing_subnormals, prepare

MANY = 1 << 18
"""So many numbers that PyTorch shares them out among its threads."""


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    prepare(Compute(device="cpu", threads=2))
    yield
    torch.set_flush_denormal(False)
    device._dismiss_workers()
    torch.set_num_threads(before)


def flushed():
    """Of the subnormal numbers of two threads, which are taken for zero: those of the first, those of the second?"""
    subnormal = torch.full((MANY,), 1 << 22, dtype=torch.int32).view(torch.float32)
    first, second = ((subnormal * 0.5).view(torch.int32) == 0).view(2, -1)
    assert {bool(first.all()), bool(first.any())} == {bool(first[0])}  # one half is one thread's
    return bool(first.all()), bool(second.all())


def flushed_in_products():
    """The same of a matrix product, whose tiny sums are subnormal."""
    a = torch.full((512, 512), 1e-20)
    tiny = (a * 1e-3) @ (a * 10)
    return not bool(tiny.view(torch.int32).any())


def test_workers_that_are_there_already_flush_and_then_no_longer():
    assert flushed() == (False, False)
    with flushing_subnormals():
        assert flushed() == (True, True)
        with flushing_subnormals():
            assert flushed_in_products()
        assert flushed() == (True, True)
    assert flushed() == (False, False) and not flushed_in_products()


def test_the_state_of_the_caller_is_restored_after_an_error_too():
    torch.set_flush_denormal(True)
    device._dismiss_workers()
    with pytest.raises(ValueError, match="x"), flushing_subnormals():
        raise ValueError("x")
    assert flushed() == (True, True)


def test_threads_of_the_caller_flush_for_themselves():
    seen = []
    inner = threading.Thread(target=lambda: seen.append(flushing_subnormals()(flushed)()))
    inner.start()
    inner.join()
    assert seen == [(True, True)] and flushed() == (False, False)


def test_without_a_runtime_that_dismisses_its_workers(monkeypatch):
    monkeypatch.setattr(device, "_pauses", list)
    with flushing_subnormals():
        assert flushed()[0]
    assert not flushed()[0]
