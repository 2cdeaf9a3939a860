"""Audit of benchmarks: rejected rows, duplicates, conflicting labels and undefined stereochemistry."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem

from molclr.chem.smiles import read_molecule
from molclr.data.molecules import MOLECULES_PER_PART, OWN_COLUMNS, BenchmarkFiles, read_molecules, read_rejections
from molclr.data.subsets import SUBSETS, subset_indices
from molclr.files import write_rows
from molclr.parallel import ordered_map
from molclr.progress import progress


def write_audit(benchmarks: Iterable[BenchmarkFiles], output: Path, processes: int = 1) -> None:
    """Write the `audit` of each benchmark as one row of a CSV table."""
    write_rows(output, [audit(files, processes) for files in benchmarks])


def audit(files: BenchmarkFiles, processes: int = 1) -> dict[str, object]:
    """Count the problems of a benchmark.

    rows: rows of the raw table. rejected: rejected rows, with their `reasons`. molecules: accepted rows. duplicates: molecules
    whose canonical SMILES occurs in an earlier row. conflicting_labels: SMILES that occur more than once with different labels of
    a target. undefined_stereo: molecules with a stereocentre or double bond whose configuration is not given. missing_labels:
    fraction of molecules x targets. positives: fraction of the known labels that are 1, if all are 0 or 1; otherwise mean and
    std of the labels, for a single target. split: the name of the split file without that of the molecule table; in the workflow
    the scheme and its seed. train, valid, test: numbers of molecules.
    """
    table = read_molecules(files.molecules)
    reasons = read_rejections(files.rejected)["reason"]
    kinds = reasons.map(lambda reason: re.sub(r"\d+", "#", reason)).value_counts()
    subsets = subset_indices(table["row"].to_numpy(), files.split)
    return {
        "benchmark": files.name,
        "rows": len(table) + len(reasons),
        "rejected": len(reasons),
        "reasons": "; ".join(f"{reason}: {count}" for reason, count in sorted(kinds.items())),
        "molecules": len(table),
        "duplicates": int(table["smiles"].duplicated().sum()),
        "conflicting_labels": conflicting_labels(table),
        "undefined_stereo": _undefined(files.name, table["smiles"].tolist(), processes),
        **_label_statistics(table.drop(columns=list(OWN_COLUMNS)).to_numpy(np.float64)),
        "split": files.split.stem.removeprefix(f"{files.molecules.stem}."),
        **{subset: len(subsets[subset]) for subset in SUBSETS},
    }


def _label_statistics(labels: np.ndarray) -> dict[str, object]:
    """Return the entries of `audit` about labels, float64 (molecules, targets), NaN where missing."""
    known = labels[~np.isnan(labels)]
    binary = len(known) > 0 and np.isin(known, (0, 1)).all()
    single = not binary and labels.shape[1] == 1
    return {
        "targets": labels.shape[1],
        "missing_labels": f"{np.isnan(labels).mean():.6f}",
        "positives": f"{known.mean():.6f}" if binary else "",
        "mean": f"{known.mean():.6g}" if single else "",
        "std": f"{known.std():.6g}" if single else "",
    }


def conflicting_labels(table: pd.DataFrame) -> int:
    """Count the SMILES of a molecule table that have different known labels of the same target."""
    repeated = table[table["smiles"].duplicated(keep=False)]
    return int((repeated.drop(columns="row").groupby("smiles").nunique() > 1).any(axis=1).sum())


def undefined_stereo(smiles: Iterable[str]) -> int:
    """Count the molecules with a stereocentre or double bond whose configuration is not specified."""
    unspecified = Chem.StereoSpecified.Unspecified
    return sum(
        any(element.specified == unspecified for element in Chem.FindPotentialStereo(read_molecule(text)))
        for text in smiles
    )


def _undefined(name: str, smiles: list[str], processes: int) -> int:
    parts = [smiles[first : first + MOLECULES_PER_PART] for first in range(0, len(smiles), MOLECULES_PER_PART)]
    return sum(progress(ordered_map(undefined_stereo, parts, processes), len(parts), f"audit {name}", "part"))
