"""Graphs of a store on a device, in the form that is fastest there: plain on a CPU, neighbour slots on a GPU."""

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from molclr.batch import GraphBatch, map_tensors
from molclr.data.store import GraphStore
from molclr.models.encoder import GraphEncoder
from molclr.models.fast.slot_encoder import can_represent, represent, unchanged
from molclr.models.fast.slots import Capacity, SlotBatch, SlotTables, capacity_of, require_fit

MOLECULES_AT_A_TIME = 250_000
"""Molecules per part when slot tables are built."""
BYTES_PER_ATOM = 24
"""Memory of SlotTables: 22 bytes, and about 2 for the offsets of molecules."""
LARGEST_FRACTION = 0.5
"""Fraction of a GPU's free memory that graphs may use. Larger corpora stay on the CPU, and batches are streamed."""
PREFETCHED = 4
"""Streamed batches that are prepared in advance."""


class Graphs(Protocol):
    """Graphs of molecules. Batches are int64 (num_batches, B), indices ("places") of molecules; -1 stands for no molecule."""

    device: torch.device

    def capacity(self, batches: Iterable[np.ndarray]) -> Capacity | None:
        """Return the capacity that suffices for all `batches`; None if the shapes of batches vary."""

    def handles(self, batches: np.ndarray, capacity: Capacity | None) -> Iterator[Any]:
        """Yield the argument of `represent` for each batch. Raises ValueError if one needs more than `capacity`."""

    def places(self, handle: Any) -> Tensor:
        """Return the places of the rows of h: int64 (rows,)."""

    def represent(self, encoder: nn.Module, handle: Any, dtype: torch.dtype = torch.float32) -> Tensor:
        """Compute the representation h in `dtype`: (rows, embedding_dim)."""


class PlainGraphs:
    """Graphs on plain tensors; the index -1 has no row of h."""

    def __init__(self, store: GraphStore, molecules: np.ndarray, device: torch.device) -> None:
        """molecules: int64 (n,), positions in the store; a place is an index into them."""
        self.store, self.molecules, self.device = store, molecules, device

    def capacity(self, batches: Iterable[np.ndarray]) -> None:
        """See `Graphs`."""

    def handles(self, batches: np.ndarray, capacity: Capacity | None = None) -> Iterator[tuple[GraphBatch, Tensor]]:
        """See `Graphs`."""
        for batch in batches:
            places = batch[batch >= 0]
            yield self.store.batch(self.molecules[places]).to(self.device), torch.from_numpy(places).to(self.device)

    def places(self, handle: tuple[GraphBatch, Tensor]) -> Tensor:
        """See `Graphs`."""
        return handle[1]

    def represent(
        self, encoder: nn.Module, handle: tuple[GraphBatch, Tensor], dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """See `Graphs`. The autocast context determines the data type."""
        return encoder(*handle[0])


class SlotGraphs:
    """Graphs in neighbour slots, with padded batches of static shape; the row of h for the index -1 has no meaning.

    The tables are on the device if they fit there; otherwise on the CPU, where a thread prepares the next batches.
    """

    def __init__(
        self, store: GraphStore, molecules: np.ndarray, device: torch.device, home: torch.device | None = None
    ) -> None:
        """molecules: see `PlainGraphs`. home: where the tables are; None for `device` if it has enough memory."""
        self.device, self.home = device, home or _home_of(store, len(molecules), device)
        self.tables = SlotTables(store.parts(molecules, MOLECULES_AT_A_TIME), self.home)
        self.counts = self.tables.counts()

    def capacity(self, batches: Iterable[np.ndarray]) -> Capacity:
        """See `Graphs`."""
        return capacity_of(self.counts, batches)

    def handles(self, batches: np.ndarray, capacity: Capacity | None) -> Iterator["Handle"]:
        """See `Graphs`. If the tables are on the device, a handle holds places, and the step makes the batch."""
        capacity = capacity or self.capacity([batches])
        require_fit(self.counts, batches, capacity)
        places = torch.from_numpy(batches).to(self.home)
        if self.home == self.device:
            yield from (Handle(batch, capacity) for batch in places)
            return
        for padded in prefetched((self._pinned(Handle(batch, capacity)) for batch in places), PREFETCHED):
            yield Handle(padded.to(self.device), capacity)

    def _pinned(self, handle: "Handle") -> SlotBatch:
        """Make a batch in memory from which it is copied to a GPU without waiting."""
        batch = self.slots(handle)
        return map_tensors(batch, Tensor.pin_memory) if self.device.type == "cuda" else batch

    def places(self, handle: "Handle") -> Tensor:
        """See `Graphs`."""
        return handle.batch if isinstance(handle.batch, Tensor) else handle.batch.rows

    def slots(self, handle: "Handle") -> SlotBatch:
        """Return the padded batch of a handle."""
        batch, capacity = handle
        return self.tables.batch(batch, capacity) if isinstance(batch, Tensor) else batch

    def represent(self, encoder: nn.Module, handle: "Handle", dtype: torch.dtype = torch.float32) -> Tensor:
        """See `Graphs`."""
        slots = self.slots(handle)
        return represent(cast(GraphEncoder, encoder), slots, *unchanged(slots), dtype)[0]


class Handle(NamedTuple):
    """A padded batch or the places of its molecules, int64 (B,), with its capacity."""

    batch: Tensor | SlotBatch
    capacity: Capacity


def graphs_on(device: torch.device, store: GraphStore, molecules: np.ndarray, encoder: nn.Module) -> Graphs:
    """Choose the form of graphs that is fastest for the device and the encoder."""
    if device.type == "cuda" and can_represent(encoder):
        return SlotGraphs(store, molecules, device)
    return PlainGraphs(store, molecules, device)


def in_batches(molecules: np.ndarray, size: int) -> np.ndarray:
    """Split `molecules`, int64 (n,), into consecutive batches, int64 (num_batches, size), padded with -1."""
    padding = np.full(-len(molecules) % size, -1, np.int64)
    return np.concatenate([molecules, padding]).reshape(-1, size)


def _home_of(store: GraphStore, molecules: int, device: torch.device) -> torch.device:
    """Return the device if this number of molecules of `store` fits into its free memory, otherwise the CPU."""
    if device.type != "cuda":
        return device
    needed = store.num_atoms * BYTES_PER_ATOM * molecules // max(1, len(store))
    return device if needed < LARGEST_FRACTION * torch.cuda.mem_get_info(device)[0] else torch.device("cpu")


def prefetched(items: Iterator[Any], count: int) -> Iterator[Any]:
    """Yield `items`; a thread computes up to `count` of them in advance. Exceptions of the thread are raised here."""
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
        except BaseException as error:  # raised again in the thread of the consumer
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
