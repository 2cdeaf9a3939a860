"""Contrastive pre-training of an encoder on unlabelled molecules (paper, Fig. 1 and Methods)."""

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderShape, Pretrain
from molclr.data.corpus import RULE, CorpusSplit, seen_in_store, split_corpus
from molclr.data.store import GraphStore
from molclr.distributed import process_group, processes, rank
from molclr.errors import MolclrError
from molclr.files import write_rows
from molclr.imports import is_dotted_path
from molclr.model_names import EncoderName
from molclr.models.contract import CHECKED, require_pure, require_synchronized
from molclr.models.encoder import GraphEncoder
from molclr.progress import progress, say
from molclr.seeds import derive_seed
from molclr.training.channels import dead_channels
from molclr.training.checkpoint import copy_weights, save_encoder
from molclr.training.contrast import Contrast, ContrastiveModel, can_be_captured, contrast_of
from molclr.training.device import flushing_subnormals, prepare, unchanged_torch
from molclr.training.kept import keep_finished, run_identity, take_finished
from molclr.training.optimizer import pretraining_optimizer, rate_of
from molclr.training.schedule import learning_rate
from molclr.training.state import Interruption, TrainingState, alone_in, remove_checkpoints_of
from molclr.training.step import CapturedStep, Step

STEPS_BETWEEN_LOOKS = 100
"""Steps between checks for non-finite losses, each of which synchronizes with the device."""


@unchanged_torch()
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
    """Pre-train an encoder on the graph store `graphs`.

    Writes encoder.safetensors (epoch with the lowest validation loss), last.safetensors (last epoch), history.csv and run.json to
    `folder`. An interrupted run continues from folder/state.pt; on a CPU the result is bitwise equal to that of an uninterrupted
    run. If the checkpoint belongs to another corpus, configuration or version of the code, MolclrError is raised or, with
    `begin_anew`, the checkpoint is moved to folder/kept. Finished runs are kept there too and restored if the same run is
    requested again. checkpoint_seconds: time between checkpoints. Processes started by torchrun train one model together.
    SIGTERM and Ctrl-C raise KeyboardInterrupt after a checkpoint is written. Raises MolclrError if the loss is not finite.
    """
    device = prepare(settings)
    with process_group(device), alone_in(folder):
        identity = run_identity(graphs, name, shape, settings, device)
        if take_finished(folder, identity):
            remove_checkpoints_of(folder, identity)
            return
        store = GraphStore(graphs)
        corpus = split_corpus(len(store), settings.validation_fraction, settings.seed)
        _require_batches(corpus, settings)
        if settings.warmup == "linear" and settings.warmup_epochs >= settings.epochs:
            say(
                f"warning: warm-up takes {settings.warmup_epochs} epochs and training {settings.epochs}, so the learning rate "
                "never falls; set warmup_epochs to less"
            )
        torch.manual_seed(derive_seed(settings.seed, "weights"))
        model = ContrastiveModel(name, shape, settings).to(device)
        _check_own_code(model, store.batch(corpus.train[:CHECKED]), settings)
        run = TrainingState(folder, model, pretraining_optimizer(model, settings), identity, begin_anew)
        _train(run, model, store, corpus, settings, checkpoint_seconds)
        if rank() == 0:
            write_rows(folder / "history.csv", run.history)
            save_encoders(folder, model.encoder, run.best, store, settings)
            keep_finished(folder, identity)
            run.remove()


def _train(
    run: TrainingState,
    model: ContrastiveModel,
    store: GraphStore,
    corpus: CorpusSplit,
    settings: Pretrain,
    checkpoint_seconds: float,
) -> None:
    """Train `model` for the remaining epochs of a run, and validate it after each. checkpoint_seconds: see `pretrain`."""
    device = next(model.parameters()).device
    held_out = held_out_batches(corpus, settings)
    all_batches = (batches_of_epoch(corpus, settings, epoch) for epoch in range(settings.epochs))
    learner = Learner(run, contrast_of(model, store, settings, device, chain([held_out], all_batches)), settings)
    for epoch in range(run.epoch, settings.epochs):
        label = f"{model.encoder.name} epoch {epoch + 1}/{settings.epochs}"
        rows, start = batches_of_epoch(corpus, settings, epoch)[run.step :], time.monotonic()
        learner.train_epoch(rows, label, checkpoint_seconds)
        speed = rows.size / (time.monotonic() - start)
        validation_loss, accuracy = validate(model, learner.contrast, held_out, settings, device)
        dead = dead_channels(model.encoder, held_out_graphs(store, corpus, device))
        run.end_epoch(validation_loss, accuracy, learning_rate(settings, epoch), dead)
        say(f"{label}: validation loss {validation_loss:.4f}, accuracy {accuracy:.3f}, {speed:.0f} molecules/s")


class Learner:
    """A model that learns from batches of a corpus, from the state of a run on."""

    def __init__(self, run: TrainingState, contrast: Contrast, settings: Pretrain) -> None:
        self.run, self.contrast, self.settings = run, contrast, settings
        self.rate = rate_of(run.optimizer)
        self.step = Step(run.model, run.optimizer, lambda batch, streams: contrast.loss(batch, streams)[0])
        self.learn = CapturedStep(self.step, run.model) if can_be_captured(contrast) else self.step

    def train_epoch(self, rows: np.ndarray, label: str, checkpoint_seconds: float) -> None:
        """Train on the batches `rows`, int64 (num_steps, B), with which the epoch `run.epoch` continues.

        Writes checkpoints. Raises MolclrError if the loss is not finite, KeyboardInterrupt after a signal.
        """
        run, settings, first = self.run, self.settings, self.run.step
        self.rate.fill_(learning_rate(settings, run.epoch))
        streams = view_streams(settings, self.rate.device, "views", run.epoch)
        self.step.begin(run.loss_sum)
        run.model.train()
        with Interruption() as interruption:
            batches = self.contrast.batches(rows)
            for batch in progress(batches, len(rows), label, "step", silent=rank() > 0):
                if settings.dropout > 0:
                    torch.manual_seed(derive_seed(settings.seed, "dropout", run.epoch, run.step, rank()))
                self.learn(batch, streams)
                run.step += 1
                if interruption.came_anywhere():
                    break
                due = run.is_due(checkpoint_seconds)
                if due or run.step % STEPS_BETWEEN_LOOKS == 0:
                    run.loss_sum = finite_loss(self.step, rows, f"epoch {run.epoch + 1}", first)
                if due:
                    run.save()
            run.loss_sum = finite_loss(self.step, rows, f"epoch {run.epoch + 1}", first)
            if interruption.came:
                run.save()


def _require_batches(corpus: CorpusSplit, settings: Pretrain) -> None:
    """Raise MolclrError if a batch has fewer molecules than there are processes."""
    if processes() > min(settings.batch_size, len(corpus.train), len(corpus.held_out)):
        raise MolclrError(
            f"A batch has too few molecules for {processes()} processes; use fewer processes or a larger batch_size."
        )


def _check_own_code(model: ContrastiveModel, graphs: GraphBatch, settings: Pretrain) -> None:
    """Raise MolclrError if an augmentation or encoder outside this package breaks its contract. graphs: on the CPU."""
    require_pure(graphs, settings.augmentation)
    if processes() > 1:
        require_synchronized(model.encoder)
    if is_dotted_path(model.encoder.name):
        with torch.no_grad():
            model.encoder.eval()(*graphs.to(next(model.parameters()).device))  # It checks itself.


def save_encoders(
    folder: Path, encoder: GraphEncoder, best: dict[str, Tensor], store: GraphStore, settings: Pretrain
) -> None:
    """Write encoder.safetensors with the weights `best` and last.safetensors with the present weights."""
    held_out: dict[str, float | str] = {
        "rule": RULE,
        "fraction": settings.validation_fraction,
        "seed": settings.seed,
        "corpus": store.identity(),
    }
    seen = seen_in_store(store)
    save_encoder(folder / "encoder.safetensors", encoder, best, held_out, seen)
    save_encoder(folder / "last.safetensors", encoder, copy_weights(encoder), held_out, seen)


def batches_of_epoch(corpus: CorpusSplit, settings: Pretrain, epoch: int) -> np.ndarray:
    """Return the positions of the training molecules in each step: int64 (steps, B). An incomplete batch is dropped."""
    order = np.random.default_rng(derive_seed(settings.seed, "order", epoch)).permutation(corpus.train)
    return _full_batches(order, settings.batch_size)


def held_out_batches(corpus: CorpusSplit, settings: Pretrain) -> np.ndarray:
    """Return the positions of held-out molecules: int64 (num_batches, B).

    All batches are full, because the loss depends on the batch size.
    """
    return _full_batches(corpus.held_out, settings.batch_size)


def _full_batches(molecules: np.ndarray, batch_size: int) -> np.ndarray:
    """Split into full consecutive batches, or one batch of all molecules if there are fewer than `batch_size`."""
    size = min(batch_size, len(molecules))
    return molecules[: len(molecules) // size * size].reshape(-1, size)


def view_streams(settings: Pretrain, device: torch.device, *purpose: int | str) -> Tensor:
    """Derive the seeds of the two views, int64 (2,), for a purpose such as ("views", epoch)."""
    return torch.tensor([derive_seed(settings.seed, *purpose, view) for view in range(2)], device=device)


def finite_loss(step: Step, rows: np.ndarray, where: str, first: int) -> float:
    """Return the sum of the losses so far. Raises MolclrError if a loss or its gradient was not finite.

    rows: int64 (num_steps, B), positions in the store of each batch since the step `first` (from 0).
    """
    if float(step.failed):
        number = int(step.good)
        raise MolclrError(
            f"The loss or its gradient is not finite in {where}, step {first + number + 1}; lower pretrain.learning_rate or "
            "raise pretrain.temperature. The weights were not changed by that step. Its batch has these rows of the graph store: "
            f"{', '.join(map(str, rows[number]))}."
        )
    return float(step.loss_sum)


@torch.no_grad()
def validate(
    model: nn.Module, contrast: Contrast, held_out: np.ndarray, settings: Pretrain, device: torch.device
) -> tuple[float, float]:
    """Compute the mean loss and contrastive accuracy of the batches `held_out`, int64 (num_batches, B).

    The views are the same in each epoch.
    """
    model.eval()
    streams = view_streams(settings, device, "validation views")
    found = [torch.stack(contrast.loss(batch, streams)) for batch in contrast.batches(held_out)]
    loss, accuracy = torch.stack(found).double().mean(0).tolist()
    return loss, accuracy


def held_out_graphs(
    store: GraphStore, corpus: CorpusSplit, device: torch.device, molecules: int = 2048
) -> Iterator[GraphBatch]:
    """Yield the first `molecules` held-out molecules, without augmentation, in batches on `device`."""
    for first in range(0, min(molecules, len(corpus.held_out)), 512):
        yield store.batch(corpus.held_out[first : min(first + 512, molecules)]).to(device)
