"""Molecular graphs in neighbour slots: batches of static shape, for GPUs.

Static shapes let a GPU run without synchronization and with fused kernels. Each atom has a fixed number of slots for its
neighbours, and a batch is padded to a capacity that follows from the corpus. `molclr.models.fast.slot_encoder` computes on them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from molclr.batch import map_tensors
from molclr.models.encoder import BOND_DIRECTIONS

SLOTS = 4
"""Slots per atom in the main table; atoms with more neighbours are rare in organic molecules."""
ROW_MULTIPLE = 128
"""Numbers of padded rows are multiples of this."""


class SlotBonds(NamedTuple):
    """The bonds of `rows` atoms in `d` slots each.

    atom: int64 (rows,), index of the atom. neighbour: int64 (rows, d), index of the neighbour; the atom's own in an empty slot.
    kind: int64 (rows, d), bond type * 3 + direction. bond: int64 (rows, d), index of the bond. present: bool (rows, d).
    """

    atom: Tensor
    neighbour: Tensor
    kind: Tensor
    bond: Tensor
    present: Tensor


class SlotBatch(NamedTuple):
    """A padded batch of B molecules with at most A atoms and M bonds in total.

    atoms: int64 (A, 2), atomic number - 1 and chirality tag. molecule: int64 (A,), ascending; B for padding. place: int64 (A,),
    index of the atom in its molecule. bonds: slots of all atoms. wide: further slots of atoms with more than SLOTS neighbours,
    padded with empty rows. wide_row: int64 (A,), row of each atom in `wide` if `is_wide`, bool (A,). bond_molecule, bond_place:
    int64 (M,), like `molecule` and `place`, for bonds. rows: int64 (B,), position of each molecule in the corpus. atom_counts,
    bond_counts: int64 (B,).
    """

    atoms: Tensor
    molecule: Tensor
    place: Tensor
    bonds: SlotBonds
    wide: SlotBonds
    wide_row: Tensor
    is_wide: Tensor
    bond_molecule: Tensor
    bond_place: Tensor
    rows: Tensor
    atom_counts: Tensor
    bond_counts: Tensor

    def to(self, device: torch.device) -> "SlotBatch":
        """Copy the batch to `device`."""
        return map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))


class Capacity(NamedTuple):
    """Numbers of rows in a padded batch: atoms, bonds, and atoms with more than SLOTS neighbours."""

    atoms: int
    bonds: int
    wide: int


class SlotTables:
    """The graphs of a corpus in slots, on one device: 2 + 5 * SLOTS bytes per atom and 24 per molecule.

    atoms: uint8 (num_atoms, 2). offset: int16 (num_atoms, SLOTS), index of the neighbour minus the atom's own; 0 for an empty
    slot. kind: uint8 (num_atoms, SLOTS). bond: int16 (num_atoms, SLOTS), index of the bond in its molecule. wide_*: the same for
    the atoms `wide_atom`, int64 (num_wide,), with highest degree - SLOTS slots.
    atom_first, bond_first, wide_first: int64 (num_molecules + 1,).
    """

    def __init__(self, parts: Iterable[dict[str, np.ndarray]], device: torch.device) -> None:
        """Build from the parts of a graph store; see `molclr.data.store.write_store`."""
        built = [_slots_of(part, device) for part in parts]
        degree = max((part["wide_offset"].shape[1] for part in built), default=0)
        firsts = {name: [torch.zeros(1, dtype=torch.int64, device=device)] for name in ("atom", "bond", "wide")}
        for part in built:
            part["wide_atom"] += firsts["atom"][-1][-1]
            for name, ends in firsts.items():
                ends.append(part[f"{name}_counts"].cumsum(0) + ends[-1][-1])
            for name in ("wide_offset", "wide_kind", "wide_bond"):
                part[name] = F.pad(part[name], (0, degree - part[name].shape[1]))
        self.atom_first, self.bond_first, self.wide_first = (torch.cat(ends) for ends in firsts.values())
        # Concatenate one array at a time, so that at most one exists twice.
        for name in ("atoms", "offset", "kind", "bond", "wide_atom", "wide_offset", "wide_kind", "wide_bond"):
            setattr(self, name, torch.cat([part.pop(name) for part in built]))

    atoms: Tensor
    offset: Tensor
    kind: Tensor
    bond: Tensor
    wide_atom: Tensor
    wide_offset: Tensor
    wide_kind: Tensor
    wide_bond: Tensor

    def __len__(self) -> int:
        return len(self.atom_first) - 1

    def counts(self) -> Tensor:
        """Count the atoms, bonds and wide atoms of each molecule: int32 (num_molecules + 1, 3); the last row, for -1, is 0."""
        counts = torch.stack([self.atom_first, self.bond_first, self.wide_first], dim=1).diff(dim=0)
        return F.pad(counts, (0, 0, 0, 1)).int()

    def batch(self, rows: Tensor, capacity: Capacity) -> SlotBatch:
        """Return the molecules at positions `rows`, int64 (B,), padded to `capacity`; -1 stands for no molecule.

        The capacity has to suffice; `require_fit` checks that, because this method does not synchronize with the device.
        """
        atom_first, atom_counts = _first_and_count(self.atom_first, rows)
        bond_first, bond_counts = _first_and_count(self.bond_first, rows)
        wide_first, wide_counts = _first_and_count(self.wide_first, rows)
        molecule, place, atom = _ragged(atom_first, atom_counts, capacity.atoms)
        bond_molecule, bond_place, _ = _ragged(bond_first, bond_counts, capacity.bonds)
        wide_molecule, _, wide = _ragged(wide_first, wide_counts, capacity.wide)
        atom = atom.clamp(max=len(self.atoms) - 1)
        wide = wide.clamp(max=max(0, len(self.wide_atom) - 1))
        own = torch.arange(capacity.atoms, device=rows.device)
        first_in_batch, first_bond = (counts.cumsum(0) - counts for counts in (atom_counts, bond_counts))
        last = len(rows) - 1
        wide_inside = wide_molecule <= last
        wide_molecule = wide_molecule.clamp(max=last)
        wide_own = self.wide_atom[wide] - atom_first[wide_molecule] + first_in_batch[wide_molecule]
        wide_own = torch.where(wide_inside, wide_own, capacity.atoms)  # ascending, also with padding
        wide_row = torch.searchsorted(wide_own, own).clamp(max=max(0, capacity.wide - 1))
        return SlotBatch(
            atoms=self.atoms[atom].long(),
            molecule=molecule,
            place=place,
            bonds=_slot_bonds(
                own,
                self.offset[atom],
                self.kind[atom],
                self.bond[atom],
                molecule <= last,
                first_bond[molecule.clamp(max=last)],
            ),
            wide=_slot_bonds(
                wide_own.clamp(max=capacity.atoms - 1),
                self.wide_offset[wide],
                self.wide_kind[wide],
                self.wide_bond[wide],
                wide_inside,
                first_bond[wide_molecule],
            ),
            wide_row=wide_row,
            is_wide=wide_own[wide_row] == own if capacity.wide else torch.zeros_like(own, dtype=torch.bool),
            bond_molecule=bond_molecule,
            bond_place=bond_place,
            rows=rows,
            atom_counts=atom_counts,
            bond_counts=bond_counts,
        )


def capacity_of(counts: Tensor, batches: Iterable[np.ndarray]) -> Capacity:
    """Return the smallest capacity that suffices for all `batches` and one atom of padding, rounded up to ROW_MULTIPLE.

    counts: int32 (num_molecules + 1, 3), see `SlotTables.counts`. batches: arrays int64 (num_batches, B), positions of molecules;
    -1 stands for no molecule.
    """
    largest = np.zeros(3, np.int64)
    for rows in batches:
        largest = np.maximum(largest, _needed(counts, rows))
    largest[0] += 1  # padding bonds end at it
    return Capacity(*(-(-largest // ROW_MULTIPLE) * ROW_MULTIPLE).tolist())


def require_fit(counts: Tensor, batches: np.ndarray, capacity: Capacity) -> None:
    """Raise ValueError if one of `batches`, int64 (num_batches, B), needs more than `capacity`."""
    needed = _needed(counts, batches)
    if any(rows > most for rows, most in zip(needed, capacity, strict=True)):
        raise ValueError(f"A batch needs {Capacity(*needed)}, which exceeds {capacity}.")


def _needed(counts: Tensor, batches: np.ndarray) -> list[int]:
    """Return the largest number of atoms, bonds and wide atoms in a batch."""
    if not batches.size:
        return [0, 0, 0]
    return counts[torch.from_numpy(batches).to(counts.device)].sum(dim=1).amax(dim=0).tolist()


def _first_and_count(first: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first entry and the number of entries of each molecule: int64 (B,). The molecule -1 has no entries."""
    begin = first[rows.clamp(min=0)]
    return begin, torch.where(rows < 0, 0, first[rows.clamp(min=0) + 1] - begin)


def _ragged(first: Tensor, counts: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Concatenate the ranges first[i] to first[i] + counts[i] (exclusive), padded to `size`.

    Returns three tensors int64 (size,): the i of each entry (len(counts) for padding), its index in the range, and the entry.
    """
    ends = counts.cumsum(0)
    position = torch.arange(size, device=counts.device)
    group = torch.searchsorted(ends, position, right=True)
    inside = group.clamp(max=len(counts) - 1)
    place = position - (ends - counts)[inside]
    return group, place, first[inside] + place


def _slot_bonds(
    atom: Tensor, offset: Tensor, kind: Tensor, bond: Tensor, inside: Tensor, first_bond: Tensor
) -> SlotBonds:
    present = (offset != 0) & inside[:, None]
    neighbour = atom[:, None] + torch.where(present, offset.long(), 0)
    return SlotBonds(atom, neighbour, kind.long(), torch.where(present, first_bond[:, None] + bond.long(), 0), present)


def _slots_of(part: dict[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """Build the tables of one part of a graph store."""
    atom_counts, bond_counts = (
        torch.from_numpy(part[f"{kind}_counts"].astype(np.int64)).to(device) for kind in ("atom", "bond")
    )
    num_atoms, num_bonds = len(part["atoms"]), len(part["bonds"])
    molecule = torch.arange(len(atom_counts), device=device).repeat_interleave(bond_counts)
    ends = (
        torch.from_numpy(part["bonds"].astype(np.int64)).to(device)
        + (atom_counts.cumsum(0) - atom_counts)[molecule, None]
    )
    number = torch.arange(num_bonds, device=device) - (bond_counts.cumsum(0) - bond_counts)[molecule]
    features = torch.from_numpy(part["bond_features"].astype(np.int64)).to(device)
    kind = features[:, 0] * BOND_DIRECTIONS + features[:, 1]

    source, target = torch.cat([ends, ends.flip(1)]).unbind(1)
    order = target.argsort(stable=True)
    source, target = source[order], target[order]
    degree = torch.bincount(target, minlength=num_atoms)
    slot = torch.arange(len(target), device=device) - (degree.cumsum(0) - degree)[target]
    values = {"offset": source - target, "kind": kind.repeat(2)[order], "bond": number.repeat(2)[order]}
    types = {"offset": torch.int16, "kind": torch.uint8, "bond": torch.int16}

    wide = degree > SLOTS
    wide_row = wide.cumsum(0) - 1
    more = max(0, int(degree.max()) - SLOTS) if num_atoms else 0
    beyond = slot >= SLOTS
    tables = {
        "atoms": torch.from_numpy(part["atoms"].astype(np.uint8)).to(device),
        "wide_atom": wide.nonzero().squeeze(1),
    }
    for name, value in values.items():
        main = torch.zeros(num_atoms, SLOTS, dtype=types[name], device=device)
        main[target[~beyond], slot[~beyond]] = value[~beyond].to(types[name])
        rest = torch.zeros(len(tables["wide_atom"]), more, dtype=types[name], device=device)
        rest[wide_row[target[beyond]], slot[beyond] - SLOTS] = value[beyond].to(types[name])
        tables[name], tables[f"wide_{name}"] = main, rest
    tables["atom_counts"], tables["bond_counts"] = atom_counts, bond_counts
    of_wide = torch.arange(len(atom_counts), device=device).repeat_interleave(atom_counts)[tables["wide_atom"]]
    tables["wide_counts"] = torch.bincount(of_wide, minlength=len(atom_counts))
    return tables
