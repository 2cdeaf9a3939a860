"""Raw tables in parts: their rows, molecules, rejections, and results that are computed for the molecules.

One part at a time is in memory, so that a table may have millions of rows.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, tee
from typing import Generic, NamedTuple, TypeVar

from molclr.chem.salts import canonicalize_desalted
from molclr.chem.smiles import RejectedMolecule, canonicalize_all
from molclr.data.columns import ChosenColumns, Columns
from molclr.data.forms import ROWS_PER_PART, RawTable
from molclr.data.labels import is_limit
from molclr.data.molecules import AcceptedRow, Rejection
from molclr.parallel import ordered_map
from molclr.progress import counted, progress

Made = TypeVar("Made")


class RawRow(NamedTuple):
    """A row of a raw table: its number, counted from 0 after the header, and its fields."""

    number: int
    fields: list[str]


class Part(NamedTuple, Generic[Made]):
    """Successive rows of a raw table."""

    numbers: list[int]
    """The numbers of the rows, ascending."""
    rows: list[list[str]]
    """The fields of each row, as many as the table has columns."""
    molecules: list[AcceptedRow]
    """The accepted rows, in order."""
    rejections: list[Rejection]
    """The rejected rows, in order."""
    made: Made | None
    """The result for the molecules; None if there are none."""

    @property
    def places(self) -> list[int]:
        """Positions of the molecules among the rows of this part."""
        accepted = {molecule.row for molecule in self.molecules}
        return [place for place, number in enumerate(self.numbers) if number in accepted]


def read_parts(
    chosen: ChosenColumns,
    work: Callable[[list[str]], Made],
    processes: int = 1,
    label: str = "",
    desalt: bool = False,
    *,
    size: int | None = None,
    limit: int | None = None,
    drop_first: bool = False,
    labelled: bool = False,
) -> Iterator[Part[Made]]:
    """Yield the rows of a table in parts, in order, with `work(canonical SMILES)` of the accepted molecules of each.

    work: is pickled for more than one process. label: label of the progress display; none if it is empty. desalt: keep only the
    largest organic part of salts and mixtures. size: rows of a part; None for ROWS_PER_PART. limit: read only this number of
    rows, evenly spaced. drop_first: reject the first row of the table. labelled: reject rows without any label.
    """
    width, count = chosen.columns.width, min(limit or chosen.rows, chosen.rows)
    rows = progress(_spaced_rows(chosen.table, count, chosen.rows), count, label, "row", silent=not label)
    parts, again = tee(iter(lambda: list(islice(rows, size or ROWS_PER_PART)), []))
    drafts = ([_draft(row, chosen.columns, drop_first) for row in part] for part in parts)
    judged = ordered_map(partial(_judged, work=work, desalt=desalt, labelled=labelled), drafts, processes)
    for part, (molecules, rejections, made) in zip(again, judged, strict=True):
        fields = [(row.fields + [""] * width)[:width] for row in part]
        yield Part([row.number for row in part], fields, molecules, rejections, made)


def _spaced_rows(table: RawTable, count: int, total: int) -> Iterator[RawRow]:
    """Yield `count` of the `total` rows of a table, evenly spaced from the first."""
    wanted = (index * total // count for index in range(count))
    next_wanted = next(wanted, None)
    for number, fields in enumerate(table.rows()):
        if number == next_wanted:
            yield RawRow(number, fields)
            next_wanted = next(wanted, None)


def _draft(row: RawRow, columns: Columns, drop_first: bool) -> AcceptedRow | Rejection:
    """Read the labels of a row: return it as accepted, without a canonical SMILES, or as rejected."""
    smiles = row.fields[columns.smiles] if columns.smiles < len(row.fields) else ""
    try:
        if drop_first and row.number == 0:
            raise RejectedMolecule("the first row, which the official code does not read")
        return AcceptedRow(row.number, smiles, "", _read_labels(row.fields, columns))
    except RejectedMolecule as rejection:
        return Rejection(row.number, smiles, rejection.reason)


def _read_labels(fields: list[str], columns: Columns) -> list[float]:
    """Return the labels as numbers, NaN where missing. Raises RejectedMolecule for other text, and if there are only limits."""
    surplus = fields[columns.width :]
    if len(fields) < columns.width or any(surplus):
        lost = f", without a column for '{','.join(surplus)}'" if surplus else ""
        raise RejectedMolecule(f"{counted(len(fields), 'field')} where the header has {columns.width}{lost}")
    labels = [reader.read(fields[place]) for place, reader in columns.targets.items()]
    if labels and all(map(math.isnan, labels)):
        for place, reader in columns.targets.items():
            if is_limit(fields[place]):
                raise RejectedMolecule(f"the label '{fields[place].strip()}' of {reader.target} is only a limit")
    return labels


def _judged(
    drafts: list[AcceptedRow | Rejection], work: Callable[[list[str]], Made], desalt: bool, labelled: bool
) -> tuple[list[AcceptedRow], list[Rejection], Made | None]:
    """Separate the rows into molecules and rejections, and do the work for the molecules."""
    raw = [draft.raw_smiles for draft in drafts if isinstance(draft, AcceptedRow)]
    verdicts = iter((canonicalize_desalted if desalt else canonicalize_all)(raw))
    molecules, rejections = list[AcceptedRow](), list[Rejection]()
    for draft in drafts:
        row = _judge(draft, next(verdicts), labelled) if isinstance(draft, AcceptedRow) else draft
        if isinstance(row, AcceptedRow):
            molecules.append(row)
        else:
            rejections.append(row)
    return molecules, rejections, work([molecule.smiles for molecule in molecules]) if molecules else None


def _judge(draft: AcceptedRow, verdict: str | RejectedMolecule, labelled: bool) -> AcceptedRow | Rejection:
    """Accept a row with its canonical SMILES, or reject it."""
    if isinstance(verdict, RejectedMolecule):
        return Rejection(draft.row, draft.raw_smiles, verdict.reason)
    if labelled and all(map(math.isnan, draft.labels)):
        return Rejection(draft.row, draft.raw_smiles, "it has no label")
    return draft._replace(smiles=verdict)
