import csv
import sys
from inspect import signature
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from paths import FIXTURES
from rdkit import Chem
from torch_geometric.loader import DataLoader

import molclr
from molclr import progress
from molclr.chem.seen import Seen
from molclr.config import Compute, EncoderShape, Finetune, Pretrain
from molclr.errors import MolclrError
from molclr.model_names import ShippedName
from molclr.models.encoders import make_encoder
from molclr.training import embed_smiles
from molclr.training.checkpoint import load_encoder, save_encoder
from molclr.training.encoder_files import encoder_file


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
    monkeypatch.setattr(embed_smiles, "MOLECULES_AT_A_TIME", 3)
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


SMILES = ["CCO", "C[C@H](N)C(=O)O", "C"]


@pytest.mark.parametrize(
    "molecules",
    [
        tuple(SMILES),
        (text for text in SMILES),
        np.array(SMILES),
        pd.Series(SMILES, index=[7, 0, 3]),
        pd.Series(SMILES, dtype="string"),
        pd.DataFrame({"smiles": SMILES}),
        [Chem.MolFromSmiles(text) for text in SMILES],
        pd.Series([Chem.AddHs(Chem.MolFromSmiles(text)) for text in SMILES]),
        ["OCC", Chem.MolFromSmiles("C[C@H](N)C(O)=O"), "[CH4:1]"],
    ],
    ids=["tuple", "generator", "array", "Series", "string", "table", "RDKit", "hydrogens", "mixture"],
)
def test_molecules_may_be_given_in_many_ways(path, molecules):
    encoder = molclr.Encoder.load(path)
    np.testing.assert_array_equal(encoder.embed(molecules), encoder.embed(SMILES))


def test_rejected_molecules_may_become_rows_of_nan(path):
    encoder = molclr.Encoder.load(path)
    molecules = ["CCO", "C*", None, Chem.MolFromSmarts("[#0]~C"), "C(", "C", "*"]
    with pytest.warns(
        UserWarning, match=r"^rejected 5 of 7 molecules: 3 \(such as molecule 1: it has an atom without"
    ) as told:
        h = encoder.embed(molecules, on_error="nan")
    assert str(told[0].message).endswith("their rows are NaN") and told[0].filename == __file__
    assert np.isnan(h).all(axis=1).tolist() == [False, True, True, True, True, False, True]
    np.testing.assert_array_equal(h[[0, 5]], encoder.embed(["CCO", "C"]))
    with pytest.warns(UserWarning, match="1 of 1"):
        assert np.isnan(encoder.embed(["*"], on_error="nan")).all()


def test_the_module_computes_what_embed_does_and_can_be_trained(path, smiles):
    encoder = molclr.Encoder.load(path, device="cpu")
    batch, before = molclr.to_pyg(smiles), encoder.embed(smiles)
    np.testing.assert_allclose(encoder.module(batch).detach().numpy(), before, atol=1e-5)
    loader = DataLoader(batch.to_data_list(), batch_size=5)
    parts = torch.cat([encoder.module(part) for part in loader])
    np.testing.assert_allclose(parts.detach().numpy(), before, atol=1e-5)
    one = encoder.module(molclr.to_pyg(smiles[3])).detach().numpy()
    np.testing.assert_allclose(one, before[3:4], atol=1e-5)
    model = torch.nn.Sequential(encoder.module, torch.nn.Linear(6, 1)).train()
    model(batch).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.module.encoder.layers.parameters())
    torch.optim.SGD(model.parameters(), 0.1).step()
    assert np.abs(encoder.embed(smiles) - before).max() > 1e-3, "the weights are those of the encoder"
    assert model.training and encoder.module.training, "embed does not end the training mode"


def test_molecules_as_graphs_of_torch_geometric(smiles):
    data = molclr.to_pyg("OCC")
    assert data.smiles == "CCO" and data.x.tolist() == [[5, 0], [5, 0], [7, 0]]
    assert data.edge_index.tolist() == [[0, 1, 1, 2], [1, 2, 0, 1]] and data.edge_attr.tolist() == [[0, 0]] * 4
    batch = molclr.to_pyg([Chem.MolFromSmiles(text) for text in smiles])
    assert batch.num_graphs == len(smiles) == len(batch.smiles) and batch[1].edge_index.shape == (2, 0)
    assert batch[3].x.tolist() == molclr.to_pyg(smiles[3]).x.tolist()
    assert molclr.to_pyg("C", explicit_hydrogens=True).num_nodes == 5
    with pytest.raises(MolclrError, match=r"Molecule 1 of the list, 'C\*', is rejected"):
        molclr.to_pyg(["C", "C*"])
    with pytest.raises(MolclrError, match="The list of molecules is empty"):
        molclr.to_pyg([])


def test_a_notebook_shows_a_table(path):
    html = molclr.Encoder.load(path)._repr_html_()
    assert "GIN, 2 layers" in html and "not known" in html and html.startswith("<table>")
    assert "Br, C, Cl" in molclr.Encoder.load()._repr_html_()


def test_nothing_is_printed_where_no_one_watches_and_a_bar_elsewhere(path, smiles, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    encoder = molclr.Encoder.load(path)
    encoder.embed(smiles)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    encoder.embed(smiles)
    assert "embed:   0%|" in capsys.readouterr().err


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
    with pytest.raises(ValueError, match="Molecule 1 of the list, nan, is rejected: it is neither a SMILES string nor"):
        encoder.embed(["C", float("nan")])
    with pytest.raises(MolclrError, match=r"A table of 1 by 2 is not a list of molecules; give its column of SMILES"):
        encoder.embed(pd.DataFrame({"smiles": ["C"], "y": [1]}))
    for unordered in ({"C": 1}, {"C"}):
        with pytest.raises(MolclrError, match=r"A (dict|set) is not an ordered list"):
            encoder.embed(unordered)
    with pytest.raises(MolclrError, match="5 is not a list of molecules"):
        encoder.embed(5)
    with pytest.raises(MolclrError, match="on_error is 'skip'; choose raise or nan"):
        encoder.embed(["C"], on_error="skip")


def test_a_device_that_is_not_there(path):
    with pytest.raises(MolclrError, match=r"The device 'cuda:99' cannot be used \(.*\); set 'device' to"):
        molclr.Encoder.load(path, device="cuda:99")


def test_all_defaults_of_the_device_are_auto(path):
    kinds = (
        molclr.Encoder,
        molclr.Encoder.load,
        molclr.MolCLRTransformer,
        molclr.MolCLRRegressor,
        molclr.MolCLRClassifier,
    )
    assert {signature(kind).parameters["device"].default for kind in kinds} == {"auto"}
    assert {section().device for section in (Compute, Pretrain, Finetune)} == {"auto"}
    assert molclr.Encoder.load(path).device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_names_of_the_package_are_there():
    assert {*molclr.__all__} <= {*dir(molclr)}
    assert all(getattr(molclr, name).__name__ == name for name in molclr.__all__)


def test_a_missing_encoder_is_an_error(tmp_path):
    with pytest.raises(MolclrError, match=r"The checkpoint .* does not exist"):
        molclr.Encoder.load(tmp_path / "none.safetensors")
    with pytest.raises(MolclrError, match=r"'.*' is a folder; name the checkpoint in it"):
        molclr.Encoder.load(tmp_path)
    with pytest.raises(
        MolclrError,
        match=r"Unknown encoder 'oficial-gcn'; choose molclr-gin, molclr-gcn, official-gin, official-gcn, or give the path",
    ):
        molclr.Encoder.load("oficial-gcn")
    with pytest.raises(MolclrError, match=r"Unknown encoder 'molclr-gat'; choose molclr-gin, "):
        molclr.Encoder.load("molclr-gat")
    with pytest.raises(AttributeError, match="Decoder"):
        molclr.Decoder  # noqa: B018


@pytest.mark.parametrize("name", get_args(ShippedName))
def test_encoders_of_the_package(name):
    """They have the size of the paper, and the header and the curve that docs/encoders.md describes."""
    file = encoder_file(name)
    _, about = load_encoder(file)
    assert about["encoder"] == name.removeprefix("molclr-")
    assert about["seen"] == Seen(["Br", "C", "Cl", "F", "N", "O", "S"], False, False, charges=False)
    assert EncoderShape(**about["shape"]) == EncoderShape()
    h = molclr.Encoder.load(name).embed(["CCO", "c1ccccc1O"])
    assert h.shape == (2, 512) and np.abs(h[0] - h[1]).max() > 0.1
    curve = pd.read_csv(file.with_suffix(".history.csv"))
    assert curve["validation_loss"].iloc[-1] < curve["validation_loss"].iloc[0]
