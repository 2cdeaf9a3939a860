"""One finished run for all tests of the workflow, made by `dvc repro`: Snakemake and DVC both know it."""

import fcntl
import os
import shutil

import pytest
from paths import copy_repository
from workflow_runs import clone, commit, replace_in, run

CORPUS = "tests/fixtures/zinc.csv"
"""The table that config/test.yaml names as its corpus, so that it has to be a dependency in dvc.yaml."""


def reproduce(folder):
    """Make everything of config/test.yaml by `dvc repro` in a copy of the repository, and push it to a folder beside it.

    Then make the page of the run, which DVC does not record.
    """
    copy_repository(folder)
    (folder / "dvc.lock").unlink(missing_ok=True)
    shutil.copy(folder / "config/test.yaml", folder / "params.yaml")
    replace_in(
        folder / "dvc.yaml", "    outs:\n      - data/raw:", f"    deps: [{CORPUS}]\n    outs:\n      - data/raw:"
    )
    run(folder, "python", "-m", "workflow.digests")
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "remote", "add", "--default", "storage", str(folder.parent / "storage"))
    commit(folder)
    run(folder, "dvc", "repro")
    assert run(folder, "git", "status", "--short").split() == ["??", "dvc.lock"], "outputs are not git's"
    commit(folder)
    run(folder, "dvc", "push")
    run(folder, "snakemake", "--cores", "2", "all")


def made_once(tmp_path_factory, name, make):
    """A folder that `make` fills for the first of the processes that run these tests."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, done = root / name / "molclr", root / name / "done"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A repository, at a path with a space, in which everything of config/test.yaml has been made; tests only look at it."""
    return made_once(tmp_path_factory, "work flow", reproduce)


@pytest.fixture(scope="session")
def restored(finished, tmp_path_factory):
    """A clone of it with all its files from the remote; tests only look at it."""

    def restore(folder):
        clone(finished, folder)
        assert "Restored" in run(folder, "python", "-m", "workflow.provenance", "restore")

    return made_once(tmp_path_factory, "restored", restore)


@pytest.fixture
def as_finished(finished, tmp_path):
    """A copy of the first, time stamps too, which a test may change."""
    return shutil.copytree(finished, tmp_path / "a copy", symlinks=True)


@pytest.fixture
def as_restored(restored, tmp_path):
    """A copy of the second, time stamps too, which a test may change."""
    return shutil.copytree(restored, tmp_path / "a copy", symlinks=True)
