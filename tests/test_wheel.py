"""The built wheel by itself: what it holds, and that its encoder works without a network."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from paths import copy_repository

import molclr

SMILES = ["CCO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1"]
PARTS = ("safetensors", "history.csv")
PROGRAM = """
import json, socket, sys

def no_network(*_, **__):
    raise OSError("the network was asked for")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = no_network
sys.path.insert(0, sys.argv[1])
import molclr

h = {name: molclr.Encoder.load(name).embed(json.loads(sys.argv[2])).tolist() for name in ("molclr-gin", "molclr-gcn")}
print(json.dumps([molclr.__file__, repr(molclr.Encoder.load()), h]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of what git would clone; the build backend is installed, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_repository(folder / "source")
    offline = "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"
    command = [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_its_encoder_works_anywhere_without_a_network(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(tmp_path / "site"), json.dumps(SMILES)],
        cwd=elsewhere,
        env={"HOME": str(elsewhere), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    place, shape, h = json.loads(result.stdout)
    assert place == str(tmp_path / "site" / "molclr" / "__init__.py")
    assert shape == "<GIN of 5 x 300, h of 512 numbers>"
    for name, vectors in h.items():
        np.testing.assert_allclose(vectors, molclr.Encoder.load(name).embed(SMILES), atol=1e-5)
    assert not list(elsewhere.iterdir())


@pytest.mark.slow
def test_it_has_the_encoders_and_their_curves_and_nothing_but_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"molclr/encoders/molclr-{kind}.{part}" for kind in ("gin", "gcn") for part in PARTS} <= names
    assert {"molclr/py.typed", "molclr/evaluation/report/templates/model.html"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"molclr"}
