"""Speed and memory of data processing: `python benchmarks/data.py data/molecules/zinc.parquet --molecules 10000000`.

Measures featurizing on molecules of a molecule table, and an epoch over a store of any size in a temporary folder, which repeats
their graphs. Rates per core are based on CPU time, so that they do not depend on other work of the machine.
"""

import argparse
import itertools
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rdkit import Chem

from molclr.chem.smiles import canonicalize_all
from molclr.data.corpus import split_corpus
from molclr.data.featurize import featurize_part
from molclr.data.forms import ROWS_PER_PART
from molclr.data.leakage import compared, keys_of
from molclr.data.molecules import open_molecules
from molclr.data.repeats import FirstRows
from molclr.data.store import GraphStore, write_store
from molclr.parallel import ordered_map
from molclr.seeds import derive_seed

PART = 500
REAL = 20_000
BATCH = 512


class Memory(NamedTuple):
    """Memory of this process in MB: anonymous, resident (with mapped files and libraries), and peak resident."""

    anonymous: float
    resident: float
    peak: float


def main() -> None:
    """Run and print the measurements one by one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, nargs="?", help="molecule table")
    parser.add_argument("--molecules", type=int, default=1_000_000, help="molecules of the store (default: 1000000)")
    parser.add_argument("--store", type=Path, help="without a table: only the epoch, over this graph store")
    options = parser.parse_args()
    if (options.table is None) == (options.store is None):
        parser.error("give a molecule table, or --store with a graph store")
    if options.store:
        epoch(options.store)
        return
    smiles = real_molecules(options.table)
    print(
        f"table: {options.table.stat().st_size / open_molecules(options.table).metadata.num_rows:.0f} bytes per molecule"
    )
    featurizing(smiles)
    with (
        tempfile.TemporaryDirectory(prefix="molclr-") as folder,
        ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh,
    ):
        path = Path(folder, "graphs.safetensors")
        write_store(path, repeated(smiles, options.molecules))
        size = path.stat().st_size
        print(
            f"store: {options.molecules} molecules, {size / 1e9:.2f} GB, {size / options.molecules:.0f} bytes per molecule"
        )
        fresh.submit(epoch, path).result()
        fresh.submit(uniqueness, options.molecules).result()


def real_molecules(table: Path) -> list[str]:
    """Read SMILES that are evenly spaced over the table."""
    smiles = open_molecules(table).read(columns=["smiles"]).column("smiles")
    return smiles.take(np.arange(REAL) * len(smiles) // REAL).to_pylist()


def featurizing(smiles: list[str]) -> None:
    """Print rates on one core, measured in alternation, and the rate of two processes."""
    parts = [smiles[first : first + PART] for first in range(0, len(smiles), PART)]
    works = {
        "MolFromSmiles": parse,
        "featurize": featurize_part,
        "canonicalize": canonicalize_all,
        "leakage": lambda part: keys_of(map(compared, part)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for part in parts:
        for name, work in works.items():
            start = time.process_time()
            work(part)
            seconds[name].append((time.process_time() - start) / PART)
    for name, of_parts in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["MolFromSmiles"], of_parts, strict=True))
        print(f"{name}: {1 / statistics.median(of_parts):.0f} molecules/s per core, {ratio:.2f} of MolFromSmiles alone")
    (alone, _), (beside, collecting) = (rates(parts, processes) for processes in (1, 2))
    print(
        f"featurize: {alone:.0f} molecules/s per core with one process, {beside:.0f} with two; "
        f"the process that hands out and collects can do {collecting:.0f}, enough for {collecting / beside:.0f} cores"
    )


def parse(smiles: list[str]) -> None:
    """Parse SMILES with RDKit, the lower limit of the other work."""
    for text in smiles:
        Chem.MolFromSmiles(text)


def rates(parts: list[list[str]], processes: int) -> tuple[float, float]:
    """Measure molecules per second of CPU time: of the featurizing processes, and of the main process."""
    results = ordered_map(timed, parts, processes)
    for _ in range(2 * processes + 1):  # until all processes have started
        next(results)
    start = time.process_time()
    working = list(results)
    collecting = time.process_time() - start
    return PART * len(working) / sum(seconds for seconds, _ in working), PART * len(working) / collecting


def timed(smiles: list[str]) -> tuple[float, dict[str, np.ndarray]]:
    """Featurize; return the seconds of CPU time and the part."""
    start = time.process_time()
    part = featurize_part(smiles)
    return time.process_time() - start, part


def repeated(smiles: list[str], molecules: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield parts with this number of molecules in total, which repeat `smiles`."""
    parts = [featurize_part(smiles[first : first + PART]) for first in range(0, len(smiles), PART)]
    yield from itertools.islice(itertools.cycle(parts), molecules // PART)
    if molecules % PART:
        yield featurize_part(smiles[: molecules % PART])


def epoch(path: Path) -> None:
    """Measure the time and memory of making all batches of a pre-training epoch."""
    torch.set_num_threads(1)
    before = memory()
    store = GraphStore(path)
    corpus = split_corpus(len(store), 0.05, 0)
    start, wall = time.process_time(), time.monotonic()
    order = np.random.default_rng(derive_seed(0, "order", 0)).permutation(corpus.train)
    most = memory()
    batches = len(corpus.train) // BATCH
    for step in range(batches):
        store.batch(np.sort(order[step * BATCH : (step + 1) * BATCH]))
        if step % 100 == 0:
            most = Memory(*map(max, most, memory()))
    seconds, wall = time.process_time() - start, time.monotonic() - wall
    print(
        f"epoch: {batches * BATCH / seconds:.0f} molecules/s per core in batches of {BATCH}, order included "
        f"({wall:.0f} s by the wall clock)\n"
        f"memory of an epoch: {most.anonymous:.0f} MB anonymous, {most.resident:.0f} MB resident, peak {memory().peak:.0f} MB; "
        f"before it {before.anonymous:.0f} and {before.resident:.0f} MB"
    )


def uniqueness(molecules: int) -> None:
    """Measure the memory of de-duplication in the worst case, without duplicates."""
    before = memory()
    seen = FirstRows()
    start = time.process_time()
    for first in range(0, molecules, ROWS_PER_PART):
        rows = range(first, min(first + ROWS_PER_PART, molecules))
        seen.of([f"C{row}" for row in rows], rows)
    seconds, now = time.process_time() - start, memory()
    print(
        f"unique: {molecules / seconds:.0f} molecules/s; {now.anonymous - before.anonymous:.0f} MB for {molecules} molecules, "
        f"{now.peak - before.resident:.0f} MB at the highest"
    )


def memory() -> Memory:
    """Read the memory of this process from Linux."""
    status = Path("/proc/self/status").read_text()
    found = (re.search(rf"^{key}:\s+(\d+) kB$", status, re.MULTILINE) for key in ("RssAnon", "VmRSS", "VmHWM"))
    return Memory(*(int(match[1]) / 1e3 for match in found if match))


if __name__ == "__main__":
    main()
