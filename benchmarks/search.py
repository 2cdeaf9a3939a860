"""Speed and memory of a search in a library: `python benchmarks/search.py TABLE --molecules 1000000`.

Indexes the real molecules of the table, which gives the time of indexing, and makes from them an index of any size in a temporary
folder: real vectors with noise, and real fingerprints with random bits changed. Then opens it and searches for the first
molecules. Prints seconds and memory (resident, of which the memory-mapped index is a part that the system can take back).
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from molclr.config import Compute
from molclr.evaluation.embeddings import unit
from molclr.library.embedder import pretrained_embedder
from molclr.library.index import compared, open_library
from molclr.library.neighbours import FINGERPRINT, OWN, VECTOR
from molclr.library.search import search
from molclr.training.encoder_files import encoder_file

Result = TypeVar("Result")
NOISE = 0.02
"""Standard deviation of the noise on a number of a vector of length 1, times the root of their number."""


def main() -> None:
    """Print the measurements one by one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="table of molecules, such as tests/fixtures/zinc.csv")
    parser.add_argument("--molecules", type=int, default=20_000, help="molecules of the library (default: 20000)")
    parser.add_argument("--queries", type=int, default=5, help="queries, one after the other, at least 2 (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default: 1)")
    options = parser.parse_args()
    embedder = pretrained_embedder(encoder_file("molclr-gin"), Compute(threads=options.threads))
    with tempfile.TemporaryDirectory() as folder:
        real, large = Path(folder, "real.arrow"), Path(folder, "large.arrow")
        spent, library = timed(lambda: open_library(options.table, embedder, real))
        print(f"index {len(library)} molecules: {spent}, {len(library) / spent.cpu:.0f} molecules per second of CPU")
        enlarge(real, large, options.molecules)
        print(f"index of {options.molecules} molecules: {large.stat().st_size / 1e6:.0f} MB; memory {memory():.0f} MB")
        spent, library = timed(lambda: open_library(options.table, embedder, large))
        print(f"open it: {spent}; memory {memory():.0f} MB")
        queries = library.table.column("canonical_smiles").to_pylist()[: options.queries]
        made = [compared([smiles], explicit_hydrogens=False) for smiles in queries]
        vectors = [embedder.embed(each.graphs) for each in made]
        first, *others = [
            timed(lambda each=each, h=h: list(library.search(h, each.fingerprints, 10)))[0]
            for each, h in zip(made, vectors, strict=True)
        ]
        print(f"first query: {first}; others, median: {Spent(*map(statistics.median, zip(*others, strict=True)))}")
        spent, _ = timed(lambda: list(search(queries[0], library, embedder)))
        print(f"query from SMILES to hits: {spent}; memory {memory():.0f} MB")


class Spent(NamedTuple):
    """Seconds that passed, and those of the processor, which do not depend on other work of the machine."""

    elapsed: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.elapsed:.3f} s ({self.cpu:.3f} s of CPU)"


def timed(work: Callable[[], Result]) -> tuple[Spent, Result]:
    """Return the time that a function took, and its result."""
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Spent(time.perf_counter() - start, time.process_time() - cpu), result


def enlarge(index: Path, output: Path, molecules: int, at_a_time: int = 4096) -> None:
    """Write an index of `molecules` that repeats those of another with noise."""
    rng = np.random.default_rng(0)
    with pa.memory_map(str(index)) as file:
        table = pa.ipc.open_file(file).read_all().combine_chunks()
    with pa.ipc.new_file(str(output), table.schema) as writer:
        for first in range(0, molecules, at_a_time):
            places = np.arange(first, min(first + at_a_time, molecules)) % len(table)
            batch = table.take(places)
            for name, change in ((VECTOR, noisy), (FINGERPRINT, flipped)):
                place = OWN.index(name)
                column = batch.column(place).combine_chunks()
                values = change(column.flatten().to_numpy().reshape(len(places), -1), rng)
                new = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
                batch = batch.set_column(place, table.schema.field(place), new)
            writer.write_table(batch)


def noisy(vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add noise to vectors of length 1: float32 (n, dim), again of length 1."""
    noise = rng.standard_normal(vectors.shape, np.float32)
    return unit(vectors + noise * np.float32(NOISE / vectors.shape[1] ** 0.5))


def flipped(fingerprints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change one bit of each fingerprint: uint64 (n, WORDS)."""
    rows = np.arange(len(fingerprints))
    changed = fingerprints.copy()
    words = rng.integers(0, fingerprints.shape[1], len(rows))
    changed[rows, words] ^= np.uint64(1) << rng.integers(0, 64, len(rows), dtype=np.uint64)
    return changed


def memory() -> float:
    """Return the resident memory of this process in MB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e3


if __name__ == "__main__":
    main()
