"""Graphs of a store on a device, in the form that is computed fastest there: plain on a CPU, slots on a GPU."""

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.data.store import GraphStore
from molclr.models.encoder import Encoder
from molclr.models.fast.slots import (
    Capacity,
    SlotBatch,
    SlotTables,
    can_represent,
    capacity_of,
    represent,
    require_fit,
    unchanged,
)

MOLECULES_AT_A_TIME = 250_000
"""Molecules whose tables are made at a time."""
BYTES_PER_ATOM = 24
"""Of SlotTables: 22, and some more for the offsets of molecules."""
LARGEST_FRACTION = 0.5
"""Of a GPU's free memory that graphs may take; more of them stay on the CPU, from where batches are streamed."""
PREFETCHED = 4
"""Streamed batches that are ready before they are asked for."""


class Graphs(Protocol):
    """Graphs of molecules, which batches name by their places, int64 (num_batches, B); -1 is no molecule."""

    device: torch.device

    def capacity(self, batches: Iterable[np.ndarray]) -> Capacity | None:
        """What suffices for all of `batches`, where the shapes of a batch are fixed."""

    def handles(self, batches: np.ndarray, capacity: Capacity | None) -> Iterator[Any]:
        """What `represent` takes for each of `batches`. Raises ValueError if one needs more than `capacity`."""

    def rows(self, batch: np.ndarray) -> np.ndarray:
        """The rows of h of one batch, int64."""

    def represent(self, encoder: nn.Module, handle: Any, dtype: torch.dtype = torch.float32) -> Tensor:
        """Representation h, (rows, embedding_dim), computed in `dtype`."""


class PlainGraphs:
    """Graphs as the store has them; a place without a molecule has no row of h."""

    def __init__(self, store: GraphStore, molecules: np.ndarray, device: torch.device) -> None:
        """molecules: int64 (n,), positions in the store; a place is one of these."""
        self.store, self.molecules, self.device = store, molecules, device

    def capacity(self, batches: Iterable[np.ndarray]) -> None:
        """See `Graphs`."""

    def handles(self, batches: np.ndarray, capacity: Capacity | None = None) -> Iterator[GraphBatch]:
        """See `Graphs`."""
        for batch in batches:
            yield self.store.batch(self.molecules[self.rows(batch)]).to(self.device)

    def rows(self, batch: np.ndarray) -> np.ndarray:
        """See `Graphs`."""
        return batch[batch >= 0]

    def represent(self, encoder: nn.Module, handle: GraphBatch, dtype: torch.dtype = torch.float32) -> Tensor:
        """See `Graphs`. Autocast decides the type."""
        return encoder(*handle)


class SlotGraphs:
    """Graphs in slots, in padded batches of static shape; h of a place without a molecule has no meaning.

    They lie on the device if they fit there; otherwise on the CPU, where a thread cuts out the next batches.
    """

    def __init__(
        self, store: GraphStore, molecules: np.ndarray, device: torch.device, home: torch.device | None = None
    ) -> None:
        """molecules: see `PlainGraphs`. home: where the graphs lie; None for `device` if it has the memory."""
        self.device, self.home = device, home or _home_of(store, len(molecules), device)
        self.tables = SlotTables(store.parts(molecules, MOLECULES_AT_A_TIME), self.home)
        self.counts = self.tables.counts()

    def capacity(self, batches: Iterable[np.ndarray]) -> Capacity:
        """See `Graphs`."""
        return capacity_of(self.counts, batches)

    def handles(self, batches: np.ndarray, capacity: Capacity | None) -> Iterator["Handle"]:
        """See `Graphs`. Of graphs on the device, their places alone: a step cuts them out by itself."""
        capacity = capacity or self.capacity([batches])
        if self.home == self.device:
            for batch in batches:
                require_fit(self.counts, batch, capacity)
                yield Handle(torch.from_numpy(batch).to(self.device, non_blocking=True), capacity)
            return
        made = (self.slots(Handle(torch.from_numpy(batch), capacity)) for batch in batches)
        for padded in prefetched(made, PREFETCHED):
            yield Handle(padded.to(self.device), capacity)

    def rows(self, batch: np.ndarray) -> np.ndarray:
        """See `Graphs`."""
        return batch

    def slots(self, handle: "Handle") -> SlotBatch:
        """The padded batch of a handle."""
        batch, capacity = handle
        return self.tables.batch(batch, capacity) if isinstance(batch, Tensor) else batch

    def represent(self, encoder: nn.Module, handle: "Handle", dtype: torch.dtype = torch.float32) -> Tensor:
        """See `Graphs`."""
        slots = self.slots(handle)
        return represent(cast(Encoder, encoder), slots, *unchanged(slots), dtype)[0]


class Handle(NamedTuple):
    """A padded batch, or the places of its molecules, int64 (B,), and its capacity."""

    batch: Tensor | SlotBatch
    capacity: Capacity


def graphs_on(device: torch.device, store: GraphStore, molecules: np.ndarray, encoder: nn.Module) -> Graphs:
    """The form that is fastest on `device` for this encoder."""
    if device.type == "cuda" and can_represent(encoder):
        return SlotGraphs(store, molecules, device)
    return PlainGraphs(store, molecules, device)


def in_batches(molecules: np.ndarray, size: int) -> np.ndarray:
    """Consecutive batches of `molecules`, int64 (n,), as int64 (num_batches, size); the last one is filled up with -1."""
    padding = np.full(-len(molecules) % size, -1, np.int64)
    return np.concatenate([molecules, padding]).reshape(-1, size)


def _home_of(store: GraphStore, molecules: int, device: torch.device) -> torch.device:
    """The device if so many molecules of `store` fit into its free memory, and otherwise the CPU."""
    if device.type != "cuda":
        return device
    needed = store.num_atoms * BYTES_PER_ATOM * molecules // max(1, len(store))
    return device if needed < LARGEST_FRACTION * torch.cuda.mem_get_info(device)[0] else torch.device("cpu")


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
