"""From a corpus in any form to its graph store, each step once."""

import csv

import pytest
from paths import FIXTURES

from molclr.data import prepare
from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.featurize import featurize
from molclr.data.molecules import read_molecules
from molclr.data.prepare import prepare_corpus
from molclr.data.store import GraphStore
from molclr.errors import MolclrError


@pytest.fixture
def smi(tmp_path):
    """The molecules of zinc.csv, with two that are rejected: a duplicate and an invalid SMILES."""
    with (FIXTURES / "zinc.csv").open(newline="") as file:
        lines = [f"{row['smiles']} ZINC{number}\n" for number, row in enumerate(csv.DictReader(file))]
    path = tmp_path / "zinc.smi"
    path.write_text("".join([*lines, lines[0], "C1CC broken\n"]))
    return path


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.slow
def test_a_smi_file_and_a_csv_table_and_its_molecule_table_give_the_same_graphs(smi, tmp_path, capsys):
    found = prepare_corpus(smi, tmp_path / "smi", processes=1)
    assert found == tmp_path / "smi" / "graphs.safetensors"
    said = capsys.readouterr().err
    assert f"{smi}: 300 molecules in {tmp_path / 'smi' / 'molecules.parquet'}, 2 rejected rows in {tmp_path}" in said
    assert "RDKit cannot parse it" in said and "duplicate of row 0" in said
    from_csv = prepare_corpus(FIXTURES / "zinc.csv", tmp_path / "csv", processes=2)
    assert ", 0 rejected rows in" in capsys.readouterr().err
    from_table = prepare_corpus(tmp_path / "csv" / "molecules.parquet", tmp_path / "table", processes=1)
    assert found.read_bytes() == from_csv.read_bytes() == from_table.read_bytes()
    assert sorted(times(tmp_path / "table")) == ["featurize.json", "graphs.safetensors"]

    canonicalize(FIXTURES / "zinc.csv", tmp_path / "t.parquet", tmp_path / "r.csv", Selection(targets=[], unique=True))
    featurize(tmp_path / "t.parquet", tmp_path / "t.safetensors")
    assert found.read_bytes() == (tmp_path / "t.safetensors").read_bytes()


def test_a_graph_store_is_taken_as_it_is(tmp_path):
    store = FIXTURES / "graphs.safetensors"
    assert prepare_corpus(store, tmp_path / "folder") == store
    assert not (tmp_path / "folder").exists()


def test_a_finished_step_is_not_repeated(smi, tmp_path, capsys):
    prepare_corpus(smi, tmp_path / "corpus", processes=1)
    before = times(tmp_path / "corpus")
    capsys.readouterr()
    prepare_corpus(smi, tmp_path / "corpus", processes=2)
    assert times(tmp_path / "corpus") == before
    said = capsys.readouterr().err
    assert said.count("nothing has changed") == 2 and "2 rejected rows" in said


def test_interrupted_between_the_steps_it_goes_on_with_the_second(smi, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        (tmp_path / "corpus" / ".graphs.0123.safetensors").write_text("half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prepare, "featurize", interrupted)
        prepare_corpus(smi, tmp_path / "corpus", processes=1)
    before = times(tmp_path / "corpus")
    store = prepare_corpus(smi, tmp_path / "corpus", processes=1)
    assert len(GraphStore(store)) == 300
    assert times(tmp_path / "corpus").items() >= {name: before[name] for name in before if name[0] != "."}.items()
    assert not list((tmp_path / "corpus").glob(".*"))


@pytest.mark.parametrize("change", ["input", "code", "column", "table", "graphs", "record"])
def test_what_has_changed_is_made_again(tmp_path, monkeypatch, change):
    folder = tmp_path / "corpus"
    source = folder.with_name("zinc.csv")
    smiles = (FIXTURES / "zinc.csv").read_text().split()[1:]
    source.write_text("".join(["smiles,structure\n", *(f"{text},{text}\n" for text in smiles)]))
    graphs = prepare_corpus(source, folder, processes=1)
    before, expected, column = times(folder), graphs.read_bytes(), None
    again = {"molecules.parquet", "rejected.csv", "canonicalize.json"}
    match change:
        case "input":
            source.write_text("".join(source.read_text().splitlines(keepends=True)[:-1]))
            again |= {"graphs.safetensors", "featurize.json"}
        case "code":
            monkeypatch.setattr(prepare, "code_digest", lambda module: f"another {module}")
            again |= {"graphs.safetensors", "featurize.json"}
        case "column":
            column = "structure"
        case "table":
            (folder / "molecules.parquet").write_bytes((folder / "molecules.parquet").read_bytes()[:-1])
        case "graphs":
            graphs.write_bytes(expected[:-1])
            again = {"graphs.safetensors", "featurize.json"}
        case "record":
            (folder / "featurize.json").unlink()
            again = {"graphs.safetensors", "featurize.json"}
    prepare_corpus(source, folder, column, processes=1)
    after = times(folder)
    assert {name for name in after if after[name] != before[name]} == again
    assert len(read_molecules(folder / "molecules.parquet")) == (299 if change == "input" else 300)
    assert (graphs.read_bytes() == expected) == (change != "input")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("none.smi", None, "There is no file '{}' to pre-train on; give a table"),
        ("none.parquet", None, "The molecule table '{}' does not exist"),
        ("some.parquet", b"PAR1 and then something else", "'{}' is not a molecule table"),
        ("some.parquet", b"text", "'{}' is not a molecule table"),
        ("some.csv", b"name,city\nAnn,Rome\n", "'{}' has no column"),
        ("some.smi", b"C1CC\n", "All rows of '{}' are re"),
    ],
)
def test_what_is_no_corpus_is_an_error_and_leaves_no_file(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MolclrError) as error:
        prepare_corpus(tmp_path / name, tmp_path / "corpus", processes=1)
    assert str(error.value).startswith(message.format(tmp_path / name))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != name]
