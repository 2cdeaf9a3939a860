import csv
import itertools
from threading import Thread

import numpy as np
import pytest
import torch

from molclr.config import EncoderShape, Pretrain
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.training import pretrain as module
from molclr.training.checkpoint import load_encoder, load_weights
from molclr.training.pretrain import pretrain, split_corpus
from molclr.training.schedule import learning_rate

SHAPE = EncoderShape(layers=2, width=16, feature=24)
SETTINGS = Pretrain(epochs=3, batch_size=32, warmup_epochs=1, projection=16, learning_rate=2e-3)


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

    def spy(model, batch, *arguments):
        seen[model.training].update(asked[-1])
        return contrastive_loss(model, batch, *arguments)

    def note(self, molecules):
        asked.append(molecules.tolist())
        return cut(self, molecules)

    asked, contrastive_loss, cut = [], module.contrastive_loss, GraphStore.batch
    monkeypatch.setattr(module, "contrastive_loss", spy)
    monkeypatch.setattr(GraphStore, "batch", note)
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS.model_copy(update={"epochs": 1}))
    train, held_out = split_corpus(len(GraphStore(corpus[1])), SETTINGS.validation_share, SETTINGS.seed)
    assert seen[True] <= set(train.tolist()) and len(seen[True]) == len(train) // 32 * 32
    assert seen[False] == set(held_out.tolist())
    assert not seen[True] & seen[False]


def test_the_two_views_of_a_molecule_differ(corpus, monkeypatch):
    views = []
    model = module.ContrastiveModel("gin", SHAPE, SETTINGS)
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda view: views.append(view) or forward(view))
    batch = GraphStore(corpus[1]).batch(np.arange(32))
    module.contrastive_loss(model, batch, SETTINGS, torch.device("cpu"), seed=0)
    first, second = views
    assert not torch.equal(first.x, second.x)
    assert not torch.equal(first.edge_index, second.edge_index)


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
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0 if stop_after % 2 else 1e9)
    with pytest.raises(KeyboardInterrupt):
        pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    monkeypatch.undo()
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    assert results_of(tmp_path) == results_of(undisturbed)


@pytest.fixture
def unfinished(corpus, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
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


def test_other_code_does_not_continue_a_run(unfinished, corpus, monkeypatch):
    monkeypatch.setattr(module, "source_files", lambda name: [__file__])
    with pytest.raises(MolclrError, match=r"state\.pt' has code = "):
        pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS)


def test_told_so_it_begins_anew(unfinished, corpus, tmp_path_factory, capsys):
    other = SETTINGS.model_copy(update={"temperature": 0.5})
    pretrain(corpus[1], unfinished, "gin", SHAPE, other, start_afresh=True)
    assert "temperature = 0.1, now it is 0.5; beginning anew" in capsys.readouterr().err
    fresh = tmp_path_factory.mktemp("fresh")
    pretrain(corpus[1], fresh, "gin", SHAPE, other)
    assert results_of(unfinished) == results_of(fresh)


def test_one_process_at_a_time_trains_in_a_folder(tmp_path, capsys):
    order = []

    def second():
        with module.alone_in(tmp_path):
            order.append("second")

    with module.alone_in(tmp_path):
        thread = Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "waiting for it to end" in capsys.readouterr().err


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


def test_a_corpus_is_split_by_share_and_seed():
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
    encoder, about = load_encoder(undisturbed / "encoder.safetensors")
    assert (encoder.name, encoder.shape) == ("gin", SHAPE)
    assert about["held_out"] == {"share": 0.05, "seed": 0}
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
