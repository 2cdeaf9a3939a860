import numpy as np
import pytest
import torch

from molclr.config import EncoderShape, Pretrain
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.training.optimizer import pretraining_optimizer, rate_of
from molclr.training.pretrain import ContrastiveModel

SHAPE = EncoderShape(layers=2, hidden_dim=16, embedding_dim=8)
CARBON, IODINE = 5, 52


def trained(kind, decay, steps=20, **settings):
    """A model before and after some steps on molecules of carbon and oxygen alone."""
    settings = Pretrain(projection=8, learning_rate=1e-3, decay=decay, **settings)
    torch.manual_seed(0)
    model = ContrastiveModel(kind, SHAPE, settings)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = pretraining_optimizer(model, settings)
    batch = GraphStore.of(featurize_part(["CCO", "CC=O", "c1ccccc1"])).batch(np.arange(3))
    for _ in range(steps):
        optimizer.zero_grad()
        model(batch).square().sum().backward()
        optimizer.step()
    return before, dict(model.named_parameters()), optimizer


@pytest.mark.parametrize("kind", ["gin", "gcn"])
def test_rows_without_gradient_keep_their_value_unless_decay_is_l2(kind):
    before, after, _ = trained(kind, "decoupled", weight_decay=0.1)
    embedding = "encoder.atom_embedding.weight"
    assert torch.equal(after[embedding][IODINE], before[embedding][IODINE])
    assert not torch.equal(after[embedding][CARBON], before[embedding][CARBON])
    triple = 2
    assert torch.equal(
        after["encoder.layers.0.bond_embedding"][triple], before["encoder.layers.0.bond_embedding"][triple]
    )
    _, after, _ = trained(kind, "l2", weight_decay=0.1)
    assert not torch.equal(after[embedding][IODINE], before[embedding][IODINE])
    assert (after[embedding][IODINE].abs() < before[embedding][IODINE].abs()).all()


def test_decoupled_decay_shrinks_matrices_only():
    settings = Pretrain(projection=8, decay="decoupled", weight_decay=0.5)
    model = ContrastiveModel("gin", SHAPE, settings)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = pretraining_optimizer(model, settings)
    rate_of(optimizer).fill_(0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    shrunk = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert shrunk == {
        f"{module}.weight"
        for module in (
            *(f"encoder.layers.{layer}.mlp.{product}" for layer in (0, 1) for product in (0, 2)),
            "encoder.readout",
            *(f"projection.{product}" for product in (0, 2)),
        )
    }
    after = dict(model.named_parameters())
    for name in shrunk:
        torch.testing.assert_close(after[name], before[name] * 0.95)


def test_l2_is_the_official_optimizer():
    """Adam with its penalty, step by step the same as PyTorch's plain one."""
    _, after, _ = trained("gin", "l2", weight_decay=1e-2)
    settings = Pretrain(projection=8)
    torch.manual_seed(0)
    model = ContrastiveModel("gin", SHAPE, settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-2)
    batch = GraphStore.of(featurize_part(["CCO", "CC=O", "c1ccccc1"])).batch(np.arange(3))
    for _ in range(20):
        optimizer.zero_grad()
        model(batch).square().sum().backward()
        optimizer.step()
    for name, value in model.named_parameters():
        torch.testing.assert_close(after[name], value, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("decay", ["l2", "decoupled"])
def test_every_group_learns_at_the_rate(decay):
    *_, optimizer = trained("gin", decay, steps=0)
    rate = rate_of(optimizer)
    rate.fill_(0.25)
    assert {float(group["lr"]) for group in optimizer.param_groups} == {0.25}
    assert all(group["lr"] is rate for group in optimizer.param_groups)
