"""Keep Snakemake and DVC consistent about the parameters and code with which the files in data/ and results/ were made.

    python -m workflow.provenance snakemake TARGET     check the files, then run Snakemake; the command of the stages in dvc.yaml
    python -m workflow.provenance restore [NAME ...]   pull stages or files (default: all), verify them, register with Snakemake
    python -m workflow.provenance check                check that dvc.lock belongs to the present code and parameters

Snakemake records how it made the files in this folder, and dvc.lock records it for the files that DVC pulls. The stages of
dvc.yaml keep their outputs (`persist`), so a file without a known origin must not be mistaken for a new one. The guarantees and
their tests are listed in tests/workflow/README.md.
"""

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
"""The configuration as DVC reads it, the link to it that Snakemake reads, and the lock file of DVC."""
STAGES = {
    "data": ["data/raw", "data/molecules", "data/splits", "data/graphs"],
    "pretrain": ["results/pretrain", "results/embeddings"],
    "finetune": ["results/runs"],
    "results": ["results/tables", "results/figures", "results/maps"],
}
"""Stages of dvc.yaml that run Snakemake, in order, and their output folders. A stage may read the outputs of earlier stages."""
RERUN_TRIGGERS = ["--rerun-triggers", "code", "input", "mtime", "params", "software-env"]
"""All triggers, regardless of the user's profile."""
RUNNING = Path(".snakemake/running-for-dvc")
"""Locked while Snakemake runs for a stage. If it is not empty and not locked, that Snakemake was killed."""


def main() -> int:
    """Run a subcommand and return the exit code."""
    try:
        renew()
        match sys.argv[1:]:
            case ["snakemake", target]:
                return snakemake(target)
            case ["restore", *names]:
                restore(names)
            case ["check"]:
                require_nothing(differences(["code", *STAGES]))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except MolclrError as error:
        print(f"provenance: {error}", file=sys.stderr)
        return 1
    return 0


def snakemake(target: str) -> int:
    """Run Snakemake on the target of a stage after `guard` has checked the files; return its exit code."""
    RUNNING.parent.mkdir(exist_ok=True)
    with RUNNING.open("a") as running:
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MolclrError("Snakemake is running here for another `dvc repro`; wait for it to end.") from None
        if RUNNING.stat().st_size:
            output_of([*SNAKEMAKE, target, "--unlock", "--quiet"])
            running.truncate(0)
        guard(target)
        RUNNING.write_text(target)
        # Snakemake inherits the lock, because it may outlive this process.
        process = subprocess.Popen([*SNAKEMAKE, target, *RERUN_TRIGGERS], pass_fds=[running.fileno()])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Snakemake receives Ctrl-C, too, and then shuts down
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        if (code := process.wait()) >= 0:  # negative: killed by a signal
            running.truncate(0)
    return code


def guard(target: str) -> None:
    """Make sure that Snakemake keeps only files whose parameters and code it can compare.

    DVC has found the stage of `target` changed. Files of earlier stages that Snakemake did not make here are verified against
    dvc.lock and registered with Snakemake. Such files of the stage itself, and files that the configuration does not make, are
    deleted if DVC can restore them. Raises MolclrError if it cannot, or if the verification fails.
    """
    require_one_configuration()
    require_own_files()
    stage, states = target.removeprefix("all_"), states_of_files()
    earlier = list(STAGES)[: list(STAGES).index(stage)]
    if not all(is_snakemakes(path) for name in earlier for path in files_of(name, states)):
        register_with_snakemake(earlier)
    here = files_of(stage, states)
    made = outputs_of(target) if here else set()
    old = [path for path in here if path not in made or not is_snakemakes(path)]
    verified = states_of_files(by_bytes=True) if old else {}
    if lost := [path for path in old if verified[path] != "unchanged"]:
        raise MolclrError(
            f"stage '{stage}' has to run, but these files were made with another configuration, were not made by Snakemake in "
            f"this folder, or were changed since.{as_lines(lost)}\nMove or delete them, and run `dvc repro` again. If they are "
            "the files of dvc.lock, with its parameters and code, run `make restore`. A copied folder must keep its time stamps."
        )
    for path in old:
        Path(path).unlink()
    if old:
        print(f"Deleted; they were made with other parameters or code, and DVC has copies:{as_lines(old)}", flush=True)
    for folder in STAGES[stage]:
        Path(folder).mkdir(parents=True, exist_ok=True)


def restore(names: Iterable[str]) -> None:
    """Pull the files of dvc.lock, verify their hashes, and register them with Snakemake as up to date."""
    require_one_configuration()
    require_nothing(differences(STAGES))  # before anything is pulled
    if subprocess.run([*DVC, "pull", *names]).returncode != 0:
        raise MolclrError(
            "`dvc pull` failed for the reason above. See `dvc remote list`; run `dvc push` where the files were made."
        )
    states = register_with_snakemake(STAGES)
    missing = [name for name in STAGES if files_of(name, states, deleted=True)]
    print("Restored and registered." + (f" Some files are missing of: {', '.join(missing)}." if missing else ""))


def register_with_snakemake(names: Iterable[str]) -> dict[str, str]:
    """Make Snakemake record the files of stages as made with the present parameters and code; return the states of all files.

    Raises MolclrError if they were made with others, or if a file differs from the one in dvc.lock.
    """
    require_nothing(differences(names))
    states = states_of_files(by_bytes=True)
    if wrong := [path for name in names for path in files_of(name, states) if states[path] != "unchanged"]:
        cache = output_of([*DVC, "cache", "dir"]).strip()
        raise MolclrError(
            f"these files differ from those of dvc.lock.{as_lines(wrong)}\nDelete them and restore. If they still differ, the "
            f"copies of DVC are damaged: delete its cache ({cache}), too, or repair the remote."
        )
    output_of([*SNAKEMAKE, *(f"all_{name}" for name in names), "--touch", "--forceall", "--quiet"])
    return states


def differences(names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each difference of command, parameters and code of stages from dvc.lock. Files are not compared."""
    lock = yaml.safe_load(LOCK.read_text())["stages"] if LOCK.exists() else {}
    made = {out["path"]: out["md5"] for name in STAGES for out in lock.get(name, {}).get("outs", [])}
    status = json.loads(output_of([*DVC, "status", "--json", *names]))
    for name in names:
        if name not in lock:
            yield f"{name}: not in dvc.lock"
        for dependency in lock.get(name, {}).get("deps", []):
            if made.get(dependency["path"], dependency["md5"]) != dependency["md5"]:
                yield f"{name}: was made with another {dependency['path']}"
        for change in status.get(name, []):
            if isinstance(change, str):
                yield f"{name}: {change}"
            else:
                for path, what in change.get("changed deps", {}).items():
                    if path not in made:
                        yield f"{name}: {', '.join(what) + ' in ' if isinstance(what, dict) else ''}{path} has changed"


def require_nothing(differing: Iterable[str]) -> None:
    """Raise MolclrError if anything differs."""
    if lines := as_lines(differing):
        raise MolclrError(
            f"the files of dvc.lock were made with other parameters or code than those here:{lines}"
            "\nMake the files again with `dvc repro`, or undo these changes. The code of a commit may be newer than its dvc.lock."
        )


def require_own_files() -> None:
    """Raise MolclrError if the configuration names user tables or code that are not dependencies of a DVC stage."""
    values = yaml.safe_load(CONFIG.read_text())
    named = [*(values.get("own_benchmarks") or {}).values(), values.get("corpus") or {}]
    files = {"data": {own["table"] for own in named if own.get("table")}}
    files["code"] = {os.path.relpath(path) for path in files_behind(*named_modules())}
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    for stage, paths in files.items():
        known = stages.get(stage, {}).get("deps", [])
        if unseen := sorted(path for path in paths if not any(Path(path).is_relative_to(folder) for folder in known)):
            raise MolclrError(
                f"DVC would not notice changes of these files, which {CONFIG} names:{as_lines(unseen)}\nAdd them to 'deps' of "
                f"the stage '{stage}' in dvc.yaml."
            )


def require_one_configuration() -> None:
    """Raise MolclrError if Snakemake has another configuration or another folder of results than DVC."""
    if not (ITS_LINK.exists() and CONFIG.exists() and ITS_LINK.samefile(CONFIG)):
        raise MolclrError(
            f"{ITS_LINK}, which Snakemake reads, is not a link to {CONFIG}, which DVC reads (an editor may have replaced it): "
            f"put the intended configuration into {CONFIG}, then run `ln -sf ../{CONFIG} {ITS_LINK}`."
        )
    if (folder := yaml.safe_load(CONFIG.read_text()).get("results", "results")) != "results":
        raise MolclrError(f"{CONFIG} has 'results: {folder}', but dvc.yaml has outputs in `results/`: remove that key.")


def states_of_files(by_bytes: bool = False) -> dict[str, str]:
    """Return the state of all files in the folders of the stages: unchanged, added, modified, deleted or unknown.

    by_bytes: hash all files, without DVC's record of time stamps (which DVC then looks for in an empty folder). A file is only
    unchanged if the cache or the remote has the list of its folder.
    """
    command = [*DVC, "data", "status", "--granular", "--unchanged", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        found = json.loads(output_of(command, **({"DVC_SITE_CACHE_DIR": folder} if by_bytes else {})))
    lists = {"unchanged": found.get("unchanged", []), **found.get("uncommitted", {})}
    return {path: state for state, paths in lists.items() for path in paths if not path.endswith("/")}


def is_snakemakes(path: str) -> bool:
    """Return whether Snakemake has a record of how it made this file, or marks it as incomplete and makes it again.

    No command shows this, so the records are read. The end time of a job equals the modification time of its files until they
    are written again.
    """
    key = urlsafe_b64encode(path.encode()).decode()
    record, incomplete = (Path(".snakemake", folder, key) for folder in ("metadata", "incomplete"))
    made = record.exists() and abs(json.loads(record.read_text())["endtime"] - os.stat(path).st_mtime) < 0.01
    return made or incomplete.exists()


def outputs_of(target: str) -> set[str]:
    """List all files that the jobs for a target make, according to Snakemake."""
    _header, *rows = output_of([*SNAKEMAKE, target, "--summary"]).splitlines()
    return {row.partition("\t")[0] for row in rows}  # the first column is output_file


def output_of(command: list[str], **environment: str) -> str:
    """Return the output of a command. Raises MolclrError with the output if the command fails."""
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if result.returncode != 0:
        raise MolclrError(f"`{' '.join(command[2:])}` failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def files_of(stage: str, states: dict[str, str], deleted: bool = False) -> list[str]:
    """List the files in the output folders of a stage that exist or, with `deleted`, those that were deleted."""
    inside = (path for path in states if any(Path(path).is_relative_to(folder) for folder in STAGES[stage]))
    return sorted(path for path in inside if (states[path] == "deleted") == deleted)


def as_lines(items: Iterable[str]) -> str:
    """Format items, one per line, of which the first ten are shown."""
    lines = [f"\n  {item}" for item in items]
    return "".join(lines[:10]) + (f"\n  and {len(lines) - 10} more" if len(lines) > 10 else "")


if __name__ == "__main__":
    sys.exit(main())
