import csv
import itertools

import numpy as np
import pytest
import torch
from forks import RESULTS, SETTINGS, SHAPE, results_of

from molclr.config import Pretrain
from molclr.data.corpus import RULE, split_corpus
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.training import pretrain as module
from molclr.training.checkpoint import load_encoder, load_weights
from molclr.training.contrast import ContrastiveModel, PlainContrast
from molclr.training.pretrain import pretrain
from molclr.training.schedule import learning_rate


def history_of(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    pretrain(corpus[1], folder, "gin", SHAPE, SETTINGS)
    return folder


def test_pretraining_learns_and_writes_its_files(undisturbed):
    history = history_of(undisturbed)
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert float(history[-1]["train_loss"]) < float(history[0]["train_loss"])
    assert set(history[0]) >= {"step", "validation_loss", "contrastive_accuracy", "learning_rate"}
    assert [float(history[-1][f"dead_channels_{layer}"]) for layer in (1, 2)] == pytest.approx([0, 0], abs=0.5)
    assert {path.name for path in undisturbed.iterdir()} == {*RESULTS, "kept"}


@pytest.mark.parametrize(("losses", "best"), [([2.0, 1.0, 3.0], 2), ([3.0, 2.0, 1.0], 3), ([1.0, 1.0, 2.0], 1)])
def test_the_best_encoder_is_the_one_with_the_lowest_validation_loss(corpus, tmp_path, monkeypatch, losses, best):
    """`best` is the number of the epoch; its encoder is the last one of a run that stops there."""
    for folder, script, epochs in (("whole", losses, 3), ("short", losses, best)):
        scripted = iter(script)
        monkeypatch.setattr(module, "validate", lambda *_, scripted=scripted: (next(scripted), 0.5))
        monkeypatch.setattr(module, "learning_rate", lambda *_: 1e-3)
        pretrain(corpus[1], tmp_path / folder, "gin", SHAPE, SETTINGS.model_copy(update={"epochs": epochs}))
    best_of_whole, _ = load_weights(tmp_path / "whole" / "encoder.safetensors")
    last_of_short, _ = load_weights(tmp_path / "short" / "last.safetensors")
    assert all(torch.equal(value, last_of_short[name]) for name, value in best_of_whole.items())


def test_held_out_molecules_are_never_trained_on(corpus, tmp_path, monkeypatch):
    seen = {True: set(), False: set()}

    def spy(self, batch, streams):
        seen[self.model.training].update(batch[1].tolist())
        return loss(self, batch, streams)

    loss = PlainContrast.loss
    monkeypatch.setattr(PlainContrast, "loss", spy)
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS.model_copy(update={"epochs": 1}))
    split = split_corpus(len(GraphStore(corpus[1])), SETTINGS.validation_fraction, SETTINGS.seed)
    assert seen[True] <= set(split.train) and len(seen[True]) == len(split.train) // 32 * 32
    assert seen[False] == set(split.held_out)
    assert not seen[True] & seen[False]


def test_the_two_views_of_a_molecule_differ(corpus, monkeypatch):
    views = []
    model = ContrastiveModel("gin", SHAPE, SETTINGS)
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda view: views.append(view) or forward(view))
    contrast = PlainContrast(model, GraphStore(corpus[1]), SETTINGS, torch.device("cpu"))
    (batch,) = contrast.batches(np.arange(32)[None])
    contrast.loss(batch, torch.tensor([0, 1]))
    first, second = views
    assert not torch.equal(first.x, second.x)
    assert not torch.equal(first.edge_index, second.edge_index)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_step_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    corpus, undisturbed, tmp_path, monkeypatch, what
):
    asked = []

    def spoil(self, batch, streams):
        asked.append(batch[1].tolist())
        loss, accuracy = right(self, batch, streams)
        if len(asked) == 13:  # epoch 2
            loss = loss * torch.nan if what == "loss" else loss + (loss - loss.detach()).abs().sqrt()
        return loss, accuracy

    right = PlainContrast.loss
    monkeypatch.setattr(PlainContrast, "loss", spoil)
    with pytest.raises(MolclrError, match=r"not finite in epoch 2, step \d+; lower pretrain\.learning_rate") as error:
        pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS, checkpoint_seconds=0.0)
    assert f"rows of the graph store: {', '.join(map(str, asked[12]))}." in str(error.value)
    assert not (tmp_path / "encoder.safetensors").exists()
    monkeypatch.undo()
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    assert results_of(tmp_path) == results_of(undisturbed)


def test_a_learning_rate_that_is_too_high_is_an_error(corpus, tmp_path):
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30, "warmup_epochs": 0})
    with pytest.raises(MolclrError, match=r"not finite in epoch \d+, step \d+"):
        pretrain(corpus[1], tmp_path, "gin", SHAPE, wild)
    assert not (tmp_path / "encoder.safetensors").exists()


def test_more_processes_than_molecules_in_a_batch_are_an_error(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "processes", lambda: 33)
    with pytest.raises(MolclrError, match="A batch has too few molecules for 33 processes; use fewer"):
        pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)


def test_the_seed_determines_the_weights(corpus, undisturbed, tmp_path):
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


def test_learning_rate_warms_up_and_falls():
    settings = Pretrain(epochs=10, warmup_epochs=4, learning_rate=1.0)
    rates = [learning_rate(settings, epoch) for epoch in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0 and rates[7] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(rates[4:])) and rates[-1] > 0


def test_a_saved_encoder_is_loaded_unchanged(undisturbed, corpus):
    encoder, about = load_encoder(undisturbed / "encoder.safetensors")
    assert (encoder.name, encoder.shape) == ("gin", SHAPE)
    corpus_identity = GraphStore(corpus[1]).identity()
    assert about["held_out"] == {"rule": RULE, "fraction": 0.05, "seed": 0, "corpus": corpus_identity}
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
