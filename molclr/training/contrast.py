"""The contrastive loss of a batch, in two forms that agree: on plain graphs, and on slots for GPUs."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import Pretrain
from molclr.data.store import GraphStore
from molclr.distributed import gather, processes, share
from molclr.models.augment import augment, view_keys
from molclr.models.nt_xent import find_loss
from molclr.models.slot_views import slot_views
from molclr.models.slots import SlotBatch, SlotTables, can_represent, capacity_of, represent, require_fit
from molclr.training.device import mixed_precision

MOLECULES_AT_A_TIME = 250_000
"""Molecules whose tables are made at a time."""
BYTES_PER_ATOM = 24
"""Of SlotTables: 22, and some more for the offsets of molecules."""
LARGEST_FRACTION = 0.5
"""Of a GPU's free memory that a corpus may take; a larger one stays on the CPU, from where batches are streamed."""
PREFETCHED = 4
"""Streamed batches that are ready before they are asked for."""


class Contrast(Protocol):
    """Where batches come from, and the loss of one.

    `batches` takes int64 (B,) positions of molecules for each batch and yields what `loss` takes for the part of this process.
    `loss` returns the contrastive loss and accuracy, both (), of the views with the keys `streams`, int64 (2,).
    """

    def batches(self, rows: Iterable[np.ndarray]) -> Iterator[Any]: ...  # noqa: D102
    def loss(self, batch: Any, streams: Tensor) -> tuple[Tensor, Tensor]: ...  # noqa: D102


class PlainContrast:
    """Graphs as the store has them. The views are embedded one after the other: batch norm takes each by itself."""

    def __init__(self, model: nn.Module, store: GraphStore, settings: Pretrain, device: torch.device) -> None:
        self.model, self.store, self.settings, self.device = model, store, settings, device
        self.contrast = find_loss(settings.loss)

    def batches(self, rows: Iterable[np.ndarray]) -> Iterator[tuple[GraphBatch, Tensor, int]]:
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
            first, second = (gather(self.model(view).float(), size) for view in views)
        return self.contrast(first, second, self.settings.temperature)


class SlotContrast:
    """Slots of a padded batch, compiled; both views are one batch. No step waits for the CPU.

    The corpus lies on the device where it fits, and otherwise on the CPU, where a thread cuts out the next batches.
    """

    def __init__(
        self, model: nn.Module, store: GraphStore, settings: Pretrain, device: torch.device, compiled: bool = True
    ) -> None:
        self.model, self.settings, self.device = model, settings, device
        self.contrast = find_loss(settings.loss)
        self.home = home_of(store, device)
        self.tables = SlotTables(store.parts(MOLECULES_AT_A_TIME), self.home)
        self.counts = self.tables.counts()
        self.dtype = torch.float32 if settings.precision == "float32" else torch.bfloat16
        self._loss: Callable[[Any, Tensor, int], tuple[Tensor, Tensor]] = self._eager_loss
        if compiled:
            self._loss = torch.compile(self._eager_loss, dynamic=False)
        self.size = 0

    def batches(self, rows: Iterable[np.ndarray]) -> Iterator[tuple[Tensor | SlotBatch]]:
        """Positions of this process's part of each batch on the device or, of a streamed corpus, the padded batch itself."""
        if self.home == self.device:
            return ((self._positions(batch).to(self.device, non_blocking=True),) for batch in rows)
        made = prefetched((self._padded(self._positions(batch)) for batch in rows), PREFETCHED)
        return ((batch.to(self.device),) for batch in made)

    def _positions(self, batch: np.ndarray) -> Tensor:
        self.size = len(batch)
        own = batch[share(len(batch))]
        require_fit(self.counts, own, capacity_of(self.counts, len(own)))
        return torch.from_numpy(own)

    def _padded(self, rows: Tensor) -> SlotBatch:
        return self.tables.batch(rows, capacity_of(self.counts, len(rows)))

    def loss(self, batch: tuple[Tensor | SlotBatch], streams: Tensor) -> tuple[Tensor, Tensor]:
        """See `Contrast`."""
        return self._loss(batch[0], streams, self.size)

    def _eager_loss(self, batch: Tensor | SlotBatch, streams: Tensor, size: int) -> tuple[Tensor, Tensor]:
        slots = self._padded(batch) if isinstance(batch, Tensor) else batch
        views = slot_views(slots, self.settings.augmentation, streams, int(self.counts[0].max()))
        h = represent(self.model.encoder, slots, *views, self.dtype)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            z = self.model.projection(h.flatten(0, 1)).float().view(*h.shape[:2], -1)
        first, second = (gather(view, size) for view in z)
        return self.contrast(first, second, self.settings.temperature)
