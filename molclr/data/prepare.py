"""The steps before pre-training: from a corpus, in whatever form it comes, to its graph store."""

import csv
import json
import os
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from molclr.data.canonicalize import canonicalize
from molclr.data.featurize import featurize
from molclr.data.molecules import is_other_parquet, open_molecules
from molclr.digest import code_digest
from molclr.distributed import tell
from molclr.errors import MolclrError
from molclr.files import locked, replacing, sha256_of

TABLE, REJECTED, GRAPHS = "molecules.parquet", "rejected.csv", "graphs.safetensors"
CANONICALIZE, FEATURIZE = "canonicalize", "featurize"
"""The steps. STEP.json says what its files were made of, with their SHA-256; it is written after them."""
WRITTEN = (*(name.partition(".")[0] for name in (TABLE, REJECTED, GRAPHS)), CANONICALIZE, FEATURIZE)
"""Stems of all files that this module writes."""


def prepare_corpus(source: Path, folder: Path, smiles_column: str | None = None, processes: int | None = None) -> Path:
    """Return the path of the graph store of a corpus, made in `folder` where `source` is not one itself.

    source: a graph store; a molecule table, whose graphs become graphs.safetensors; or any table with SMILES that
    `canonicalize` reads, from which molecules.parquet (each molecule once) and rejected.csv are made first. A step whose files
    are there, whole and made from the same input by the same code, is not repeated. Other processes wait until this is done.
    processes: None for all cores. Tells on standard error what has been made, and how many rows were rejected.

    Raises MolclrError if the source is missing, or as `canonicalize` and `featurize` do.
    """
    kind = _kind_of(source)
    if kind == "graphs":
        return source
    if kind == "molecules":
        open_molecules(source).close()
    elif not source.is_file():
        raise MolclrError(f"There is no file '{source}' to pre-train on; give a table with SMILES, or a graph store.")
    processes = processes or len(os.sched_getaffinity(0))
    with locked(folder, lambda: tell(f"Another process prepares the corpus in '{folder}'; waiting for it to end.")):
        for leftover in (path for stem in WRITTEN for path in folder.glob(f".{stem}.*")):
            leftover.unlink()  # of a process that was killed while it wrote
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
        options: dict[str, Any] = {"smiles_column": smiles_column, "targets": [], "unique": True}
        canonicalize(source, table, rejected, processes=processes, **options)

    made_of = {"raw": sha256_of(source), "smiles_column": smiles_column}
    made_of |= {"code": code_digest("molclr.data.canonicalize"), "rdkit": version("rdkit")}
    _once(CANONICALIZE, folder, [TABLE, REJECTED], made_of, work)
    with closing(open_molecules(table)) as molecules, rejected.open(newline="", encoding="utf-8") as rows:
        refusals = sum(1 for _ in csv.DictReader(rows))
        tell(f"{source}: {molecules.metadata.num_rows} molecules in {table}, {refusals} rejected rows in {rejected}.")
    return table


def _kind_of(source: Path) -> Literal["graphs", "molecules", "raw"]:
    """Tell by its first bytes what a file is, or by its name what it should be."""
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
    """Do `work`, which makes `files` in `folder`, unless they are there and were made of the same."""
    path = folder / f"{step}.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    digests = record.get("sha256", {})
    whole = all((folder / name).is_file() and sha256_of(folder / name) == digests.get(name) for name in files)
    if whole and record["made_of"] == made_of:
        tell(f"{step}: nothing has changed, {' and '.join(files)} in '{folder}' are used again.")
        return
    path.unlink(missing_ok=True)
    work()
    record = {"made_of": made_of, "sha256": {name: sha256_of(folder / name) for name in files}}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
