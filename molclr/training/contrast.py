"""The contrastive loss of a batch, in two forms that agree: on plain graphs, and on slots for GPUs."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.data.store import GraphStore
from molclr.distributed import all_sum, gather_rows, joined, share
from molclr.models.augment import augment, augmentation_steps, view_keys
from molclr.models.encoders import make_encoder
from molclr.models.fast.slot_views import slot_distances, slot_views
from molclr.models.fast.slots import can_represent, represent
from molclr.models.heads import ProjectionHead
from molclr.models.nt_xent import find_loss
from molclr.training.device import dtype_of, mixed_precision
from molclr.training.graphs import Handle, SlotGraphs


class ContrastiveModel(nn.Module):
    """Encoder and projection head: a batch of views to z, float (num_graphs, projection)."""

    def __init__(self, name: EncoderName, shape: EncoderShape, settings: Pretrain) -> None:
        super().__init__()
        self.encoder = make_encoder(name, shape, settings.dropout)
        self.projection = ProjectionHead(shape.embedding_dim, settings.projection)

    def forward(self, view: GraphBatch) -> Tensor:
        """The projection z of one view of a batch."""
        return self.projection(self.encoder(*view))


class Contrast(Protocol):
    """Where batches come from, and the loss of one."""

    def batches(self, rows: np.ndarray) -> Iterator[Any]:
        """For positions of molecules, int64 (num_batches, B): what `loss` takes, of this process's part of each batch."""

    def loss(self, batch: Any, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Contrastive loss and accuracy, both (), of the views that `streams`, int64 (2,), decide."""


class PlainContrast:
    """Graphs as the store has them. The views are embedded one after the other: batch norm takes each by itself."""

    def __init__(self, model: ContrastiveModel, store: GraphStore, settings: Pretrain, device: torch.device) -> None:
        self.model, self.store, self.settings, self.device = model, store, settings, device
        self.contrast = find_loss(settings.loss)

    def batches(self, rows: np.ndarray) -> Iterator[tuple[GraphBatch, Tensor, int]]:
        """Graphs and positions of this process's part of each batch, and the size of the whole."""
        for batch in rows:
            own = batch[share(len(batch))]
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
    """Slots of a padded batch, both views of it at once, compiled: no step waits for the CPU."""

    def __init__(
        self,
        model: ContrastiveModel,
        graphs: SlotGraphs,
        settings: Pretrain,
        batches: Iterable[np.ndarray],
        compiled: bool = True,
    ) -> None:
        """graphs: the whole corpus. batches: int64 (num_batches, B), all that will be asked for; they decide the capacity."""
        self.model, self.graphs, self.settings = model, graphs, settings
        self.capacity = graphs.capacity(rows[:, share(rows.shape[1])] for rows in batches)
        self.contrast = find_loss(settings.loss)
        self.steps = augmentation_steps(settings.augmentation)
        self.max_quota = int(max([0.0, *(ratio for _, ratio in self.steps)]) * graphs.counts[:, 0].max())
        # A compiler would unroll the loop of distances, and knows no collectives.
        leave: Callable[[Any], Any] = torch.compiler.disable if compiled else lambda function: function
        self.distances = leave(slot_distances)
        self.gather: Callable[..., Tensor] = leave(gather_rows) if joined() else gather_rows
        self.all_sum: Callable[[Tensor], Tensor] = leave(all_sum) if joined() else all_sum
        self._loss = torch.compile(self._eager_loss, dynamic=False) if compiled else self._eager_loss

    def batches(self, rows: np.ndarray) -> Iterator[tuple[Handle, int]]:
        """The part of this process of each batch, and the size of the whole."""
        for batch in self.graphs.handles(rows[:, share(rows.shape[1])], self.capacity):
            yield batch, rows.shape[1]

    def loss(self, batch: tuple[Handle, int], streams: Tensor) -> tuple[Tensor, Tensor]:
        """See `Contrast`."""
        return self._loss(*batch, streams)

    def _eager_loss(self, handle: Handle, size: int, streams: Tensor) -> tuple[Tensor, Tensor]:
        slots = self.graphs.slots(handle)
        views = slot_views(slots, self.steps, streams, self.max_quota, self.distances)
        h = represent(self.model.encoder, slots, *views, dtype_of(self.settings), self.all_sum)
        with mixed_precision(self.settings, h.device):
            z = self.model.projection(h.flatten(0, 1)).float().view(*h.shape[:2], -1)
        first, second = (self.gather(view, size) for view in z)
        return self.contrast(first, second, self.settings.temperature)


def contrast_of(
    model: ContrastiveModel,
    store: GraphStore,
    settings: Pretrain,
    device: torch.device,
    batches: Iterable[np.ndarray],
) -> Contrast:
    """The fastest form for this device and model. batches: see `SlotContrast`."""
    if device.type == "cuda" and can_represent(model.encoder):
        return SlotContrast(model, SlotGraphs(store, np.arange(len(store)), device), settings, batches)
    return PlainContrast(model, store, settings, device)


def can_be_captured(contrast: Contrast) -> bool:
    """Whether steps are the same kernels on tensors of the same shapes, so that a CUDA graph can hold them."""
    return isinstance(contrast, SlotContrast) and contrast.graphs.device.type == "cuda" and not joined()
