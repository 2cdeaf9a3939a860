"""The contrastive loss of a batch, in two equivalent forms: on plain graphs and, for GPUs, on neighbour slots."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderShape, Pretrain
from molclr.data.store import GraphStore
from molclr.distributed import all_sum, gather_rows, joined, own_slice
from molclr.model_names import EncoderName
from molclr.models.augment import augment, augmentation_steps, view_keys
from molclr.models.encoders import make_encoder
from molclr.models.fast.slot_encoder import can_represent, represent
from molclr.models.fast.slot_views import limits_of, slot_distances, slot_views
from molclr.models.heads import ProjectionHead
from molclr.models.nt_xent import find_loss
from molclr.training.device import dtype_of, mixed_precision
from molclr.training.graphs import Handle, SlotGraphs


class ContrastiveModel(nn.Module):
    """Encoder and projection head, which map a batch of views to z, float (num_graphs, projection)."""

    def __init__(self, name: EncoderName, shape: EncoderShape, settings: Pretrain) -> None:
        super().__init__()
        self.encoder = make_encoder(name, shape, settings.dropout)
        self.projection = ProjectionHead(shape.embedding_dim, settings.projection)

    def forward(self, view: GraphBatch) -> Tensor:
        """Compute the projection z of one view of each molecule in a batch."""
        return self.projection(self.encoder(*view))


class Contrast(Protocol):
    """Makes batches and computes their loss."""

    def batches(self, rows: np.ndarray) -> Iterator[Any]:
        """Yield the argument of `loss` for this process's part of each batch. rows: int64 (num_batches, B), positions."""

    def loss(self, batch: Any, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the contrastive loss and accuracy, both (), of the two views with the seeds `streams`, int64 (2,)."""


class PlainContrast:
    """Contrast on plain graphs. The encoder runs on one view after the other, so batch norm normalizes each separately."""

    def __init__(self, model: ContrastiveModel, store: GraphStore, settings: Pretrain, device: torch.device) -> None:
        self.model, self.store, self.settings, self.device = model, store, settings, device
        self.contrast = find_loss(settings.loss)

    def batches(self, rows: np.ndarray) -> Iterator[tuple[GraphBatch, Tensor, int]]:
        """Yield the graphs and positions of this process's part of each batch, and the size of the whole batch."""
        for batch in rows:
            own = batch[own_slice(len(batch))]
            yield self.store.batch(own), torch.from_numpy(own), len(batch)

    def loss(self, batch: tuple[GraphBatch, Tensor, int], streams: Tensor) -> tuple[Tensor, Tensor]:
        """See `Contrast`."""
        graphs, molecules, size = batch
        keys = view_keys(streams.to(molecules.device)[:, None], molecules)
        views = [augment(graphs, self.settings.augmentation, key).to(self.device) for key in keys]
        with mixed_precision(self.settings, self.device):
            first, second = (gather_rows(self.model(view).float(), size) for view in views)
        return self.contrast(first, second, self.settings.temperature)


class SlotContrast:
    """Contrast on neighbour slots, with both views at once, compiled and without synchronization."""

    def __init__(
        self,
        model: ContrastiveModel,
        graphs: SlotGraphs,
        settings: Pretrain,
        batches: Iterable[np.ndarray],
        compiled: bool = True,
    ) -> None:
        """graphs: the whole corpus. batches: arrays int64 (num_batches, B) of all batches of the run; they set the capacity."""
        self.model, self.graphs, self.settings = model, graphs, settings
        self.capacity = graphs.capacity(rows[:, own_slice(rows.shape[1])] for rows in batches)
        self.contrast = find_loss(settings.loss)
        self.steps = augmentation_steps(settings.augmentation)
        self.limits = limits_of(graphs.counts, self.steps)
        # Outside of the compiled code: a loop that would be unrolled, and collectives.
        leave: Callable[[Any], Any] = torch.compiler.disable if compiled else lambda function: function
        self.distances = leave(slot_distances)
        self.gather: Callable[..., Tensor] = leave(gather_rows) if joined() else gather_rows
        self.all_sum: Callable[[Tensor], Tensor] = leave(all_sum) if joined() else all_sum
        self._loss = _compile(self.eager_loss) if compiled else self.eager_loss

    def batches(self, rows: np.ndarray) -> Iterator[tuple[Handle, int]]:
        """Yield this process's part of each batch, and the size of the whole batch."""
        for batch in self.graphs.handles(rows[:, own_slice(rows.shape[1])], self.capacity):
            yield batch, rows.shape[1]

    def loss(self, batch: tuple[Handle, int], streams: Tensor) -> tuple[Tensor, Tensor]:
        """See `Contrast`."""
        return self._loss(*batch, streams)

    def eager_loss(self, handle: Handle, size: int, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what `loss` returns, without compilation. handle, size: an item of `batches`."""
        slots = self.graphs.slots(handle)
        views = slot_views(slots, self.steps, streams, self.limits, self.distances)
        h = represent(self.model.encoder, slots, *views, dtype_of(self.settings), self.all_sum)
        with mixed_precision(self.settings, h.device):
            z = self.model.projection(h.flatten(0, 1)).float().view(*h.shape[:2], -1)
        first, second = (self.gather(view, size) for view in z)
        return self.contrast(first, second, self.settings.temperature)


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function for inputs of fixed shapes.

    Kernels are not chosen by their time, because others would round differently. What was compiled before is forgotten: PyTorch
    compiles a limited number of variants of one function.
    """
    import torch._inductor.config

    torch.compiler.reset()
    deterministic = torch.are_deterministic_algorithms_enabled() and hasattr(torch._inductor.config, "deterministic")
    return torch.compile(function, dynamic=False, options={"deterministic": True} if deterministic else None)


def contrast_of(
    model: ContrastiveModel,
    store: GraphStore,
    settings: Pretrain,
    device: torch.device,
    batches: Iterable[np.ndarray],
) -> Contrast:
    """Choose the fastest form for the device and the model. batches: see `SlotContrast`."""
    if device.type == "cuda" and can_represent(model.encoder):
        return SlotContrast(model, SlotGraphs(store, np.arange(len(store)), device), settings, batches)
    return PlainContrast(model, store, settings, device)


def can_be_captured(contrast: Contrast) -> bool:
    """Return whether all steps run the same kernels on the same shapes, as a CUDA graph requires."""
    return isinstance(contrast, SlotContrast) and contrast.graphs.device.type == "cuda" and not joined()
