"""A small encoder, and training without what takes most of the time and no test looks at."""

import os

import pytest

from molclr.config import EncoderShape
from molclr.evaluation import statistics
from molclr.models.encoders import make_encoder
from molclr.training.checkpoint import copy_weights, save_encoder


@pytest.fixture
def quick(monkeypatch):
    """Intervals of scores from two resamples, and files that are not flushed to the disk."""
    monkeypatch.setattr(statistics, "RESAMPLES", 2)
    monkeypatch.setattr(statistics, "RESAMPLES_AT_A_TIME", 2)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """The file of a small encoder with random weights."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    network = make_encoder("gin", EncoderShape(layers=2, hidden_dim=16, embedding_dim=24), 0.0)
    save_encoder(path, network, copy_weights(network), None)
    return path
