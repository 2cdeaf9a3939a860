"""`molclr pretrain corpus.smi --output encoder`: everything from SMILES on."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from paths import FIXTURES, REPOSITORY

import molclr
from molclr.cli import COMMANDS, main
from molclr.config import EncoderShape, Pretrain

SHAPE = "{layers: 2, hidden_dim: 16, embedding_dim: 16}"
SETTINGS = "{epochs: 3, batch_size: 16, warmup_epochs: 1}"
SMALL = ["--shape", SHAPE, "--settings", SETTINGS, "--checkpoint-seconds", "0"]
RESULTS = ("encoder.safetensors", "last.safetensors", "history.csv", "run.json")


@pytest.fixture(scope="module")
def smi(tmp_path_factory):
    """A file as chemists have it: SMILES and a name, without a header."""
    path = tmp_path_factory.mktemp("corpus") / "zinc.smi"
    lines = (FIXTURES / "zinc.csv").read_text().split()[1:]
    path.write_text("".join(f"{smiles}\tZINC{number}\n" for number, smiles in enumerate(lines)))
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "encoder"
    assert main(["pretrain", str(FIXTURES / "zinc.csv"), "--output", str(folder), "--processes", "1", *SMALL]) == 0
    return folder


def contents(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


def test_it_takes_the_settings_of_the_paper_and_a_gin_by_default():
    parser = COMMANDS["pretrain"].parser()
    options = parser.checked(["corpus.smi", "--output", "encoder"])
    assert options.encoder == "gin" and options.shape == EncoderShape() and options.settings == Pretrain()
    assert options.settings.epochs == 50 and options.shape.hidden_dim == 300
    given = parser.checked(["c.smi", "--output", "e", "--settings", str(REPOSITORY / "config" / "encoders.yaml")])
    assert given.settings.precision == "bfloat16"


def test_the_name_of_an_encoder_in_a_configuration_is_reported(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("encoder: {name: 'mine.gat:GAT', layers: 3}\n")
    options = COMMANDS["pretrain"].parser().checked(["c.smi", "--output", "e", "--shape", str(tmp_path / "run.yaml")])
    assert options.encoder == "gin" and options.shape.layers == 3
    assert "not the encoder mine.gat:GAT; select it with --encoder" in capsys.readouterr().err


def test_the_encoder_is_one_that_represents_molecules(undisturbed):
    assert molclr.Encoder.load(undisturbed / "encoder.safetensors").embed(["CCO", "c1ccccc1"]).shape == (2, 16)
    assert json.loads((undisturbed / "run.json").read_text())["identity"]["encoder"] == "gin"
    assert {"molecules.parquet", "rejected.csv", "graphs.safetensors"} <= {*os.listdir(undisturbed / "corpus")}


@pytest.mark.slow
def test_killed_once_it_ends_in_the_same_bytes_and_repeats_no_finished_step(undisturbed, smi, tmp_path, capfd):
    command = ["pretrain", str(smi), "--output", str(tmp_path), *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    program = [sys.executable, "-m", "molclr"]
    process = subprocess.Popen([*program, *command], env=environment, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "state.pt").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[1]
    assert process.returncode == -9 and "300 molecules in" in said
    prepared = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "corpus").iterdir()}

    assert main(command) == 0
    said = capfd.readouterr().err
    assert "canonicalize: nothing has changed" in said and "featurize: nothing has changed" in said
    assert f"are in '{tmp_path / 'corpus'}'" in said
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "corpus").iterdir()} == prepared
    assert contents(tmp_path) == contents(undisturbed)


@pytest.mark.slow
def test_the_molecule_table_and_the_graph_store_give_the_same_encoder(undisturbed, tmp_path):
    for name in ("molecules.parquet", "graphs.safetensors"):
        folder = tmp_path / name.partition(".")[0]
        assert main(["pretrain", str(undisturbed / "corpus" / name), "--output", str(folder), *SMALL]) == 0
        assert contents(folder) == contents(undisturbed)
    assert not (tmp_path / "graphs" / "corpus").exists()
