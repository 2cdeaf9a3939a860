"""Snakemake and DVC agree on what the files in data/ and results/ were made with.

Snakemake knows it of the files that it made in this folder; DVC knows it, in dvc.lock, of the files that it brings here. The
stages of dvc.yaml keep their files (`persist`), so somebody has to see to it that old files are never taken for new ones:

    python workflow/provenance.py snakemake TARGET     what a stage of dvc.yaml runs: Snakemake, after a look at the files
    python workflow/provenance.py restore [NAME ...]   pull stages or files (all of them), prove them, tell Snakemake
"""

import argparse
import csv
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from dvc.utils.serialize import load_yaml  # reads 1e-5 as DVC does: PyYAML takes it for a text

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
DVC = [sys.executable, "-m", "dvc"]
CONFIG, ITS_LINK = "params.yaml", "config/config.yaml"
"""The configuration where DVC looks for it, and where Snakemake does."""
RERUN_TRIGGERS = ["--rerun-triggers", "code", "input", "mtime", "params", "software-env"]
"""All of them, whatever a user's profile says."""
DECIDES_NOTHING = {"baselines.threads", "finetune.gpus", "pretrain.checkpoint_seconds", "pretrain.gpus"}
"""Parameters that change no file."""
RUNNING = Path(".snakemake/running-for-dvc")
"""Locked while Snakemake runs for a stage; not empty without a lock when that Snakemake was killed."""

Stages = Mapping[str, Mapping[str, Any]]


class Refusal(Exception):
    """Going on could record wrong provenance. The message says what is in the way and what to do."""


def main() -> int:
    """Run a subcommand; return the exit code."""
    parser = argparse.ArgumentParser(description="Snakemake and DVC agree on what files were made with.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("snakemake", help="run Snakemake for a stage of dvc.yaml")
    run.add_argument("target", help="all_ and the name of the stage")
    pull = commands.add_parser("restore", help="pull files of a run that was made elsewhere")
    pull.add_argument("names", nargs="*", help="stages or files (default: all)")
    options = parser.parse_args()
    try:
        return snakemake(options.target) if options.command == "snakemake" else restore(options.names)
    except Refusal as refusal:
        print(f"provenance: {refusal}", file=sys.stderr)
        return 1


def snakemake(target: str) -> int:
    """Run Snakemake on the target of a stage, when no file can be taken for what it is not; return its exit code."""
    RUNNING.parent.mkdir(exist_ok=True)
    with RUNNING.open("a") as running:
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal("Snakemake is at work here for another `dvc repro`; wait for it to end.") from None
        if RUNNING.stat().st_size:
            subprocess.run([*SNAKEMAKE, target, "--unlock", "--quiet"], check=True)
            running.truncate(0)
        guard(target)
        show_edits(target)
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
    """See to it that Snakemake, run on `target`, can only keep files whose parameters and code it can compare.

    DVC has found the stage changed. Of the earlier stages, files that Snakemake did not make here are proved by dvc.lock, and
    Snakemake is told. Such files of the stage itself, and files that this configuration does not make, are removed if DVC's
    cache has them. Raises Refusal if it has not, or if a proof fails.
    """
    refuse_another_configuration()
    stages, stage = read_stages("dvc.yaml"), target.removeprefix("all_")
    own = folders(stages[stage])
    earlier = before(stages, stage)
    if any(not is_snakemakes(path) for name in earlier for path in files_in(folders(stages[name]))):
        tell_snakemake(earlier)

    made = outputs_of(target)
    unproved = [path for path in files_in(own) if str(path) not in made or not is_snakemakes(path)]
    lost = [path for path in unproved if not in_cache(md5(path)).exists()]
    others = [path for path in lost if is_snakemakes(path)]
    unknown = [path for path in lost if path not in others]
    if others:
        raise Refusal(
            f"stage '{stage}' has to run, and Snakemake made these files here with another configuration.{as_lines(others)}"
            "\nMove them away or delete them, and run `dvc repro` again; or have a clone for each of the two."
        )
    if unknown:
        raise Refusal(
            f"stage '{stage}' has to run, and it is not known what these files were made with: Snakemake did not make them "
            f"here, or they were changed since.{as_lines(unknown)}"
            "\nMove them away or delete them, and run `dvc repro` again. (Are they the files of dvc.lock, and parameters and "
            "code too? Then `python workflow/provenance.py restore`. Did you copy this folder? Copy with time stamps.)"
        )
    for path in unproved:
        path.unlink()
    if unproved:
        print(f"Made with something else, and in DVC's cache, so removed here:{as_lines(unproved)}", flush=True)
    for folder in own:
        folder.mkdir(parents=True, exist_ok=True)


def refuse_another_configuration() -> None:
    """Raise Refusal if Snakemake has another configuration than DVC, or it has another folder of results than dvc.yaml."""
    if not (Path(ITS_LINK).exists() and Path(CONFIG).exists()) or not Path(ITS_LINK).samefile(CONFIG):
        raise Refusal(
            f"{ITS_LINK}, which Snakemake reads, is no link to {CONFIG}, which DVC reads (an editor may have replaced it): put "
            f"what should count into {CONFIG}, then `ln -sf ../{CONFIG} {ITS_LINK}`."
        )
    folder = load_yaml(CONFIG).get("results", "results")
    if folder != "results":
        raise Refusal(f"{CONFIG} has 'results: {folder}', but the stages of dvc.yaml keep `results/`: remove that key.")


def show_edits(target: str) -> None:
    """Have Snakemake compare the bytes of code that is not that of dvc.lock: an edited file may have an old time stamp."""
    stage = target.removeprefix("all_")
    then = {dep["path"]: dep["md5"] for dep in read_stages("dvc.lock").get(stage, {}).get("deps", [])}
    for path in read_stages("dvc.yaml")[stage]["deps"]:
        if Path(path).is_file() and md5(Path(path)) != then.get(path):
            os.utime(path)


def restore(names: Iterable[str]) -> int:
    """Bring the files of dvc.lock here and tell Snakemake that they are up to date, if every hash says so."""
    refuse_another_configuration()
    stages = read_stages("dvc.yaml")
    refuse(line for name in stages for line in differences(name))  # before anything is pulled
    for path in remove_damaged():
        print(f"Damaged in the cache, so removed: {path}", flush=True)
    if subprocess.run([*DVC, "pull", *names]).returncode != 0:
        raise Refusal(
            "`dvc pull` did not bring the files, for the reason above; Snakemake was told nothing. `dvc remote list` shows "
            "where it looks; where the files were made, `dvc push` puts them there."
        )
    tell_snakemake(list(stages))
    missing = [name for name in stages if missing_files(name)]
    print("Restored; Snakemake knows." + (f" Not all is here of: {', '.join(missing)}." if missing else ""))
    return 0


def tell_snakemake(names: list[str]) -> None:
    """Have Snakemake record the files of stages as made with the present parameters and code. Raises Refusal if they are not."""
    refuse(line for name in names for line in (*differences(name), *wrong_files(name)))
    targets = [f"all_{name}" for name in names]
    touch = subprocess.run([*SNAKEMAKE, *targets, "--touch", "--forceall", "--quiet"], capture_output=True, text=True)
    if touch.returncode != 0:
        raise Refusal(f"Snakemake could not be told:\n{touch.stdout}{touch.stderr}")


def refuse(wrong: Iterable[str]) -> None:
    """Raise Refusal if there is anything wrong, a sentence each."""
    if lines := as_lines(wrong):
        raise Refusal(
            f"the files of dvc.lock were made with something else than what is here:{lines}"
            "\nUndo these changes (`git diff`, `git checkout`) and restore; change things again afterwards, and `dvc repro` "
            "makes anew what has to be."
        )


def differences(name: str) -> list[str]:
    """How a stage in dvc.lock differs from dvc.yaml, parameters that decide and the code; a sentence each."""
    stage, locked = read_stages("dvc.yaml")[name], read_stages("dvc.lock").get(name)
    if not locked:
        return [f"{name}: dvc.lock does not know it"]
    found = []
    if stage["cmd"] != locked["cmd"]:
        found.append(f"{name}: the command is '{stage['cmd']}', was '{locked['cmd']}'")
    for file, keys in ((file, keys) for entry in stage["params"] for file, keys in entry.items()):
        now, then = load_yaml(file), locked.get("params", {}).get(file, {})
        ours = flat({key: value_of(now, key) for key in keys})
        theirs = flat(then)
        for key in sorted((ours.keys() | theirs.keys()) - DECIDES_NOTHING):
            if ours.get(key) != theirs.get(key):
                found.append(f"{name}: {key} in {file} is {ours.get(key)}, was {theirs.get(key)}")
    # What an earlier stage made has the hash that its own entry says, not the one of a file that may not be here.
    made = {out["path"]: out["md5"] for other in read_stages("dvc.lock").values() for out in other["outs"]}
    then = {dep["path"]: dep["md5"] for dep in locked["deps"]}
    for path in sorted({*stage["deps"], *then}):
        now = made.get(path) or (md5(Path(path)) if Path(path).is_file() else None)
        if path not in stage["deps"] or then.get(path) != now:
            found.append(f"{name}: {path} is not the one that it was made with")
    if {str(folder) for folder in folders(stage)} != {out["path"] for out in locked["outs"]}:
        found.append(f"{name}: the folders that it makes are others")
    return found


def wrong_files(name: str) -> list[str]:
    """Files in the folders of a stage that are not, byte for byte, those of dvc.lock; a sentence each."""
    found = []
    for out in read_stages("dvc.lock").get(name, {}).get("outs", []):
        present, locked = files_in([Path(out["path"])]), locked_files(out)
        for path in present:
            if locked is None:
                found.append(
                    f"{name}: {path} cannot be proved without the list of files in the cache; restore '{name}'"
                )
            elif path not in locked:
                found.append(f"{name}: {path} is not in dvc.lock")
            elif md5(path) != locked[path]:
                found.append(f"{name}: {path} does not have the hash of dvc.lock; delete it and restore")
    return found


def missing_files(name: str) -> bool:
    """Whether files of a stage in dvc.lock are not here."""
    listings = [locked_files(out) for out in read_stages("dvc.lock")[name]["outs"]]
    return any(listing is None or not all(path.exists() for path in listing) for listing in listings)


def remove_damaged() -> list[Path]:
    """Remove what dvc.lock names from the cache, if its bytes are not those of its name, and the copies of it that are here."""
    outs = [out for stage in read_stages("dvc.lock").values() for out in stage["outs"]]
    damaged: list[Path] = []
    for out in outs:
        listing = in_cache(out["md5"])
        if listing.exists() and f"{md5(listing)}.dir" != out["md5"]:
            listing.unlink()
            damaged.append(Path(out["path"]))
    files = [item for out in outs for item in (locked_files(out) or {}).items()]
    found = {digest: md5(in_cache(digest)) for digest in {digest for _, digest in files} if in_cache(digest).exists()}
    for path, digest in files:
        if found.get(digest, digest) != digest:
            in_cache(digest).unlink(missing_ok=True)
            damaged.append(path)
            if path.exists() and md5(path) == found[digest]:
                path.unlink()
    return damaged


def is_snakemakes(path: Path) -> bool:
    """Whether Snakemake has recorded of this very file how it made it, or knows that it is incomplete and makes it anew."""
    key = urlsafe_b64encode(str(path).encode()).decode()
    if Path(".snakemake/incomplete", key).exists():
        return True
    record = Path(".snakemake/metadata", key)
    # The end of the job in the record is the file's time stamp: whoever writes the file later gives it another.
    return record.exists() and abs(json.loads(record.read_text())["endtime"] - path.stat().st_mtime) < 0.01


def outputs_of(target: str) -> set[str]:
    """Every file that the jobs for a target make, according to Snakemake."""
    summary = subprocess.run([*SNAKEMAKE, target, "--summary"], capture_output=True, text=True)
    if summary.returncode != 0:
        raise Refusal(f"Snakemake cannot plan '{target}':\n{summary.stdout}{summary.stderr}")
    return {row["output_file"] for row in csv.DictReader(summary.stdout.splitlines(), delimiter="\t")}


def read_stages(file: str) -> Stages:
    """The stages of dvc.yaml or dvc.lock; none if there is no such file."""
    return load_yaml(file)["stages"] if Path(file).exists() else {}


def folders(stage: Mapping[str, Any]) -> list[Path]:
    """The output folders of a stage of dvc.yaml."""
    return [Path(folder) for out in stage["outs"] for folder in out]


def before(stages: Stages, name: str) -> list[str]:
    """The stages from whose folders a stage takes files, directly or not, in order."""
    found = set()
    for other, stage in stages.items():
        if other != name and {str(folder) for folder in folders(stage)} & set(stages[name]["deps"]):
            found |= {other, *before(stages, other)}
    return [other for other in stages if other in found]


def files_in(places: Iterable[Path]) -> list[Path]:
    """The files below folders, without those of .dvcignore."""
    found = (path for place in places for path in place.rglob("*") if path.is_file())
    return sorted(path for path in found if not fnmatch(path.name, ".*") and not fnmatch(path.name, "state*.pt"))


def locked_files(out: Mapping[str, Any]) -> dict[Path, str] | None:
    """The files of an output folder in dvc.lock and their MD5, or None if the cache does not have the list of them."""
    listing = in_cache(out["md5"])
    if not listing.exists():
        return None
    return {Path(out["path"], entry["relpath"]): entry["md5"] for entry in json.loads(listing.read_text())}


@cache
def cache_folder() -> Path:
    """Where DVC keeps files, by their MD5."""
    folder = subprocess.run([*DVC, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    return Path(folder, "files", "md5")


def in_cache(digest: str) -> Path:
    """Path of an MD5 in DVC's cache."""
    return cache_folder() / digest[:2] / digest[2:]


def md5(path: Path) -> str:
    """MD5 of a file, as in dvc.lock: always from its bytes, while DVC itself believes time stamps."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def value_of(values: Any, key: str) -> Any:
    """The value at a dotted key."""
    for part in key.split("."):
        values = (values or {}).get(part)
    return values


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted keys."""
    return dict(_flat(values, prefix))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_lines(items: Iterable[object], most: int = 10) -> str:
    """Items, a line each, not too many."""
    lines = [f"\n  {item}" for item in items]
    return "".join(lines[:most]) + (f"\n  and {len(lines) - most} more" if len(lines) > most else "")


if __name__ == "__main__":
    sys.exit(main())
