"""Contrastive pre-training of an encoder on unlabelled molecules (paper, Fig. 1 and Methods)."""

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.data.corpus import RULE, CorpusSplit, seen_in_store, split_corpus
from molclr.data.store import GraphStore
from molclr.distributed import process_group, processes, rank, tell
from molclr.errors import MolclrError
from molclr.files import write_rows
from molclr.models.augment import augmentation_steps
from molclr.progress import progress
from molclr.seeds import derive_seed
from molclr.training.channels import dead_channels
from molclr.training.checkpoint import copy_weights, save_encoder
from molclr.training.contrast import Contrast, ContrastiveModel, can_be_captured, contrast_of
from molclr.training.device import flushing_subnormals, prepare
from molclr.training.kept import identity, keep_finished, take_finished
from molclr.training.optimizer import adam, rate_of
from molclr.training.schedule import learning_rate
from molclr.training.state import Interruption, TrainingState, alone_in, remove_checkpoints_of
from molclr.training.step import CapturedStep, Step

STEPS_BETWEEN_LOOKS = 100
"""Steps after which the device is asked whether all was finite: it has to finish its work to answer."""


@flushing_subnormals()
def pretrain(
    graphs: Path,
    folder: Path,
    name: EncoderName,
    shape: EncoderShape,
    settings: Pretrain,
    checkpoint_seconds: float = 300.0,
    begin_anew: bool = False,
) -> None:
    """Train on the graph store `graphs`; leave encoder.safetensors (best), last.safetensors, history.csv, run.json in `folder`.

    A run that was cut off continues from folder/state.pt, on a CPU bit for bit as if it had not been. If that is of another
    corpus, configuration or version of the code, it is an error; or it is kept in folder/kept if told to `begin_anew`. A finished
    run is kept there too, and taken again if nothing differs. Called in each of several processes that torchrun started, they
    train one model together. SIGTERM and Ctrl-C raise KeyboardInterrupt once a checkpoint is written.
    """
    device = prepare(settings)
    with process_group(device), alone_in(folder):
        decided_by = identity(graphs, name, shape, settings, device)
        if take_finished(folder, decided_by):
            remove_checkpoints_of(folder, decided_by)
        else:
            _pretrain(graphs, folder, name, shape, settings, device, decided_by, checkpoint_seconds, begin_anew)


def _pretrain(
    graphs: Path,
    folder: Path,
    name: EncoderName,
    shape: EncoderShape,
    settings: Pretrain,
    device: torch.device,
    decided_by: dict[str, Any],
    checkpoint_seconds: float,
    begin_anew: bool,
) -> None:
    store = GraphStore(graphs)
    corpus = split_corpus(len(store), settings.validation_fraction, settings.seed)
    augmentation_steps(settings.augmentation)  # An unknown augmentation is told before anything is trained.
    batch_size = min(settings.batch_size, len(corpus.train))
    steps = len(corpus.train) // batch_size
    if processes() > min(batch_size, len(corpus.held_out)):
        raise MolclrError(
            f"{processes()} processes have too few molecules in a batch; use fewer, or a larger batch_size."
        )

    torch.manual_seed(derive_seed(settings.seed, "weights"))
    model = ContrastiveModel(name, shape, settings).to(device)
    optimizer = adam(model, settings)
    run = TrainingState(folder, model, optimizer, decided_by, begin_anew)
    rate = rate_of(optimizer)
    held_out = batches_to_hold_out(corpus, settings)
    all_batches = (batches_of_epoch(corpus, settings, epoch) for epoch in range(settings.epochs))
    contrast = contrast_of(model, store, settings, device, chain([held_out], all_batches))
    step = Step(model, optimizer, lambda batch, streams: contrast.loss(batch, streams)[0])
    learn = CapturedStep(step, model) if can_be_captured(contrast) else step

    for epoch in range(run.epoch, settings.epochs):
        label = f"{name} epoch {epoch + 1}/{settings.epochs}"
        rows = batches_of_epoch(corpus, settings, epoch)
        streams = view_streams(settings, device, "views", epoch)
        rate.fill_(learning_rate(settings, epoch))
        start, first = time.monotonic(), run.step
        step.begin(run.loss_sum)
        model.train()
        with Interruption() as interruption:
            for batch in progress(contrast.batches(rows[first:]), steps - first, label, "step", silent=rank() > 0):
                torch.manual_seed(derive_seed(settings.seed, "dropout", epoch, run.step, rank()))
                learn(batch, streams)
                run.step += 1
                if interruption.came_anywhere():
                    break
                due = run.is_due(checkpoint_seconds)
                if due or run.step % STEPS_BETWEEN_LOOKS == 0:
                    run.loss_sum = finite_loss(step, rows[first:], f"epoch {epoch + 1}", first)
                if due:
                    run.save()
            run.loss_sum = finite_loss(step, rows[first:], f"epoch {epoch + 1}", first)
            run.save()
        speed = (steps - first) * batch_size / (time.monotonic() - start)
        validation_loss, accuracy = validate(model, contrast, held_out, settings, device)
        dead = dead_channels(model.encoder, held_out_graphs(store, corpus, device))
        run.end_epoch(validation_loss, accuracy, learning_rate(settings, epoch), dead)
        tell(f"{label}: validation loss {validation_loss:.4f}, accuracy {accuracy:.3f}, {speed:.0f} molecules/s")

    if rank() == 0:
        about_corpus: dict[str, float | str] = {
            "rule": RULE,
            "fraction": settings.validation_fraction,
            "seed": settings.seed,
            "corpus": store.identity(),
        }
        seen = seen_in_store(store)
        write_rows(folder / "history.csv", run.history)
        save_encoder(folder / "encoder.safetensors", model.encoder, run.best, about_corpus, seen)
        save_encoder(folder / "last.safetensors", model.encoder, copy_weights(model.encoder), about_corpus, seen)
        keep_finished(folder, decided_by)
        run.remove()


def batches_of_epoch(corpus: CorpusSplit, settings: Pretrain, epoch: int) -> np.ndarray:
    """Positions of the molecules to train on in each step: int64 (steps, B). What does not fill a batch is left out."""
    order = np.random.default_rng(derive_seed(settings.seed, "order", epoch)).permutation(corpus.train)
    return _full_batches(order, settings.batch_size)


def batches_to_hold_out(corpus: CorpusSplit, settings: Pretrain) -> np.ndarray:
    """Positions of held-out molecules: int64 (num_batches, B). The loss depends on the size of a batch, so all are full."""
    return _full_batches(corpus.held_out, settings.batch_size)


def _full_batches(molecules: np.ndarray, batch_size: int) -> np.ndarray:
    """Consecutive batches, or a single one of all molecules if they are too few."""
    size = min(batch_size, len(molecules))
    return molecules[: len(molecules) // size * size].reshape(-1, size)


def view_streams(settings: Pretrain, device: torch.device, *purpose: int | str) -> Tensor:
    """The seeds of the two views, int64 (2,), for example of ("views", epoch)."""
    return torch.tensor([derive_seed(settings.seed, *purpose, view) for view in range(2)], device=device)


def finite_loss(step: Step, rows: np.ndarray, where: str, first: int) -> float:
    """Sum of the losses so far. Raises MolclrError if a loss or its gradient was not finite; no weight has changed since then.

    rows: int64 (num_steps, B), positions in the store of each batch since the step `first` (from 0).
    """
    if float(step.failed):
        number = int(step.good)
        raise MolclrError(
            f"The loss or its gradient is not finite in {where}, step {first + number + 1}; lower pretrain.learning_rate or "
            "raise the temperature. The weights are those before that step. Its batch is these rows of the graph store: "
            f"{', '.join(map(str, rows[number]))}."
        )
    return float(step.loss_sum)


@torch.no_grad()
def validate(
    model: nn.Module, contrast: Contrast, held_out: np.ndarray, settings: Pretrain, device: torch.device
) -> tuple[float, float]:
    """Mean loss and contrastive accuracy of the batches `held_out`, int64 (num_batches, B), with the same views in each epoch."""
    model.eval()
    streams = view_streams(settings, device, "validation views")
    found = [torch.stack(contrast.loss(batch, streams)) for batch in contrast.batches(held_out)]
    loss, accuracy = torch.stack(found).double().mean(0).tolist()
    return loss, accuracy


def held_out_graphs(
    store: GraphStore, corpus: CorpusSplit, device: torch.device, molecules: int = 2048
) -> Iterator[GraphBatch]:
    """The first `molecules` of those that are held out, as they are, in batches on `device`."""
    for first in range(0, min(molecules, len(corpus.held_out)), 512):
        yield store.batch(corpus.held_out[first : min(first + 512, molecules)]).to(device)
