import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from threading import Thread

import pytest
import torch
from forks import RESULTS, SETTINGS, SHAPE, in_forks, results_of

from molclr import cli
from molclr.digest import code_digest
from molclr.errors import MolclrError
from molclr.training import kept as kept_module
from molclr.training import pretrain as module
from molclr.training.contrast import PlainContrast
from molclr.training.pretrain import pretrain
from molclr.training.state import alone_in, read_state

OFTEN, NEVER = 0.0, 1e9  # seconds between checkpoints


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    pretrain(corpus[1], folder, "gin", SHAPE, SETTINGS)
    return folder


def run_until(monkeypatch, graphs, folder, step, event, seconds=OFTEN):
    """Pre-train, and let `event` happen in the step of that number, from 1, counted over all epochs."""
    steps = 0

    def counted(*arguments):
        nonlocal steps
        steps += 1
        if steps == step:
            event()
        return loss(*arguments)

    loss = PlainContrast.loss
    with monkeypatch.context() as patch:
        patch.setattr(PlainContrast, "loss", counted)
        pretrain(graphs, folder, "gin", SHAPE, SETTINGS, checkpoint_seconds=seconds)


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture
def unfinished(corpus, tmp_path, monkeypatch):
    """A folder with two checkpoints."""
    with pytest.raises(KeyboardInterrupt):
        run_until(monkeypatch, corpus[1], tmp_path, 5, interrupt)
    assert {"state.pt", "state.previous.pt"} <= {path.name for path in tmp_path.iterdir()}
    return tmp_path


@pytest.mark.parametrize("seconds", [OFTEN, NEVER], ids=["often", "never"])
@pytest.mark.parametrize("step", [1, 10, 20, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 9, 14))])
def test_an_interrupted_run_ends_with_the_same_bytes(undisturbed, corpus, tmp_path, monkeypatch, step, seconds):
    with pytest.raises(KeyboardInterrupt):
        run_until(monkeypatch, corpus[1], tmp_path, step, interrupt, seconds)
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    assert results_of(tmp_path) == results_of(undisturbed)


@pytest.mark.slow
def test_a_run_killed_at_random_ends_with_the_same_bytes(undisturbed, corpus, tmp_path):
    assert in_forks("kill_at_random_moments", corpus[1], tmp_path, 0, 12) == {"kills": 12}
    assert results_of(tmp_path / "killed") == results_of(tmp_path / "undisturbed") == results_of(undisturbed)


@pytest.mark.slow
def test_a_run_killed_while_writing_ends_with_the_same_bytes(undisturbed, corpus, tmp_path):
    assert in_forks("kill_in_writes", corpus[1], tmp_path, 0)["kills"] >= 10
    assert results_of(tmp_path / "killed") == results_of(undisturbed)


@pytest.mark.slow
def test_the_command_ends_in_the_same_bytes_after_a_termination(undisturbed, corpus, tmp_path):
    shape, settings = SHAPE.model_dump_json(), SETTINGS.model_dump_json()
    command = ["pretrain", str(corpus[1]), "--encoder", "gin", "--output", str(tmp_path)]
    command += ["--shape", shape, "--settings", settings, "--checkpoint-seconds", "0"]
    process = subprocess.Popen([sys.executable, "-m", "molclr", *command], stderr=subprocess.DEVNULL)
    while not (tmp_path / "state.pt").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    assert cli.main(command) == 0
    assert results_of(tmp_path) == results_of(undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("step", [4, 8])  # 8: the last of the epoch
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(
    undisturbed, corpus, tmp_path, monkeypatch, number, step
):
    handler = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        run_until(monkeypatch, corpus[1], tmp_path, step, lambda: os.kill(os.getpid(), number), NEVER)
    assert signal.getsignal(number) == handler
    assert read_state(tmp_path / "state.pt")["step"] == step
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    assert results_of(tmp_path) == results_of(undisturbed)


def test_a_second_interrupt_stops_at_once(corpus, tmp_path, monkeypatch):
    def twice():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_until(monkeypatch, corpus[1], tmp_path, 4, twice, NEVER)
    assert not (tmp_path / "state.pt").exists()


def damage(path, how):
    data = path.read_bytes()
    middle = len(data) // 2
    changed = {
        "truncated": data[:middle],
        "empty": b"",
        "one bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "missing": None,
    }[how]
    path.unlink() if changed is None else path.write_bytes(changed)


@pytest.mark.parametrize("how", ["truncated", "empty", "one bit", "missing"])
def test_a_damaged_checkpoint_falls_back_to_the_previous_one(undisturbed, unfinished, corpus, monkeypatch, capsys, how):
    before = (unfinished / "state.previous.pt").read_bytes()
    damage(unfinished / "state.pt", how)
    with pytest.raises(KeyboardInterrupt):  # once more, after a first new checkpoint: the damaged one must not be kept
        run_until(monkeypatch, corpus[1], unfinished, 2, interrupt)
    said = "missing" if how == "missing" else "damaged"
    assert f"state.pt' is {said}; continuing from the previous one, 'state.previous.pt'" in capsys.readouterr().err
    assert (unfinished / "state.previous.pt").read_bytes() == before
    pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS)
    assert results_of(unfinished) == results_of(undisturbed)


def test_two_damaged_checkpoints_are_an_error_without_begin_anew(undisturbed, unfinished, corpus, capsys):
    for name in ("state.pt", "state.previous.pt"):
        damage(unfinished / name, "truncated")
    before = [(unfinished / name).read_bytes() for name in ("state.pt", "state.previous.pt")]
    with pytest.raises(MolclrError, match=r"state\.pt' is damaged, and there is no intact earlier one; restore a copy"):
        pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS)
    pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS, begin_anew=True)
    (kept,) = (unfinished / "kept").glob("unfinished-damaged-*")
    assert f"it is moved to '{kept}', and a new run starts" in capsys.readouterr().err
    assert [(kept / name).read_bytes() for name in ("state.pt", "state.previous.pt")] == before
    assert results_of(unfinished) == results_of(undisturbed)


def test_a_full_disk_is_a_clear_error_and_keeps_the_checkpoint(undisturbed, corpus, tmp_path, monkeypatch, capsys):
    command = ["pretrain", str(corpus[1]), "--encoder", "gin", "--output", str(tmp_path), "--checkpoint-seconds", "0"]
    command += ["--shape", SHAPE.model_dump_json(), "--settings", SETTINGS.model_dump_json()]
    kept = {}

    def fill():
        kept.update({path: path.read_bytes() for path in tmp_path.glob("state*.pt")})
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    limits, pretrain_ = resource.getrlimit(resource.RLIMIT_FSIZE), module.pretrain
    try:
        with monkeypatch.context() as patch:
            patch.setattr(module, "pretrain", lambda *arguments: run_until_full(patch, pretrain_, fill, *arguments))
            code = cli.main(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    error = capsys.readouterr().err.splitlines()[-1]
    assert code == 1 and len(kept) == 2
    assert error.startswith(
        f"molclr: error: The checkpoint '{tmp_path / 'state.pt'}' cannot be written (File too large)"
    )
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept
    pretrain(corpus[1], tmp_path, "gin", SHAPE, SETTINGS)
    assert results_of(tmp_path) == results_of(undisturbed)


def run_until_full(patch, pretrain_, fill, *arguments):
    steps = iter(range(100))
    loss = PlainContrast.loss

    def counted(*inner):
        if next(steps) == 4:
            fill()
        return loss(*inner)

    patch.setattr(PlainContrast, "loss", counted)
    pretrain_(*arguments)


def test_another_configuration_does_not_continue_a_run(unfinished, corpus):
    other = SETTINGS.model_copy(update={"temperature": 0.5})
    with pytest.raises(
        MolclrError, match=r"has temperature = 0\.1, now it is 0\.5; undo that change to continue it, or start"
    ):
        pretrain(corpus[1], unfinished, "gin", SHAPE, other)
    with pytest.raises(MolclrError, match="hidden_dim = 16, now it is 8"):
        pretrain(corpus[1], unfinished, "gin", SHAPE.model_copy(update={"hidden_dim": 8}), SETTINGS)


def test_another_corpus_does_not_continue_a_run(unfinished, corpus, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "graphs.safetensors"
    other.write_bytes(corpus[1].read_bytes()[:-1] + b"\x01")
    with pytest.raises(MolclrError, match=r"state\.pt' has corpus = "):
        pretrain(other, unfinished, "gin", SHAPE, SETTINGS)


def test_other_code_does_not_continue_a_run(unfinished, corpus, monkeypatch):
    monkeypatch.setattr(kept_module, "code_digest", lambda name: "another")
    with pytest.raises(MolclrError, match=r"state\.pt' has code = "):
        pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS)


def test_another_number_of_processes_does_not_continue_a_run(unfinished, corpus, monkeypatch):
    monkeypatch.setattr(kept_module, "processes", lambda: 2)
    with pytest.raises(MolclrError, match=r"state\.pt' has processes = 1, now it is 2"):
        pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS)


def test_begin_anew_keeps_the_unfinished_run(undisturbed, unfinished, corpus, tmp_path_factory, capsys):
    """Which continues once its checkpoints are moved back."""
    other = SETTINGS.model_copy(update={"temperature": 0.5})
    pretrain(corpus[1], unfinished, "gin", SHAPE, other, begin_anew=True)
    (kept,) = (unfinished / "kept").glob("unfinished-*")
    assert f"temperature = 0.1, now it is 0.5; it is moved to '{kept}', and a new run starts" in capsys.readouterr().err
    fresh = tmp_path_factory.mktemp("fresh")
    pretrain(corpus[1], fresh, "gin", SHAPE, other)
    assert results_of(unfinished) == results_of(fresh)
    assert {path.name for path in kept.iterdir()} == {"state.pt", "state.previous.pt"}
    for path in kept.iterdir():
        path.rename(unfinished / path.name)
    pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS)
    assert results_of(unfinished) == results_of(undisturbed)


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of a folder with a finished run, and of it the folder where that is kept."""
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    (kept,) = (tmp_path / "kept").iterdir()
    return tmp_path, kept


def forbid_training(monkeypatch):
    monkeypatch.setattr(module, "contrast_of", lambda *_: pytest.fail("it trains"))


def test_a_finished_run_is_kept_and_restored(undisturbed, corpus, finished, monkeypatch, capsys):
    """Also when Snakemake has deleted the outputs before the job."""
    folder, kept = finished
    for name in RESULTS:
        (folder / name).unlink()
    pretrain(corpus[1], folder, "gin", SHAPE, SETTINGS.model_copy(update={"epochs": 1}))
    assert results_of(folder) != results_of(undisturbed)
    assert len(list((folder / "kept").iterdir())) == 2
    with monkeypatch.context() as patch:
        forbid_training(patch)
        pretrain(corpus[1], folder, "gin", SHAPE, SETTINGS)
    assert f"This run is already finished; its files are restored from '{kept}'" in capsys.readouterr().err
    assert results_of(folder) == results_of(undisturbed)


def test_a_finished_run_on_other_threads_is_not_restored(corpus, finished, monkeypatch):
    """They decide the last digits, and are parameters of the workflow's rule."""
    forbid_training(monkeypatch)
    with pytest.raises(pytest.fail.Exception, match="it trains"):
        pretrain(corpus[1], finished[0], "gin", SHAPE, SETTINGS.model_copy(update={"threads": 2}))


def test_a_damaged_copy_of_a_finished_run_is_not_restored(undisturbed, corpus, finished, capsys):
    folder, kept = finished
    damage(kept / "encoder.safetensors", "one bit")
    pretrain(corpus[1], folder, "gin", SHAPE, SETTINGS)
    assert f"The kept copy of this run in '{kept}' is damaged; training starts again" in capsys.readouterr().err
    assert results_of(folder) == results_of(kept) == results_of(undisturbed)


def test_a_run_records_its_identity(undisturbed):
    identity = json.loads((undisturbed / "run.json").read_text())["identity"]
    assert identity["code"] == code_digest("molclr.training.pretrain")
    assert (identity["threads"], identity["device"], identity["processes"]) == (1, "cpu", 1)
    assert identity["temperature"] == SETTINGS.temperature and identity["hidden_dim"] == SHAPE.hidden_dim
    assert not {"gpus", "checkpoint_seconds", "results"} & identity.keys()


def test_the_code_of_a_user_encoder_is_in_the_identity(corpus):
    found = kept_module.run_identity(corpus[1], "own_encoder:GAT", SHAPE, SETTINGS, torch.device("cpu"))
    assert found["code"] == code_digest("molclr.training.pretrain", "own_encoder")
    assert found["code"] != code_digest("molclr.training.pretrain")


@pytest.mark.slow
def test_an_unfinished_run_continues_on_other_threads(unfinished, corpus):
    pretrain(corpus[1], unfinished, "gin", SHAPE, SETTINGS.model_copy(update={"threads": 2}))
    assert json.loads((unfinished / "run.json").read_text())["identity"]["threads"] == 2


def test_one_process_at_a_time_trains_in_a_folder(tmp_path, capsys):
    order = []

    def second():
        with alone_in(tmp_path):
            order.append("second")

    with alone_in(tmp_path):
        thread = Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "waiting for it to end" in capsys.readouterr().err
