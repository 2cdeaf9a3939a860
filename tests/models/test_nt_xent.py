import numpy as np
import pytest
import torch
from paths import GOLDEN

from molclr.errors import MolclrError
from molclr.models.nt_xent import find_loss, nt_xent


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5])
def test_equals_the_official_loss(temperature):
    golden = np.load(GOLDEN / "nt_xent.npz")
    loss, _ = nt_xent(torch.from_numpy(golden["zi"]), torch.from_numpy(golden["zj"]), temperature)
    assert float(loss) == pytest.approx(float(golden[f"loss_t{temperature}"]), abs=1e-5)


def test_equals_the_definition():
    """Equation 4 of the paper, pair by pair."""
    torch.manual_seed(0)
    first, second, temperature = torch.randn(3, 5), torch.randn(3, 5), 0.2
    z = torch.nn.functional.normalize(torch.cat([first, second]), dim=1)
    similarity = (z @ z.T / temperature).exp()
    losses = []
    for i in range(6):
        others = [k for k in range(6) if k != i]
        losses.append(-torch.log(similarity[i, (i + 3) % 6] / similarity[i, others].sum()))
    assert float(nt_xent(first, second, temperature)[0]) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)


def test_accuracy_counts_partners_that_are_most_similar():
    first = torch.eye(4)
    assert float(nt_xent(first, first, 0.1)[1]) == 1.0
    assert float(nt_xent(first, first.roll(1, 0), 0.1)[1]) == 0.0


def test_an_unknown_loss_is_an_error():
    assert find_loss("nt_xent") is nt_xent
    with pytest.raises(MolclrError, match="Unknown loss of pre-training 'triplet'; choose nt_xent, or give the path"):
        find_loss("triplet")
    with pytest.raises(MolclrError, match="there is no module 'no_such_package'"):
        find_loss("no_such_package:triplet")


def one_tensor(first, second, temperature):
    """No accuracy."""
    return first.sum()


def losses(first, second, temperature):
    """One loss per molecule."""
    return first.sum(dim=1), first.sum()


def without_temperature(first, second):
    """One argument less."""


def test_a_loss_that_does_not_fit_is_an_error():
    for name in ("one_tensor", "losses"):
        loss = find_loss(f"{__name__}:{name}")
        with pytest.raises(MolclrError, match=rf"{name}' must return two tensors of shape \(\): the loss and the"):
            loss(torch.zeros(3, 2), torch.zeros(3, 2), 0.1)
    with pytest.raises(MolclrError, match=r"without_temperature' cannot be called with .* first, second, temperature"):
        find_loss(f"{__name__}:without_temperature")
