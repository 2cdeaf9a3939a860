"""Leakage of test molecules into the pre-training corpus: counts for each benchmark, and a corpus without them.

Molecules are compared without stereochemistry and isotopes, but with charges, tautomers and counter-ions: a salt and its free
acid, or two tautomers, are different molecules. The option --desalt of 'molclr canonicalize' removes counter-ions and their
charges, but does not standardize tautomers.

The corpus is read in parts, so memory use depends only on the number of test molecules.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem

from molclr.chem.scaffold import scaffold_smiles
from molclr.chem.seen import features_of
from molclr.chem.smiles import read_molecule
from molclr.config import Exclusion
from molclr.data.molecules import MOLECULES_PER_PART, BenchmarkFiles, Rejection, open_molecules, read_molecules
from molclr.data.subsets import subset_indices
from molclr.files import csv_writer, replacing, write_rows
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
    features: frozenset[str]
    """See `features_of`."""


class Keys(NamedTuple):
    """The keys and features of a set of molecules, without empty scaffolds; see `ComparedMolecule`."""

    molecules: frozenset[str]
    scaffolds: frozenset[str]
    features: frozenset[str]

    def shared_with(self, molecule: ComparedMolecule) -> tuple[bool, bool]:
        """Return whether the molecule itself and whether its scaffold is among the keys."""
        return molecule.flat in self.molecules, molecule.scaffold in self.scaffolds


def measure_leakage(
    benchmarks: Iterable[BenchmarkFiles], corpus: Path, output: Path, leaked: Path, processes: int
) -> None:
    """Count the test molecules of each benchmark that occur in the corpus, a molecule table, and list them (CSV).

    `output` has one row per benchmark: test_molecules, in_corpus (the molecule itself), scaffold_in_corpus, acyclic (test
    molecules without a scaffold), and unseen_features (those with an element, a charge, a stereocentre or bond directions that no
    molecule of the corpus has). `leaked` has benchmark,row,smiles,in_corpus,scaffold_in_corpus.
    """
    tests = {files.name: read_tests(files) for files in benchmarks}
    found = _keys_in(corpus, keys_of(chain.from_iterable(tests.values())), processes)
    write_rows(output, [_overlap(name, molecules, found) for name, molecules in tests.items()])
    with replacing(leaked) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv_writer(file)
        writer.writerow(["benchmark", "row", "smiles", "in_corpus", "scaffold_in_corpus"])
        for name, molecules in tests.items():
            for one in molecules:
                if any(shared := found.shared_with(one)):
                    writer.writerow([name, one.row, one.smiles, *map(int, shared)])


def _overlap(name: str, molecules: Sequence[ComparedMolecule], found: Keys) -> dict[str, object]:
    """Return the row of a benchmark in the table of `measure_leakage`. found: keys of the corpus."""
    shared = [found.shared_with(one) for one in molecules]
    return {
        "benchmark": name,
        "test_molecules": len(molecules),
        "in_corpus": sum(itself for itself, _ in shared),
        "scaffold_in_corpus": sum(scaffold for _, scaffold in shared),
        "acyclic": sum(not one.scaffold for one in molecules),
        "unseen_features": sum(not one.features <= found.features for one in molecules),
    }


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
    with replacing(output) as kept, replacing(rejected) as excluded:
        return _separate(corpus, wanted, kept, excluded, processes)


def _separate(corpus: Path, wanted: Keys, output: Path, rejected: Path, processes: int) -> tuple[int, int]:
    """Write the molecules of the corpus without and with keys in `wanted`; return the numbers of both."""
    source = open_molecules(corpus)
    kept = dropped = 0
    with (
        pq.ParquetWriter(output, source.schema_arrow, compression="zstd", use_dictionary=False) as table,
        rejected.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv_writer(file)
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
    flat = Chem.MolToSmiles(molecule, isomericSmiles=False)
    return ComparedMolecule(row, smiles, flat, scaffold, frozenset(features_of(smiles)))


def keys_of(molecules: Iterable[ComparedMolecule]) -> Keys:
    """Collect the keys and features of molecules. Acyclic molecules have no scaffold in common."""
    flat, scaffolds, features = zip(*((one.flat, one.scaffold, one.features) for one in molecules), strict=True)
    return Keys(frozenset(flat), frozenset(scaffolds) - {""}, frozenset().union(*features))


def _scan(corpus: Path, work: Callable[[list[str]], Result], label: str, processes: int) -> Iterator[Result]:
    """Apply `work` to the SMILES of each part of the corpus, in order."""
    table = open_molecules(corpus)
    smiles = (part.column("smiles").to_pylist() for part in table.iter_batches(MOLECULES_PER_PART, columns=["smiles"]))
    total = -(-table.metadata.num_rows // MOLECULES_PER_PART)
    yield from progress(ordered_map(work, smiles, processes), total, label, "part")


def _keys_in(corpus: Path, wanted: Keys, processes: int) -> Keys:
    """Find the keys and features in `wanted` that molecules of the corpus have."""
    found = Keys(frozenset(), frozenset(), frozenset())
    for part in _scan(corpus, partial(_found, wanted=wanted), "leakage", processes):
        found = Keys(*(ours | theirs for ours, theirs in zip(found, part, strict=True)))
    return found


def _found(smiles: list[str], wanted: Keys) -> Keys:
    """Find the keys and features in `wanted` that these molecules have."""
    return Keys(*(ours & theirs for ours, theirs in zip(keys_of(map(compared, smiles)), wanted, strict=True)))


def _reasons(smiles: list[str], wanted: Keys) -> list[str]:
    """Return the reason why each molecule is excluded; empty if it is kept."""
    reasons = []
    for itself, scaffold in map(wanted.shared_with, map(compared, smiles)):
        reasons.append("a test molecule" if itself else "the scaffold of a test molecule" if scaffold else "")
    return reasons
