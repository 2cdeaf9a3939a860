"""Contrastive pre-training of an encoder on unlabelled molecules (paper, Fig. 1 and Methods)."""

import time
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.data.corpus import RULE, CorpusSplit, split_corpus
from molclr.data.store import GraphStore
from molclr.distributed import process_group, processes, rank, tell
from molclr.errors import MolclrError
from molclr.files import write_rows
from molclr.models.augment import augmentation_steps
from molclr.progress import progress
from molclr.seeds import derive_seed
from molclr.training.checkpoint import copy_weights, save_encoder
from molclr.training.contrast import Contrast, ContrastiveModel, can_be_captured, contrast_of
from molclr.training.device import prepare
from molclr.training.schedule import learning_rate
from molclr.training.state import Interruption, TrainingState, alone_in, identity
from molclr.training.step import CapturedStep, Step

STEPS_BETWEEN_LOOKS = 100
"""Steps after which the device is asked whether all was finite: it has to finish its work to answer."""


def pretrain(
    graphs: Path, folder: Path, name: EncoderName, shape: EncoderShape, settings: Pretrain, start_afresh: bool = False
) -> None:
    """Train on the graph store `graphs`; leave encoder.safetensors (best), last.safetensors and history.csv in `folder`.

    A run that was cut off continues from folder/state.pt, on a CPU bit for bit as if it had not been. If that is of another
    corpus, configuration or version of the code, it is an error, or given up if told to `start_afresh`. Called in each of
    several processes that torchrun started, they train one model together. SIGTERM and Ctrl-C raise KeyboardInterrupt once a
    checkpoint is written.
    """
    device = prepare(settings)
    with process_group(device), alone_in(folder):
        _pretrain(graphs, folder, name, shape, settings, start_afresh, device)


def _pretrain(
    graphs: Path,
    folder: Path,
    name: EncoderName,
    shape: EncoderShape,
    settings: Pretrain,
    start_afresh: bool,
    device: torch.device,
) -> None:
    store = GraphStore(graphs)
    corpus = split_corpus(len(store), settings.validation_share, settings.seed)
    augmentation_steps(settings.augmentation)  # An unknown augmentation is told before anything is trained.
    batch_size = min(settings.batch_size, len(corpus.train))
    steps = len(corpus.train) // batch_size
    if processes() > min(batch_size, len(corpus.held_out)):
        raise MolclrError(
            f"{processes()} processes have too few molecules in a batch; use fewer, or a larger batch_size."
        )

    torch.manual_seed(derive_seed(settings.seed, "weights"))
    model = ContrastiveModel(name, shape, settings).to(device)
    on_gpu = device.type == "cuda"
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=settings.weight_decay, fused=True, capturable=on_gpu)
    run = TrainingState(folder, model, optimizer, identity(graphs, name, shape, settings), start_afresh)
    rate = rate_of(optimizer, device)
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
                due = run.is_due(settings.checkpoint_seconds)
                if due or run.step % STEPS_BETWEEN_LOOKS == 0:
                    run.loss_sum = finite_loss(step, rows[first:], f"epoch {epoch + 1}", first)
                if due:
                    run.save()
            run.loss_sum = finite_loss(step, rows[first:], f"epoch {epoch + 1}", first)
            run.save()
        speed = (steps - first) * batch_size / (time.monotonic() - start)
        validation_loss, accuracy = validate(model, contrast, held_out, settings, device)
        run.end_epoch(validation_loss, accuracy, learning_rate(settings, epoch))
        tell(f"{label}: validation loss {validation_loss:.4f}, accuracy {accuracy:.3f}, {speed:.0f} molecules/s")

    if rank() == 0:
        about_corpus: dict[str, float | str] = {
            "rule": RULE,
            "share": settings.validation_share,
            "seed": settings.seed,
        }
        write_rows(folder / "history.csv", run.history)
        save_encoder(folder / "encoder.safetensors", model.encoder, run.best, about_corpus)
        save_encoder(folder / "last.safetensors", model.encoder, copy_weights(model.encoder), about_corpus)
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


def rate_of(optimizer: torch.optim.Optimizer, device: torch.device) -> Tensor:
    """The learning rate of all parameters as a tensor, (), which captured steps read anew in each replay."""
    rate = torch.zeros((), device=device)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


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
