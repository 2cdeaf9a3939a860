"""What became of the rows of a raw table, in numbers."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from molclr.chem.salts import has_metal, has_parts
from molclr.data.molecules import Rejection

REASONS_TOLD = 3
"""The most reasons of rejections that are told."""


class Molecule(NamedTuple):
    """A row that is accepted."""

    row: int
    raw_smiles: str
    smiles: str
    labels: list[float]


class Tally:
    """How many rows were accepted, and how many rejected for which reasons."""

    def __init__(self) -> None:
        self.accepted, self.rejected, self.parts, self.metals = 0, 0, 0, 0
        self.kinds: Counter[str] = Counter()
        self.examples: dict[str, Rejection] = {}

    def add(self, molecules: Sequence[Molecule], rejections: Sequence[Rejection]) -> None:
        """Count more rows."""
        self.accepted += len(molecules)
        self.rejected += len(rejections)
        self.parts += sum(has_parts(molecule.raw_smiles) for molecule in molecules)
        self.metals += sum(has_metal(molecule.smiles) for molecule in molecules)
        for rejection in rejections:
            kind = re.sub(r"'[^']*'|\d+", "", rejection.reason)  # without what is particular to one row
            self.kinds[kind] += 1
            self.examples.setdefault(kind, rejection)

    def salts(self, desalt: bool | None) -> str:
        """Say how many molecules have several parts or a metal. desalt: see `canonicalize`."""
        advice = "" if desalt is None else "; --desalt keeps the largest organic part of each"
        done = ", of which the largest organic one is kept" if desalt else advice if self.parts else ""
        return (
            f"{self.parts} of {self.accepted} molecules have several parts (salts, mixtures){done}; "
            f"{self.metals} have a metal"
        )

    def __str__(self) -> str:
        """The commonest reasons, each with its number and its first row."""
        told = [
            f"{count} ({'such as ' * (count > 1)}row {self.examples[kind].row}: {self.examples[kind].reason})"
            for kind, count in self.kinds.most_common(REASONS_TOLD)
        ]
        told += ["..."] * (len(self.kinds) > REASONS_TOLD)
        return f"rejected {self.rejected} of {self.accepted + self.rejected} rows: {', '.join(told)}"
