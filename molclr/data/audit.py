"""What is in a benchmark: what was refused, repeated, contradicted or left undefined, as a table, a row a benchmark."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem

from molclr.chem.smiles import read_molecule
from molclr.data.molecules import OWN_COLUMNS, read_molecules, read_refusals
from molclr.data.subsets import SUBSETS, subset_indices
from molclr.files import write_rows
from molclr.parallel import ordered_map
from molclr.progress import progress

MOLECULES_PER_PART = 2000


@dataclass(frozen=True)
class BenchmarkFiles:
    """The files that the workflow makes of a benchmark before anything is learned from it."""

    name: str
    molecules: Path
    rejected: Path
    split: Path


def write_audit(benchmarks: Iterable[BenchmarkFiles], output: Path, processes: int = 1) -> None:
    """Write `audit` of each benchmark as a row of a CSV table."""
    write_rows(output, [audit(files, processes) for files in benchmarks])


def audit(files: BenchmarkFiles, processes: int = 1) -> dict[str, object]:
    """One benchmark in numbers.

    duplicates: molecules whose canonical SMILES stands in an earlier row. contradictions: SMILES that stand more than once,
    and with different labels of one target. undefined_stereo: molecules with a stereocentre or double bond whose
    configuration is not given. missing_labels: share of molecules x targets. positives: share of the known labels that are 1,
    if all are 0 or 1; otherwise, of a single target, mean and std in its unit.
    """
    table = read_molecules(files.molecules)
    reasons = read_refusals(files.rejected)["reason"]
    kinds = reasons.map(lambda reason: re.sub(r"\d+", "#", reason)).value_counts()
    labels = table.drop(columns=list(OWN_COLUMNS)).to_numpy(np.float64)
    known = labels[~np.isnan(labels)]
    binary = len(known) > 0 and np.isin(known, (0, 1)).all()
    single = not binary and labels.shape[1] == 1
    subsets = subset_indices(table["row"].to_numpy(), files.split)
    return {
        "benchmark": files.name,
        "rows": len(table) + len(reasons),
        "refused": len(reasons),
        "reasons": "; ".join(f"{reason}: {count}" for reason, count in sorted(kinds.items())),
        "molecules": len(table),
        "duplicates": int(table["smiles"].duplicated().sum()),
        "contradictions": contradictions(table),
        "undefined_stereo": _undefined(files.name, table["smiles"].tolist(), processes),
        "targets": labels.shape[1],
        "missing_labels": f"{np.isnan(labels).mean():.6f}",
        "positives": f"{known.mean():.6f}" if binary else "",
        "mean": f"{known.mean():.6g}" if single else "",
        "std": f"{known.std():.6g}" if single else "",
        **{subset: len(subsets[subset]) for subset in SUBSETS},
    }


def contradictions(table: pd.DataFrame) -> int:
    """How many SMILES of a molecule table have different known labels of one target."""
    repeated = table[table["smiles"].duplicated(keep=False)]
    return int((repeated.drop(columns="row").groupby("smiles").nunique() > 1).any(axis=1).sum())


def undefined_stereo(smiles: Iterable[str]) -> int:
    """How many of the molecules have a stereocentre or double bond that could be one of two and is not said to be either."""
    unspecified = Chem.StereoSpecified.Unspecified
    return sum(
        any(element.specified == unspecified for element in Chem.FindPotentialStereo(read_molecule(text)))
        for text in smiles
    )


def _undefined(name: str, smiles: list[str], processes: int) -> int:
    parts = [smiles[first : first + MOLECULES_PER_PART] for first in range(0, len(smiles), MOLECULES_PER_PART)]
    return sum(progress(ordered_map(undefined_stereo, parts, processes), len(parts), f"audit {name}", "part"))
