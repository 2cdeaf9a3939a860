"""The steps before pre-training: conversion of a corpus in any form to its graph store."""

import csv
import json
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.featurize import featurize
from molclr.data.molecules import is_other_parquet, open_molecules
from molclr.digest import code_digest
from molclr.errors import MolclrError
from molclr.files import locked, replacing, sha256_of
from molclr.parallel import available_cores
from molclr.progress import counted, say

TABLE, REJECTED, GRAPHS = "molecules.parquet", "rejected.csv", "graphs.safetensors"
CANONICALIZE, FEATURIZE = "canonicalize", "featurize"
"""The steps. STEP.json records the inputs of a step and the SHA-256 of its files; it is written after them."""
WRITTEN = (*(name.partition(".")[0] for name in (TABLE, REJECTED, GRAPHS)), CANONICALIZE, FEATURIZE)
"""Stems of all files that this module writes."""


def prepare_corpus(source: Path, folder: Path, smiles_column: str | None = None, processes: int | None = None) -> Path:
    """Return the path of the graph store of a corpus, which is made in `folder` unless `source` is one.

    source: a graph store; a molecule table, whose graphs are written to graphs.safetensors; or any table with SMILES that
    `canonicalize` reads, from which molecules.parquet (each molecule once) and rejected.csv are made first. A step is not
    repeated if its files are intact and were made from the same input by the same code. Other processes wait until the steps are
    done. processes: None for all cores. Reports on standard error what was made, and how many rows were rejected.

    Raises MolclrError if the source is missing, and the errors of `canonicalize` and `featurize`.
    """
    kind = _kind_of(source)
    if kind == "graphs":
        return source
    if kind == "molecules":
        open_molecules(source).close()
    elif not source.is_file():
        raise MolclrError(f"There is no file '{source}' to pre-train on; give a table with SMILES, or a graph store.")
    processes = processes or available_cores()
    with locked(folder, lambda: say(f"Another process is preparing the corpus in '{folder}'; waiting for it.")):
        for leftover in (path for stem in WRITTEN for path in folder.glob(f".{stem}.*")):
            leftover.unlink()  # temporary files of a killed process
        table = source if kind == "molecules" else _canonicalized(source, folder, smiles_column, processes)
        _once(
            FEATURIZE,
            folder,
            [GRAPHS],
            {"molecules": sha256_of(table), "code": code_digest("molclr.data.featurize"), "rdkit": version("rdkit")},
            lambda: featurize(table, folder / GRAPHS, processes=processes),
        )
    return folder / GRAPHS


def _canonicalized(source: Path, folder: Path, smiles_column: str | None, processes: int) -> Path:
    """Return the path of the molecule table of a raw table."""
    table, rejected = folder / TABLE, folder / REJECTED

    def work() -> None:
        selection = Selection(smiles_column, targets=[], unique=True)
        canonicalize(source, table, rejected, selection, processes=processes, advise=False)

    made_of = {"raw": sha256_of(source), "smiles_column": smiles_column}
    made_of |= {"code": code_digest("molclr.data.canonicalize"), "rdkit": version("rdkit")}
    _once(CANONICALIZE, folder, [TABLE, REJECTED], made_of, work)
    with closing(open_molecules(table)) as molecules, rejected.open(newline="", encoding="utf-8") as rows:
        rejections = sum(1 for _ in csv.DictReader(rows))
        accepted = counted(molecules.metadata.num_rows, "molecule")
        say(f"{source}: {accepted} in {table}, {counted(rejections, 'rejected row')} in {rejected}.")
    return table


def _kind_of(source: Path) -> Literal["graphs", "molecules", "raw"]:
    """Return the kind of a file by its first bytes, or of a missing one by its suffix."""
    start, size = b"", 0
    if source.is_file():
        with source.open("rb") as file:
            start, size = file.read(9), source.stat().st_size
    if start[:4] == b"PAR1":
        return "raw" if is_other_parquet(source) else "molecules"
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < size:
        return "graphs"
    suffixes: dict[str, Literal["graphs", "molecules"]] = {".safetensors": "graphs", ".parquet": "molecules"}
    return suffixes.get(source.suffix, "raw")


def _once(step: str, folder: Path, files: list[str], made_of: dict[str, str | None], work: Callable[[], None]) -> None:
    """Run `work`, which makes `files` in `folder`, unless they are intact and were made from the same inputs."""
    path = folder / f"{step}.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    digests = record.get("sha256", {})
    whole = all((folder / name).is_file() and sha256_of(folder / name) == digests.get(name) for name in files)
    if whole and record["made_of"] == made_of:
        say(f"{step}: nothing has changed; using {' and '.join(files)} in '{folder}' again.")
        return
    path.unlink(missing_ok=True)
    work()
    record = {"made_of": made_of, "sha256": {name: sha256_of(folder / name) for name in files}}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
