"""The contrastive loss of a batch, in two forms that agree: on plain graphs, and on slots for GPUs."""

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderName, EncoderShape, Pretrain
from molclr.data.store import GraphStore
from molclr.distributed import gather, processes, share
from molclr.models.augment import augment, augmentation_steps, view_keys
from molclr.models.encoders import make_encoder
from molclr.models.fast.slot_views import slot_views
from molclr.models.fast.slots import SlotBatch, SlotTables, can_represent, capacity_of, represent, require_fit
from molclr.models.heads import ProjectionHead
from molclr.models.nt_xent import find_loss
from molclr.training.device import mixed_precision

MOLECULES_AT_A_TIME = 250_000
"""Molecules whose tables are made at a time."""
BYTES_PER_ATOM = 24
"""Of SlotTables: 22, and some more for the offsets of molecules."""
LARGEST_FRACTION = 0.5
"""Of a GPU's free memory that a corpus may take; a larger one stays on the CPU, from where batches are streamed."""
PREFETCHED = 4
"""Streamed batches that are ready before they are asked for."""


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

    def batches(self, rows: Iterable[np.ndarray]) -> Iterator[Any]:
        """For the positions of molecules in each batch, int64 (B,): what `loss` takes, of this process's part of it."""

    def loss(self, batch: Any, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Contrastive loss and accuracy, both (), of the views that `streams`, int64 (2,), decide."""


class PlainContrast:
    """Graphs as the store has them. The views are embedded one after the other: batch norm takes each by itself."""

    def __init__(self, model: ContrastiveModel, store: GraphStore, settings: Pretrain, device: torch.device) -> None:
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
    """Slots of a padded batch, both views of it at once, compiled: no step waits for the CPU.

    The corpus lies on the device if it fits there; otherwise on the CPU, where a thread cuts out the next batches.
    """

    def __init__(
        self,
        model: ContrastiveModel,
        store: GraphStore,
        settings: Pretrain,
        device: torch.device,
        batches: Iterable[np.ndarray],
        home: torch.device | None = None,
        compiled: bool = True,
    ) -> None:
        """Make tables of the store.

        batches: int64 (num_batches, B), the batches that will be asked for, from which the capacity follows. home: where the
        corpus lies; None for `device` if it has the memory. compiled: by torch.compile.
        """
        self.model, self.settings, self.device = model, settings, device
        self.contrast = find_loss(settings.loss)
        self.home = home or home_of(store, device)
        self.tables = SlotTables(store.parts(MOLECULES_AT_A_TIME), self.home)
        self.counts = self.tables.counts()
        own = (rows[:, share(rows.shape[1])] for rows in batches)
        self.capacity = capacity_of(self.counts, own)
        self.steps = augmentation_steps(settings.augmentation)
        self.max_quota = int(max([0.0, *(ratio for _, ratio in self.steps)]) * self.counts[:, 0].max())
        self.dtype = torch.float32 if settings.precision == "float32" else torch.bfloat16
        self._loss = torch.compile(self._eager_loss, dynamic=False) if compiled else self._eager_loss

    def batches(self, rows: Iterable[np.ndarray]) -> Iterator[tuple[Tensor | SlotBatch, int]]:
        """Positions of this process's part of each batch or, of a streamed corpus, the padded batch; and the whole's size."""
        if self.home == self.device:
            for batch in rows:
                yield self._own(batch).to(self.device, non_blocking=True), len(batch)
            return
        for padded, size in prefetched(((self._padded(self._own(batch)), len(batch)) for batch in rows), PREFETCHED):
            yield padded.to(self.device), size

    def _own(self, batch: np.ndarray) -> Tensor:
        own = batch[share(len(batch))]
        require_fit(self.counts, own, self.capacity)
        return torch.from_numpy(own)

    def _padded(self, rows: Tensor) -> SlotBatch:
        return self.tables.batch(rows, self.capacity)

    def loss(self, batch: tuple[Tensor | SlotBatch, int], streams: Tensor) -> tuple[Tensor, Tensor]:
        """See `Contrast`."""
        return self._loss(*batch, streams)

    def _eager_loss(self, batch: Tensor | SlotBatch, size: int, streams: Tensor) -> tuple[Tensor, Tensor]:
        slots = self._padded(batch) if isinstance(batch, Tensor) else batch
        views = slot_views(slots, self.steps, streams, self.max_quota)
        h = represent(self.model.encoder, slots, *views, self.dtype)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            z = self.model.projection(h.flatten(0, 1)).float().view(*h.shape[:2], -1)
        first, second = (gather(view, size) for view in z)
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
        return SlotContrast(model, store, settings, device, batches)
    return PlainContrast(model, store, settings, device)


def can_be_captured(contrast: Contrast) -> bool:
    """Whether steps are the same kernels on tensors of the same shapes, so that a CUDA graph can hold them."""
    return isinstance(contrast, SlotContrast) and contrast.device.type == "cuda" and processes() == 1


def home_of(store: GraphStore, device: torch.device) -> torch.device:
    """The device if the tables of `store` fit into its free memory, and otherwise the CPU."""
    if (
        device.type == "cuda"
        and store.num_atoms * BYTES_PER_ATOM > LARGEST_FRACTION * torch.cuda.mem_get_info(device)[0]
    ):
        return torch.device("cpu")
    return device


def prefetched(items: Iterator[Any], count: int) -> Iterator[Any]:
    """`items`, of which a thread computes up to `count` before they are asked for. Its exceptions are raised here."""
    done = object()
    made: queue.Queue[Any] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                made.put(item, timeout=0.1)
                return True
        return False

    def work() -> None:
        try:
            all(put((item, None)) for item in items)
        except BaseException as error:  # it belongs to whoever asks for the item
            put((done, error))
        put((done, None))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := made.get())[0] is not done:
            yield item[0]
        if item[1] is not None:
            raise item[1]
    finally:
        stopped.set()
        thread.join()
