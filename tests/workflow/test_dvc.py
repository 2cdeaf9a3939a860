"""DVC and Snakemake agree: `dvc repro`, clones and restored files, on config/test.yaml in place of params.yaml."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from workflow_runs import clone, environment, replace_in, run

from molclr.errors import MolclrError
from workflow import provenance

pytestmark = [pytest.mark.workflow, pytest.mark.network]
CONFIG = "params.yaml"
ENCODER = "results/pretrain/gin/encoder.safetensors"
EMBEDDINGS = "results/embeddings/gin.parquet"
RETRIEVAL = "results/figures/retrieval_gin.svg"
RESTORE = ["python", "-m", "workflow.provenance", "restore"]
NOTHING = "Nothing to be done"


def planned(folder):
    return run(folder, "snakemake", "--dry-run", "all_results")


def jobs_run(output):
    """Rules of the jobs that Snakemake ran, in order, without its targets."""
    rules = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", output, re.MULTILINE)
    return [rule for rule in rules if not rule.startswith("all_")]


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


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def digests(folder):
    """MD5 of every versioned file."""
    paths = (path for place in ("data", "results") for path in (folder / place).rglob("*") if path.is_file())
    names = {path: path.relative_to(folder) for path in paths}
    return {
        str(name): md5(path)
        for path, name in names.items()
        if not (name.name.startswith(".") or {"kept", "published", "report.html"} & {*name.parts})
    }


@pytest.mark.xdist_group("dvc commands in the finished run")
def test_after_repro_nothing_is_to_be_done(finished):
    assert NOTHING in planned(finished)
    assert run(finished, "dvc", "repro").count("didn't change, skipping") == 5
    assert "up to date" in run(finished, "dvc", "status")
    run(finished, "python", "-m", "workflow.provenance", "check")
    ignored = [
        "data/raw/.bbbp.sha256",
        "results/pretrain/gin/kept/x/encoder.safetensors",
        "results/pretrain/gin/state.pt",
    ]
    assert run(finished, "dvc", "check-ignore", *ignored).split() == ignored, "not files of DVC"


@pytest.mark.xdist_group("dvc commands in the finished run")
def test_tables_are_metrics_and_plots(finished):
    metrics = json.loads(run(finished, "dvc", "metrics", "show", "--json"))
    means = metrics[""]["data"]["results/tables/classification.json"]["data"]["BBBP"]
    assert set(means) == {"RF", "GCN", "MolCLR_GIN", "SVM_MolCLR_GIN_ECFP"}
    plots = json.loads(run(finished, "dvc", "plots", "show", "--json").splitlines()[-1])["data"]
    assert set(plots) == {"classification", "regression", "pre-training"}
    bars = [plots[task][0]["content"] for task in ("classification", "regression")]
    labels = [row[plot["encoding"]["y"]["field"]] for plot in bars for row in plot["data"]["values"]]
    assert len(labels) == len(set(labels)) == 8, "a bar each, also where benchmarks share a plot"


def test_a_docstring_runs_nothing_again(as_finished):
    """Only the digests are renewed; a release then has to renew dvc.lock."""
    for name in ("molclr/models/augment.py", "molclr/config/training.py", "molclr/data/molecules.py"):
        replace_in(as_finished / name, '"""', '"""Edited. ')
    for path in (as_finished / "workflow/rules").iterdir():
        replace_in(path, "# Needs", "# Edited: needs")
    assert NOTHING in planned(as_finished)
    assert "code: molclr has changed" in run(as_finished, "python", "-m", "workflow.provenance", "check", fails=True)
    output = run(as_finished, "dvc", "repro")
    assert output.count("Running stage") == 1 and "Running stage 'code'" in output
    assert output.count("didn't change, skipping") == 4
    run(as_finished, "python", "-m", "workflow.provenance", "check")
    assert "workflow/code.yaml" not in run(as_finished, "git", "status", "--short")


def test_a_clone_is_restored_without_making_anything(finished, restored):
    assert digests(restored) == digests(finished)
    assert NOTHING in planned(restored)
    assert run(restored, "dvc", "repro").count("didn't change, skipping") == 5
    assert "up to date" in run(restored, "dvc", "status")


def test_results_are_restored_without_the_data(finished, tmp_path):
    folder = clone(finished, tmp_path / "clone")
    output = run(folder, *RESTORE, "pretrain", "finetune", "results")
    assert "Some files are missing of: data." in output
    assert not (folder / "data").exists() and (folder / ENCODER).exists()
    assert NOTHING in planned(folder)
    run(folder, *RESTORE, "data/molecules/bbbp-120.parquet")
    assert [path.name for path in (folder / "data").rglob("*.*")] == ["bbbp-120.parquet"]
    assert NOTHING in planned(folder)


def test_restore_rejects_files_made_with_other_parameters_or_code(finished, tmp_path):
    """The error precedes any download; a changed docstring is not a difference."""
    folder = clone(finished, tmp_path / "clone")
    set_parameter(folder, "pretrain.temperature", 0.5)
    replace_in(folder / "molclr/models/augment.py", '"""', '"""Edited. ')
    replace_in(folder / "molclr/training/svm.py", "KERNEL_CACHE = 500", "KERNEL_CACHE = 501")
    replace_in(folder / "dvc.yaml", "snakemake all_results", "snakemake  all_results")
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    graphs = next(out for out in lock["stages"]["data"]["outs"] if out["path"] == "data/graphs")
    graphs["md5"] = f"{'0' * 32}.dir"
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    lines = run(folder, *RESTORE, fails=True).splitlines()
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        "pretrain: was made with another data/graphs",
        "pretrain: pretrain in params.yaml has changed",
        "finetune: was made with another data/graphs",
        "finetune: finetune in workflow/code.yaml has changed",
        "results: was made with another data/graphs",
        "results: pretrain in params.yaml has changed",
        "results: changed command",
    ]
    assert not (folder / "data").exists()


def test_repro_after_restore_makes_what_follows_and_nothing_else(as_restored, tmp_path, monkeypatch):
    """The user's profile has no effect.

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
    assert "Deleted; they were made with other parameters" in run(as_restored, "dvc", "repro")
    assert digests(as_restored) == after


def test_after_a_bare_pull_a_changed_parameter_is_not_written_beside_old_files(finished, tmp_path):
    folder = clone(finished, tmp_path / "clone")
    run(folder, "dvc", "pull")
    set_parameter(folder, "figures.molecules", 10)
    old, encoder = md5(folder / EMBEDDINGS), md5(folder / ENCODER)
    run(folder, "dvc", "repro", "--single-item", "pretrain")
    assert md5(folder / EMBEDDINGS) != old and md5(folder / ENCODER) == encoder
    assert NOTHING in run(folder, "snakemake", "--dry-run", "all_pretrain")


def test_the_guard_keeps_old_encoders_from_a_changed_pre_training(as_restored, monkeypatch):
    monkeypatch.chdir(as_restored)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    shutil.rmtree(".snakemake/metadata")
    set_parameter(as_restored, "pretrain.temperature", 0.5)
    provenance.guard("all_pretrain")
    assert not Path(ENCODER).exists(), "DVC can bring it back: deleted"
    data = [path for path in digests(Path()) if path.startswith("data/")]
    assert data and all(map(provenance.is_snakemakes, data)), "verified against dvc.lock"

    Path(ENCODER).write_bytes(b"mine")
    with pytest.raises(MolclrError, match=ENCODER):
        provenance.guard("all_pretrain")
    assert Path(ENCODER).read_bytes() == b"mine", "it is nowhere else: kept"
    Path(ENCODER).unlink()

    other = Path("results/runs/hiv/RF/seed-0/metrics.json")
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    with pytest.raises(MolclrError, match=r"not made by Snakemake in this folder.*\n.*hiv"):
        provenance.snakemake("all_finetune")
    assert provenance.RUNNING.read_text() == "", "nothing to unlock: the Snakemake that may be at work is not ours"
    shutil.rmtree(other.parents[2])

    fewer = "data/molecules/bbbp-60.parquet"
    run(as_restored, "snakemake", fewer, "--config", "benchmark_molecules=60")
    with pytest.raises(MolclrError, match=rf"another configuration.*\n.*{fewer}"):
        provenance.guard("all_data")
    set_parameter(as_restored, "results", "results/x")
    with pytest.raises(MolclrError, match="'results: results/x'"):
        provenance.guard("all_data")


def test_only_files_that_snakemake_made_count_as_its_own(as_finished, monkeypatch):
    """Of the private record that provenance.is_snakemakes reads."""
    monkeypatch.chdir(as_finished)
    paths = list(digests(Path()))
    assert len(paths) > 60 and all(map(provenance.is_snakemakes, paths))
    Path(ENCODER).write_bytes(Path(ENCODER).read_bytes())
    assert not provenance.is_snakemakes(ENCODER), "written by somebody else"
    os.utime(RETRIEVAL, (0, 0))
    assert not provenance.is_snakemakes(RETRIEVAL), "exchanged, with a time stamp of before"
    Path("data/mine.csv").write_text("mine")
    assert not provenance.is_snakemakes("data/mine.csv")


def test_a_changed_file_is_found_by_its_bytes(as_finished, monkeypatch):
    """Even with the size and the time stamp of before, and DVC's own record of it."""
    monkeypatch.chdir(as_finished)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    before = os.stat(ENCODER)
    content = bytearray(Path(ENCODER).read_bytes())
    content[-1] ^= 1
    with Path(ENCODER).open("r+b") as file:
        file.write(content)
    os.utime(ENCODER, ns=(before.st_atime_ns, before.st_mtime_ns))
    states = provenance.states_of_files(by_bytes=True)
    assert [path for path in states if states[path] != "unchanged"] == [ENCODER]
    with pytest.raises(MolclrError, match=rf"differ from those of dvc\.lock\.\n  {ENCODER}\nDelete them"):
        provenance.register_with_snakemake(provenance.STAGES)


def test_a_damaged_cache_is_found_and_the_message_says_what_to_delete(as_restored):
    digest, cache = md5(as_restored / ENCODER), as_restored / ".dvc/cache"
    flip_a_byte(cache / "files/md5" / digest[:2] / digest[2:])
    (as_restored / ENCODER).unlink()
    run(as_restored, "dvc", "checkout", ENCODER)
    assert md5(as_restored / ENCODER) != digest, "DVC alone does not look"
    output = run(as_restored, *RESTORE, fails=True)
    assert f"\n  {ENCODER}\nDelete them and restore." in output and f"delete its cache ({cache}), too" in output
    (as_restored / ENCODER).unlink()
    shutil.rmtree(cache)
    run(as_restored, *RESTORE)
    assert md5(as_restored / ENCODER) == digest
    assert NOTHING in planned(as_restored)


def test_a_damaged_remote_is_found(finished, tmp_path):
    storage = shutil.copytree(finished.parent / "storage", tmp_path / "storage")
    digest = md5(finished / ENCODER)
    folder = clone(finished, tmp_path / "clone")
    run(folder, "dvc", "remote", "modify", "storage", "url", str(storage))
    flip_a_byte(storage / "files/md5" / digest[:2] / digest[2:])
    output = run(folder, *RESTORE, "pretrain", fails=True)
    assert ENCODER in output and "or repair the remote" in output and "Traceback" not in output
    assert not (folder / ".snakemake/metadata").exists(), "nothing is registered"


def test_a_missing_remote_is_a_clear_message(finished, tmp_path):
    folder = clone(finished, tmp_path / "clone")
    run(folder, "dvc", "remote", "modify", "storage", "url", str(tmp_path / "nowhere"))
    output = run(folder, *RESTORE, fails=True)
    assert "`dvc pull` failed" in output and "Traceback" not in output
    run(folder, "dvc", "remote", "remove", "storage")
    assert "no default remote" in run(folder, *RESTORE, fails=True)
    assert not (folder / ".snakemake/metadata").exists()


def test_snakemake_first_then_repro(as_restored):
    """`dvc repro` makes nothing until code is edited; it runs the code of this folder, regardless of the file's time stamp."""
    set_parameter(as_restored, "figures.neighbours", 5)
    run(as_restored, "snakemake", "all")
    after = digests(as_restored)
    assert jobs_run(run(as_restored, "dvc", "repro")) == []
    assert digests(as_restored) == after
    assert "up to date" in run(as_restored, "dvc", "status")
    assert NOTHING in planned(as_restored)

    code = as_restored / "molclr/evaluation/figures/retrieval.py"
    replace_in(code, "COLUMNS = 4", "COLUMNS = 2")
    os.utime(code, (0, 0))
    assert jobs_run(run(as_restored, "dvc", "repro")) == ["figure_retrieval"]
    assert md5(as_restored / RETRIEVAL) != after[RETRIEVAL]


def test_the_next_repro_recovers_from_a_killed_one(as_restored):
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


def test_an_experiment_is_compared(as_finished):
    """`dvc exp show` has both rows; and back at the old settings, the old encoder is taken, not trained again."""
    encoder = md5(as_finished / ENCODER)
    output = run(as_finished, "dvc", "exp", "run", "--name", "warm", "-S", "pretrain.temperature=0.5", "pretrain")
    assert jobs_run(output) == ["pretrain", "embed"]
    rows = run(as_finished, "dvc", "exp", "show", "--csv")
    assert "warm" in rows and "BBBP.MolCLR_GIN" in rows.splitlines()[0]
    assert "pretrain.temperature 0.1 0.5" in " ".join(run(as_finished, "dvc", "params", "diff").split())
    run(as_finished, "dvc", "metrics", "diff")
    assert md5(as_finished / ENCODER) != encoder
    run(as_finished, "dvc", "exp", "remove", "warm")

    set_parameter(as_finished, "pretrain.temperature", 0.1)
    assert jobs_run(run(as_finished, "dvc", "repro")) == ["pretrain", "embed"]
    assert md5(as_finished / ENCODER) == encoder
    assert "its files are restored from" in (as_finished / "logs/results/pretrain/gin.log").read_text()
    assert NOTHING in planned(as_finished)
