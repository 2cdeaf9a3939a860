"""Counts of the accepted and rejected rows of a raw table."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from molclr.chem.salts import has_metal, has_parts
from molclr.chem.seen import Seen, UnseenFeatures
from molclr.data.molecules import AcceptedRow, Rejection
from molclr.errors import MolclrError
from molclr.progress import counted, say

LONGEST = 200
"""Characters of a reason in a message."""
REASONS_SHOWN = 3
"""The largest number of reasons for rejection in a message."""


class RowCounts:
    """Counts of accepted rows, of salts, metals and unseen features among them, and of rejected rows by reason."""

    def __init__(self, noun: str = "row", seen: Seen | None = None, explicit_hydrogens: bool = False) -> None:
        """noun: the word for a row in messages. seen: the features of the encoder's corpus; None if unknown."""
        self.noun, self.unseen = noun, UnseenFeatures(seen, explicit_hydrogens)
        self.accepted, self.rejected, self.parts, self.metals = 0, 0, 0, 0
        self.kinds: Counter[str] = Counter()
        self.examples: dict[str, Rejection] = {}

    def add(self, molecules: Sequence[AcceptedRow], rejections: Sequence[Rejection]) -> None:
        """Count more rows."""
        self.accepted += len(molecules)
        self.rejected += len(rejections)
        self.parts += sum(has_parts(molecule.raw_smiles) for molecule in molecules)
        self.metals += sum(has_metal(molecule.smiles) for molecule in molecules)
        self.unseen.add([molecule.smiles for molecule in molecules])
        for rejection in rejections:
            kind = re.sub(r"'.*'|\d+", "", rejection.reason, flags=re.DOTALL)  # without details of the row
            self.kinds[kind] += 1
            self.examples.setdefault(kind, rejection)

    def require_molecules(self, table: str) -> None:
        """Raise MolclrError if every row of the table of that name was rejected."""
        if self.accepted == 0:
            example = self._example(next(iter(self.examples)))
            advice = " Correct the rows, or check which column was read as SMILES."
            if re.search("--decimal|thousands", example):
                advice = ""
            elif " label " in example:
                advice = " Write numbers without units, and classes as 0 and 1, or name other columns with --targets."
            raise MolclrError(f"All rows of '{table}' are rejected, for example {example}.{advice}")

    def summary(self) -> dict[str, Any]:
        """Return `rows`, `accepted`, `rejected`, and `reasons` with the count and the first row of each, for programs."""
        reasons = [
            {"reason": self.examples[kind].reason, "count": count, "first_row": self.examples[kind].row}
            for kind, count in self.kinds.most_common()
        ]
        rows = {"rows": self.accepted + self.rejected, "accepted": self.accepted, "rejected": self.rejected}
        return {**rows, "reasons": reasons}

    def report(self, desalt: bool, advise: bool = True) -> None:
        """Report rejected rows, salts, metals and unseen features, if there are some.

        desalt: whether only the largest organic part of salts was kept. advise: whether to name the option --desalt if not.
        """
        if self.rejected:
            say(str(self))
        if self.parts or self.metals:
            say(self._salts(desalt, advise))
        if str(self.unseen):
            say(f"warning: {self.unseen}")

    def _salts(self, desalt: bool, advise: bool) -> str:
        """Describe how many molecules have several parts or a metal."""
        advice = "; --desalt keeps the largest organic part of each" if advise and self.parts else ""
        done = ", of which the largest organic one is kept" if desalt else advice
        parts, metals = ("has" if count == 1 else "have" for count in (self.parts, self.metals))
        return (
            f"{self.parts} of {counted(self.accepted, 'molecule')} {parts} several parts (salts, mixtures){done}; "
            f"{self.metals} {metals} a metal"
        )

    def _example(self, kind: str) -> str:
        """Return the first row of a kind of reason, with the reason, which may contain a long text of the table."""
        row, _, reason = self.examples[kind]
        return f"{self.noun} {row}: {reason if len(reason) <= LONGEST else f'{reason[:LONGEST]}...'}"

    def __str__(self) -> str:
        """Describe the most frequent reasons, each with its count and its first row."""
        shown = [
            f"{count} ({'such as ' if count > 1 else ''}{self._example(kind)})"
            for kind, count in self.kinds.most_common(REASONS_SHOWN)
        ]
        if len(self.kinds) > REASONS_SHOWN:
            shown.append("...")
        return f"rejected {self.rejected} of {counted(self.accepted + self.rejected, self.noun)}: {', '.join(shown)}"
