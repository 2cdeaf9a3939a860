"""Running commands in copies of the repository.

Snakemake and DVC run in forks of a process that has imported them, and so start in a third of the time. That process imports no
module of this repository, so each command runs the code of its folder. Jobs and stages start as usual.
"""

import multiprocessing
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

PROGRAMS = {"snakemake": "snakemake.cli", "dvc": "dvc.cli"}
"""Program -> module whose `main` takes the arguments."""
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([*PROGRAMS.values(), "snakemake.dag", "dvc.repo", "pydantic", "yaml"])


class Finished(NamedTuple):
    """The exit code and the output of a command."""

    returncode: int
    stdout: str
    """Standard output and standard error."""


def environment():
    """The environment of these tests is the first on the path; jobs find the code of their folder by themselves."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    who = {f"GIT_{role}_{key}": "test" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull} | who


def finish(folder, program, *arguments, env=None):
    """Run a command in `folder`; return its exit code and output."""
    env = environment() if env is None else env
    if program not in PROGRAMS:
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        result = subprocess.run([program, *arguments], cwd=folder, env=env, text=True, **output)
        return Finished(result.returncode, result.stdout)
    with TemporaryDirectory() as place:
        output = Path(place) / "output"
        process = SERVER.Process(target=_work, args=(program, list(map(str, arguments)), str(folder), env, str(output)))
        process.start()
        process.join()
        return Finished(process.exitcode, output.read_text())


def _work(program, arguments, folder, env, output):
    """Run `python -m PROGRAM` in a fork, as in a process of its own that starts in `folder`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    with open(output, "w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.path.insert(0, folder)
    sys.argv = [program, *arguments]
    sys.exit(import_module(PROGRAMS[program]).main(arguments))


def run(folder, *command, fails=False):
    """Run a command in `folder`; return what it prints."""
    result = finish(folder, *command)
    assert (result.returncode != 0) == fails, result.stdout
    return result.stdout


def replace_in(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def commit(folder):
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "commit")


def clone(source, folder):
    run(source, "git", "clone", "--quiet", str(source), str(folder))
    return folder
