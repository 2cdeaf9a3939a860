import csv

import numpy as np
import pandas as pd
import pytest
import torch
from paths import FIXTURES

import molclr
from molclr import representation
from molclr.chem.seen import Seen
from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.models.encoders import make_encoder
from molclr.training.checkpoint import save_encoder


@pytest.fixture
def path(tmp_path):
    torch.manual_seed(0)
    encoder = make_encoder("gin", EncoderShape(layers=2, hidden_dim=8, embedding_dim=6))
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), {"fraction": 0.1, "seed": 0})
    return tmp_path / "encoder.safetensors"


def test_molecules_keep_their_order_in_parts_of_any_size(path, smiles, monkeypatch):
    encoder = molclr.Encoder.load(path)
    together = encoder.embed(smiles)
    assert together.shape == (len(smiles), 6) and together.dtype == np.float32
    monkeypatch.setattr(representation, "MOLECULES_AT_A_TIME", 3)
    np.testing.assert_allclose(encoder.embed(smiles), together, atol=1e-6)
    np.testing.assert_allclose(encoder.embed(smiles[::-1])[::-1], together, atol=1e-6)
    assert encoder.embed([]).shape == (0, 6)


@pytest.mark.parametrize(
    ("table", "molecules"), [("b14_spellings", [0] * 5 + [1] * 5), ("b20_flipflop", [0, 0, 0]), ("lalanine", [0, 0, 1])]
)
def test_all_smiles_of_a_molecule_give_the_same_vector(path, table, molecules):
    spellings = ["C[C@H](N)C(=O)O", "N[C@@H](C)C(=O)O", "C[C@@H](N)C(=O)O"]
    if table != "lalanine":
        with (FIXTURES / "cases" / f"{table}.csv").open() as file:
            spellings = [row["smiles"] for row in csv.DictReader(file)]
    h = molclr.Encoder.load(path).embed(spellings)
    equal = [[np.array_equal(one, other) for other in h] for one in h]
    assert equal == [[one == other for other in molecules] for one in molecules]


def test_a_pandas_series_is_embedded_in_its_order(path):
    encoder = molclr.Encoder.load(path)
    series = pd.Series(["CCO", "C"], index=[7, 0])
    np.testing.assert_allclose(encoder.embed(series), encoder.embed(["CCO", "C"]))


def test_the_shipped_encoder_is_the_default_and_warns_of_unseen_features():
    encoder = molclr.Encoder.load()
    assert repr(encoder) == "<GIN of 5 x 300, h of 512 numbers>"
    assert encoder.seen == Seen(["Br", "C", "Cl", "F", "N", "O", "S"], False, False, False)
    assert encoder.embed(["CCO", "Brc1ccccc1"]).shape == (2, 512)  # no warning
    with pytest.warns(
        UserWarning, match=r"^2 of 3 molecules have features .* \(the element I in 1 of them, and others\)"
    ):
        encoder.embed(["CI", "CC(=O)[O-]", "C"])


def test_explicit_hydrogens_change_the_vector(path):
    encoder = molclr.Encoder.load(path)
    implicit, explicit = (encoder.embed(["CCO"], explicit_hydrogens=explicit) for explicit in (False, True))
    assert np.abs(implicit - explicit).max() > 1e-3


def test_a_rejected_molecule_is_named(path):
    encoder = molclr.Encoder.load(path)
    with pytest.raises(
        MolclrError, match=r"Molecule 3 of the list, 'C\*', is rejected: it has an atom without an element"
    ):
        encoder.embed(["C", "CC", "CCO", "C*"])


def test_input_other_than_a_list_of_smiles_is_rejected(path):
    encoder = molclr.Encoder.load(path)
    with pytest.raises(MolclrError, match=r"'CCO' is a single SMILES, not a list; give \['CCO'\]"):
        encoder.embed("CCO")
    with pytest.raises(MolclrError, match="Molecule 1 of the list, nan, is not a SMILES string"):
        encoder.embed(["C", float("nan")])


def test_a_device_that_is_not_there(path):
    with pytest.raises(MolclrError, match=r"The device 'cuda:99' cannot be used \(.*\); set 'device' to"):
        molclr.Encoder.load(path, device="cuda:99")


def test_a_missing_encoder_is_an_error(tmp_path):
    with pytest.raises(MolclrError, match=r"The checkpoint .* does not exist"):
        molclr.Encoder.load(tmp_path / "none.safetensors")
    with pytest.raises(MolclrError, match=r"'.*' is a folder; name the checkpoint in it"):
        molclr.Encoder.load(tmp_path)
    with pytest.raises(
        MolclrError, match=r"Unknown encoder 'oficial-gcn'; give .*, or molclr-gin or official-gin or official-gcn"
    ):
        molclr.Encoder.load("oficial-gcn")
    with pytest.raises(MolclrError, match=r"Unknown encoder 'molclr-gcn'; give .* molclr-gin"):
        molclr.Encoder.load("molclr-gcn")  # not made yet
    with pytest.raises(AttributeError, match="Decoder"):
        molclr.Decoder  # noqa: B018
