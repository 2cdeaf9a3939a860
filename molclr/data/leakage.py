"""Leakage of test molecules into the pre-training corpus: counts for each benchmark, and a corpus without them.

The corpus is read in parts, so memory use depends only on the number of test molecules.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem

from molclr.chem.scaffold import scaffold_smiles
from molclr.chem.smiles import read_molecule
from molclr.config import Exclusion
from molclr.data.molecules import MOLECULES_PER_PART, BenchmarkFiles, Rejection, open_molecules, read_molecules
from molclr.data.subsets import subset_indices
from molclr.files import replacing, write_rows
from molclr.parallel import ordered_map
from molclr.progress import progress

Result = TypeVar("Result")


class ComparedMolecule(NamedTuple):
    """A molecule with the keys by which it is compared with others."""

    row: int
    smiles: str
    flat: str
    """Canonical SMILES without stereochemistry and isotopes."""
    scaffold: str
    """Bemis-Murcko scaffold; empty if there is no ring."""


class Keys(NamedTuple):
    """The keys of a set of molecules, without empty scaffolds; see `ComparedMolecule`."""

    molecules: frozenset[str]
    scaffolds: frozenset[str]


def measure_leakage(
    benchmarks: Iterable[BenchmarkFiles], corpus: Path, output: Path, leaked: Path, processes: int
) -> None:
    """Count the test molecules of each benchmark that occur in the corpus, a molecule table, and list them (CSV).

    `output` has one row per benchmark: test_molecules, in_corpus (the molecule itself), scaffold_in_corpus, and acyclic (test
    molecules without a scaffold). `leaked` has benchmark,row,smiles,in_corpus,scaffold_in_corpus.
    """
    tests = {files.name: read_tests(files) for files in benchmarks}
    wanted = keys_of(molecule for molecules in tests.values() for molecule in molecules)
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
    benchmarks: Iterable[BenchmarkFiles],
    corpus: Path,
    exclusion: Exclusion,
    output: Path,
    rejected: Path,
    processes: int,
) -> tuple[int, int]:
    """Write the corpus without test molecules, and a table of the excluded molecules; return the numbers of both.

    exclusion: "molecules" excludes the test molecules themselves; "scaffolds" excludes all molecules with the scaffold of a test
    molecule, too. `rejected` (CSV) has row,smiles,reason.
    """
    wanted = keys_of(molecule for files in benchmarks for molecule in read_tests(files))
    if exclusion == "molecules":
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
        writer.writerow(Rejection._fields)
        reasons = _scan(corpus, partial(_reasons, wanted=wanted), "exclude", processes)
        for part, why in zip(source.iter_batches(MOLECULES_PER_PART), reasons, strict=True):
            accepted = [not reason for reason in why]
            table.write_batch(part.filter(pa.array(accepted)))
            rows, smiles = part.column("row").to_pylist(), part.column("smiles").to_pylist()
            writer.writerows(Rejection(*entry) for entry in zip(rows, smiles, why, strict=True) if entry[2])
            kept += sum(accepted)
            dropped += len(accepted) - sum(accepted)
    return kept, dropped


def read_tests(files: BenchmarkFiles) -> list[ComparedMolecule]:
    """Read the test molecules of a benchmark."""
    table = read_molecules(files.molecules)
    test = table.iloc[subset_indices(table["row"].to_numpy(), files.split)["test"]]
    return [compared(smiles, row) for row, smiles in zip(test["row"].tolist(), test["smiles"].tolist(), strict=True)]


def compared(smiles: str, row: int = -1) -> ComparedMolecule:
    """Compute the keys of a molecule."""
    molecule = read_molecule(smiles)
    scaffold = scaffold_smiles(molecule)
    if any(atom.GetIsotope() for atom in molecule.GetAtoms()):
        for atom in molecule.GetAtoms():
            atom.SetIsotope(0)
        molecule = Chem.RemoveHs(molecule)  # Deuterium was an explicit atom.
    return ComparedMolecule(row, smiles, Chem.MolToSmiles(molecule, isomericSmiles=False), scaffold)


def keys_of(molecules: Iterable[ComparedMolecule]) -> Keys:
    """Collect the keys of molecules. Acyclic molecules have no scaffold in common."""
    flat, scaffolds = zip(*((one.flat, one.scaffold) for one in molecules), strict=True)
    return Keys(frozenset(flat), frozenset(scaffolds) - {""})


def _scan(corpus: Path, work: Callable[[list[str]], Result], label: str, processes: int) -> Iterator[Result]:
    """Apply `work` to the SMILES of each part of the corpus, in order."""
    table = open_molecules(corpus)
    smiles = (part.column("smiles").to_pylist() for part in table.iter_batches(MOLECULES_PER_PART, columns=["smiles"]))
    total = -(-table.metadata.num_rows // MOLECULES_PER_PART)
    yield from progress(ordered_map(work, smiles, processes), total, label, "part")


def _found(smiles: list[str], wanted: Keys) -> Keys:
    """Find the keys in `wanted` that these molecules have."""
    found = keys_of(map(compared, smiles))
    return Keys(found.molecules & wanted.molecules, found.scaffolds & wanted.scaffolds)


def _reasons(smiles: list[str], wanted: Keys) -> list[str]:
    """Return the reason why each molecule is excluded; empty if it is kept."""
    reasons = []
    for one in map(compared, smiles):
        if one.flat in wanted.molecules:
            reasons.append("a test molecule")
        else:
            reasons.append("the scaffold of a test molecule" if one.scaffold in wanted.scaffolds else "")
    return reasons
