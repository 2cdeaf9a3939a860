"""The graph store: the graphs of many molecules as flat arrays in one file that is mapped, not read.

The file is in the safetensors format (a JSON header, then raw arrays), so nothing in it is ever executed. Memory does not
grow with the number of molecules: a batch touches only its own bytes.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from molclr.batch import GraphBatch
from molclr.errors import MolclrError
from molclr.files import replacing

ARRAYS: dict[str, np.dtype] = {
    "atom_offsets": np.dtype(np.int64),
    "bond_offsets": np.dtype(np.int64),
    "bonds": np.dtype(np.uint16),
    "atoms": np.dtype(np.uint8),
    "bond_features": np.dtype(np.uint8),
}
"""Arrays of a store in the order of the file, widest first, so that each starts at a multiple of its item size.

Atoms of molecule i are rows atom_offsets[i] to atom_offsets[i + 1] of `atoms`, and likewise for bonds.
See molclr.chem.graphs.MolecularGraph for the columns.
"""
HYDROGENS = "explicit_hydrogens"
"""Metadata of the file: are hydrogens atoms of their own?"""
SAFETENSORS_TYPES = {np.dtype(np.int64): "I64", np.dtype(np.uint16): "U16", np.dtype(np.uint8): "U8"}


class GraphStore:
    """The graphs of `len(store)` molecules, in the order of their molecule table.

    explicit_hydrogens: are hydrogens atoms of their own?
    """

    explicit_hydrogens: bool

    def __init__(self, path: str | Path) -> None:
        """Map the store at `path`. Raises MolclrError when the file is missing, truncated or no graph store."""
        if not Path(path).is_file():
            raise MolclrError(f"There is no graph store '{path}'; make it with 'molclr featurize'.")
        try:
            arrays, self.explicit_hydrogens = _map_arrays(Path(path))
            self._hold(**{name: arrays[name] for name in ARRAYS})
        except (ValueError, KeyError, TypeError):
            raise MolclrError(
                f"'{path}' is truncated or no graph store; make it anew with 'molclr featurize'."
            ) from None

    @classmethod
    def of(cls, part: dict[str, np.ndarray], explicit_hydrogens: bool = False) -> "GraphStore":
        """The store of one part, as `write_store` takes them, in memory."""
        store = cls.__new__(cls)
        store.explicit_hydrogens = explicit_hydrogens
        offsets = {
            f"{kind}_offsets": np.concatenate([[0], part[f"{kind}_counts"]]).cumsum(dtype=np.int64)
            for kind in ("atom", "bond")
        }
        store._hold(**offsets, **{name: part[name] for name in ("bonds", "atoms", "bond_features")})
        return store

    def _hold(
        self,
        atom_offsets: np.ndarray,
        bond_offsets: np.ndarray,
        bonds: np.ndarray,
        atoms: np.ndarray,
        bond_features: np.ndarray,
    ) -> None:
        self.atom_offsets, self.bond_offsets, self.bonds = atom_offsets, bond_offsets, bonds
        self.atoms, self.bond_features = atoms, bond_features

    def __len__(self) -> int:
        return len(self.atom_offsets) - 1

    def batch(self, molecules: np.ndarray) -> GraphBatch:
        """Graphs of `molecules`, int64 (num_graphs,) positions in the store, side by side in that order."""
        molecules = np.asarray(molecules, np.int64)
        atoms, atoms_per_graph, first_atom = _ranges(self.atom_offsets, molecules)
        bonds, bonds_per_graph, _ = _ranges(self.bond_offsets, molecules)
        graphs = np.arange(len(molecules))
        begin, end = (self.bonds[bonds].astype(np.int64) + np.repeat(first_atom, bonds_per_graph)[:, None]).T
        features = self.bond_features[bonds].astype(np.int64)
        return GraphBatch(
            x=torch.from_numpy(self.atoms[atoms].astype(np.int64)),
            edge_index=torch.from_numpy(np.stack([np.concatenate([begin, end]), np.concatenate([end, begin])])),
            edge_attr=torch.from_numpy(np.concatenate([features, features])),
            batch=torch.from_numpy(np.repeat(graphs, atoms_per_graph)),
            num_graphs=len(molecules),
        )


def _ranges(offsets: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For ranges offsets[i]:offsets[i + 1], i in `items`: all their indices, their lengths, where each starts in the result."""
    start = offsets[items]
    length = offsets[items + 1] - start
    first = np.cumsum(length) - length
    return np.arange(length.sum()) + np.repeat(start - first, length), length, first


def write_store(path: str | Path, parts: Iterable[dict[str, np.ndarray]], explicit_hydrogens: bool = False) -> None:
    """Write a store from `parts`, each of some molecules; parts are written as they come and not kept.

    The file remembers whether hydrogens are atoms of their own, so that a model can ask for molecules as it learned from.

    A part has the arrays `atoms`, `bonds` and `bond_features` of its molecules one after the other (see MolecularGraph)
    and how many rows each molecule has, `atom_counts` and `bond_counts`, int (num_molecules,).
    """
    counts: dict[str, list[np.ndarray]] = {"atom_offsets": [np.zeros(1)], "bond_offsets": [np.zeros(1)]}
    with replacing(path) as temporary:
        sections = {name: temporary.with_name(f"{temporary.name}.{name}") for name in ARRAYS}
        try:
            with (
                sections["atoms"].open("wb") as atoms,
                sections["bonds"].open("wb") as bonds,
                sections["bond_features"].open("wb") as bond_features,
            ):
                for part in parts:
                    part["atoms"].astype(np.uint8).tofile(atoms)
                    part["bonds"].astype(np.uint16).tofile(bonds)
                    part["bond_features"].astype(np.uint8).tofile(bond_features)
                    counts["atom_offsets"].append(part["atom_counts"].astype(np.int32))
                    counts["bond_offsets"].append(part["bond_counts"].astype(np.int32))
            for name, lengths in counts.items():
                np.concatenate(lengths).cumsum(dtype=np.int64).tofile(sections[name])
            _join(temporary, sections, explicit_hydrogens)
        finally:
            for section in sections.values():
                section.unlink(missing_ok=True)


def _join(path: Path, sections: dict[str, Path], explicit_hydrogens: bool) -> None:
    """Put a safetensors header before the arrays that lie in `sections`."""
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


def _map_arrays(path: Path) -> tuple[dict[str, np.ndarray], bool]:
    """The arrays of a store as memory maps, and whether hydrogens are atoms. ValueError or KeyError when it is none."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > 1 << 20:
            raise ValueError("no safetensors header")
        header = json.loads(file.read(length))
    arrays = {}
    for name, dtype in ARRAYS.items():
        entry = header[name]
        if entry["shape"][0] == 0:
            arrays[name] = np.zeros(entry["shape"], dtype)
            continue
        start = 8 + length + entry["data_offsets"][0]
        # The plain view spares numpy.memmap's bookkeeping on every indexing.
        arrays[name] = np.asarray(np.memmap(path, dtype, mode="r", offset=start, shape=tuple(entry["shape"])))
    return arrays, header["__metadata__"][HYDROGENS] == "true"
