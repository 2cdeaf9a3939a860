"""Snakemake and DVC agree on what the files in data/ and results/ were made with.

    python -m workflow.provenance snakemake TARGET     what a stage of dvc.yaml runs: Snakemake, after a look at the files
    python -m workflow.provenance restore [NAME ...]   pull stages or files (all of them), verify them, tell Snakemake
    python -m workflow.provenance check                whether dvc.lock is that of the present code and parameters

Snakemake knows how it made the files in this folder; DVC knows it, in dvc.lock, of the files that it brings here. The stages of
dvc.yaml keep their files (`persist`), so a file whose origin neither knows must never pass for a new one. What is promised, and
the tests that hold it: tests/workflow/README.md.
"""

import csv
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from molclr.digest import files_behind
from molclr.errors import MolclrError
from workflow.digests import named_modules, renew

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
DVC = [sys.executable, "-m", "dvc"]
CONFIG, ITS_LINK, LOCK = Path("params.yaml"), Path("config/config.yaml"), Path("dvc.lock")
"""The configuration where DVC looks for it, and where Snakemake does; what DVC knows of files."""
STAGES = {
    "data": ["data/raw", "data/molecules", "data/splits", "data/graphs"],
    "pretrain": ["results/pretrain", "results/embeddings"],
    "finetune": ["results/runs"],
    "results": ["results/tables", "results/figures"],
}
"""The stages of dvc.yaml that run Snakemake, in order, and their folders; each may read what those before it make."""
RERUN_TRIGGERS = ["--rerun-triggers", "code", "input", "mtime", "params", "software-env"]
"""All of them, whatever a user's profile says."""
RUNNING = Path(".snakemake/running-for-dvc")
"""Locked while Snakemake runs for a stage; not empty without a lock when that Snakemake was killed."""


def main() -> int:
    """Run a subcommand; return the exit code."""
    try:
        renew()
        match sys.argv[1:]:
            case ["snakemake", target]:
                return snakemake(target)
            case ["restore", *names]:
                return restore(names)
            case ["check"]:
                require_nothing(differences(["code", *STAGES]))
                return 0
    except MolclrError as error:
        print(f"provenance: {error}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


def snakemake(target: str) -> int:
    """Run Snakemake on the target of a stage, when no file can be taken for what it is not; return its exit code."""
    RUNNING.parent.mkdir(exist_ok=True)
    with RUNNING.open("a") as running:
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MolclrError("Snakemake runs here for another `dvc repro`; wait for it to end.") from None
        if RUNNING.stat().st_size:
            subprocess.run([*SNAKEMAKE, target, "--unlock", "--quiet"], check=True)
            running.truncate(0)
        guard(target)
        running.write(target)
        running.flush()
        # Snakemake holds the lock as well: it may outlive this process.
        process = subprocess.Popen([*SNAKEMAKE, target, *RERUN_TRIGGERS], pass_fds=[running.fileno()])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches Snakemake too, which then ends in good order
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        code = process.wait()
        if code >= 0:  # otherwise a signal has ended it
            running.truncate(0)
    return code


def guard(target: str) -> None:
    """Make sure that Snakemake, run on `target`, can only keep files whose parameters and code it can compare.

    DVC has found the stage changed. Files of earlier stages that Snakemake did not make here are verified against dvc.lock, and
    Snakemake is told. Such files of the stage itself, and files that this configuration does not make, are deleted if DVC can
    bring them back. Raises MolclrError if it cannot, or if the verification fails.
    """
    require_one_configuration()
    require_own_files()
    stage, states = target.removeprefix("all_"), states_of_files()
    earlier = list(STAGES)[: list(STAGES).index(stage)]
    if not all(is_snakemakes(path) for name in earlier for path in present(name, states)):
        tell_snakemake(earlier)
    made = outputs_of(target)
    unverified = [path for path in present(stage, states) if path not in made or not is_snakemakes(path)]
    verified = states_of_files(by_bytes=True) if unverified else {}
    if lost := [path for path in unverified if verified[path] != "unchanged"]:
        raise MolclrError(
            f"stage '{stage}' has to run, but these files were made with another configuration, or not by Snakemake in this "
            f"folder, or were changed since.{as_lines(lost)}\nMove them away or delete them, and run `dvc repro` again. (Are they"
            " the files of dvc.lock, with its parameters and code? Then `make restore`. Copy a folder with its time stamps.)"
        )
    for path in unverified:
        Path(path).unlink()
    if unverified:
        print(f"Made with something else, and kept by DVC, so deleted here:{as_lines(unverified)}", flush=True)
    for folder in STAGES[stage]:
        Path(folder).mkdir(parents=True, exist_ok=True)


def restore(names: Iterable[str]) -> int:
    """Bring the files of dvc.lock here and tell Snakemake that they are up to date, if every hash says so."""
    require_one_configuration()
    require_nothing(differences(STAGES))  # before anything is pulled
    if subprocess.run([*DVC, "pull", *names]).returncode != 0:
        raise MolclrError(
            "`dvc pull` did not bring the files, for the reason above; Snakemake was told nothing. `dvc remote list` shows "
            "where it looks; where the files were made, `dvc push` puts them there."
        )
    states = tell_snakemake(STAGES)
    missing = [name for name in STAGES if any(states[path] == "deleted" for path in paths_of(name, states))]
    print("Restored; Snakemake knows." + (f" Not all is here of: {', '.join(missing)}." if missing else ""))
    return 0


def tell_snakemake(names: Iterable[str]) -> dict[str, str]:
    """Have Snakemake record the files of stages as made with the present parameters and code; return the states of all files.

    Raises MolclrError if they were not, or if a file is not, byte for byte, the one in dvc.lock.
    """
    require_nothing(differences(names))
    states = states_of_files(by_bytes=True)
    wrong = [path for name in names for path in present(name, states) if states[path] != "unchanged"]
    if wrong:
        cache = output_of([*DVC, "cache", "dir"]).strip()
        raise MolclrError(
            f"these files are not those of dvc.lock.{as_lines(wrong)}\nDelete them and restore. If they come back like this, "
            f"the copies that DVC takes are damaged: delete its cache ({cache}) too, or mend the remote."
        )
    output_of([*SNAKEMAKE, *(f"all_{name}" for name in names), "--touch", "--forceall", "--quiet"])
    return states


def differences(names: Iterable[str]) -> Iterator[str]:
    """How command, parameters and code of stages differ from dvc.lock, a sentence each; files are another matter."""
    lock = yaml.safe_load(LOCK.read_text())["stages"] if LOCK.exists() else {}
    made = {out["path"]: out["md5"] for name in STAGES for out in lock.get(name, {}).get("outs", [])}
    status = json.loads(output_of([*DVC, "status", "--json", *names]))
    for name in names:
        if name not in lock:
            yield f"{name}: dvc.lock does not have it"
        for dependency in lock.get(name, {}).get("deps", []):
            if made.get(dependency["path"], dependency["md5"]) != dependency["md5"]:
                yield f"{name}: it was made with another {dependency['path']}"
        for change in status.get(name, []):
            if isinstance(change, str):
                yield f"{name}: {change}"
            else:
                for path, what in change.get("changed deps", {}).items():
                    if path not in made:
                        yield f"{name}: {', '.join(what) if isinstance(what, dict) else 'it'} in {path} is another"


def require_nothing(differing: Iterable[str]) -> None:
    """Raise MolclrError if anything differs."""
    if lines := as_lines(differing):
        raise MolclrError(
            f"the files of dvc.lock were made with something else than what is here:{lines}"
            "\nUndo these changes (`git diff`, `git checkout`) and restore; or `dvc repro` makes what they change."
        )


def require_own_files() -> None:
    """Raise MolclrError if the configuration names tables or code of one's own whose changes DVC would not see."""
    values = yaml.safe_load(CONFIG.read_text())
    named = [*(values.get("own_benchmarks") or {}).values(), values.get("corpus") or {}]
    files = {"data": {own["table"] for own in named if own.get("table")}}
    files["code"] = {os.path.relpath(path) for path in files_behind(*named_modules())}
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    for stage, paths in files.items():
        known = stages.get(stage, {}).get("deps", [])
        if unseen := sorted(path for path in paths if not any(Path(path).is_relative_to(folder) for folder in known)):
            raise MolclrError(
                f"DVC would not see a change of these files, which {CONFIG} names:{as_lines(unseen)}\nAdd them to 'deps' of the "
                f"stage '{stage}' in dvc.yaml."
            )


def require_one_configuration() -> None:
    """Raise MolclrError if Snakemake has another configuration, or another folder of results, than DVC."""
    if not (ITS_LINK.exists() and CONFIG.exists() and ITS_LINK.samefile(CONFIG)):
        raise MolclrError(
            f"{ITS_LINK}, which Snakemake reads, is not a link to {CONFIG}, which DVC reads (an editor may have replaced it): "
            f"put what should count into {CONFIG}, then `ln -sf ../{CONFIG} {ITS_LINK}`."
        )
    folder = yaml.safe_load(CONFIG.read_text()).get("results", "results")
    if folder != "results":
        raise MolclrError(f"{CONFIG} has 'results: {folder}', but dvc.yaml keeps `results/`: remove that key.")


def states_of_files(by_bytes: bool = False) -> dict[str, str]:
    """Every file below the folders of the stages, here or in dvc.lock: unchanged, added, modified, deleted or unknown.

    by_bytes: whatever DVC remembers of time stamps, which it then looks for in an empty folder. A file is only called unchanged
    if cache or remote have the list of its folder.
    """
    command = [*DVC, "data", "status", "--granular", "--unchanged", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        found = json.loads(output_of(command, **({"DVC_SITE_CACHE_DIR": folder} if by_bytes else {})))
    lists = {"unchanged": found.get("unchanged", []), **found.get("uncommitted", {})}
    return {path: state for state, paths in lists.items() for path in paths if not path.endswith("/")}


def is_snakemakes(path: str) -> bool:
    """Whether Snakemake has recorded of this very file how it made it, or knows that it is incomplete and makes it again.

    No command tells this, so its record is read: the end of a job is the time stamp of its files until somebody writes them.
    """
    key = urlsafe_b64encode(path.encode()).decode()
    if Path(".snakemake/incomplete", key).exists():
        return True
    record = Path(".snakemake/metadata", key)
    return record.exists() and abs(json.loads(record.read_text())["endtime"] - os.stat(path).st_mtime) < 0.01


def outputs_of(target: str) -> set[str]:
    """Every file that the jobs for a target make, according to Snakemake."""
    summary = output_of([*SNAKEMAKE, target, "--summary"])
    return {row["output_file"] for row in csv.DictReader(summary.splitlines(), delimiter="\t")}


def output_of(command: list[str], **environment: str) -> str:
    """What a command prints. Raises MolclrError with all of it if the command fails."""
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if result.returncode != 0:
        raise MolclrError(f"`{' '.join(command[2:])}` failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def paths_of(stage: str, states: Iterable[str]) -> list[str]:
    """The files of the output folders of a stage."""
    return sorted(path for path in states if any(Path(path).is_relative_to(folder) for folder in STAGES[stage]))


def present(stage: str, states: dict[str, str]) -> list[str]:
    """Those of them that are here."""
    return [path for path in paths_of(stage, states) if states[path] != "deleted"]


def as_lines(items: Iterable[object], most: int = 10) -> str:
    """Items, a line each, not too many."""
    lines = [f"\n  {item}" for item in items]
    return "".join(lines[:most]) + (f"\n  and {len(lines) - most} more" if len(lines) > most else "")


if __name__ == "__main__":
    sys.exit(main())
