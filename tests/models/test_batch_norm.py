import pytest
import torch
from torch import nn

from molclr.models import batch_norm as module
from molclr.models.batch_norm import BatchNorm


@pytest.mark.parametrize("device", ["cpu", "any other"])
def test_a_row_with_a_size_equals_repeated_rows(device, monkeypatch):
    if device != "cpu":
        monkeypatch.setattr(module, "_gradients_on_cpu", module._gradients)
    torch.manual_seed(0)
    sizes = torch.tensor([1, 5, 2, 40])
    ours, plain = BatchNorm(3).double(), nn.BatchNorm1d(3).double()
    with torch.no_grad():
        ours.weight.normal_()
        ours.bias.normal_()
    plain.load_state_dict(ours.state_dict())
    for _ in range(3):
        h = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
        repeated = h.detach().repeat_interleave(sizes, dim=0).requires_grad_()
        factor = torch.randn(48, 3, dtype=torch.float64)
        first, second = ours(h, sizes).repeat_interleave(sizes, dim=0), plain(repeated)
        torch.testing.assert_close(first, second)
        (first * factor).sum().backward()
        (second * factor).sum().backward()
        summed = torch.zeros_like(h).index_add_(0, torch.arange(4).repeat_interleave(sizes), repeated.grad)
        torch.testing.assert_close(h.grad, summed)
        torch.testing.assert_close(ours.weight.grad, plain.weight.grad)
        torch.testing.assert_close(ours.bias.grad, plain.bias.grad)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, msg=key)
    torch.testing.assert_close(ours.eval()(h, sizes), plain.eval()(h))


@pytest.mark.parametrize("order", [(None, [1, 2, 3]), ([1, 2, 3], None)])
def test_views_with_and_without_sizes_share_a_backward_pass(order):
    norm = BatchNorm(2)
    h = torch.randn(3, 2, requires_grad=True)
    sum(norm(h, sizes and torch.tensor(sizes)).square().sum() for sizes in order).backward()
    assert h.grad.isfinite().all()


def test_mixed_precision_leaves_the_statistics_exact():
    h, sizes = torch.randn(50, 4) + 100, torch.full((50,), 3)
    exact, mixed = BatchNorm(4), BatchNorm(4)
    exact(h, sizes)
    with torch.autocast("cpu", torch.bfloat16):
        mixed(h, sizes)
    assert torch.equal(mixed.running_mean, exact.running_mean)
