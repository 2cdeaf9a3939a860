"""Time of a fine-tuning epoch at full size, compared with chemprop 2 if it is installed: `python benchmarks/finetune.py`.

Needs the files of a benchmark (`snakemake all_data`). Chemprop is not a requirement; install it to compare (`pip install
chemprop`). Both train on the same molecules with implicit hydrogens, the same batch size and the same number of threads; epochs
alternate, and the medians are compared. Trained encoders are measured in addition to new ones, also without flushing subnormal
numbers, because weights that decayed to subnormal numbers make a CPU slow. The released GCN is left out if it cannot be fetched.
"""

import argparse
import inspect
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rdkit import rdBase

from molclr.config import EncoderShape, Finetune
from molclr.data.catalogue import load_catalogue
from molclr.data.labelled import LabelledMolecules, read_labelled
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.evaluation.runs import Run
from molclr.model_names import EncoderName
from molclr.models.encoders import make_encoder
from molclr.training.checkpoint import load_encoder
from molclr.training.encoder_files import encoder_file
from molclr.training.graphs import PlainGraphs
from molclr.training.supervised import Supervision, finetuning_optimizer, new_predictor

BATCH_SIZE = Finetune().batch_size
SHAPE = EncoderShape()
Epoch = Callable[[], float]
"""Trains for one epoch and returns its seconds."""


def main() -> None:
    """Print seconds per epoch and their ratio to those of chemprop."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("benchmark", nargs="?", default="bbbp", help="benchmark of the catalogue (default: bbbp)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of its files (default: data)")
    parser.add_argument("--graphs", type=Path, help="graph store of its molecules (default: that in the folder)")
    parser.add_argument("--only", default="", help="time only the networks with this in their name")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--epochs", type=int, default=5, help="epochs to take the median of (default: 5)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    name, folder = options.benchmark, options.data
    scheme = load_catalogue().benchmarks[name].split
    split = folder / "splits" / f"{name}.{'random-0' if scheme == 'random' else scheme}.csv"
    data = read_labelled(folder / "molecules" / f"{name}.parquet", split)
    store = GraphStore(options.graphs or folder / "graphs" / f"{name}.safetensors")
    contestants = {
        f"{kind.upper()}, {precision}": our_epochs(kind, name, data, store, Finetune(precision=precision))
        for kind in ("gin", "gcn")
        for precision in ("float32", "bfloat16")
    }
    for trained in ("molclr-gin", "official-gcn"):
        try:
            start = encoder_file(trained)
        except MolclrError as error:
            print(error)
            continue
        contestants[f"{trained}, float32"] = our_epochs(start, name, data, store, Finetune())
        contestants[f"{trained}, subnormal numbers kept"] = our_epochs(
            start, name, data, store, Finetune(), flush=False
        )
    try:
        contestants |= chemprop_epochs(name, data)
    except ImportError:
        print("chemprop is not installed, so there is nothing to compare with (pip install chemprop).")

    contestants = {who: epoch for who, epoch in contestants.items() if options.only in who}
    seconds: dict[str, list[float]] = {who: [] for who in contestants}
    of_cpu: dict[str, list[float]] = {who: [] for who in contestants}
    for turn in range(options.epochs + 1):
        for who, epoch in contestants.items():
            cpu = time.process_time()
            elapsed = epoch()
            if turn:  # The first epoch warms up.
                seconds[who].append(elapsed)
                of_cpu[who].append(time.process_time() - cpu)
    medians = {who: statistics.median(times) for who, times in seconds.items()}
    print(f"{name}, {len(data.subsets['train'])} molecules, batches of {BATCH_SIZE}, {options.threads} threads")
    chemprop = min((median for who, median in medians.items() if who.startswith("chemprop")), default=None)
    for who, median in medians.items():
        ratio = f", {median / chemprop:.2f} of chemprop" if chemprop else ""
        spread = f"from {min(seconds[who]):.2f} to {max(seconds[who]):.2f}"
        print(f"{who}: {median:.2f} s per epoch ({spread}), {statistics.median(of_cpu[who]):.2f} s of CPU{ratio}")


def our_epochs(
    start: EncoderName | Path,
    name: str,
    data: LabelledMolecules,
    store: GraphStore,
    settings: Finetune,
    flush: bool = True,
) -> Epoch:
    """Return a function that trains an encoder of full size, new or from a file, with its head for one epoch."""
    benchmark = load_catalogue().benchmarks[name]
    trained = isinstance(start, Path)
    encoder = load_encoder(start, settings.dropout)[0] if trained else make_encoder(start, SHAPE, settings.dropout)
    run = Run(name, encoder.name.upper(), 0, benchmark.task, benchmark.metric, data.targets)
    train = data.subsets["train"]
    model = new_predictor(encoder, settings, run, data.labels[train])
    graphs = PlainGraphs(store, np.arange(len(store)), torch.device("cpu"))
    supervision = Supervision(
        model, run, graphs, data.labels, train, settings, finetuning_optimizer(model, settings, pretrained=True)
    )
    train_once = Supervision.epoch if flush else inspect.unwrap(Supervision.epoch)

    def epoch() -> float:
        start = time.perf_counter()
        train_once(supervision, 1)
        return time.perf_counter() - start

    return epoch


def chemprop_epochs(name: str, data: LabelledMolecules) -> dict[str, Epoch]:
    """Return functions that train chemprop's default network for one epoch, with Lightning as documented and in a plain loop."""
    from chemprop import data as chemprop_data
    from chemprop import models, nn

    classification = load_catalogue().benchmarks[name].task == "classification"
    with rdBase.BlockLogs():  # RDKit warns about explicit hydrogens
        points = [
            chemprop_data.MoleculeDatapoint.from_smi(data.smiles[place], data.labels[place])
            for place in data.subsets["train"]
        ]
    dataset = chemprop_data.MoleculeDataset(points)
    if not classification:
        dataset.normalize_targets()
    dataset.cache = True
    loader = chemprop_data.build_dataloader(dataset, batch_size=BATCH_SIZE)
    head = nn.BinaryClassificationFFN if classification else nn.RegressionFFN

    def network() -> models.MPNN:
        return models.MPNN(nn.BondMessagePassing(), nn.MeanAggregation(), head(n_tasks=len(data.targets)))

    return {"chemprop, Lightning": by_lightning(network(), loader), "chemprop, plain loop": by_loop(network(), loader)}


def by_lightning(model, loader) -> Epoch:
    """Train with Lightning's Trainer without logging; only the epoch itself is timed."""
    from lightning.pytorch import Callback, Trainer

    class Clock(Callback):
        def on_train_epoch_start(self, *_) -> None:
            self.start = time.perf_counter()

        def on_train_epoch_end(self, *_) -> None:
            self.seconds = time.perf_counter() - self.start

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    clock = Clock()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(accelerator="cpu", max_epochs=1, callbacks=clock, **quiet)

    def epoch() -> float:
        trainer.fit(model, loader)
        trainer.fit_loop.max_epochs += 1
        return clock.seconds

    return epoch


def by_loop(model, loader) -> Epoch:
    """Train with chemprop's training step and optimizer in a plain loop."""
    model.log = lambda *_, **__: None
    optimizer = torch.optim.Adam(model.parameters(), model.init_lr)

    def epoch() -> float:
        start = time.perf_counter()
        model.train()
        for number, batch in enumerate(loader):
            optimizer.zero_grad()
            model.training_step(batch, number).backward()
            optimizer.step()
        return time.perf_counter() - start

    return epoch


if __name__ == "__main__":
    main()
