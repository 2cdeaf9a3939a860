"""Graph stores and the full-size network: what runs on a machine with a GPU, PyTorch and neither RDKit nor Snakemake."""

import numpy as np
import pytest
import torch
from paths import FIXTURES

from molclr.config import EncoderShape, Pretrain
from molclr.data.store import GraphStore

STORE = FIXTURES / "graphs.safetensors"
SHAPE = EncoderShape()
SETTINGS = Pretrain(epochs=3, batch_size=16, warmup_epochs=1, validation_fraction=0.1)


@pytest.fixture(scope="session")
def cuda():
    if not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    return torch.device("cuda:0")


@pytest.fixture(scope="session")
def store():
    """The molecules of the CSV files beside it."""
    return GraphStore(STORE)


@pytest.fixture(scope="session")
def batches(store):
    """Two batches of 512."""
    return np.random.default_rng(0).permutation(len(store))[:1024].reshape(2, 512)
