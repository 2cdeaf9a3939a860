import csv
import itertools

import numpy as np
import pytest
import torch

from molclr.config import EncoderShape, Pretrain
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.training import pretrain as module
from molclr.training.checkpoint import load_encoder
from molclr.training.pretrain import pretrain, split_corpus
from molclr.training.schedule import learning_rate

SHAPE = EncoderShape(layers=2, width=16, feature=24)
SETTINGS = Pretrain(epochs=3, batch_size=32, warmup_epochs=1, projection=16, checkpoint_steps=2, learning_rate=2e-3)


def history_of(folder):
    with (folder / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "molecules_per_second"} for row in csv.DictReader(file)]


def results_of(folder):
    names = ("encoder.safetensors", "last.safetensors")
    return [(folder / name).read_bytes() for name in names], history_of(folder)


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    pretrain(corpus[1], folder, "gin", SHAPE, SETTINGS)
    return folder


def test_it_learns_and_leaves_what_it_promises(undisturbed):
    history = history_of(undisturbed)
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert float(history[-1]["train_loss"]) < float(history[0]["train_loss"])
    assert set(history[0]) >= {"step", "validation_loss", "contrastive_accuracy", "learning_rate"}
    assert sorted(path.name for path in undisturbed.iterdir()) == [
        "encoder.safetensors",
        "history.csv",
        "last.safetensors",
    ]


def test_the_best_encoder_is_the_one_with_the_lowest_validation_loss(undisturbed, corpus, tmp_path):
    history = history_of(undisturbed)
    best = min(history, key=lambda row: float(row["validation_loss"]))
    shorter = SETTINGS.model_copy(update={"epochs": int(best["epoch"])})
    if best is not history[-1]:
        pytest.fail("the fixture no longer learns in every epoch")
    pretrain(corpus[1], tmp_path, "gin", SHAPE, shorter)
    assert (tmp_path / "encoder.safetensors").read_bytes() == (undisturbed / "encoder.safetensors").read_bytes()


@pytest.mark.parametrize("stop_after", [1, 2, 5, 9, 14, 18])
def test_a_run_that_was_cut_off_ends_in_the_same_bytes(undisturbed, corpus, tmp_path, monkeypatch, stop_after):
    steps = 0

    def interrupt(*arguments):
        nonlocal steps
        steps += 1
        if steps > stop_after:
            raise KeyboardInterrupt
        return contrastive_loss(*arguments)

    contrastive_loss = module.contrastive_loss
    monkeypatch.setattr(module, "contrastive_loss", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    monkeypatch.undo()
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    assert results_of(tmp_path) == results_of(undisturbed)


@pytest.fixture
def unfinished(corpus, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "validate", stop)
    with pytest.raises(KeyboardInterrupt):
        pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    monkeypatch.undo()
    assert (tmp_path / "state.pt").exists()
    return tmp_path


def test_another_configuration_does_not_continue_a_run(unfinished, corpus):
    other = SETTINGS.model_copy(update={"temperature": 0.5})
    with pytest.raises(MolclrError, match=r"state\.pt' has temperature = 0\.1, now it is 0\.5"):
        pretrain(corpus[1], unfinished, "gin", SHAPE, other)
    with pytest.raises(MolclrError, match="width = 16, now it is 8"):
        pretrain(corpus[1], unfinished, "gin", SHAPE.model_copy(update={"width": 8}), SETTINGS)


def test_a_damaged_state_is_an_error(unfinished, corpus):
    state = unfinished / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(MolclrError, match="damaged; delete"):
        pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS)


def test_a_loss_that_is_no_number_stops_the_run(corpus, tmp_path):
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30, "warmup_epochs": 0})
    with pytest.raises(MolclrError, match=r"The loss is (nan|inf) in epoch \d+, step \d+"):
        pretrain(corpus[1], tmp_path, "gin", SHAPE, wild)
    assert not (tmp_path / "encoder.safetensors").exists()


def test_a_seed_decides_the_weights(corpus, undisturbed, tmp_path):
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS.model_copy(update={"seed": 1}))
    assert results_of(tmp_path) != results_of(undisturbed)


@pytest.mark.parametrize("composition", ["node", "subgraph", "mix"])
def test_gcn_and_all_compositions(corpus, tmp_path, composition):
    augmentation = SETTINGS.augmentation.model_copy(update={"composition": composition})
    settings = SETTINGS.model_copy(update={"epochs": 1, "augmentation": augmentation, "dropout": 0.1})
    pretrain(corpus[1], tmp_path, "gcn", SHAPE, settings)
    assert np.isfinite(float(history_of(tmp_path)[0]["train_loss"]))


def test_mixed_precision_stays_close_to_single(corpus, tmp_path, undisturbed):
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS.model_copy(update={"precision": "bfloat16"}))
    ours, exact = history_of(tmp_path)[0], history_of(undisturbed)[0]
    assert float(ours["train_loss"]) == pytest.approx(float(exact["train_loss"]), rel=0.02)
    assert ours["train_loss"] != exact["train_loss"]


def test_held_out_molecules_are_never_trained_on():
    train, held_out = split_corpus(1000, 0.05, 0)
    assert len(held_out) == 50
    assert sorted([*train, *held_out]) == list(range(1000))
    assert not np.array_equal(held_out, split_corpus(1000, 0.05, 1)[1])


def test_a_corpus_of_three_molecules_is_an_error():
    with pytest.raises(MolclrError, match="3 molecules is too small"):
        split_corpus(3, 0.05, 0)


def test_learning_rate_warms_up_and_falls():
    settings = Pretrain(epochs=10, warmup_epochs=4, learning_rate=1.0)
    rates = [learning_rate(settings, epoch) for epoch in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0 and rates[7] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(rates[4:])) and rates[-1] > 0


def test_an_encoder_comes_back_as_it_was(undisturbed, corpus):
    encoder = load_encoder(undisturbed / "encoder.safetensors")
    assert (encoder.name, encoder.shape) == ("gin", SHAPE)
    encoder.eval()
    with torch.no_grad():
        assert encoder(*GraphStore(corpus[1]).batch(np.arange(8))).shape == (8, 24)


@pytest.mark.parametrize("damage", ["missing", "truncated", "pickle"])
def test_a_missing_or_damaged_encoder_is_an_error(undisturbed, tmp_path, damage):
    path = tmp_path / "encoder.safetensors"
    if damage == "truncated":
        path.write_bytes((undisturbed / "encoder.safetensors").read_bytes()[:-20])
    if damage == "pickle":
        torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(MolclrError, match=r"encoder\.safetensors"):
        load_encoder(path)
