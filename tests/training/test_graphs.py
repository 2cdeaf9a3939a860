"""Fine-tuning, predictions and embeddings are the same in slots."""

import copy

import numpy as np
import pytest
import torch
from forks import SHAPE

from molclr.config import Finetune
from molclr.data.store import GraphStore
from molclr.evaluation.runs import Run
from molclr.models.encoders import make_encoder
from molclr.training.graphs import PlainGraphs, SlotGraphs, graphs_on, in_batches
from molclr.training.inference import predict_molecules
from molclr.training.supervised import Supervision, finetuning_optimizer, new_predictor

CPU, ELSEWHERE = torch.device("cpu"), torch.device("cpu", 0)


def test_the_last_batch_is_filled_up():
    assert in_batches(np.arange(5), 3).tolist() == [[0, 1, 2], [3, 4, -1]]
    assert in_batches(np.arange(0), 3).shape == (0, 3)


@pytest.mark.parametrize("metric", ["roc_auc", "rmse", "mae"])
@pytest.mark.parametrize("home", [CPU, ELSEWHERE])
def test_slots_give_the_same_training_and_predictions(corpus, home, metric):
    """Of 50 molecules in batches of at least 16, whose sizes differ, and with missing labels."""
    settings = Finetune(epochs=2, batch_size=16, dropout=0.0)
    store, random = GraphStore(corpus[1]), np.random.default_rng(0)
    task = "classification" if metric == "roc_auc" else "regression"
    labels = (
        (random.random((len(store), 2)) > 0.5).astype(float)
        if task == "classification"
        else random.normal(size=(len(store), 2))
    )
    labels[::5, 0] = np.nan
    molecules, run = random.permutation(len(store))[:50], Run("x", "GIN", 0, task, metric, ["a", "b"])
    torch.manual_seed(0)
    model = new_predictor(make_encoder("gin", SHAPE), settings, run, labels)
    found = []
    for graphs in (
        PlainGraphs(store, np.arange(len(store)), CPU),
        SlotGraphs(store, np.arange(len(store)), CPU, home=home),
    ):
        ours = copy.deepcopy(model)
        supervision = Supervision(
            ours, run, graphs, labels, molecules, settings, finetuning_optimizer(ours, settings, pretrained=True)
        )
        losses = [supervision.epoch(epoch) for epoch in (1, 2)]
        assert sorted(supervision.batches(1)[supervision.batches(1) >= 0]) == sorted(molecules)
        found.append((losses, predict_molecules(ours, graphs, np.arange(20))))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-3)
    np.testing.assert_allclose(found[1][1], found[0][1], atol=2e-3)


def test_slots_of_chosen_molecules_give_their_representations(corpus):
    store, molecules = GraphStore(corpus[1]), np.array([7, 3, 99, 5])
    encoder = make_encoder("gcn", SHAPE).eval()
    graphs = SlotGraphs(store, molecules, CPU)
    batches = in_batches(np.arange(4), 3)
    with torch.no_grad():
        h = torch.cat(
            [graphs.represent(encoder, handle) for handle in graphs.handles(batches, graphs.capacity([batches]))]
        )
        torch.testing.assert_close(h[:4], encoder(*store.batch(molecules)), rtol=0, atol=1e-5)


def test_a_cpu_takes_plain_graphs(corpus):
    store = GraphStore(corpus[1])
    assert isinstance(graphs_on(CPU, store, np.arange(3), make_encoder("gin", SHAPE)), PlainGraphs)
