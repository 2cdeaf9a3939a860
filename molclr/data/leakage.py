"""Test molecules in the pre-training corpus: how many of each benchmark there are, and a corpus without them.

Of a corpus of any size only the test molecules are held in memory: it is read in parts, and compared part by part.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem

from molclr.chem.scaffold import scaffold_smiles
from molclr.chem.smiles import read_molecule
from molclr.data.audit import BenchmarkFiles
from molclr.data.molecules import Refusal, open_molecules, read_molecules
from molclr.data.subsets import subset_indices
from molclr.files import replacing, write_rows
from molclr.parallel import ordered_map
from molclr.progress import progress

MOLECULES_PER_PART = 2000
Likeness = Literal["molecules", "scaffolds"]
Result = TypeVar("Result")


class Likened(NamedTuple):
    """A molecule, and what it may have in common with others."""

    row: int
    smiles: str
    flat: str
    """Canonical SMILES without stereochemistry and isotopes."""
    scaffold: str
    """Bemis-Murcko scaffold; empty if there is no ring."""


class Likenesses(NamedTuple):
    """What some molecules may have in common with others: see `Likened`."""

    molecules: frozenset[str]
    scaffolds: frozenset[str]


def measure_leakage(
    benchmarks: Iterable[BenchmarkFiles], corpus: Path, output: Path, leaked: Path, processes: int
) -> None:
    """Write how many test molecules of each benchmark the corpus, a molecule table, has, and those molecules (CSV).

    `output` has a row a benchmark: test_molecules, in_corpus (the molecule itself), scaffold_in_corpus, and acyclic, the test
    molecules that have no scaffold and so cannot share one. `leaked` has benchmark,row,smiles,in_corpus,scaffold_in_corpus.
    """
    tests = {files.name: read_tests(files) for files in benchmarks}
    wanted = likenesses(molecule for molecules in tests.values() for molecule in molecules)
    found_molecules: set[str] = set()
    found_scaffolds: set[str] = set()
    for part in _scan(corpus, partial(_found, wanted=wanted), "leakage", processes):
        found_molecules |= part.molecules
        found_scaffolds |= part.scaffolds

    rows, leaks = [], []
    for name, molecules in tests.items():
        hits = [(one.flat in found_molecules, one.scaffold in found_scaffolds) for one in molecules]
        rows.append(
            {
                "benchmark": name,
                "test_molecules": len(molecules),
                "in_corpus": sum(itself for itself, _ in hits),
                "scaffold_in_corpus": sum(scaffold for _, scaffold in hits),
                "acyclic": sum(not one.scaffold for one in molecules),
            }
        )
        leaks += [
            (name, one.row, one.smiles, *map(int, hit)) for one, hit in zip(molecules, hits, strict=True) if any(hit)
        ]
    write_rows(output, rows)
    with replacing(leaked) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["benchmark", "row", "smiles", "in_corpus", "scaffold_in_corpus"])
        writer.writerows(leaks)


def exclude(
    benchmarks: Iterable[BenchmarkFiles], corpus: Path, likeness: Likeness, output: Path, rejected: Path, processes: int
) -> tuple[int, int]:
    """Write the corpus without what is like a test molecule, and what that was (`row,smiles,reason`); return how many of each.

    likeness: molecules, the test molecules themselves; scaffolds, also every molecule with the scaffold of one.
    """
    wanted = likenesses(molecule for files in benchmarks for molecule in read_tests(files))
    if likeness == "molecules":
        wanted = wanted._replace(scaffolds=frozenset())
    source = open_molecules(corpus)
    kept = dropped = 0
    with (
        replacing(output) as path,
        replacing(rejected) as rejected_path,
        pq.ParquetWriter(path, source.schema_arrow, compression="zstd", use_dictionary=False) as table,
        rejected_path.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Refusal._fields)
        reasons = _scan(corpus, partial(_reasons, wanted=wanted), "exclude", processes)
        for part, why in zip(source.iter_batches(MOLECULES_PER_PART), reasons, strict=True):
            refused = [bool(reason) for reason in why]
            table.write_batch(part.filter(pa.array([not is_refused for is_refused in refused])))
            rows, smiles = part.column("row").to_pylist(), part.column("smiles").to_pylist()
            writer.writerows(Refusal(*entry) for entry in zip(rows, smiles, why, strict=True) if entry[2])
            dropped += sum(refused)
            kept += len(refused) - sum(refused)
    return kept, dropped


def read_tests(files: BenchmarkFiles) -> list[Likened]:
    """The test molecules of a benchmark."""
    table = read_molecules(files.molecules)
    test = table.iloc[subset_indices(table["row"].to_numpy(), files.split)["test"]]
    return [liken(smiles, row) for row, smiles in zip(test["row"].tolist(), test["smiles"].tolist(), strict=True)]


def liken(smiles: str, row: int = -1) -> Likened:
    """A molecule with what it may have in common with others."""
    molecule = read_molecule(smiles)
    scaffold = scaffold_smiles(molecule)
    if any(atom.GetIsotope() for atom in molecule.GetAtoms()):
        for atom in molecule.GetAtoms():
            atom.SetIsotope(0)
        molecule = Chem.RemoveHs(molecule)  # Deuterium was an atom of its own.
    return Likened(row, smiles, Chem.MolToSmiles(molecule, isomericSmiles=False), scaffold)


def likenesses(molecules: Iterable[Likened]) -> Likenesses:
    """What molecules may have in common with others; to have no ring is not to have a scaffold in common."""
    flat, scaffolds = zip(*((one.flat, one.scaffold) for one in molecules), strict=True)
    return Likenesses(frozenset(flat), frozenset(scaffolds) - {""})


def _scan(corpus: Path, work: Callable[[list[str]], Result], label: str, processes: int) -> Iterator[Result]:
    """Yield `work` on the SMILES of each part of the corpus, in order."""
    table = open_molecules(corpus)
    smiles = (part.column("smiles").to_pylist() for part in table.iter_batches(MOLECULES_PER_PART, columns=["smiles"]))
    total = -(-table.metadata.num_rows // MOLECULES_PER_PART)
    yield from progress(ordered_map(work, smiles, processes), total, label, "part")


def _found(smiles: list[str], wanted: Likenesses) -> Likenesses:
    """What of `wanted` is among these molecules."""
    found = likenesses(map(liken, smiles))
    return Likenesses(found.molecules & wanted.molecules, found.scaffolds & wanted.scaffolds)


def _reasons(smiles: list[str], wanted: Likenesses) -> list[str]:
    """Why each molecule is left out; empty if it is not."""
    reasons = []
    for one in map(liken, smiles):
        if one.flat in wanted.molecules:
            reasons.append("a test molecule")
        else:
            reasons.append("the scaffold of a test molecule" if one.scaffold in wanted.scaffolds else "")
    return reasons
