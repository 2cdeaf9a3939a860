"""Speed of pre-training on a GPU, compared with its matrix products alone and with torch-geometric and a DataLoader.

`python benchmarks/gpu.py GRAPHS` measures both encoders at the paper's size in two minutes; `--help` lists the options. GRAPHS is
a graph store, preferably of ZINC. Rates are those of training steps; compilation is listed separately. A complete run, with
validation and checkpoints, prints its own rate: `molclr pretrain GRAPHS --encoder gin --settings '{precision: bfloat16}' ...`.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import plain
import torch
from torch import Tensor

from molclr.config import Augmentation, Compute, EncoderShape, Pretrain
from molclr.data.pyg import graphs_to_pyg
from molclr.data.store import GraphStore
from molclr.models.encoders import make_encoder
from molclr.models.fast.slot_encoder import padded_channels
from molclr.models.nt_xent import nt_xent
from molclr.training.contrast import ContrastiveModel, SlotContrast
from molclr.training.device import dtype_of, prepare
from molclr.training.embed import embed
from molclr.training.graphs import SlotGraphs
from molclr.training.optimizer import pretraining_optimizer, rate_of
from molclr.training.step import CapturedStep, Step

SHAPE = EncoderShape()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", type=Path, help="graph store")
    parser.add_argument("--encoders", nargs="+", default=["gin", "gcn"], help="which encoders (default: gin gcn)")
    parser.add_argument("--precisions", nargs="+", default=["bfloat16"], help="bfloat16, float32 (default: bfloat16)")
    parser.add_argument("--compositions", nargs="+", default=["node"], help="node, subgraph, mix (default: node)")
    parser.add_argument("--batch-size", type=int, default=512, help="molecules in a step (default: 512)")
    parser.add_argument("--steps", type=int, default=300, help="steps that are timed (default: 300)")
    parser.add_argument("--workers", type=int, default=16, help="workers of the DataLoader (default: 16)")
    parser.add_argument("--streamed", action="store_true", help="leave the corpus on the CPU")
    parser.add_argument(
        "--without-determinism",
        action="store_true",
        help="let PyTorch choose kernels by their time, and any order of sums",
    )
    parser.add_argument("--without-torch-geometric", action="store_true", help="leave out the slow one")
    options = parser.parse_args()
    device = prepare(Compute(device="cuda"))
    torch.use_deterministic_algorithms(not options.without_determinism, warn_only=True)
    store = GraphStore(options.graphs)
    print(
        f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}, {len(store):,} molecules of {options.graphs}"
    )
    print(
        "| encoder | precision | views | molecules/s | ms/step | products, ms | of the step | first step, s | memory, GB |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    graphs = SlotGraphs(store, np.arange(len(store)), device, home=torch.device("cpu") if options.streamed else None)
    for name in options.encoders:
        for precision in options.precisions:
            for composition in options.compositions:
                settings = Pretrain(
                    batch_size=options.batch_size,
                    precision=precision,
                    augmentation=Augmentation(composition=composition),
                )
                print_pretraining(name, settings, graphs, options.steps)
        print_embedding(name, store, device)
    if not options.without_torch_geometric:
        torch.use_deterministic_algorithms(False)  # They would slow its sums down.
        graphs_of_pyg = to_data_list(store, min(40 * options.batch_size, len(store)))
        for name in options.encoders:
            rate = torch_geometric_rate(name, graphs_of_pyg, options.batch_size, options.workers, device)
            print(f"torch-geometric, {name}, float32, {options.workers} workers: {rate:,.0f} molecules/s", flush=True)


def print_pretraining(name: str, settings: Pretrain, graphs: SlotGraphs, steps: int) -> None:
    """Print a row of the table for the step of molclr.training.pretrain."""
    torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(0)
    model = ContrastiveModel(name, SHAPE, settings).to(graphs.device)
    optimizer = pretraining_optimizer(model, settings)
    rate_of(optimizer).fill_(settings.learning_rate)
    rows = batches_of(len(graphs.tables), settings.batch_size)
    contrast = SlotContrast(model, graphs, settings, [rows])
    learn = CapturedStep(Step(model, optimizer, lambda batch, keys: contrast.loss(batch, keys)[0]), model)
    streams = torch.tensor([1, 2], device=graphs.device)

    start = time.perf_counter()
    learn(next(contrast.batches(rows[:1])), streams)
    torch.cuda.synchronize()
    first = time.perf_counter() - start
    seconds = timed(lambda: repeat(learn, contrast, rows, streams, steps)) / steps
    atoms, memory = contrast.capacity.atoms, torch.cuda.max_memory_allocated() / 1e9
    alone = captured(products(name, atoms, settings.batch_size, settings.projection, dtype_of(settings)), 50)
    print(
        f"| {name} | {settings.precision} | {settings.augmentation.composition} | {settings.batch_size / seconds:,.0f} "
        f"| {seconds * 1e3:.2f} | {alone * 1e3:.2f} | {alone / seconds:.0%} | {first:.0f} | {memory:.1f} |",
        flush=True,
    )


def repeat(learn: CapturedStep, contrast: SlotContrast, rows: np.ndarray, streams: Tensor, steps: int) -> None:
    """Run this number of steps; start again at the first batch after the last."""
    for batch in islice(contrast.batches(np.stack(list(islice(cycle(rows), steps)))), steps):
        learn(batch, streams)


def batches_of(molecules: int, batch_size: int) -> np.ndarray:
    """Make the batches of an epoch: int64 (steps, batch_size)."""
    order = np.random.default_rng(0).permutation(molecules)
    return order[: molecules // batch_size * batch_size].reshape(-1, batch_size)


def timed(work: Callable[[], object]) -> float:
    """Measure the seconds until the device has finished `work`."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def products(name: str, atoms: int, molecules: int, projection: int, dtype: torch.dtype) -> Callable[[], None]:
    """Return a function that computes only the dense products of one step with padded channels; see `plain.matrix_products`.

    As in the step, one product has the rows of both views.
    """
    width, inner = (padded_channels(channels, dtype) for channels in (SHAPE.hidden_dim, 2 * SHAPE.hidden_dim))
    layer = [(width, inner), (inner, width)] if name == "gin" else [(width, width)]
    heads = [
        (width, SHAPE.embedding_dim),
        (SHAPE.embedding_dim, SHAPE.embedding_dim),
        (SHAPE.embedding_dim, projection),
    ]
    sizes = [(2 * atoms, *size) for size in layer * SHAPE.layers] + [(2 * molecules, *size) for size in heads]
    factors = []
    for rows, inputs, outputs in sizes:
        x, weight, y = (
            torch.randn(shape, dtype=dtype, device="cuda")
            for shape in ((rows, inputs), (inputs, outputs), (rows, outputs))
        )
        factors += [(x, weight), (y.T, x), (y, weight.T)]
    z = torch.randn(2 * molecules, projection, device="cuda")
    similarity = torch.randn(2 * molecules, 2 * molecules, device="cuda")
    factors += [(z, z.T), (similarity, z), (similarity.T, z)]

    def run() -> None:
        for first, second in factors:
            first @ second

    return run


def captured(work: Callable[[], None], times: int) -> float:
    """Measure the seconds of `work` as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    graph.replay()

    def replays() -> None:
        for _ in range(times):
            graph.replay()

    return timed(replays) / times


def print_embedding(name: str, store: GraphStore, device: torch.device) -> None:
    """Print the molecules per second of inference, from the graph store to an array."""
    encoder, molecules = make_encoder(name, SHAPE), np.arange(min(len(store), 200_000))
    embed(store, encoder, molecules[:5000], device)
    seconds = timed(lambda: embed(store, encoder, molecules, device))
    print(f"| {name} | float32 | embedding | {len(molecules) / seconds:,.0f} | | | | | |", flush=True)


def to_data_list(store: GraphStore, molecules: int) -> list[Any]:
    """Convert the first molecules of a store to graphs of torch-geometric."""
    parts = (np.arange(first, min(first + 256, molecules)) for first in range(0, molecules, 256))
    return [graph for part in parts for graph in graphs_to_pyg(store.batch(part)).to_data_list()]


def torch_geometric_rate(name: str, graphs: list[Any], batch_size: int, workers: int, device: torch.device) -> float:
    """Measure the molecules per second of the same training in idiomatic torch-geometric."""
    from torch_geometric.loader import DataLoader

    loader = DataLoader(
        plain.Views(graphs),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=True,
    )
    settings, seconds = Pretrain(), []
    with torch.device(device):
        model = plain.Model(name, SHAPE, settings.projection)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=settings.weight_decay)
    for step, (first, second) in enumerate(islice(endless(loader), 71)):
        with torch.device(device):
            loss = nt_xent(model(first.to(device)), model(second.to(device)), settings.temperature)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (10, 70):
            torch.cuda.synchronize()
            seconds.append(time.perf_counter())
    return 60 * batch_size / (seconds[1] - seconds[0])


def endless(loader: object) -> Iterator:
    """Yield batches without end, epoch after epoch."""
    while True:
        yield from loader  # type: ignore[misc]


if __name__ == "__main__":
    main()
