"""A small encoder, and the folders of models that 'molclr train' makes."""

import pytest
from paths import FIXTURES

from molclr.cli import main
from molclr.config import EncoderShape
from molclr.models.encoders import make_encoder
from molclr.training.checkpoint import copy_weights, save_encoder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """The file of a small encoder with random weights."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    network = make_encoder("gin", EncoderShape(layers=2, hidden_dim=16, embedding_dim=24), 0.0)
    save_encoder(path, network, copy_weights(network), None)
    return path


@pytest.fixture(scope="session")
def model_folder(encoder, tmp_path_factory):
    """Train a model of a kind on a part of FreeSolv, once; return its folder."""
    folder = tmp_path_factory.mktemp("models")
    table = folder / "few.csv"
    table.write_text("\n".join((FIXTURES / "freesolv.csv").read_text().splitlines()[:41]))

    def trained(kind):
        if not (folder / kind).exists():
            quick = ["--epochs", "1", "--seeds", "2", "--settings", "{threads: 1}", "--baselines", "{trees: 3}"]
            words = ["train", str(table), "--split", "random", "--encoder", str(encoder), "--model", kind, *quick]
            assert main([*words, "--output", str(folder / kind)]) == 0
        return folder / kind

    return trained
