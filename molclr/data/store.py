"""The graph store: the graphs of many molecules as flat arrays in one file.

The file has the safetensors format (a JSON header and raw arrays), so nothing in it is executed. A batch reads only its own
bytes. The file is not memory-mapped, because all of it would count as resident memory after an epoch in random order.
"""

import hashlib
import json
import math
import os
import shutil
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from molclr.errors import MolclrError
from molclr.files import replacing

if TYPE_CHECKING:
    from molclr.batch import GraphBatch

ARRAYS: dict[str, np.dtype] = {
    "atom_offsets": np.dtype(np.int64),
    "bond_offsets": np.dtype(np.int64),
    "bonds": np.dtype(np.uint16),
    "smiles_crc": np.dtype(np.uint16),
    "atoms": np.dtype(np.uint8),
    "bond_features": np.dtype(np.uint8),
}
"""Arrays of a store in the order of the file, widest first, so that each starts at a multiple of its item size.

The atoms of molecule i are the rows atom_offsets[i] to atom_offsets[i + 1] (exclusive) of `atoms`, and likewise for bonds. See
molclr.chem.graphs.MolecularGraphs for the columns. Row i of `smiles_crc` is the result of `checksums` for molecule i.
"""
HYDROGENS = "explicit_hydrogens"
"""Metadata key: whether hydrogens are explicit atoms."""
SAFETENSORS_TYPES = {np.dtype(np.int64): "I64", np.dtype(np.uint16): "U16", np.dtype(np.uint8): "U8"}


class Extent(NamedTuple):
    """The position of an array in the file: its first byte and its shape."""

    start: int
    shape: list[int]


class GraphStore:
    """The graphs of `len(store)` molecules, in the order of their molecule table.

    explicit_hydrogens: whether hydrogens are explicit atoms.
    """

    explicit_hydrogens: bool

    def __init__(self, path: str | Path) -> None:
        """Open the store at `path`. Raises MolclrError if the file is missing, truncated or not a graph store."""
        if not Path(path).is_file():
            raise MolclrError(f"The graph store '{path}' does not exist; make it with 'molclr featurize'.")
        try:
            sections, self.explicit_hydrogens = _read_header(Path(path))
            (length,) = {*sections["atom_offsets"].shape, *sections["bond_offsets"].shape}
        except (ValueError, KeyError, TypeError):
            raise MolclrError(
                f"'{path}' is truncated or not a graph store; make it again with 'molclr featurize'."
            ) from None
        file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, file)
        self._hold(length - 1, partial(_read_offsets, file, sections), partial(_read_rows, file, sections))

    @classmethod
    def of(cls, part: dict[str, np.ndarray], explicit_hydrogens: bool = False) -> "GraphStore":
        """Make a store in memory from one part; see `write_store`."""
        store = cls.__new__(cls)
        store.explicit_hydrogens = explicit_hydrogens
        offsets = {
            f"{kind}_offsets": np.concatenate([[0], part[f"{kind}_counts"]]).cumsum(dtype=np.int64)
            for kind in ("atom", "bond")
        }
        store._hold(len(part["atom_counts"]), partial(_take_offsets, offsets), partial(_take_rows, part))
        return store

    def _hold(self, length: int, offsets: Callable[..., np.ndarray], rows: Callable[..., np.ndarray]) -> None:
        """Set the functions that read arrays.

        offsets(name, molecules): first and last (exclusive) row of each molecule, int64 (2, num_graphs).
        rows(name, first, counts): the rows first[i] to first[i] + counts[i] (exclusive) of an array for all i.
        """
        self._length, self._offsets, self._rows = length, offsets, rows

    def __len__(self) -> int:
        return self._length

    @property
    def num_atoms(self) -> int:
        """Number of atoms of all molecules."""
        return int(self._offsets("atom_offsets", np.array([len(self) - 1]))[1, 0]) if len(self) else 0

    def batch(self, molecules: np.ndarray) -> "GraphBatch":
        """Make a batch of the graphs at positions `molecules`, int64 (num_graphs,), in that order.

        Raises IndexError for a position outside the store.
        """
        import torch  # Only here, because processes that make a store do not need it.

        from molclr.batch import GraphBatch

        part = self._graphs(np.asarray(molecules, np.int64))
        atom_counts = part["atom_counts"]
        first_atom = np.repeat(atom_counts.cumsum() - atom_counts, part["bond_counts"])
        begin, end = (part["bonds"].astype(np.int64) + first_atom[:, None]).T
        features = part["bond_features"].astype(np.int64)
        return GraphBatch(
            x=torch.from_numpy(part["atoms"].astype(np.int64)),
            edge_index=torch.from_numpy(np.stack([np.concatenate([begin, end]), np.concatenate([end, begin])])),
            edge_attr=torch.from_numpy(np.concatenate([features, features])),
            batch=torch.from_numpy(np.repeat(np.arange(len(atom_counts)), atom_counts)),
            num_graphs=len(atom_counts),
        )

    def part(self, molecules: np.ndarray) -> dict[str, np.ndarray]:
        """Return the molecules at positions `molecules`, int64 (num_graphs,), as a part; see `write_store`."""
        return {**self._graphs(molecules), "smiles_crc": self.checksums(molecules)}

    def parts(self, molecules: np.ndarray, size: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield the molecules at positions `molecules`, int64 (n,), in parts of `size` molecules, without checksums."""
        for first in range(0, len(molecules), size):
            yield self._graphs(molecules[first : first + size])

    def checksums(self, molecules: np.ndarray) -> np.ndarray:
        """Return the `checksums` of the SMILES from which the graphs of `molecules` were made: uint16 (n, 2)."""
        return self._rows("smiles_crc", molecules, np.ones_like(molecules))

    def rows(self, name: str, at_a_time: int = 1 << 20) -> Iterator[np.ndarray]:
        """Yield all rows of an array in ARRAYS other than offsets, in order: parts (n, 2) with n <= `at_a_time`."""
        total = len(self)
        if name != "smiles_crc" and total:
            kind = "atom" if name == "atoms" else "bond"
            total = int(self._offsets(f"{kind}_offsets", np.array([total - 1]))[1, 0])
        for first in range(0, total, at_a_time):
            yield self._rows(name, np.array([first]), np.array([min(at_a_time, total - first)]))

    def identity(self) -> str:
        """Return a digest of the molecules and their order, computed from the checksums."""
        digest = hashlib.sha256()
        for part in self.rows("smiles_crc"):
            digest.update(part.tobytes())
        return digest.hexdigest()

    def _graphs(self, molecules: np.ndarray) -> dict[str, np.ndarray]:
        """Return a part without checksums."""
        if len(molecules) and not 0 <= molecules.min() <= molecules.max() < self._length:
            raise IndexError(f"A position is outside the graph store, which has {self._length} molecules.")
        (first_atom, end_atom), (first_bond, end_bond) = (
            self._offsets(f"{kind}_offsets", molecules) for kind in ("atom", "bond")
        )
        atom_counts, bond_counts = end_atom - first_atom, end_bond - first_bond
        return {
            "atoms": self._rows("atoms", first_atom, atom_counts),
            "bonds": self._rows("bonds", first_bond, bond_counts),
            "bond_features": self._rows("bond_features", first_bond, bond_counts),
            "atom_counts": atom_counts,
            "bond_counts": bond_counts,
        }


def checksums(smiles: Sequence[str]) -> np.ndarray:
    """Compute the CRC-32 of each SMILES, in two halves: uint16 (n, 2)."""
    return np.array([zlib.crc32(text.encode()) for text in smiles], "<u4").view("<u2").reshape(-1, 2)


def open_store_of(path: str | Path, count: int, smiles: Sequence[str], molecules: np.ndarray) -> GraphStore:
    """Open the store at `path` and check that it belongs to a molecule table.

    The table has `count` rows, and `smiles` at the positions `molecules`, int64 (n,). Raises MolclrError like `GraphStore`, and
    if the graphs are those of other molecules.
    """
    store = GraphStore(path)
    if len(store) != count:
        raise MolclrError(
            f"'{path}' has {len(store)} graphs, but the molecule table has {count} molecules; featurize it again."
        )
    other = (store.checksums(molecules) != checksums(smiles)).any(axis=1)
    if other.any():
        first = int(other.argmax())
        raise MolclrError(
            f"'{path}' was made from other molecules: position {molecules[first]} does not match '{smiles[first]}' in the "
            "molecule table; featurize it again."
        )
    return store


def _take_offsets(offsets: dict[str, np.ndarray], name: str, molecules: np.ndarray) -> np.ndarray:
    """Look up the first and last row of molecules in memory."""
    return offsets[name][np.stack([molecules, molecules + 1])]


def _take_rows(arrays: dict[str, np.ndarray], name: str, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Look up rows of an array in memory."""
    ends = counts.cumsum()
    return arrays[name][np.arange(counts.sum()) + np.repeat(first - ends + counts, counts)]


def _read_offsets(file: int, sections: dict[str, Extent], name: str, molecules: np.ndarray) -> np.ndarray:
    """Read the first and last row of molecules from a file."""
    size, start = ARRAYS[name].itemsize, sections[name].start
    if len(molecules) and (np.diff(molecules) == 1).all():
        offsets = _read(file, name, start + molecules[:1] * size, np.array([(len(molecules) + 1) * size]))
        return np.stack([offsets[:-1], offsets[1:]])
    return _read(file, name, start + molecules * size, np.full(len(molecules), 2 * size)).reshape(-1, 2).T


def _read_rows(file: int, sections: dict[str, Extent], name: str, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Read rows of an array from a file."""
    size = 2 * ARRAYS[name].itemsize
    return _read(file, name, sections[name].start + first * size, counts * size).reshape(-1, 2)


def _read(file: int, name: str, places: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Read and concatenate the items in ranges of bytes. Raises OSError if the file has become shorter."""
    begins = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1] + sizes[:-1]]))  # merge adjacent ranges
    places, sizes = (places[begins], np.add.reduceat(sizes, begins)) if len(places) else (places, sizes)
    content = b"".join(
        _read_range(file, place, size) for place, size in zip(places.tolist(), sizes.tolist(), strict=True)
    )
    if len(content) != sizes.sum():
        raise OSError("A graph store became shorter while it was read.")
    return np.frombuffer(content, ARRAYS[name])


def _read_range(file: int, place: int, size: int) -> bytes:
    """Read a range of bytes; a system call reads at most 2 GiB."""
    content = os.pread(file, size, place)
    while len(content) < size and (more := os.pread(file, size - len(content), place + len(content))):
        content += more
    return content


def write_store(path: str | Path, parts: Iterable[dict[str, np.ndarray]], explicit_hydrogens: bool = False) -> None:
    """Write a store from `parts`, which are written one by one, so memory use does not grow with the corpus.

    A part has the arrays `atoms`, `bonds` and `bond_features` of its molecules (see MolecularGraphs), the numbers of their rows
    per molecule, `atom_counts` and `bond_counts`, int (num_molecules,), and `smiles_crc` (see `checksums`). The file records
    `explicit_hydrogens`, so that hydrogens are treated in the same way in training and prediction.
    """
    counts: dict[str, list[np.ndarray]] = {"atom_offsets": [np.zeros(1)], "bond_offsets": [np.zeros(1)]}
    with replacing(path) as temporary:
        sections = {name: temporary.with_name(f"{temporary.name}.{name}") for name in ARRAYS}
        try:
            with (
                sections["atoms"].open("wb") as atoms,
                sections["bonds"].open("wb") as bonds,
                sections["bond_features"].open("wb") as bond_features,
                sections["smiles_crc"].open("wb") as smiles_crc,
            ):
                for part in parts:
                    part["atoms"].astype(np.uint8).tofile(atoms)
                    part["bonds"].astype(np.uint16).tofile(bonds)
                    part["bond_features"].astype(np.uint8).tofile(bond_features)
                    part["smiles_crc"].astype(np.uint16).tofile(smiles_crc)
                    counts["atom_offsets"].append(part["atom_counts"].astype(np.int32))
                    counts["bond_offsets"].append(part["bond_counts"].astype(np.int32))
            for name, lengths in counts.items():
                np.concatenate(lengths).cumsum(dtype=np.int64).tofile(sections[name])
            _join(temporary, sections, explicit_hydrogens)
        finally:
            for section in sections.values():
                section.unlink(missing_ok=True)


def _join(path: Path, sections: dict[str, Path], explicit_hydrogens: bool) -> None:
    """Write a safetensors header and the arrays in the files `sections`."""
    header: dict[str, dict] = {"__metadata__": {HYDROGENS: json.dumps(explicit_hydrogens)}}
    start = 0
    for name, section in sections.items():
        size = section.stat().st_size
        shape = [size // ARRAYS[name].itemsize] if name.endswith("offsets") else [size // ARRAYS[name].itemsize // 2, 2]
        header[name] = {
            "dtype": SAFETENSORS_TYPES[ARRAYS[name]],
            "shape": shape,
            "data_offsets": [start, start + size],
        }
        start += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for section in sections.values():
            with section.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
            section.unlink()  # keeps at most one array twice on the disk


def _read_header(path: Path) -> tuple[dict[str, Extent], bool]:
    """Read the positions of the arrays, and whether hydrogens are explicit atoms.

    Raises ValueError, KeyError or TypeError if the file is truncated or not a graph store.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > 1 << 20:
            raise ValueError("no safetensors header")
        header = json.loads(file.read(length))
    sections = {}
    for name in ARRAYS:
        start, end = header[name]["data_offsets"]
        sections[name] = Extent(8 + length + start, header[name]["shape"])
        if (
            8 + length + end > path.stat().st_size
            or end - start != math.prod(header[name]["shape"]) * ARRAYS[name].itemsize
        ):
            raise ValueError("truncated")
    if sections["atom_offsets"].shape == [0]:
        raise ValueError("no offsets")
    return sections, header["__metadata__"][HYDROGENS] == "true"
