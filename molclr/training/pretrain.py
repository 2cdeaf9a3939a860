"""Contrastive pre-training of an encoder on unlabelled molecules (paper, Fig. 1 and Methods)."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.data.corpus import RULE, split_corpus
from molclr.data.store import GraphStore
from molclr.distributed import gather, process_group, processes, rank, share, sum_gradients, tell
from molclr.errors import MolclrError
from molclr.files import write_rows
from molclr.models.augment import augment, augmentation_steps, view_keys
from molclr.models.encoder import Encoder
from molclr.models.heads import ProjectionHead
from molclr.models.nt_xent import find_loss
from molclr.progress import progress
from molclr.seeds import derive_seed
from molclr.training.checkpoint import copy_weights, save_encoder
from molclr.training.device import mixed_precision, prepare
from molclr.training.schedule import learning_rate
from molclr.training.state import Interruption, TrainingState, alone_in, identity


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
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=settings.weight_decay, fused=True)
    run = TrainingState(folder, model, optimizer, identity(graphs, name, shape, settings), start_afresh)

    for epoch in range(run.epoch, settings.epochs):
        label = f"{name} epoch {epoch + 1}/{settings.epochs}"
        start, first_step = time.monotonic(), run.step
        order = np.random.default_rng(derive_seed(settings.seed, "order", epoch)).permutation(corpus.train)
        streams = view_streams(settings, "views", epoch)
        rate = optimizer.param_groups[0]["lr"] = learning_rate(settings, epoch)
        model.train()
        with Interruption() as interruption:
            for step in progress(range(run.step, steps), label=label, unit="step", silent=rank() > 0):
                rows = np.sort(order[step * batch_size : (step + 1) * batch_size])
                torch.manual_seed(derive_seed(settings.seed, "dropout", epoch, step, rank()))
                loss, _ = contrastive_loss(model, store, rows, settings, device, streams)
                optimizer.zero_grad()
                loss.backward()
                sum_gradients(model.parameters())
                require_finite(loss, model, f"epoch {epoch + 1}, step {step + 1}", rows)
                optimizer.step()
                run.end_step(float(loss.detach()))
                if interruption.came_anywhere():
                    break
                run.save_now_and_then(settings.checkpoint_seconds)
            run.save()
        speed = (steps - first_step) * batch_size / (time.monotonic() - start)
        validation_loss, accuracy = validate(model, store, corpus.held_out, settings, device)
        run.end_epoch(validation_loss, accuracy, rate)
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


def view_streams(settings: Pretrain, *purpose: int | str) -> list[int]:
    """The seeds of the two views, for example of ("views", epoch)."""
    return [derive_seed(settings.seed, *purpose, view) for view in range(2)]


def contrastive_loss(
    model: ContrastiveModel,
    store: GraphStore,
    rows: np.ndarray,
    settings: Pretrain,
    device: torch.device,
    streams: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """The contrastive loss and accuracy of two views of the molecules `rows`, int64 (num_graphs,), of the store.

    streams: the seeds of the views. The views go through the network one after the other: batch norm sees each by itself, as in
    the official code. Each of several processes cuts out, augments and embeds its part of the rows; all contrast all.
    """
    own = rows[share(len(rows))]
    graphs = store.batch(own)
    keys = [view_keys(stream, torch.from_numpy(own)) for stream in streams]
    views = [augment(graphs, settings.augmentation, key).to(device) for key in keys]
    with mixed_precision(settings, device):
        first, second = (gather(model(view).float(), len(rows)) for view in views)
    return find_loss(settings.loss)(first, second, settings.temperature)


def require_finite(loss: Tensor, model: nn.Module, where: str, rows: np.ndarray) -> None:
    """Raise MolclrError, with the positions `rows` of the batch in the store, if the loss or its gradient is not finite.

    The weights are then still those of before the step.
    """
    gradient = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    if not (loss.isfinite() and gradient.isfinite()):
        raise MolclrError(
            f"The loss is {float(loss.detach())} and the norm of its gradient {float(gradient)} in {where}; lower "
            "pretrain.learning_rate or raise the temperature. The batch is these rows of the graph store: "
            f"{', '.join(map(str, rows))}."
        )


@torch.no_grad()
def validate(
    model: ContrastiveModel, store: GraphStore, held_out: np.ndarray, settings: Pretrain, device: torch.device
) -> tuple[float, float]:
    """Mean loss and contrastive accuracy on the molecules `held_out`, int64 (n,), with the same views in every epoch.

    The loss depends on the number of negatives, so an incomplete last batch is left out unless it is the only one.
    """
    model.eval()
    size = min(settings.batch_size, len(held_out))
    streams = view_streams(settings, "validation views")
    losses, accuracies = [], []
    for first in range(0, len(held_out) - size + 1, size):
        rows = np.sort(held_out[first : first + size])
        loss, accuracy = contrastive_loss(model, store, rows, settings, device, streams)
        losses.append(float(loss))
        accuracies.append(float(accuracy))
    return float(np.mean(losses)), float(np.mean(accuracies))
