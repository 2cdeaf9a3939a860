"""One finished run, for all tests of the workflow."""

import subprocess
import sys

import pytest
from paths import copy_repository


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A copy of the repository in which everything of config/test.yaml has been made; tests leave it as they find it."""
    folder = copy_repository(tmp_path_factory.mktemp("work flow"))
    command = [sys.executable, "-m", "snakemake", "--configfile", "config/test.yaml", "--cores", "2", "all"]
    result = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    return folder
