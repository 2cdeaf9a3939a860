"""An encoder that is not part of the package, from the command line."""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from forks import SHAPE

import molclr
from molclr.cli import main
from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.imports import load_object, search_working_directory
from molclr.models.encoders import make_encoder
from molclr.training.checkpoint import copy_weights, load_weights, save_encoder

GAT = "own_encoder:GAT"
SHORT = ["--shape", SHAPE.model_dump_json(), "--settings", "{epochs: 1, batch_size: 32}"]


@pytest.fixture(scope="module")
def pretrained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    assert main(["pretrain", str(corpus[1]), "--encoder", GAT, "--output", str(folder), *SHORT]) == 0
    return folder / "encoder.safetensors"


@pytest.fixture
def finetune(benchmark_files, tmp_path):
    """Fine-tune on FreeSolv with these options; return the folder, or what was told."""
    from paths import FIXTURES

    molecules, split, graphs = map(str, benchmark_files(FIXTURES / "freesolv.csv", "freesolv"))

    def run(model, *options):
        task = ["--benchmark", "freesolv", "--task", "regression", "--metric", "rmse", "--seed", "0"]
        folder = tmp_path / model
        arguments = ["finetune", molecules, "--graphs", graphs, "--split", split, *task, "--model", model]
        return main([*arguments, "--output", str(folder), *options, *SHORT]), folder

    return run


def test_it_is_pretrained_and_embeds(pretrained, corpus, tmp_path, capsys):
    _, about = load_weights(pretrained)
    assert (about["encoder"], about["shape"]) == (GAT, SHAPE.model_dump())
    embed = ["embed-store", str(corpus[0]), "--graphs", str(corpus[1]), "--encoder", str(pretrained), "--output"]
    output = str(tmp_path / "h.parquet")
    assert main([*embed, output]) == 1
    assert f"encoder of the class {GAT}" in (told := capsys.readouterr().err) and f"--encoder-class {GAT}" in told
    assert not os.path.exists(output)
    assert main([*embed, output, "--held-out", "--encoder-class", GAT]) == 0
    assert pq.read_table(output)["embedding"].type.list_size == SHAPE.embedding_dim


def test_it_is_fine_tuned_and_predicts(pretrained, finetune, tmp_path, capsys):
    code, folder = finetune("MolCLR_GAT", "--encoder", str(pretrained), "--encoder-class", GAT)
    assert code == 0
    assert json.loads((folder / "metrics.json").read_text())["model"] == "MolCLR_GAT"
    table = tmp_path / "new.csv"
    table.write_text("smiles\nCCO\nc1ccccc1\n")
    predict = ["predict", str(table), "--model", str(folder / "model.safetensors"), "--output", str(tmp_path / "p.csv")]
    assert main(predict) == 1
    assert f"--encoder-class {GAT}" in capsys.readouterr().err
    assert main([*predict, "--encoder-class", GAT]) == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 3


def test_it_is_trained_from_scratch_under_its_own_name(finetune, capsys):
    assert finetune("GIN", "--from-scratch", GAT)[0] == 1
    assert "it starts from a new GAT; call it GAT" in capsys.readouterr().err
    assert finetune("GAT", "--from-scratch", GAT)[0] == 0


def test_from_python(pretrained):
    with pytest.raises(MolclrError, match=f"encoder_class='{GAT}'"):
        molclr.Encoder.load(pretrained)
    encoder = molclr.Encoder.load(pretrained, encoder_class=GAT)
    assert repr(encoder) == "<GAT of 2 x 16, h of 24 numbers>"
    assert encoder.embed(["CCO"]).shape == (1, 24)
    with pytest.raises(
        MolclrError, match=f"are those of the class {GAT}, but the class given is molclr\\.models\\.encoder:GIN"
    ):
        molclr.Encoder.load(pretrained, encoder_class="molclr.models.encoder:GIN")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gat", "Unknown encoder 'gat'; choose gin, gcn, or give the path of your own, such as"),
        ("own_encoder:DMPNN", "the module 'own_encoder' has no 'DMPNN'"),
        ("own_encoders:GAT", "there is no module 'own_encoders'"),
        ("own_encoder:no_module", r"does not return a torch\.nn\.Module"),
        (
            "own_encoder:without_arguments",
            r"'own_encoder:without_arguments' cannot be called with .* shape, dropout \(",
        ),
        (
            "own_encoder:OfData",
            r"The method forward of 'own_encoder:OfData' cannot be called with .* x, edge_index, edge_a",
        ),
    ],
)
def test_an_object_that_is_not_an_encoder_is_an_error(corpus, tmp_path, capsys, name, message):
    with pytest.raises(MolclrError, match=message):
        make_encoder(name, EncoderShape())
    assert main(["pretrain", str(corpus[1]), "--encoder", name, "--output", str(tmp_path / "run")]) == 1


def test_several_processes_need_a_batch_norm_that_is_synchronized(corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("molclr.training.pretrain.processes", lambda: 2)
    assert main(["pretrain", str(corpus[1]), "--encoder", GAT, "--output", str(tmp_path), *SHORT]) == 1
    assert "'norms.0' of 'own_encoder:GAT' is a BatchNorm1d" in capsys.readouterr().err
    assert not (tmp_path / "encoder.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "returned"),
    [("PerAtom", r"\(\d+, 24\)"), ("Wide", r"\(\d+, 25\)"), ("Pair", "a tuple")],
)
def test_an_output_that_is_not_h_is_an_error(corpus, tmp_path, capsys, name, returned):
    folder = tmp_path / "run"
    command = ["pretrain", str(corpus[1]), "--encoder", f"own_encoder:{name}", "--output", str(folder), *SHORT]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert re.search(
        rf"'own_encoder:{name}' returned {returned}; .* \(num_graphs, embedding_dim\) = \(\d+, 24\)\.", told
    )
    assert not (folder / "encoder.safetensors").exists()


@pytest.mark.parametrize("option", ["encoder", "augmentation"])
def test_own_code_that_breaks_its_contract_ends_pre_training_before_the_first_step(corpus, tmp_path, capsys, option):
    words = ["pretrain", str(corpus[1]), "--output", str(tmp_path / "run"), *SHORT[:2]]
    if option == "encoder":
        told, words = "returned another h", [*words, "--encoder", "own_encoder:Centred"]
    else:
        told, words = "restored an atom", [*words, "--encoder", "gin"]
        words += ["--settings", "{augmentation: {composition: [own_encoder:unmask: 0.1]}}"]
    assert main(words) == 1
    assert told in (told_all := capsys.readouterr().err) and "epoch" not in told_all


def test_a_class_cannot_take_the_name_of_another_model(finetune, capsys):
    assert finetune("RF", "--from-scratch", "own_encoder:RF")[0] == 1
    assert "'own_encoder:RF': the class RF has the name of another model in tables" in capsys.readouterr().err


def test_a_module_in_the_working_directory_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    search_working_directory()
    search_working_directory()
    assert sys.path.count(str(tmp_path)) == 1
    Path("beside_me.py").write_text("import numpy\nanswer = numpy.array([42])\n")
    Path("broken.py").write_text("import not_installed_at_all\n")
    assert np.array_equal(load_object("beside_me:answer"), [42])
    with pytest.raises(ModuleNotFoundError, match="not_installed_at_all"):
        load_object("broken:answer")


def test_an_index_of_a_library_is_made_again_when_the_code_of_the_encoder_changes(tmp_path, capsys, monkeypatch):
    network = make_encoder(GAT, SHAPE)
    save_encoder(tmp_path / "gat.safetensors", network, copy_weights(network), None)
    (tmp_path / "library.csv").write_text("smiles\nCCO\nCCN\n")
    words = ["search", "CCO", "--library", str(tmp_path / "library.csv"), "-k", "1", "--encoder-class", GAT]
    for expected in ("making the index", "", "because the code of the encoder has changed"):
        if "code" in expected:
            monkeypatch.setattr("molclr.library.embedder.code_digest", lambda *modules: f"edited {modules}")
        assert main([*words, "--encoder", str(tmp_path / "gat.safetensors")]) == 0
        told = capsys.readouterr().err
        assert expected in told and ("making the index" in told) == bool(expected)
