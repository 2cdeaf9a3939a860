"""Contrastive pre-training of an encoder on unlabelled molecules (paper, Fig. 1 and Methods)."""

import fcntl
import hashlib
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.data.store import GraphStore
from molclr.dependencies import source_files
from molclr.errors import MolclrError
from molclr.files import write_rows
from molclr.models.augment import augment
from molclr.models.encoder import Encoder
from molclr.models.heads import ProjectionHead
from molclr.models.nt_xent import nt_xent
from molclr.progress import progress
from molclr.seeds import derive_seed
from molclr.training.checkpoint import copy_weights, load_state, save_encoder, save_state
from molclr.training.device import mixed_precision, prepare
from molclr.training.schedule import learning_rate

SECONDS_BETWEEN_CHECKPOINTS = 300.0


class ContrastiveModel(nn.Module):
    """Encoder and projection head: a batch of views to z, float (num_graphs, projection)."""

    def __init__(self, name: EncoderName, shape: EncoderShape, settings: Pretrain) -> None:
        super().__init__()
        self.encoder = Encoder(name, shape, settings.dropout)
        self.projection = ProjectionHead(shape.feature, settings.projection)

    def forward(self, view: GraphBatch) -> Tensor:
        """The projection z of one view of a batch."""
        return self.projection(self.encoder(*view))


def pretrain(
    graphs: Path, folder: Path, name: EncoderName, shape: EncoderShape, settings: Pretrain, start_afresh: bool = False
) -> None:
    """Train on the graph store `graphs`; leave encoder.safetensors (best), last.safetensors and history.csv in `folder`.

    A run that was cut off continues from folder/state.pt, on a CPU bit for bit as if it had not been. If that is of another
    corpus, configuration or version of the code, it is an error, or given up if told to `start_afresh`.
    """
    with alone_in(folder):
        _pretrain(graphs, folder, name, shape, settings, start_afresh)


def _pretrain(
    graphs: Path, folder: Path, name: EncoderName, shape: EncoderShape, settings: Pretrain, start_afresh: bool
) -> None:
    device = prepare(settings)
    store = GraphStore(graphs)
    train, held_out = split_corpus(len(store), settings.validation_share, settings.seed)
    batch_size = min(settings.batch_size, len(train))
    steps = len(train) // batch_size

    torch.manual_seed(derive_seed(settings.seed, "weights"))
    model = ContrastiveModel(name, shape, settings).to(device)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=settings.weight_decay, fused=True)
    run = TrainingState(folder / "state.pt", model, optimizer, identity(graphs, name, shape, settings), start_afresh)

    for epoch in range(run.epoch, settings.epochs):
        start, first_step = time.monotonic(), run.step
        order = np.random.default_rng(derive_seed(settings.seed, "order", epoch)).permutation(train)
        rate = optimizer.param_groups[0]["lr"] = learning_rate(settings, epoch)
        model.train()
        for step in progress(range(run.step, steps), label=f"{name} epoch {epoch + 1}/{settings.epochs}", unit="step"):
            batch = store.batch(np.sort(order[step * batch_size : (step + 1) * batch_size]))
            loss, _ = contrastive_loss(model, batch, settings, device, derive_seed(settings.seed, "views", epoch, step))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.end_step(float(loss.detach()))
            run.save_now_and_then()
        speed = (steps - first_step) * batch_size / (time.monotonic() - start)
        run.end_epoch(*validate(model, store, held_out, settings, device), rate, speed)
        write_rows(folder / "history.csv", run.history)

    write_rows(folder / "history.csv", run.history)
    about_corpus = {"share": settings.validation_share, "seed": settings.seed}
    save_encoder(folder / "encoder.safetensors", model.encoder, run.best, about_corpus)
    save_encoder(folder / "last.safetensors", model.encoder, copy_weights(model.encoder), about_corpus)
    run.path.unlink(missing_ok=True)


def contrastive_loss(
    model: ContrastiveModel, batch: GraphBatch, settings: Pretrain, device: torch.device, seed: int
) -> tuple[Tensor, Tensor]:
    """NT-Xent and contrastive accuracy of two views of `batch`; `seed` decides the views and dropout.

    The views go through the network one after the other: batch norm sees each by itself, as in the official code.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(derive_seed(seed, "dropout"))
    views = [augment(batch, settings.augmentation, generator).to(device) for _ in range(2)]
    with mixed_precision(settings, device):
        first, second = (model(view) for view in views)
    return nt_xent(first, second, settings.temperature)


@torch.no_grad()
def validate(
    model: ContrastiveModel, store: GraphStore, held_out: np.ndarray, settings: Pretrain, device: torch.device
) -> tuple[float, float]:
    """Mean loss and contrastive accuracy on the held-out molecules, with the same views in every epoch.

    The loss depends on the number of negatives, so an incomplete last batch is left out unless it is the only one.
    """
    model.eval()
    size = min(settings.batch_size, len(held_out))
    losses, accuracies = [], []
    for first in range(0, len(held_out) - size + 1, size):
        seed = derive_seed(settings.seed, "validation views", first)
        loss, accuracy = contrastive_loss(model, store.batch(held_out[first : first + size]), settings, device, seed)
        losses.append(float(loss))
        accuracies.append(float(accuracy))
    return float(np.mean(losses)), float(np.mean(accuracies))


def split_corpus(molecules: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the molecules to train on and of those held out: ascending int64 arrays.

    Raises MolclrError when fewer than two molecules are left on either side: a contrast needs two.
    """
    held_out = max(2, round(molecules * share))
    if molecules - held_out < 2:
        raise MolclrError(f"A corpus of {molecules} molecules is too small to pre-train on; give it at least 4.")
    order = np.random.default_rng(derive_seed(seed, "held out")).permutation(molecules)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


class TrainingState:
    """How far a pre-training run is: everything that a continued run needs and an undisturbed one has in memory."""

    def __init__(
        self,
        path: Path,
        model: ContrastiveModel,
        optimizer: torch.optim.Optimizer,
        identity: dict[str, Any],
        start_afresh: bool,
    ) -> None:
        """Begin at the first step, or where the state at `path` says if it is of the same `identity`."""
        self.path, self.model, self.optimizer, self.identity = path, model, optimizer, identity
        self.epoch, self.step, self.loss_sum = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.saved_at = time.monotonic()
        state = load_state(path)
        if state is None:
            return
        difference = _difference(state["identity"], identity)
        if difference and not start_afresh:
            raise MolclrError(
                f"The unfinished run in '{path}' has {difference}; undo the change to continue it, "
                "or delete the file (or give --start-afresh) to begin anew."
            )
        if difference:
            print(f"The unfinished run in '{path}' has {difference}; beginning anew.", file=sys.stderr, flush=True)
            return
        self.epoch, self.step, self.loss_sum = state["epoch"], state["step"], state["loss_sum"]
        self.history, self.best = state["history"], state["best"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])

    def save_now_and_then(self) -> None:
        """Write the state if the last time is long ago."""
        if time.monotonic() - self.saved_at >= SECONDS_BETWEEN_CHECKPOINTS:
            self.save()

    def save(self) -> None:
        """Write the state."""
        fields = ("identity", "epoch", "step", "loss_sum", "history", "best")
        state = {name: getattr(self, name) for name in fields}
        save_state(self.path, state | {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()})
        self.saved_at = time.monotonic()

    def end_step(self, loss: float) -> None:
        """Count a step. Raises MolclrError when the loss is not a number."""
        if not math.isfinite(loss):
            where = f"epoch {self.epoch + 1}, step {self.step + 1}"
            raise MolclrError(f"The loss is {loss} in {where}; lower pretrain.learning_rate or raise the temperature.")
        self.loss_sum += loss
        self.step += 1

    def end_epoch(self, validation_loss: float, accuracy: float, rate: float, speed: float) -> None:
        """Record the epoch, keep the encoder if it is the best so far, and write the state."""
        if all(validation_loss < row["validation_loss"] for row in self.history):
            self.best = copy_weights(self.model.encoder)
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "step": (self.epoch + 1) * self.step,
                "train_loss": self.loss_sum / self.step,
                "validation_loss": validation_loss,
                "contrastive_accuracy": accuracy,
                "learning_rate": rate,
                "molecules_per_second": speed,
            }
        )
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0
        self.save()


def identity(graphs: Path, name: EncoderName, shape: EncoderShape, settings: Pretrain) -> dict[str, Any]:
    """What decides the weights of a run, but for the machine: two runs that agree in it may continue one another."""
    with graphs.open("rb") as file:
        corpus = hashlib.file_digest(file, "sha256").hexdigest()
    code = hashlib.sha256(b"".join(Path(path).read_bytes() for path in source_files("training.pretrain"))).hexdigest()
    made_of = {"corpus": corpus, "code": code, "torch": str(torch.__version__), "encoder": name}
    return made_of | shape.model_dump() | settings.model_dump(exclude={"device", "threads"})


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The first key in which two identities differ, in words; empty if there is none."""
    differing = (key for key in now if before.get(key) != now[key])
    return next((f"{key} = {before.get(key)}, now it is {now[key]}" for key in differing), "")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make sure that one process at a time trains in `folder`; wait for another, left over from a killed run, to end."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process trains in '{folder}'; waiting for it to end.", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in folder.glob(".state.*.pt"):  # of a process that was killed while it wrote
            leftover.unlink()
        yield
    finally:
        os.close(handle)
