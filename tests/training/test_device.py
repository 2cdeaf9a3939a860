import os
import threading
import warnings

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

import molclr
from molclr.config import Compute, EncoderShape, Finetune, Pretrain
from molclr.evaluation.runs import Run
from molclr.qsar.predict import predict
from molclr.training import device
from molclr.training.device import flushing_subnormals, prepare, unchanged_torch
from molclr.training.embed import write_embeddings
from molclr.training.finetune import finetune
from molclr.training.pretrain import pretrain

MANY = 1 << 18
"""So many numbers that PyTorch shares them out among its threads."""


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    prepare(Compute(device="cpu", threads=2))
    yield
    torch.set_flush_denormal(False)
    device._end_workers()
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "gpus", "rank", "chosen"),
    [
        ("auto", 0, None, "cpu"),
        ("auto", 2, None, "cuda:0"),
        ("auto", 2, "1", "cuda:1"),
        ("cuda", 2, "1", "cuda:1"),
        ("cuda:0", 2, "1", "cuda:0"),
        ("cpu", 2, None, "cpu"),
    ],
)
def test_auto_is_a_gpu_if_there_is_one(monkeypatch, name, gpus, rank, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)  # does not try the GPU
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert device.usable_device(name) == torch.device(chosen)


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


def test_existing_workers_flush_only_in_the_context():
    assert flushed() == (False, False)
    with flushing_subnormals():
        assert flushed() == (True, True)
        with flushing_subnormals():
            assert flushed_in_products()
        assert flushed() == (True, True)
    assert flushed() == (False, False) and not flushed_in_products()


def test_the_mode_of_the_caller_is_restored_after_an_error():
    torch.set_flush_denormal(True)
    device._end_workers()
    with pytest.raises(ValueError, match="x"), flushing_subnormals():
        raise ValueError("x")
    assert flushed() == (True, True)


def test_what_is_set_for_the_process_is_restored(monkeypatch):
    """Also what is only set on a GPU."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(device, "usable_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)

    def state():
        fills = torch.utils.deterministic.fill_uninitialized_memory
        deterministic = torch.are_deterministic_algorithms_enabled()
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        random = torch.get_rng_state().sum().item()
        return torch.get_num_threads(), deterministic, warns, fills, os.environ.get("CUBLAS_WORKSPACE_CONFIG"), random

    before = state()
    with pytest.raises(ValueError, match="x"), unchanged_torch():
        prepare(Compute(threads=3))
        torch.manual_seed(7)
        assert all(now != then for now, then in zip(state(), before, strict=True))
        raise ValueError("x")
    assert state() == before


def test_nothing_is_restored_that_a_cpu_does_not_change(monkeypatch):
    """PyTorch imports its compiler, which takes seconds, whenever its deterministic mode is set."""
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *arguments, **options: pytest.fail("it is set"))
    with unchanged_torch():
        prepare(Compute(device="cpu"))


def test_threads_set_their_own_mode():
    seen = []
    inner = threading.Thread(target=lambda: seen.append(flushing_subnormals()(flushed)()))
    inner.start()
    inner.join()
    assert seen == [(True, True)] and flushed() == (False, False)


def test_without_a_runtime_that_ends_its_workers(monkeypatch):
    monkeypatch.setattr(device, "_pauses", list)
    with flushing_subnormals():
        assert flushed()[0]
    assert not flushed()[0]


def test_every_computation_flushes_and_restores(corpus, bbbp, tmp_path):
    """Pre-training, fine-tuning, prediction and embedding, from the command line's functions or from Python."""
    data, graphs = bbbp
    shape, seen = EncoderShape(layers=2, hidden_dim=16, embedding_dim=8), []
    encoder, model = tmp_path / "encoder.safetensors", tmp_path / "run" / "model.safetensors"
    (tmp_path / "new.csv").write_text("smiles\nCCO\n")
    pretraining = Pretrain(epochs=1, batch_size=64, projection=8, device="cpu", threads=2)
    run = Run("bbbp", "GIN", 0, "classification", "roc_auc", data.targets)
    h = tmp_path / "h.parquet"
    computations = [
        lambda: pretrain(corpus[1], tmp_path, "gin", shape, pretraining),
        lambda: finetune(data, graphs, tmp_path / "run", run, "gin", Finetune(epochs=1, device="cpu"), shape),
        lambda: predict(tmp_path / "new.csv", model, tmp_path / "p.csv", Compute(device="cpu")),
        lambda: write_embeddings(*corpus, h, encoder, Compute(device="cpu"), limit=10),
        lambda: molclr.Encoder.load(encoder).embed(["CCO"]),
    ]
    hook = register_module_forward_pre_hook(lambda *_: seen.append(device._flushes()))
    try:
        for compute in computations:
            seen.clear()
            torch.set_num_threads(5)
            compute()
            assert seen and all(seen)
            assert not device._flushes()
            if compute in computations[:2]:
                assert torch.get_num_threads() == 5
    finally:
        hook.remove()


def test_two_threads_give_the_same_bytes_twice(smiles):
    encoder = molclr.Encoder.load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = encoder.embed(smiles * 40), encoder.embed(smiles * 40)
    assert first.tobytes() == second.tobytes()
