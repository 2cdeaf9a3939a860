"""What a run of pre-training leaves so that no other one can destroy it: copies in FOLDER/kept, by what decided them.

kept/IDENTITY/              the files of a finished run, as hard links: they stay when the files in FOLDER are replaced
kept/unfinished-.../        the checkpoints of a run that was given up
"""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.digest import bytes_digest, code_digest
from molclr.distributed import processes, rank, tell
from molclr.files import replacing, sha256_of
from molclr.imports import modules_of

WEIGHTS_AND_HISTORY = ("encoder.safetensors", "last.safetensors", "history.csv")
RECORD = "run.json"
"""What decided a finished run, on what it was computed, and the SHA-256 of its files; written after them."""
COMPUTED_ON = ("device", "threads")
"""Parts of an identity that decide the last digits only: an unfinished run may continue with others."""


def identity(
    graphs: Path, name: EncoderName, shape: EncoderShape, settings: Pretrain, device: torch.device
) -> dict[str, Any]:
    """Return what decides the weights of a run, to the last digit on one kind of processor."""
    own = modules_of([name, *settings.functions()])
    decides: dict[str, Any] = {"corpus": sha256_of(graphs), "code": code_digest("molclr.training.pretrain", *own)}
    decides |= {"torch": str(torch.__version__), "encoder": name}
    decides["processes"] = processes()  # Sums over them depend on it in the last digit.
    return decides | shape.model_dump() | settings.model_dump() | {"device": device.type}


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Describe the first key that forbids that the run `before` continues as `now`; empty if there is none."""
    differing = (key for key in now if key not in COMPUTED_ON and before.get(key) != now[key])
    return next((f"{key} = {before.get(key)}, now it is {now[key]}" for key in differing), "")


def keep_finished(folder: Path, decided_by: dict[str, Any]) -> None:
    """Write run.json of the finished run in `folder`, and keep its files."""
    record = {"identity": decided_by, "sha256": {name: sha256_of(folder / name) for name in WEIGHTS_AND_HISTORY}}
    with replacing(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    for name in (*WEIGHTS_AND_HISTORY, RECORD):
        _link(folder / name, _finished(folder, decided_by) / name)


def take_finished(folder: Path, decided_by: dict[str, Any]) -> bool:
    """Put the files of a kept run into `folder` if one was decided by the same; return whether there was one.

    A copy that is damaged is left where it is, and does not count.
    """
    kept = _finished(folder, decided_by)
    if not (kept / RECORD).exists():
        return False
    digests = json.loads((kept / RECORD).read_text())["sha256"]
    if any(not (kept / name).exists() or sha256_of(kept / name) != digests[name] for name in WEIGHTS_AND_HISTORY):
        tell(f"The finished run in '{kept}' is damaged, so this one begins.")
        return False
    tell(f"Nothing differs from the finished run in '{kept}': its files are taken. Delete that folder to train again.")
    if rank() == 0:
        for name in (*WEIGHTS_AND_HISTORY, RECORD):
            _link(kept / name, folder / name)
            os.utime(folder / name)  # Snakemake compares time stamps with those of the inputs.
    return True


def place_of_unfinished(checkpoints: Iterable[Path], decided_by: dict[str, Any] | None) -> Path:
    """Name the folder in which the checkpoints of a run can be kept; None: they are damaged and do not say what decided them."""
    paths = [path for path in checkpoints if path.exists()]
    content = bytes_digest(b"".join(path.read_bytes() for path in paths))
    label = identity_digest(decided_by) if decided_by else "damaged"
    return paths[0].parent / "kept" / f"unfinished-{label}-{content[:6]}"


def keep_unfinished(checkpoints: Iterable[Path], place: Path) -> None:
    """Move the checkpoints of a run to `place`."""
    place.mkdir(parents=True, exist_ok=True)
    for path in checkpoints:
        if path.exists():
            path.replace(place / path.name)


def identity_digest(decided_by: dict[str, Any]) -> str:
    """Digest an identity."""
    return bytes_digest(json.dumps(decided_by, sort_keys=True).encode())


def _finished(folder: Path, decided_by: dict[str, Any]) -> Path:
    return folder / "kept" / identity_digest(decided_by)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
