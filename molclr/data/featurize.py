"""Conversion of molecule tables to graph stores."""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from molclr.chem.graphs import molecular_graphs
from molclr.data.molecules import MOLECULES_PER_PART, open_molecules
from molclr.data.store import GraphStore, checksums, write_store
from molclr.errors import MolclrError
from molclr.parallel import ordered_map
from molclr.progress import progress


def featurize(
    molecules: str | Path,
    output: str | Path,
    explicit_hydrogens: bool = False,
    processes: int = 1,
    shard: tuple[int, int] = (1, 1),
) -> None:
    """Write the graphs of the molecule table `molecules` as a graph store, in the order of the table.

    shard: (2, 8) is the second of eight stores, which `join_stores` joins. The bytes do not depend on `processes`, and the bytes
    of the joined store do not depend on the number of shards. Raises MolclrError for a file that is not a molecule table.
    """
    table = open_molecules(molecules)
    number, shards = shard
    total = -(-table.metadata.num_rows // MOLECULES_PER_PART)
    first, end = total * (number - 1) // shards, total * number // shards
    smiles = (part.column("smiles").to_pylist() for part in table.iter_batches(MOLECULES_PER_PART, columns=["smiles"]))
    work = partial(featurize_part, explicit_hydrogens=explicit_hydrogens)
    parts = ordered_map(work, islice(smiles, first, end), processes)
    write_store(output, progress(parts, end - first, "featurize", "part"), explicit_hydrogens)


def featurize_part(smiles: list[str], explicit_hydrogens: bool = False) -> dict[str, np.ndarray]:
    """Make the graphs of molecules as one part of a store; see `write_store`."""
    return {**molecular_graphs(smiles, explicit_hydrogens)._asdict(), "smiles_crc": checksums(smiles)}


def join_stores(shards: Sequence[str | Path], output: str | Path) -> None:
    """Join graph stores to one, in order. Raises MolclrError for another file, and if only some have explicit hydrogens."""
    stores = [GraphStore(path) for path in shards]
    for path, store in zip(shards, stores, strict=True):
        if store.explicit_hydrogens != stores[0].explicit_hydrogens:
            raise MolclrError(f"'{path}' and '{shards[0]}' differ in explicit hydrogens; featurize all shards alike.")
    pieces = [(store, first) for store in stores for first in range(0, len(store), MOLECULES_PER_PART)]
    parts = (store.part(np.arange(first, min(first + MOLECULES_PER_PART, len(store)))) for store, first in pieces)
    write_store(output, progress(parts, len(pieces), "join", "part"), stores[0].explicit_hydrogens)
