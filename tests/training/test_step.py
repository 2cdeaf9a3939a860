"""A step that is not finite changes nothing, nor does any after it."""

import pytest
import torch
from torch import nn

from molclr.batch import map_tensors, tensors_in
from molclr.training.step import Step


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("spoiled", ["loss", "gradient"])
def test_weights_are_those_before_the_step_that_failed(kind, spoiled):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = kind(model.parameters(), lr=torch.tensor(0.1), fused=True)

    def loss_of(x):
        loss = model(x).sum()
        return loss + (loss - loss.detach()).abs().sqrt() if x[0, 0] == 7 else loss  # The root's slope is infinite.

    step = Step(model, optimizer, loss_of)
    step.begin(2.0)
    for value in (1.0, 2.0):
        step(torch.full((2, 3), value))
    before, total = {name: value.clone() for name, value in model.state_dict().items()}, float(step.loss_sum)
    assert int(step.good) == 2 and not float(step.failed)
    for value in (torch.nan if spoiled == "loss" else 7.0, 1.0, 2.0):
        step(torch.full((2, 3), value))
    assert int(step.good) == 2 and float(step.failed)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert float(step.loss_sum) == total
    step.begin(0.0)
    step(torch.ones(2, 3))
    assert int(step.good) == 1 and not torch.equal(model.weight, before["weight"])


def test_tensors_in_nested_tuples():
    value = (torch.ones(2), (3, torch.zeros(1)), "x")
    assert [tensor.tolist() for tensor in tensors_in(value)] == [[1, 1], [0]]
    twice = map_tensors(value, lambda tensor: tensor + 1)
    assert twice[1][0] == 3 and twice[1][1].tolist() == [1] and twice[2] == "x"
