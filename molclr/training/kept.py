"""Copies of pre-training runs in FOLDER/kept, which later runs do not overwrite.

kept/IDENTITY/              the files of a finished run, which remain when those in FOLDER are replaced
kept/unfinished-.../        the checkpoints of an abandoned run

The identity of a run is everything that determines its weights: corpus, code and settings.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from molclr.config import EncoderShape, Pretrain
from molclr.digest import bytes_digest, code_digest
from molclr.distributed import processes, rank
from molclr.files import replacing, sha256_of
from molclr.imports import modules_of
from molclr.model_names import EncoderName
from molclr.progress import say

WEIGHTS_AND_HISTORY = ("encoder.safetensors", "last.safetensors", "history.csv")
RECORD = "run.json"
"""The identity of a finished run and the SHA-256 of its files; written last."""
COMPUTED_ON = ("device", "threads")
"""Keys of an identity that affect only rounding: an unfinished run can continue with other values."""


def run_identity(
    graphs: Path, name: EncoderName, shape: EncoderShape, settings: Pretrain, device: torch.device
) -> dict[str, Any]:
    """Return everything that determines the weights of a run, exactly on one kind of processor."""
    own = modules_of([name, *settings.functions()])
    identity: dict[str, Any] = {"corpus": sha256_of(graphs), "code": code_digest("molclr.training.pretrain", *own)}
    identity |= {"torch": str(torch.__version__), "encoder": name}
    identity["processes"] = processes()  # Sums over processes are rounded differently.
    return identity | shape.model_dump() | settings.model_dump() | {"device": device.type}


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Describe the first difference that prevents the run `before` from continuing as `now`; empty if there is none."""
    differing = (key for key in now if key not in COMPUTED_ON and before.get(key) != now[key])
    return next((f"{key} = {before.get(key)}, now it is {now[key]}" for key in differing), "")


def keep_finished(folder: Path, identity: dict[str, Any]) -> None:
    """Write run.json of the finished run in `folder`, and copy its files to FOLDER/kept."""
    record = {"identity": identity, "sha256": {name: sha256_of(folder / name) for name in WEIGHTS_AND_HISTORY}}
    with replacing(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    for name in (*WEIGHTS_AND_HISTORY, RECORD):
        _copy(folder / name, _finished(folder, identity) / name)


def take_finished(folder: Path, identity: dict[str, Any]) -> bool:
    """Restore the kept files of a finished run with the same identity; return whether there was one.

    A damaged copy is ignored and left in place.
    """
    kept = _finished(folder, identity)
    if not (kept / RECORD).exists():
        return False
    digests = json.loads((kept / RECORD).read_text())["sha256"]
    if any(not (kept / name).exists() or sha256_of(kept / name) != digests[name] for name in WEIGHTS_AND_HISTORY):
        say(f"The kept copy of this run in '{kept}' is damaged; training starts again.")
        return False
    say(f"This run is already finished; its files are restored from '{kept}'. Delete that folder to train again.")
    if rank() == 0:
        for name in (*WEIGHTS_AND_HISTORY, RECORD):
            _copy(kept / name, folder / name)
    return True


def place_of_unfinished(checkpoints: Iterable[Path], identity: dict[str, Any] | None) -> Path:
    """Return the folder for the checkpoints of an abandoned run; its identity is None if the checkpoints are damaged."""
    paths = [path for path in checkpoints if path.exists()]
    content = bytes_digest(b"".join(path.read_bytes() for path in paths))
    label = identity_digest(identity) if identity else "damaged"
    return paths[0].parent / "kept" / f"unfinished-{label}-{content[:6]}"


def keep_unfinished(checkpoints: Iterable[Path], place: Path) -> None:
    """Move the checkpoints of a run to `place`."""
    place.mkdir(parents=True, exist_ok=True)
    for path in checkpoints:
        if path.exists():
            path.replace(place / path.name)


def identity_digest(identity: dict[str, Any]) -> str:
    """Return a digest of an identity."""
    return bytes_digest(json.dumps(identity, sort_keys=True).encode())


def _finished(folder: Path, identity: dict[str, Any]) -> Path:
    return folder / "kept" / identity_digest(identity)


def _copy(source: Path, target: Path) -> None:
    """Copy a file. It is not a hard link, because DVC would replace that by a copy, which Snakemake takes for a change."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
