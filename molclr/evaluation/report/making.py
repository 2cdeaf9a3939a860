"""How a run was made: its configuration, versions, code, machine, and the cost of its steps."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molclr import __version__
from molclr.config import Section
from molclr.digest import PACKAGE, code_digest
from molclr.parallel import available_cores

STEPS = {
    "fetch": r"data/raw/",
    "canonicalize": r"data/molecules/",
    "split": r"data/splits/",
    "featurize": r"data/graphs/",
    "pre-train": r"/pretrain/",
    "embed": r"/embeddings/|/maps/.*\.embed\.tsv",
    "fine-tune": r"/runs/[^/]+/(?!RF/|SVM)",
    "baselines": r"/runs/[^/]+/(RF/|SVM)",
    "tables": r"/tables/",
    "maps": r"/maps/",
    "figures": r"/figures/",
}
"""Step -> pattern of the paths of its records in logs/."""


@dataclass(frozen=True)
class Making:
    """How a run was made, as far as it is known."""

    code: list[tuple[str, str]]
    machine: list[tuple[str, str]]
    configuration: pd.DataFrame
    """Keys that differ from the defaults: key, value, default."""
    seeds: str
    steps: pd.DataFrame | None
    """Cost of all jobs of a step; None if it is not recorded."""
    versions: dict[str, str]


def making_of(sections: Sequence[Section], seeds: str = "", cost: pd.DataFrame | None = None) -> Making:
    """Describe how a run with these sections of the configuration was made; cost: that of `steps`."""
    rows = []
    for given in sections:
        defaults = type(given).model_construct().model_dump(warnings=False)
        rows += list(_differences(given.model_dump(), defaults, ""))
    configuration = pd.DataFrame(rows, columns=["key", "value", "default"])
    return Making(code(), machine(), configuration, seeds, cost, versions())


def _differences(given: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, value in given.items():
        default = defaults.get(name, "")
        if isinstance(value, dict) and isinstance(default, dict):
            yield from _differences(value, default, f"{prefix}{name}.")
        elif value != default:
            yield f"{prefix}{name}", _shown(value), _shown(default)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "null" if value is None else str(value)


def steps(logs: Path | None, results: Path) -> pd.DataFrame | None:
    """Sum up the records of the jobs of a run, which Snakemake wrote to a folder next to `results`; None if there are none."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in STEPS}
    for path in _records(logs, results) if logs else []:
        name = next((name for name, pattern in STEPS.items() if re.search(pattern, path.as_posix())), None)
        if name:
            row = pd.read_csv(path, sep="\t", na_values="-").iloc[0]
            found[name].append((float(row["s"]), float(row["max_rss"])))
    rows = []
    for name, jobs in found.items():
        if jobs:
            seconds, memory = zip(*jobs, strict=True)
            rows.append((name, len(jobs), round(sum(seconds)), round(max(seconds)), np.nanmax(memory).round()))
    columns = ["step", "jobs", "seconds of all jobs", "seconds of the longest", "largest memory, MB"]
    return pd.DataFrame(rows, columns=columns) if rows else None


def _records(logs: Path, results: Path) -> list[Path]:
    """List the records of the data and of one folder of results, which may have other folders of results in it."""
    own = logs / os.path.relpath(results, logs.parent)
    folders = [logs / "data", *(own / name for name in ("pretrain", "embeddings", "runs", "tables", "maps", "figures"))]
    return sorted(path for folder in folders for path in folder.rglob("*.tsv"))


@cache
def versions() -> dict[str, str]:
    """Return library -> version of all installed libraries, sorted by name."""
    metadata = [each.metadata for each in distributions()]
    found = {each["Name"]: each["Version"] for each in metadata if each["Name"]}
    found["molclr"] = __version__
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def code() -> list[tuple[str, str]]:
    """Return the version of the code: commit and whether files differ from it, and the digest that decides what runs again."""
    digest = code_digest("molclr.training.pretrain", "molclr.training.finetune", "molclr.evaluation.tables")
    rows = [("MolCLR", __version__)]
    if commit := _git("rev-parse", "HEAD"):
        changed = " and changes that are not committed" if _git("status", "--porcelain", "--untracked-files=no") else ""
        rows.append(("commit", f"{commit}{changed}"))
    return [*rows, ("digest of the code", digest)]


def _git(*arguments: str) -> str:
    """Return the output of git about the repository of this package; empty if the package is not in one."""
    if not (PACKAGE.parent / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(PACKAGE.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine() -> list[tuple[str, str]]:
    """Describe the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("processor", _processor()),
        ("cores", str(available_cores())),
        ("memory", f"{memory:.0f} GiB"),
    ]


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
