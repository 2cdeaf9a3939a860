"""What atoms contribute, with networks whose output is a known sum over atoms, and on models that were trained."""

import csv
import io
import json
import re
import shutil
import sys
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from paths import FIXTURES
from rdkit import Chem

from molclr.batch import MASK
from molclr.chem.fingerprints import ecfp4_counts_without_atoms
from molclr.chem.smiles import canonicalize_all
from molclr.cli import main
from molclr.config import EncoderShape, Finetune
from molclr.data.featurize import featurize_part
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.evaluation.figures.atoms import colour
from molclr.evaluation.runs import Run
from molclr.model_names import TRAIN_MODELS
from molclr.models.augment import view
from molclr.models.encoders import make_encoder
from molclr.qsar import explain_table
from molclr.qsar.explain import Explanation, explain
from molclr.qsar.explain_table import Explained, _groups
from molclr.qsar.model_folder import ModelFolder, write_fixed
from molclr.training.checkpoint import save_encoder, save_weights
from molclr.training.supervised import new_predictor

TARGETS = ["up", "down"]
MASK_VALUE = 13.0
GIVEN = [
    "OCC",
    "ClC(=O)c1ccsc1",
    "C(C)(C)(C)O",
    "[Na+].[O-]C(=O)C",
    "F/C=C/Cl",
    "N[C@@H](C)C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def save_network(path, change, layers, seed=0):
    """Write a network with random weights that the function `change` has changed."""
    torch.manual_seed(seed)
    encoder = make_encoder("gin", EncoderShape(layers=layers, hidden_dim=4, embedding_dim=4))
    settings = Finetune(head_layers=1, activation="relu")
    run = Run("mine", "network", 0, "regression", "rmse", TARGETS)
    model = new_predictor(encoder, settings, run, np.array([[-1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2))
    with torch.no_grad():
        change(model)
    about = {
        "encoder": "gin",
        "shape": encoder.shape.model_dump(),
        "finetune": settings.model_dump(),
        "run": vars(run),
    }
    save_weights(path, model.state_dict(), about | {"explicit_hydrogens": False, "seen": None})


def save_folder(folder, change, layers):
    """Write the folder of two networks; `change` is given the model and its number."""
    folder.mkdir()
    targets = [{"name": name, "labels": 2, "lowest": -1.0, "highest": 1.0} for name in TARGETS]
    about = {"task": "regression", "metric": "rmse", "targets": targets, "smiles_column": "smiles"}
    about |= {"models": ["network"], "chosen": "network", "networks": 2}
    about |= {"half_widths": {}, "domain": None, "settings": {}}
    for seed in range(2):
        save_network(folder / f"network-{seed}.safetensors", lambda model, seed=seed: change(model, seed), layers, seed)
    write_fixed(folder, {}, TARGETS)
    ModelFolder(folder, about).write()
    return folder


def be_a_sum(model, seed):
    """Make the first target (1 + seed) times the mean over atoms of (1 + degree) * value, and the second its -3fold.

    The value of an atom is its atomic number, and MASK_VALUE where it is masked.
    """
    for name, parameter in model.named_parameters():
        if "norms" not in name:
            parameter.zero_()
    model.encoder.atom_embedding.weight[:, 0] = torch.arange(1, 120)
    model.encoder.atom_embedding.weight[MASK, 0] = MASK_VALUE
    (layer,) = model.encoder.layers
    epsilon = model.encoder.norms[0].eps
    for linear, weight in (
        (layer.mlp[0], 1.0),
        (layer.mlp[2], (1 + epsilon) ** 0.5),
        (model.encoder.readout, 1.0 + seed),
        (model.head.mlp[0], 1.0),
        (model.head.mlp[2], 1.0),
    ):
        linear.weight[0, 0] = weight
    model.head.mlp[2].weight[1, 0] = -3.0


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    """The folder of a model whose outputs are known sums."""
    return save_folder(tmp_path_factory.mktemp("sums") / "model", be_a_sum, 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with all models, of a small encoder with random weights."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    encoder = make_encoder("gin", EncoderShape(layers=2, hidden_dim=16, embedding_dim=24))
    save_encoder(folder / "encoder.safetensors", encoder, encoder.state_dict(), None)
    (folder / "freesolv.csv").write_text("\n".join((FIXTURES / "freesolv.csv").read_text().splitlines()[:80]))
    words = ["train", str(folder / "freesolv.csv"), "--output", str(folder / "model"), "--split", "random"]
    words += ["--encoder", str(folder / "encoder.safetensors"), "--epochs", "1", "--seeds", "2"]
    assert main([*words, "--settings", "{threads: 1}", "--baselines", "{trees: 5}"]) == 0
    return folder / "model"


def explained(model, folder, smiles, *more, name="out.csv"):
    (folder / "new.csv").write_text("id,smiles\n" + "".join(f"M{i},{text}\n" for i, text in enumerate(smiles)))
    words = ["explain", str(folder / "new.csv"), "--model", str(model), "--output", str(folder / name), *more]
    assert main(words) == 0
    return rows_of(folder / name) if name.endswith(".csv") else pq.read_table(folder / name).to_pylist()


def numbers(text):
    return np.array(text.split(" "), float)


def known(smiles):
    """The prediction and contributions for the model of `be_a_sum`, the mean of its networks, in the order of `smiles`."""
    atoms = list(Chem.MolFromSmiles(smiles).GetAtoms())
    weights = np.array([1 + atom.GetDegree() for atom in atoms]) / len(atoms)
    values = np.array([atom.GetAtomicNum() for atom in atoms])
    return 1.5 * (weights * values).sum(), 1.5 * weights * (values - MASK_VALUE)


def test_contributions_to_a_known_sum_are_exact_and_in_the_order_of_the_input(sums, tmp_path):
    assert sum(text != canonical for text, canonical in zip(GIVEN, canonicalize_all(GIVEN), strict=True)) >= 5
    for text, row in zip(GIVEN, explained(sums, tmp_path, GIVEN), strict=True):
        mean, atoms = known(text)
        assert row["smiles"] == row["explained_smiles"] == text
        assert row["atoms"].split() == [atom.GetSymbol() for atom in Chem.MolFromSmiles(text).GetAtoms()]
        assert float(row["up_mean"]) == pytest.approx(mean, rel=1e-5)
        assert numbers(row["up_atoms"]) == pytest.approx(atoms, rel=1e-4, abs=1e-5)
        assert numbers(row["down_atoms"]) == pytest.approx(-3 * atoms, rel=1e-4, abs=1e-5)
        # The networks give 2/3 and 4/3 of the mean.
        assert numbers(row["up_atoms_std"]) == pytest.approx(abs(atoms) * 2 / 3 / np.sqrt(2), rel=1e-4, abs=1e-5)


def test_masking_is_that_of_pretraining(tmp_path, smiles):
    """As `molclr.models.augment` masks atoms, with chirality, charges and bonds of all kinds."""
    model = ModelFolder.read(save_folder(tmp_path / "model", lambda model, seed: None, 3))
    canonical = canonicalize_all(smiles)
    graphs = GraphStore.of(featurize_part(canonical))
    network = model.networks[0].eval()
    for place, found in enumerate(explain(model, canonical)):
        whole = graphs.batch(np.array([place]))
        none = torch.zeros(whole.num_bonds, dtype=torch.bool)
        expected = np.zeros((2, len(whole.x), 2))
        for number, network in enumerate(model.networks):
            with torch.no_grad():
                predicted = network.eval().predict(network.encoder(*whole))
                for atom in range(len(whole.x)):
                    masked = view(whole, torch.arange(len(whole.x)) == atom, none)
                    expected[number, atom] = (predicted - network.predict(network.encoder(*masked)))[0]
        np.testing.assert_allclose(found.atoms, expected.mean(axis=0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found.atoms_std, expected.std(axis=0, ddof=1), rtol=1e-3, atol=1e-5)


def test_large_molecules_are_explained_in_smaller_batches(sums):
    """A chain of 300 atoms, between others."""
    smiles = ["CCO", "C" * 300, "CCS"]
    for text, found in zip(smiles, explain(ModelFolder.read(sums), smiles), strict=True):
        assert found.atoms[:, 0] == pytest.approx(known(text)[1], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", TRAIN_MODELS)
def test_every_model_of_a_folder_is_explained(trained, tmp_path, capsys, name):
    smiles = [row["smiles"] for row in rows_of(FIXTURES / "freesolv.csv")[100:110]]
    found = explained(trained, tmp_path, smiles, "--use", name)
    out = tmp_path / "p.csv"
    assert (
        main(["predict", str(tmp_path / "new.csv"), "--model", str(trained), "--output", str(out), "--use", name]) == 0
    )
    for row, predicted in zip(found, rows_of(out), strict=True):
        for column in ("freesolv_mean", "freesolv_std"):
            assert row[column] == predicted[column] or float(row[column]) == pytest.approx(
                float(predicted[column]), rel=1e-4
            )
        assert len(numbers(row["freesolv_atoms"])) == len(row["atoms"].split())
        assert bool(row["freesolv_atoms_std"]) == bool(row["freesolv_std"]) == (name in ("network", "rf"))
    assert any(numbers(row["freesolv_atoms"]).any() for row in found)
    told = capsys.readouterr().err
    assert ("agree poorly with known ones" in told) == (name == "representation")
    assert ("the substructures that contain it" in told) == (name in ("rf", "svm", "tanimoto", "combined"))
    metrics = json.loads((trained / "metrics.json").read_text())
    score = {model: f"(test RMSE {metrics['models'][model]['test']['rmse']['value']:.3g})" for model in TRAIN_MODELS}
    chosen = metrics["chosen"]
    other = f"; '{chosen}' {score[chosen]} was chosen" if name != chosen else ""
    assert f"molclr: '{name}' {score[name]} is explained{other}: masking an atom" in told


def test_a_model_on_fingerprints_loses_the_substructures_of_an_atom(trained):
    model, smiles = ModelFolder.read(trained), "CC(=O)OC1CCCC1"
    (found,) = explain(model, canonicalize_all([smiles]), "rf")
    counts = ecfp4_counts_without_atoms(canonicalize_all([smiles])[0])
    values = []
    for row in counts:
        trees = []
        for root in model.fixed["rf.0.roots"]:
            node = root
            while model.fixed["rf.0.feature"][node] >= 0:
                is_left = row[model.fixed["rf.0.feature"][node]] <= model.fixed["rf.0.threshold"][node]
                node = model.fixed[f"rf.0.{'left' if is_left else 'right'}"][node]
            trees.append(model.fixed["rf.0.value"][node])
        values.append(np.mean(trees))
    assert found.mean[0] == pytest.approx(values[0])
    assert found.atoms[:, 0] == pytest.approx(values[0] - np.array(values[1:]), abs=1e-6)


def test_columns_rows_and_reasons_are_kept(sums, tmp_path, capsys):
    lines = ["id,smiles,up_mean", "A,OCC,mine", "B,C*,", "C,,", "D,c1ccccc1O,x"]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    words = ["explain", str(tmp_path / "new.csv"), "--model", str(sums), "--targets", "up", "--output"]
    assert main([*words, str(tmp_path / "out.csv"), "--json"]) == 0
    done = capsys.readouterr()
    assert json.loads(done.out)["explained"] == json.loads(done.out)["rejected"] == 2
    assert "rejected 2 of 4 rows" in done.err
    found = rows_of(tmp_path / "out.csv")
    assert list(found[0]) == [
        "id",
        "smiles",
        "up_mean",
        "explained_smiles",
        "atoms",
        "_up_mean",
        "up_std",
        "up_atoms",
        "up_atoms_std",
        "reason",
    ]
    assert [row["id"] for row in found] == list("ABCD") and found[0]["up_mean"] == "mine"
    assert (
        [bool(row["up_atoms"]) for row in found] == [not row["reason"] for row in found] == [True, False, False, True]
    )
    assert main([*words, str(tmp_path / "out.parquet")]) == 0
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert table[0]["atoms"] == ["O", "C", "C"] and table[1]["up_atoms"] is None
    assert table[3]["up_atoms"] == pytest.approx(known("c1ccccc1O")[1], rel=1e-4)
    before = (tmp_path / "out.csv").read_bytes()
    assert main([*words, str(tmp_path / "out.csv")]) == 1
    assert "--force" in capsys.readouterr().err and (tmp_path / "out.csv").read_bytes() == before


def test_atoms_are_those_of_the_molecule_that_is_predicted(sums, tmp_path):
    """Without the counterion, where the model was trained without."""
    desalting = tmp_path / "model"
    shutil.copytree(sums, desalting)
    ModelFolder(desalting, ModelFolder.read(sums).about | {"desalt": True}).write()
    salt, other = explained(desalting, tmp_path, ["[Na+].[O-]C(=O)CCl", "OCC"])
    assert (salt["explained_smiles"], other["explained_smiles"]) == ("O=C(O)CCl", "OCC")
    assert salt["atoms"] == "O C O C Cl"
    assert numbers(salt["up_atoms"]) == pytest.approx(known("O=C(O)CCl")[1], rel=1e-4)


@pytest.mark.parametrize(
    ("more", "trouble"),
    [
        (["--targets", "logP"], "has no target 'logP'; its targets are: up, down."),
        (["--use", "rf"], "has no model 'rf'; choose one of network."),
        (
            ["--figure", "atoms.png"],
            "'atoms.png' must end in .html (a page) or .svg (a drawing), or have no suffix (a folder).",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(sums, tmp_path, capsys, monkeypatch, more, trouble):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text("smiles\nCCO\n")
    assert main(["explain", "new.csv", "--model", str(sums), "--output", "out.csv", *more]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("molclr: error: ") and error.endswith(trouble)
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def colours_of(svg):
    """The colour of each atom of a drawing, red, green and blue from 0 to 255."""
    found = re.findall(r"<(?:ellipse|circle)[^>]* class='atom-(\d+)'[^>]*fill:#([0-9A-F]{6})", svg)
    return {int(atom): tuple(bytes.fromhex(code)) for atom, code in found}


def test_drawings_have_the_colours_of_the_contributions(sums, tmp_path):
    explained(sums, tmp_path, ["ClC(=O)c1ccsc1", "C*", "OCC"], "--figure", str(tmp_path / "drawn"))
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"row-0.svg", "row-2.svg", "legend.svg"}
    up, down = (tmp_path / "drawn" / "row-0.svg").read_text().split("contribution to down")
    atoms = known("ClC(=O)c1ccsc1")[1]
    every = np.abs(np.concatenate([atoms, known("OCC")[1]]))
    for part, sign in ((up, 1), (down, -1)):
        drawn = colours_of(part)
        for atom, value in enumerate(sign * atoms):
            red, _, blue = drawn[atom]
            assert (red > blue) == (value > 0)
            assert drawn[atom] == pytest.approx([255 * c for c in colour(value, np.quantile(every, 0.98))], abs=1.5)
    assert "Cl, atom 0: +" in up and "Cl, atom 0: \N{MINUS SIGN}" in down
    ElementTree.parse(tmp_path / "drawn" / "legend.svg")


def test_a_target_that_is_not_predicted_is_not_drawn(sums, capsys):
    """Its contributions are NaN, for which there is no colour."""
    model, nothing = ModelFolder.read(sums), np.full((1, 2), np.nan)
    explanation = Explanation(np.array([1.0, np.nan]), nothing[0], np.array([[0.5, np.nan]]), nothing)
    (group,) = _groups(model, {"up": 0, "down": 1}, [Explained(0, "C", ["C"], explanation)])
    assert group.label == "contribution to up, in its unit" and group.limit == 0.5
    assert "'down' is not predicted, so it is not drawn" in capsys.readouterr().err
    with pytest.raises(MolclrError, match="predicts none of down"):
        _groups(model, {"down": 1}, [Explained(0, "C", ["C"], explanation)])


@pytest.mark.parametrize("suffix", ["html", "svg"])
def test_a_page_needs_no_other_file(sums, tmp_path, suffix):
    for _ in range(2):
        explained(sums, tmp_path, ["OCC", "SCC"], "--figure", str(tmp_path / f"page.{suffix}"), "--force")
    text = (tmp_path / f"page.{suffix}").read_text()
    assert not set(re.findall(r"https?://[^\s'\"]+", text)) - {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.rdkit.org/xml",
    }
    assert text.count("contribution to up, in its unit") == text.count("contribution to down, in its unit") == 1
    assert text.count("row 1: up") == 1 and text.count("row 1: down") == 1
    if suffix == "svg":
        ElementTree.fromstring(text)


def test_the_page_of_a_table_from_standard_input_says_so(sums, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"smiles\nCCO\n")))
    page = tmp_path / "page.html"
    words = ["explain", "-", "--model", str(sums), "--output", str(tmp_path / "out.csv"), "--figure", str(page)]
    assert main(words) == 0
    assert "standard input, explained with" in page.read_text()


def test_a_table_is_explained_in_parts_and_its_first_molecules_are_drawn(sums, tmp_path, monkeypatch, capsys):
    whole = explained(sums, tmp_path, GIVEN, name="whole.parquet")
    monkeypatch.setattr(explain_table, "ROWS_PER_PART", 2)
    monkeypatch.setattr(explain_table, "MOST_DRAWN", 3)
    for figure, drawn in (("page.html", 3), ("all", len(GIVEN))):
        place = tmp_path / figure
        found = explained(sums, tmp_path, GIVEN, "--figure", str(place), "--force", name="parts.parquet")
        assert [row["up_atoms"] for row in found] == [pytest.approx(row["up_atoms"], rel=1e-5) for row in whole]
        told = capsys.readouterr().err
        assert ("the figure has the first 3 of 7 molecules; name a folder for all" in told) == (drawn == 3)
        rows = [int(row) for row in re.findall(r"row (\d+): up", place.read_text())] if place.is_file() else None
        assert rows == [0, 1, 2] if rows else len(list(place.glob("row-*.svg"))) == drawn


def test_nothing_is_written_into_the_folder_of_a_model(sums, tmp_path, capsys):
    table = tmp_path / "new.csv"
    table.write_text("smiles\nCCO\n")
    before = sorted(path.name for path in sums.iterdir())
    for command in (
        f"explain {table} --model {sums} --output {sums}/e.csv",
        f"explain {table} --model {sums} --output {tmp_path}/e.csv --figure {sums}/atoms",
        f"embed {table} --output {sums}/predictions.csv --force",
        f"train {table} --output {sums}/new",
        f"canonicalize {table} --molecules {tmp_path}/m.parquet --rejected {sums}/rejected.csv",
        f"finetune {table} --split {table} --graphs {table} --benchmark a --model GIN --seed 0 --task regression "
        f"--metric rmse --from-scratch gin --output {sums}",
    ):
        assert main(command.split()) == 1
        assert "would be in the folder of a model; choose another place." in capsys.readouterr().err
    assert sorted(path.name for path in sums.iterdir()) == before and not (tmp_path / "e.csv").exists()


def test_folders_are_replaced_only_with_force_and_only_if_they_are_drawings(sums, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("smiles\nCCO\n")
    words = [
        "explain",
        str(tmp_path / "new.csv"),
        "--model",
        str(sums),
        "--output",
        str(tmp_path / "out.csv"),
        "--figure",
    ]
    assert main([*words, str(tmp_path / "drawn")]) == 0
    (tmp_path / "out.csv").unlink()
    assert main([*words, str(tmp_path / "drawn")]) == 1 and "--force" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
    assert main([*words, str(tmp_path / "drawn"), "--force"]) == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    assert main([*words, str(tmp_path / "mine"), "--force"]) == 1
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"
