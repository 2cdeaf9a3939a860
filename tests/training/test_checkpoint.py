import json
import pickle

import numpy as np
import pytest
import torch
from paths import GOLDEN
from safetensors.torch import save_file

import molclr
from molclr.chem.seen import Seen
from molclr.config import EncoderShape
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.models.encoders import make_encoder
from molclr.training import checkpoint
from molclr.training.checkpoint import load_encoder, load_weights, save_encoder, save_weights
from molclr.training.finetune import load_model
from molclr.training.graphs import PlainGraphs
from molclr.training.inference import predict_molecules

BEFORE_VERSIONS = GOLDEN / "checkpoints"
"""Files of the software from before checkpoints had a version, and what it computed with them."""


@pytest.mark.parametrize("kind", ["gin", "gcn"])
def test_an_encoder_file_without_a_version(kind):
    values = np.load(BEFORE_VERSIONS / "values.npz")
    path = BEFORE_VERSIONS / f"{kind}.encoder.safetensors"
    h = molclr.Encoder.load(path).embed(values["smiles"].tolist())
    np.testing.assert_allclose(h, values[kind], atol=1e-6)
    _, about = load_encoder(path)
    assert about["held_out"] == {"rule": "Feistel", "fraction": 0.05, "seed": 0}
    assert about["seen"] is None


def test_a_model_file_without_a_version():
    values = np.load(BEFORE_VERSIONS / "values.npz")
    model, run, explicit_hydrogens, seen = load_model(BEFORE_VERSIONS / "gcn.model.safetensors")
    assert not explicit_hydrogens and run.targets == ["a", "b"] and seen is None
    store = GraphStore.of(featurize_part(values["smiles"].tolist()))
    molecules = np.arange(len(store))
    graphs = PlainGraphs(store, molecules, torch.device("cpu"))
    predictions = predict_molecules(model, graphs, molecules)
    np.testing.assert_allclose(predictions, values["model"], atol=1e-5)


def test_a_file_has_its_version_and_metadata(tmp_path):
    seen = Seen(["C", "O"], chirality=True, bond_directions=False, charges=None)
    encoder = make_encoder("gin", EncoderShape(layers=1, hidden_dim=4, embedding_dim=2))
    save_encoder(tmp_path / "a.safetensors", encoder, encoder.state_dict(), {"corpus": "abc"}, seen)
    with (tmp_path / "a.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    assert json.loads(header["__metadata__"]["molclr"])["format"] == checkpoint.FORMAT
    _, about = load_encoder(tmp_path / "a.safetensors")
    assert about["seen"] == seen and about["held_out"] == {"corpus": "abc"} and "format" not in about


@pytest.mark.parametrize("version", [{}, {"format": 1}])
def test_files_with_earlier_names_of_keys_load(tmp_path, version):
    """Such as the encoders that models of an earlier version contain."""
    encoder = make_encoder("gin", EncoderShape(layers=2, hidden_dim=8, embedding_dim=6))
    save_encoder(tmp_path / "e.safetensors", encoder, encoder.state_dict(), {"corpus": "x", "fraction": 0.1})
    _, about = load_weights(tmp_path / "e.safetensors")
    shape, held_out = about["shape"], about["held_out"]
    shape["width"], shape["feature"] = shape.pop("hidden_dim"), shape.pop("embedding_dim")
    held_out["share"] = held_out.pop("fraction")
    seen = {"seen": about.pop("seen")} if version else {}
    save_file(encoder.state_dict(), tmp_path / "old.safetensors", {"molclr": json.dumps(version | about | seen)})
    loaded, found = load_encoder(tmp_path / "old.safetensors")
    assert loaded.shape == encoder.shape and found["held_out"] == {"corpus": "x", "fraction": 0.1}


def test_a_file_of_a_newer_version_says_to_update(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 7)
    save_weights(tmp_path / "new.safetensors", {"x": torch.zeros(1)}, {"something": "else"})
    monkeypatch.undo()
    with pytest.raises(
        MolclrError, match=r"new\.safetensors' is a checkpoint of format 7, and MolCLR .* update MolCLR"
    ):
        load_weights(tmp_path / "new.safetensors")


@pytest.mark.parametrize("metadata", [None, "", "[]", "7", '{"format": "new"}', '{"format": null}'])
def test_metadata_of_other_programs_are_an_error(tmp_path, metadata):
    about = None if metadata is None else {"molclr": metadata}
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", metadata=about)
    with pytest.raises(MolclrError, match="damaged or not a MolCLR checkpoint"):
        load_weights(tmp_path / "x.safetensors")


def test_nothing_is_unpickled(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(MolclrError, match="damaged or not a MolCLR checkpoint"):
        load_weights(tmp_path / "x.safetensors")
