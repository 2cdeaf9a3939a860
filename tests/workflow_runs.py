"""Running commands in copies of the repository."""

import os
import subprocess
import sys
from pathlib import Path


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


def commit(folder):
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "commit")


def clone(source, folder):
    run(source, "git", "clone", "--quiet", str(source), str(folder))
    return folder
