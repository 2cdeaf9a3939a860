"""Speed of pre-training, compared with an implementation in torch-geometric and the matrix products of the plain algorithm.

`python benchmarks/pretrain.py [GRAPHS]` measures both encoders at the paper's size; `--help` lists the options. Measurements
alternate, so that other work of the machine affects all alike, and the medians are printed.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import plain
import torch

from molclr.config import Augmentation, Compute, EncoderShape, Pretrain
from molclr.data.corpus import split_corpus
from molclr.data.pyg import graphs_to_pyg
from molclr.data.store import GraphStore
from molclr.model_names import EncoderName
from molclr.models.augment import augment, view_keys
from molclr.models.encoders import ENCODERS, make_encoder
from molclr.models.nt_xent import nt_xent
from molclr.seeds import derive_seed
from molclr.training.checkpoint import save_encoder
from molclr.training.contrast import ContrastiveModel, PlainContrast
from molclr.training.embed import embed, write_embeddings
from molclr.training.step import Step

SHAPE, SETTINGS, CPU = EncoderShape(), Pretrain(), torch.device("cpu")
BATCH = SETTINGS.batch_size


def main() -> None:
    """Print a table for each encoder, and one for augmentations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", nargs="?", default="data/graphs/zinc-20000.safetensors", help="graph store")
    parser.add_argument(
        "--molecules", default="data/molecules/zinc-20000.parquet", help="molecule table of the graph store"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: all cores)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed (default: 5)")
    parser.add_argument("--without-torch-geometric", action="store_true", help="leave out the slow one")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    store = GraphStore(options.graphs)
    if len(store) < 2 * BATCH:
        parser.error(f"{options.graphs} has fewer than {2 * BATCH} molecules")
    print(
        f"{SHAPE.layers} layers of {SHAPE.hidden_dim}, h {SHAPE.embedding_dim}, z {SETTINGS.projection}, batches of {BATCH} of "
        f"the {len(store):,} molecules of {options.graphs}, threads: {options.threads}, PyTorch {torch.__version__}"
    )
    for name in ENCODERS:
        print_encoder(name, store, options.rounds, options.without_torch_geometric)
        print_embedding(name, Path(options.molecules), Path(options.graphs), options.threads)
    torch.set_num_threads(1)
    print_data_side(store, options.rounds)


def print_encoder(name: EncoderName, store: GraphStore, rounds: int, without_torch_geometric: bool) -> None:
    """Print molecules per second of a training step, of the baselines, and of inference."""
    batches = random_batches(store)
    atoms = len(store.part(next(batches))["atoms"])
    work: dict[str, Callable[[], object]] = {
        "a training step": training_step(name, store, batches),
        "  of it store and augmentations": lambda: two_views(store, next(batches), SETTINGS.augmentation),
        "matrix products of the plain algorithm": plain.matrix_products(name, SHAPE, SETTINGS.projection, atoms, BATCH),
        "embedding (inference)": inference(name, store, batches),
    }
    if not without_torch_geometric:
        work["a training step with torch-geometric"] = torch_geometric_step(name, store)
    seconds = timed(work, rounds)
    step, limit = seconds["a training step"], seconds["matrix products of the plain algorithm"]
    print(f"\n| {name.upper()}, {atoms} atoms per batch | seconds per batch | molecules/s |\n|---|---:|---:|")
    for label, second in seconds.items():
        print(f"| {label} | {second:.3f} | {BATCH / second:,.0f} |")
    print(
        f"\nA training step is {limit / step:.2f} times as fast as the plain algorithm's matrix products alone", end=""
    )
    if not without_torch_geometric:
        ratio = seconds["a training step with torch-geometric"] / step
        print(f" and {ratio:.1f} times as fast as torch-geometric", end="")
    print(f"; {seconds['  of it store and augmentations'] / step:.1%} of it is the data side.")


def print_embedding(name: EncoderName, molecules: Path, graphs: Path, threads: int) -> None:
    """Print molecules per second of `molclr embed-store`, from a molecule table and its graph store to a table of embeddings."""
    count, encoder = min(8 * BATCH, len(GraphStore(graphs))), make_encoder(name, SHAPE)
    with tempfile.TemporaryDirectory(prefix="molclr-") as folder:
        file = Path(folder, "encoder.safetensors")
        save_encoder(file, encoder, encoder.state_dict(), None)
        start = time.perf_counter()
        write_embeddings(molecules, graphs, Path(folder, "h.parquet"), file, Compute(threads=threads), limit=count)
        print(f"Embedding a file, {count} molecules: {count / (time.perf_counter() - start):,.0f} molecules/s.")


def print_data_side(store: GraphStore, rounds: int) -> None:
    """Print views per second of each augmentation on one thread, without making the batch."""
    rows = next(random_batches(store))
    batch, keys = store.batch(rows), view_keys(0, torch.from_numpy(rows))
    alone = {
        "atom masking, 25 %": Augmentation(composition="node", bond_deletion=0),
        "bond deletion, 25 %": Augmentation(composition="node", atom_masking=0),
        "both": Augmentation(composition="node"),
        "subgraph removal, 25 %": Augmentation(composition="subgraph"),
        "mix": Augmentation(composition="mix"),
    }
    work = {label: lambda settings=settings: augment(batch, settings, keys) for label, settings in alone.items()}
    print("\n| augmentation, one thread | views/s |\n|---|---:|")
    for label, second in timed(work, 10 * rounds).items():
        print(f"| {label} | {BATCH / second:,.0f} |")


def timed(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Measure the median seconds of each function, in alternating calls after one round of warm-up."""
    seconds: dict[str, list[float]] = {label: [] for label in work}
    for _ in range(rounds + 1):
        for label, call in work.items():
            start = time.perf_counter()
            call()
            seconds[label].append(time.perf_counter() - start)
    return {label: statistics.median(values[1:]) for label, values in seconds.items()}


def random_batches(store: GraphStore) -> Iterator[np.ndarray]:
    """Yield the positions of molecules in batches without end, drawn as in pre-training."""
    corpus = split_corpus(len(store), SETTINGS.validation_fraction, SETTINGS.seed)
    for epoch in itertools.count():
        order = np.random.default_rng(derive_seed(SETTINGS.seed, "order", epoch)).permutation(corpus.train)
        for first in range(0, len(order) - BATCH + 1, BATCH):
            yield np.sort(order[first : first + BATCH])


def two_views(store: GraphStore, molecules: np.ndarray, settings: Augmentation) -> None:
    """Do the data processing of a step: a batch and its two views."""
    batch = store.batch(molecules)
    for view in range(2):
        augment(batch, settings, view_keys(view, torch.from_numpy(molecules)))


def training_step(name: EncoderName, store: GraphStore, batches: Iterator[np.ndarray]) -> Callable[[], None]:
    """Return a function that runs a step of molclr.training.pretrain."""
    model = ContrastiveModel(name, SHAPE, SETTINGS)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=SETTINGS.weight_decay, fused=True)
    contrast = PlainContrast(model, store, SETTINGS, CPU)
    step, streams = Step(model, optimizer, lambda batch: contrast.loss(batch, streams)[0]), torch.tensor([0, 1])
    return lambda: step(next(contrast.batches(next(batches)[None])))


def torch_geometric_step(name: EncoderName, store: GraphStore) -> Callable[[], None]:
    """Return a function that runs the same step in idiomatic torch-geometric."""
    graphs = graphs_to_pyg(store.batch(np.arange(min(8 * BATCH, len(store))))).to_data_list()
    model = plain.Model(name, SHAPE, SETTINGS.projection)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=SETTINGS.weight_decay)
    loader = iter(plain.endless_loader(graphs, BATCH))

    def step() -> None:
        first, second = next(loader)
        loss = nt_xent(model(first), model(second), SETTINGS.temperature)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def inference(name: EncoderName, store: GraphStore, batches: Iterator[np.ndarray]) -> Callable[[], np.ndarray]:
    """Return a function that embeds a batch, from the store to an array."""
    encoder = make_encoder(name, SHAPE)
    return lambda: embed(store, encoder, next(batches), CPU)


if __name__ == "__main__":
    main()
