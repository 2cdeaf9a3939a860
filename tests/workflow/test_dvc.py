"""DVC and Snakemake agree: `dvc repro`, clones and restored files, on config/test.yaml in place of params.yaml."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from paths import REPOSITORY

from workflow import provenance

pytestmark = [pytest.mark.workflow, pytest.mark.network]
CONFIG = "params.yaml"
ENCODER = "results/pretrain/gin/encoder.safetensors"
RETRIEVAL = "results/figures/retrieval_gin.svg"
RESTORE = ["python", "workflow/provenance.py", "restore"]
NOTHING = "Nothing to be done"


def environment():
    """The environment of these tests is the first on the path; jobs find the code of their folder by themselves."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    who = {f"GIT_{role}_{key}": "test" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull} | who


def run(folder, *command, fails=False):
    """Run a command in `folder`; return what it prints."""
    result = subprocess.run(
        command, cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert (result.returncode != 0) == fails, result.stdout
    return result.stdout


def planned(folder):
    return run(folder, "python", "-m", "snakemake", "--dry-run", "all")


def jobs_run(output):
    """Rules of the jobs that Snakemake ran, in order, without its targets."""
    rules = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", output, re.MULTILINE)
    return [rule for rule in rules if not rule.startswith("all_")]


def commit(folder, message="commit"):
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", message)


def clone(source, folder):
    run(source, "git", "clone", "--quiet", str(source), str(folder))
    return folder


def set_parameter(folder, key, value):
    """Write a value at a dotted key of the configuration."""
    path = folder / CONFIG
    values = yaml.safe_load(path.read_text())
    *sections, last = key.split(".")
    section = values
    for name in sections:
        section = section[name]
    section[last] = value
    path.write_text(yaml.safe_dump(values))


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def digests(folder):
    """MD5 of every versioned file."""
    places = (folder / place for place in ("data", "results"))
    return {str(path.relative_to(folder)): provenance.md5(path) for path in provenance.files_in(places)}


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A repository after `dvc repro` and `dvc push` to a folder."""
    folder = tmp_path_factory.mktemp("repro duced") / "molclr"
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in filter(None, run(REPOSITORY, *listing).split("\0")):
        if (REPOSITORY / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name, follow_symlinks=False)
    shutil.copy(folder / "config/test.yaml", folder / CONFIG)
    set_parameter(folder, "models", ["GCN", "MolCLR_GIN"])
    set_parameter(folder, "seeds", [0])
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "remote", "add", "--default", "storage", str(folder.parent / "storage"))
    commit(folder)
    run(folder, "dvc", "repro")
    assert run(folder, "git", "status", "--short").split() == ["??", "dvc.lock"], "outputs are not git's"
    commit(folder, "dvc repro")
    run(folder, "dvc", "push")
    return folder


@pytest.fixture(scope="module")
def restored(reproduced, tmp_path_factory):
    """A clone elsewhere with all its files."""
    folder = clone(reproduced, tmp_path_factory.mktemp("restored") / "clone")
    assert "Restored" in run(folder, *RESTORE)
    return folder


@pytest.fixture
def as_restored(restored, tmp_path):
    """A copy of this clone with its time stamps, which a test may change."""
    return shutil.copytree(restored, tmp_path / "copy", symlinks=True)


def test_after_repro_nothing_is_to_be_done(reproduced):
    assert NOTHING in planned(reproduced)
    assert run(reproduced, "dvc", "repro").count("didn't change, skipping") == 4
    assert "up to date" in run(reproduced, "dvc", "status")
    record = "data/raw/.zinc.sha256"
    assert run(reproduced, "dvc", "check-ignore", record).strip() == record, "no output of Snakemake, and none of DVC"


def test_tables_are_metrics_and_plots(reproduced):
    metrics = json.loads(run(reproduced, "dvc", "metrics", "show", "--json"))
    means = metrics[""]["data"]["results/tables/classification.json"]["data"]["BBBP"]
    assert set(means) == {"GCN", "MolCLR_GIN"}
    plots = json.loads(run(reproduced, "dvc", "plots", "show", "--json").splitlines()[-1])["data"]
    assert set(plots) == {"classification", "regression", "pre-training"}
    bars = [plots[task][0]["content"] for task in ("classification", "regression")]
    labels = [row[plot["encoding"]["y"]["field"]] for plot in bars for row in plot["data"]["values"]]
    assert len(labels) == len(set(labels)) == 4, "a bar each, also where benchmarks share a plot"


def test_a_clone_is_restored_without_making_anything(reproduced, restored):
    assert digests(restored) == digests(reproduced)
    assert NOTHING in planned(restored)
    assert "up to date" in run(restored, "dvc", "status")
    assert run(restored, "dvc", "repro").count("didn't change, skipping") == 4


def test_results_are_restored_without_the_data(reproduced, tmp_path):
    folder = clone(reproduced, tmp_path / "clone")
    output = run(folder, *RESTORE, "pretrain", "finetune", "results")
    assert "Not all is here of: data." in output
    assert not (folder / "data").exists() and (folder / ENCODER).exists()
    assert NOTHING in planned(folder)
    run(folder, *RESTORE, "data/molecules/bbbp-120.parquet")
    assert [path.name for path in (folder / "data").rglob("*.*")] == ["bbbp-120.parquet"]
    assert NOTHING in planned(folder)


def test_restore_refuses_what_was_made_with_something_else(reproduced, tmp_path):
    folder = clone(reproduced, tmp_path / "clone")
    set_parameter(folder, "pretrain.temperature", 0.5)
    code = folder / "molclr/models/augment.py"
    code.write_text(code.read_text() + "\n# edited\n")
    output = run(folder, *RESTORE, fails=True)
    assert "pretrain: pretrain.temperature in params.yaml is 0.5, was 0.1" in output
    assert "pretrain: molclr/models/augment.py is not the one" in output
    assert "finetune:" not in output
    assert not (folder / "data").exists(), "refused before anything is pulled"


def test_repro_after_restore_makes_what_follows_and_nothing_else(as_restored, tmp_path, monkeypatch):
    """Whatever a profile of the user says.

    And after `dvc checkout`, which exchanges files without Snakemake's knowledge, old ones are not taken for new ones.
    """
    (tmp_path / "config.yaml").write_text("rerun-triggers: mtime\n")
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(tmp_path))
    before = digests(as_restored)
    set_parameter(as_restored, "figures.neighbours", 3)
    output = run(as_restored, "dvc", "repro")
    assert jobs_run(output) == ["figure_retrieval"]
    after = digests(as_restored)
    changed = {name for name in before if before[name] != after[name]}
    assert RETRIEVAL in changed and all("retrieval" in name for name in changed)

    run(as_restored, "git", "checkout", "--quiet", ".")
    run(as_restored, "dvc", "checkout")
    assert digests(as_restored) == before
    set_parameter(as_restored, "figures.neighbours", 3)
    assert "removed here" in run(as_restored, "dvc", "repro")
    assert digests(as_restored) == after


def test_after_a_bare_pull_a_changed_parameter_is_not_written_beside_old_files(reproduced, tmp_path):
    folder = clone(reproduced, tmp_path / "clone")
    run(folder, "dvc", "pull")
    set_parameter(folder, "figures.neighbours", 3)
    old = provenance.md5(folder / RETRIEVAL)
    run(folder, "dvc", "repro")
    assert provenance.md5(folder / RETRIEVAL) != old
    assert NOTHING in planned(folder)


def test_the_guard_keeps_old_encoders_from_a_changed_pre_training(as_restored, monkeypatch):
    monkeypatch.chdir(as_restored)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    shutil.rmtree(".snakemake/metadata")
    set_parameter(as_restored, "pretrain.temperature", 0.5)
    provenance.cache_folder.cache_clear()
    provenance.guard("all_pretrain")
    assert not Path(ENCODER).exists(), "it is in the cache: removed"
    assert all(map(provenance.is_snakemakes, provenance.files_in([Path("data")]))), "proved by dvc.lock"

    Path(ENCODER).write_bytes(b"mine")
    with pytest.raises(provenance.Refusal, match=ENCODER):
        provenance.guard("all_pretrain")
    assert Path(ENCODER).read_bytes() == b"mine", "it is nowhere else: kept"
    Path(ENCODER).unlink()

    other = Path("results/runs/hiv/RF/seed-0/metrics.json")
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    with pytest.raises(provenance.Refusal, match=r"not known.*\n.*hiv"):
        provenance.snakemake("all_finetune")
    assert provenance.RUNNING.read_text() == "", "nothing to unlock: the Snakemake that may be at work is not ours"
    shutil.rmtree(other.parents[2])

    fewer = "data/molecules/bbbp-60.parquet"
    run(as_restored, "python", "-m", "snakemake", fewer, "--config", "benchmark_molecules=60")
    with pytest.raises(provenance.Refusal, match=rf"another configuration.*\n.*{fewer}"):
        provenance.guard("all_data")
    set_parameter(as_restored, "results", "results/x")
    with pytest.raises(provenance.Refusal, match="'results: results/x'"):
        provenance.guard("all_data")


def test_a_damaged_cache_is_found_and_mended(as_restored):
    digest = provenance.md5(as_restored / ENCODER)
    flip_a_byte(as_restored / ".dvc/cache/files/md5" / digest[:2] / digest[2:])
    (as_restored / ENCODER).unlink()
    run(as_restored, "dvc", "checkout", ENCODER)
    assert provenance.md5(as_restored / ENCODER) != digest, "DVC alone does not look"
    output = run(as_restored, *RESTORE)
    assert f"Damaged in the cache, so removed: {ENCODER}" in output
    assert provenance.md5(as_restored / ENCODER) == digest
    assert NOTHING in planned(as_restored)


def test_a_damaged_remote_is_found_and_mended(reproduced, tmp_path):
    digest = provenance.md5(reproduced / ENCODER)
    stored = reproduced.parent / "storage/files/md5" / digest[:2] / digest[2:]
    folder = clone(reproduced, tmp_path / "clone")
    flip_a_byte(stored)
    output = run(folder, *RESTORE, "pretrain", fails=True)
    assert ENCODER in output and "Traceback" not in output
    stored.unlink()
    shutil.copy(reproduced / ENCODER, stored)
    run(folder, *RESTORE, "pretrain")
    assert provenance.md5(folder / ENCODER) == digest


def test_a_missing_remote_is_a_clear_message(reproduced, tmp_path):
    folder = clone(reproduced, tmp_path / "clone")
    run(folder, "dvc", "remote", "modify", "storage", "url", str(tmp_path / "nowhere"))
    output = run(folder, *RESTORE, fails=True)
    assert "`dvc pull` did not bring the files" in output and "Traceback" not in output
    run(folder, "dvc", "remote", "remove", "storage")
    assert "no default remote" in run(folder, *RESTORE, fails=True)
    assert not (folder / ".snakemake/metadata").exists()


def test_snakemake_first_then_repro(as_restored):
    """Which makes nothing, until code is edited: that of this folder runs, whatever the time stamp of the file."""
    set_parameter(as_restored, "figures.neighbours", 5)
    run(as_restored, "python", "-m", "snakemake", "all")
    after = digests(as_restored)
    assert jobs_run(run(as_restored, "dvc", "repro")) == []
    assert digests(as_restored) == after
    assert "up to date" in run(as_restored, "dvc", "status")
    assert NOTHING in planned(as_restored)

    code = as_restored / "molclr/evaluation/figures/retrieval.py"
    code.write_text(code.read_text().replace("COLUMNS = 4", "COLUMNS = 2"))
    os.utime(code, (0, 0))
    assert jobs_run(run(as_restored, "dvc", "repro")) == ["figure_retrieval"]
    assert provenance.md5(as_restored / RETRIEVAL) != after[RETRIEVAL]


def test_a_killed_repro_is_mended_by_the_next(as_restored):
    set_parameter(as_restored, "pretrain.temperature", 0.5)
    process = subprocess.Popen(
        ["dvc", "repro", "pretrain"],
        cwd=as_restored,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not any((as_restored / ".snakemake/incomplete").glob("*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (as_restored / provenance.RUNNING).read_text() == "all_pretrain"
    assert jobs_run(run(as_restored, "dvc", "repro", "pretrain")) == ["pretrain", "embed"]
    assert (as_restored / provenance.RUNNING).read_text() == ""
    assert "temperature: 0.5" in (as_restored / "dvc.lock").read_text()


def test_an_experiment_is_compared(as_restored):
    """The changed pre-training decides what follows from it, and `dvc exp show` has both rows."""
    output = run(as_restored, "dvc", "exp", "run", "--name", "warm", "-S", "pretrain.temperature=0.5")
    assert set(jobs_run(output)) == {
        *("pretrain", "embed", "finetune", "table", "predictions"),
        *(f"figure_{name}" for name in ("benchmarks", "pretraining", "tsne", "retrieval")),
    }
    assert jobs_run(output).count("finetune") == 2, "not the networks from scratch"
    rows = run(as_restored, "dvc", "exp", "show", "--csv")
    assert "warm" in rows and "BBBP.MolCLR_GIN" in rows.splitlines()[0]
    assert "pretrain.temperature 0.1 0.5" in " ".join(run(as_restored, "dvc", "params", "diff").split())
    assert "MolCLR_GIN" in run(as_restored, "dvc", "metrics", "diff")
    run(as_restored, "dvc", "exp", "remove", "warm")
