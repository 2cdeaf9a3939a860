import numpy as np
import pytest
import torch
from torch import nn

from molclr.config import EncoderShape
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.models.encoders import make_encoder
from molclr.training.channels import dead_channels


@pytest.fixture
def batches(smiles):
    store = GraphStore.of(featurize_part(smiles))
    return [store.batch(np.arange(5)), store.batch(np.arange(5, len(smiles)))]


@pytest.mark.parametrize("width", [16, 160])  # 160: equal atoms share a row
@pytest.mark.parametrize("kind", ["gin", "gcn"])
def test_channels_that_do_not_vary_are_counted(kind, width, batches):
    torch.manual_seed(0)
    encoder = make_encoder(kind, EncoderShape(layers=3, hidden_dim=width, embedding_dim=8)).train()
    with torch.no_grad():
        for _ in range(30):
            encoder(*batches[1])  # batch norm learns its statistics
        alive = dead_channels(encoder, batches)
        assert max(alive) < 0.25
        encoder.norms[0].weight[: width // 2] = 1e-30  # decayed to zero
        encoder.norms[1].bias[:] = -100.0  # never beyond ReLU
        encoder.norms[2].bias[:] = -100.0  # the last layer has none
    first, second, third = dead_channels(encoder, batches)
    assert first == pytest.approx(0.5, abs=0.15) and second == 1 and third == 0
    assert encoder.training and not any(norm._forward_hooks for norm in encoder.norms)


def test_batches_are_one_sample(batches):
    """A channel that is constant in each batch, but differs between them, is alive."""

    class Names(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList([nn.Identity()])

        def forward(self, x, *_):
            self.norms[0](torch.full((len(x), 2), float(len(x))) * torch.tensor([1.0, 0.0]))

    assert dead_channels(Names(), batches) == [0.5]


def test_an_encoder_without_batch_norm_is_left_out(batches):
    assert dead_channels(nn.Linear(2, 2), batches) == []
