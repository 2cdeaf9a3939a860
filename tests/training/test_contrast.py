"""Both forms of the contrastive loss agree, also where a corpus is streamed."""

import copy

import numpy as np
import pytest
import torch
from forks import SETTINGS, SHAPE

from molclr.config import Augmentation
from molclr.data.store import GraphStore
from molclr.training.contrast import ContrastiveModel, PlainContrast, SlotContrast, contrast_of
from molclr.training.graphs import SlotGraphs, prefetched
from molclr.training.step import Step

CPU, ELSEWHERE = torch.device("cpu"), torch.device("cpu", 0)
"""Where two devices differ, a corpus is streamed from one to the other."""


def slots_of(store, home=CPU):
    return SlotGraphs(store, np.arange(len(store)), CPU, home=home)


def losses_of(contrast, model, batches):
    """What three steps of training find."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    step, found = Step(model, optimizer, lambda batch: contrast.loss(batch, torch.tensor([1, 2]))[0]), []
    for batch in contrast.batches(batches):
        step(batch)
        found.append(float(step.loss_sum))
    return found, {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("composition", ["node", "mix"])
@pytest.mark.parametrize("name", ["gin", "gcn"])
def test_plain_graphs_and_slots_give_the_same_training(corpus, name, composition):
    settings = SETTINGS.model_copy(update={"augmentation": Augmentation(composition=composition)})
    torch.manual_seed(0)
    model, store = ContrastiveModel(name, SHAPE, settings), GraphStore(corpus[1])
    models = [copy.deepcopy(model) for _ in range(3)]
    batches = np.random.default_rng(0).permutation(len(store))[:96].reshape(3, 32)
    plain, slots, streamed = (
        losses_of(contrast, model, batches)
        for contrast, model in (
            (PlainContrast(models[0], store, settings, CPU), models[0]),
            (SlotContrast(models[1], slots_of(store), settings, [batches], compiled=False), models[1]),
            (SlotContrast(models[2], slots_of(store, ELSEWHERE), settings, [batches], compiled=False), models[2]),
        )
    )
    assert slots[0][0] == pytest.approx(plain[0][0], rel=1e-5)
    assert slots[0] == pytest.approx(plain[0], rel=1e-3), "where a gradient is nearly zero, Adam follows its rounding"
    assert slots[0] == streamed[0]
    assert all(torch.equal(value, streamed[1][label]) for label, value in slots[1].items())


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.*should not be instantiated:DeprecationWarning"
)  # PyTorch's own, while it compiles
def test_compiled_slots_are_the_same_and_compiled_once(corpus, monkeypatch):
    """Without a break in the graph, which a GPU would have to wait at."""
    torch.manual_seed(0)
    model, store = ContrastiveModel("gin", SHAPE.model_copy(update={"layers": 1}), SETTINGS), GraphStore(corpus[1])
    batches = np.arange(64).reshape(2, 32)
    other = copy.deepcopy(model)
    eager, _ = losses_of(SlotContrast(model, slots_of(store), SETTINGS, [batches], compiled=False), model, batches)
    contrast = SlotContrast(other, slots_of(store), SETTINGS, [batches], compiled=False)
    loss = torch.compile(contrast.eager_loss, dynamic=False, fullgraph=True, backend="aot_eager")
    monkeypatch.setattr(contrast, "loss", lambda batch, streams: loss(*batch, streams))
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled, _ = losses_of(contrast, other, batches)
    assert compiled == pytest.approx(eager, rel=1e-6)


def test_a_cpu_takes_plain_graphs(corpus):
    model = ContrastiveModel("gin", SHAPE, SETTINGS)
    assert isinstance(contrast_of(model, GraphStore(corpus[1]), SETTINGS, CPU, []), PlainContrast)


def test_items_come_in_order_and_errors_where_they_are_asked_for():
    def items():
        yield from range(20)
        raise ValueError("no more")

    found = []
    with pytest.raises(ValueError, match="no more"):
        for item in prefetched(items(), 3):
            found.append(item)
    assert found == list(range(20))
    taken = prefetched(iter(range(10**9)), 3)
    assert [next(taken) for _ in range(5)] == [0, 1, 2, 3, 4]
    taken.close()
