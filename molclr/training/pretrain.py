"""Contrastive pre-training of an encoder on unlabelled molecules (paper, Fig. 1 and Methods)."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.data.corpus import CorpusSplit
from molclr.data.store import GraphStore
from molclr.distributed import gather, process_group, processes, rank, share, sum_gradients, tell
from molclr.errors import MolclrError
from molclr.files import write_rows
from molclr.models.augment import augment
from molclr.models.encoder import Encoder
from molclr.models.heads import ProjectionHead
from molclr.models.nt_xent import nt_xent
from molclr.progress import progress
from molclr.seeds import derive_seed
from molclr.shuffle import Shuffle
from molclr.training.checkpoint import copy_weights, save_encoder
from molclr.training.device import mixed_precision, prepare
from molclr.training.kept import identity, keep_finished, take_finished
from molclr.training.schedule import learning_rate
from molclr.training.state import Interruption, TrainingState, alone_in, remove_checkpoints_of


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
    corpus = CorpusSplit(len(store), settings.validation_share, settings.seed)
    batch_size = min(settings.batch_size, corpus.train)
    steps = corpus.train // batch_size
    if processes() > min(batch_size, corpus.held_out):
        raise MolclrError(
            f"{processes()} processes have too few molecules in a batch; use fewer, or a larger batch_size."
        )

    torch.manual_seed(derive_seed(settings.seed, "weights"))
    model = ContrastiveModel(name, shape, settings).to(device)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=settings.weight_decay, fused=True)
    run = TrainingState(folder, model, optimizer, decided_by, begin_anew)

    for epoch in range(run.epoch, settings.epochs):
        label = f"{name} epoch {epoch + 1}/{settings.epochs}"
        start, first_step = time.monotonic(), run.step
        order = Shuffle(corpus.train, derive_seed(settings.seed, "order", epoch))
        rate = optimizer.param_groups[0]["lr"] = learning_rate(settings, epoch)
        model.train()
        with Interruption() as interruption:
            for step in progress(range(run.step, steps), label=label, unit="step", silent=rank() > 0):
                rows = corpus.to_train_on(order.at(np.arange(step * batch_size, (step + 1) * batch_size)))
                seed = derive_seed(settings.seed, "views", epoch, step)
                loss, _ = contrastive_loss(model, store.batch(rows), settings, device, seed)
                optimizer.zero_grad()
                loss.backward()
                sum_gradients(model.parameters())
                require_finite(loss, model, f"epoch {epoch + 1}, step {step + 1}", rows)
                optimizer.step()
                run.end_step(float(loss.detach()))
                if interruption.came_anywhere():
                    break
                run.save_now_and_then(checkpoint_seconds)
            run.save()
        speed = (steps - first_step) * batch_size / (time.monotonic() - start)
        validation_loss, accuracy = validate(model, store, corpus, settings, device)
        run.end_epoch(validation_loss, accuracy, rate)
        tell(f"{label}: validation loss {validation_loss:.4f}, accuracy {accuracy:.3f}, {speed:.0f} molecules/s")

    if rank() == 0:
        about_corpus: dict[str, float | str] = {
            "rule": corpus.RULE,
            "share": settings.validation_share,
            "seed": settings.seed,
        }
        write_rows(folder / "history.csv", run.history)
        save_encoder(folder / "encoder.safetensors", model.encoder, run.best, about_corpus)
        save_encoder(folder / "last.safetensors", model.encoder, copy_weights(model.encoder), about_corpus)
        keep_finished(folder, decided_by)
        run.remove()


def contrastive_loss(
    model: ContrastiveModel, batch: GraphBatch, settings: Pretrain, device: torch.device, seed: int
) -> tuple[Tensor, Tensor]:
    """NT-Xent and contrastive accuracy of two views of `batch`; `seed` decides the views and dropout.

    The views go through the network one after the other: batch norm sees each by itself, as in the official code. Of several
    processes, each makes the views of the whole batch, so that they are those of a single process, and embeds its share; all
    contrast all.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(derive_seed(seed, "dropout", rank()))
    own = share(batch.num_graphs)
    views = [augment(batch, settings.augmentation, generator).part(own).to(device) for _ in range(2)]
    with mixed_precision(settings, device):
        first, second = (gather(model(view).float(), batch.num_graphs) for view in views)
    return nt_xent(first, second, settings.temperature)


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
    model: ContrastiveModel, store: GraphStore, corpus: CorpusSplit, settings: Pretrain, device: torch.device
) -> tuple[float, float]:
    """Mean loss and contrastive accuracy on the held-out molecules, with the same views in every epoch.

    The loss depends on the number of negatives, so an incomplete last batch is left out unless it is the only one.
    """
    model.eval()
    size = min(settings.batch_size, corpus.held_out)
    losses, accuracies = [], []
    for first in range(0, corpus.held_out - size + 1, size):
        seed = derive_seed(settings.seed, "validation views", first)
        rows = corpus.to_hold_out(np.arange(first, first + size))
        loss, accuracy = contrastive_loss(model, store.batch(rows), settings, device, seed)
        losses.append(float(loss))
        accuracies.append(float(accuracy))
    return float(np.mean(losses)), float(np.mean(accuracies))
