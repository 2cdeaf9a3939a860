"""Raw tables in parts: their rows, molecules, rejections, and results that are computed for the molecules.

One part at a time is in memory, so that a table may have millions of rows.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice, tee
from typing import Generic, NamedTuple, TypeVar

from molclr.chem.salts import canonicalize_desalted
from molclr.chem.smiles import canonicalize_all
from molclr.data.canonicalize import ROWS_PER_PART, RawRow, judge_rows
from molclr.data.columns import ChosenColumns, Columns
from molclr.data.molecules import AcceptedRow, Rejection
from molclr.parallel import ordered_map
from molclr.progress import progress

Made = TypeVar("Made")


class Part(NamedTuple, Generic[Made]):
    """Consecutive rows of a raw table."""

    first: int
    """The number of the first row."""
    rows: list[list[str]]
    """The fields of each row, as many as the table has columns."""
    molecules: list[AcceptedRow]
    """The accepted rows, in order."""
    rejections: list[Rejection]
    made: Made | None
    """The result for the molecules; None if there are none."""

    @property
    def places(self) -> list[int]:
        """Positions of the molecules among the rows of this part."""
        return [molecule.row - self.first for molecule in self.molecules]


def read_parts(
    chosen: ChosenColumns, work: Callable[[list[str]], Made], processes: int = 1, label: str = "", desalt: bool = False
) -> Iterator[Part[Made]]:
    """Yield the rows of a table in parts, in order, with `work(canonical SMILES)` of the accepted molecules of each.

    work: is pickled for more than one process. label: label of the progress display; none if it is empty. desalt:
    keep only the largest organic part of salts and mixtures.
    """
    width = chosen.columns.width
    rows = map(RawRow, count(), chosen.table.rows())
    shown = progress(rows, chosen.rows, label, "row", silent=not label)
    parts, again = tee(iter(lambda: list(islice(shown, ROWS_PER_PART)), []))
    judged = ordered_map(partial(_judged, columns=chosen.columns, work=work, desalt=desalt), parts, processes)
    for part, (molecules, rejections, made) in zip(again, judged, strict=True):
        fields = [(row.fields + [""] * width)[:width] for row in part]
        yield Part(part[0].number, fields, molecules, rejections, made)


def _judged(
    rows: list[RawRow], columns: Columns, work: Callable[[list[str]], Made], desalt: bool
) -> tuple[list[AcceptedRow], list[Rejection], Made | None]:
    """Separate the rows into molecules and rejections, and do the work for the molecules."""
    smiles = [row.fields[columns.smiles] if columns.smiles < len(row.fields) else "" for row in rows]
    verdicts = (canonicalize_desalted if desalt else canonicalize_all)(smiles)
    molecules, rejections = judge_rows(rows, verdicts, columns, drop_first=False, labelled=False)
    return molecules, rejections, work([molecule.smiles for molecule in molecules]) if molecules else None
