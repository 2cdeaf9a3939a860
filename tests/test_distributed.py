import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forks import SHAPE, SHORT, in_forks, results_of
from paths import FIXTURES

from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.featurize import featurize
from molclr.distributed import gather_rows, own_slice, process_group, processes, rank, sum_over_processes


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Graph store of a few hundred molecules."""
    folder = tmp_path_factory.mktemp("corpus")
    canonicalize(FIXTURES / "zinc.csv", folder / "zinc.parquet", folder / "zinc.rejected.csv", Selection(unique=True))
    featurize(folder / "zinc.parquet", folder / "zinc.safetensors")
    return folder / "zinc.safetensors"


@pytest.fixture(scope="module")
def by_two(store, tmp_path_factory):
    """What two processes leave, undisturbed and with kills."""
    folder = tmp_path_factory.mktemp("by two")
    assert in_forks("kill_one_of_two", store, folder, 0, 4)["kills"] >= 3
    return folder


def test_a_process_by_itself_has_all():
    with process_group(torch.device("cpu")):
        assert (processes(), rank(), own_slice(7)) == (1, 0, slice(0, 7))
        z = torch.ones(7, 2)
        assert gather_rows(z, 7) is z and sum_over_processes(z) is z


@pytest.fixture(scope="module")
def differentiated(store, tmp_path_factory):
    """What one process and each of three find for one batch."""
    folder = tmp_path_factory.mktemp("differentiated")
    in_forks("differentiate", store, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "form", "tolerance"),
    [
        ("gin", "float32", 2e-4),
        ("gcn", "float32", 2e-4),
        ("gin", "bfloat16", 5e-2),
        ("gin", "slots", 2e-4),
        ("gcn", "slots", 2e-4),
    ],
)
def test_three_processes_have_the_loss_and_gradients_of_one(differentiated, encoder, form, tolerance):
    def found(process):
        return torch.load(differentiated / f"{encoder}-{form}-{process}.pt", weights_only=True)

    alone, first, *others = found("0-of-1"), *(found(f"{number}-of-3") for number in range(3))
    assert len(alone) > 20 and first.keys() == alone.keys()
    assert float(first["loss"]) == pytest.approx(float(alone["loss"]), rel=tolerance / 20)
    for name, value in alone.items():
        assert all(torch.equal(other[name], first[name]) for other in others), name
        # Batch norm takes away what these biases add: their gradients are rounding errors.
        if not ("layers" in name and name.endswith(("mlp.2.bias", "linear.bias"))):
            difference = (first[name] - value).float().norm() / value.float().norm()
            assert difference < tolerance, f"{name}: {difference}"


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_have_the_views_of_one(differentiated, processes):
    def views(process):
        return torch.load(differentiated / f"views-gin-float32-{process}.pt", weights_only=True)

    parts = [views(f"{number}-of-{processes}") for number in range(processes)]
    for name, whole in views("0-of-1").items():
        assert all(0 < len(part[name]) < len(whole) for part in parts)
        assert torch.equal(torch.cat([part[name] for part in parts]), whole), name


@pytest.mark.slow
def test_killed_and_continued_two_processes_end_in_the_same_bytes(by_two):
    assert results_of(by_two / "killed") == results_of(by_two / "undisturbed")


@pytest.mark.slow
def test_torchrun_starts_processes_stops_them_and_continues(store, by_two, tmp_path):
    """They prepare the corpus once: the second time it is there."""
    settings = ["--shape", SHAPE.model_dump_json(), "--settings", SHORT.model_dump_json()]
    torchrun = [Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc-per-node", "2", "-m", "molclr"]
    command = [*torchrun, "pretrain", FIXTURES / "zinc.csv", "--encoder", "gin", *settings, "--output", tmp_path]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, "--checkpoint-seconds", "0"], stderr=log)
        while not (tmp_path / "state.pt").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
    assert (tmp_path / "log").read_text().count("molclr: interrupted") == 1
    (tmp_path / "log").unlink()
    last = subprocess.run(command, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert last.stderr.count("epoch 1/1: validation loss") == 1
    assert last.stderr.count("featurize: nothing has changed") == 1
    assert (tmp_path / "corpus/graphs.safetensors").read_bytes() == store.read_bytes()
    shutil.rmtree(tmp_path / "corpus")
    assert results_of(tmp_path) == results_of(by_two / "undisturbed")
