"""Which columns of a raw table hold SMILES and labels, and what stands in them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

from molclr.chem.smiles import is_smiles
from molclr.data.labels import Decimal, LabelReader, Survey
from molclr.data.molecules import OWN_COLUMNS
from molclr.data.tables import RawTable
from molclr.errors import MolclrError

SMILES_NAMES = ("smiles", "canonicalsmiles", "isomericsmiles", "cansmiles", "isosmiles", "rdkitsmiles")
"""Names of a column of SMILES, as `_plain` writes them, best first."""
POSSIBLE_NAMES = ("structure", "mol", "molecule", "compound", "drug", "ligand")
"""Names that such a column may have; its content decides."""
NAMES_OF_NAMES = {"name", "names", "title"}
"""Names of a column that names molecules, even by numbers."""
UNNAMED = "Unnamed: "
"""The beginning of names that pandas gives to columns without one."""
MOSTLY = 0.5
"""The fraction of the first rows that has to be SMILES where content decides."""
TARGETS_TOLD = 10
"""The most targets that are told one by one."""
ROWS_PER_PART = 4096


class Columns(NamedTuple):
    """Which field of a raw row is what."""

    width: int
    smiles: int
    targets: dict[int, LabelReader]
    """Field -> how to read it, in the order of the targets."""


class Taken(NamedTuple):
    """What is taken of a raw table."""

    table: RawTable
    columns: Columns
    rows: int
    told: list[str]
    """Lines that tell it to the user."""


def choose_columns(
    table: RawTable, smiles_column: str | None, targets: Sequence[str] | None, decimal: Decimal | None = None
) -> Taken:
    """Choose the columns of a table and read it once to see what is in them.

    smiles_column: None to find it by name or content. targets: None for all columns of numbers or classes that have a name and do
    not look like an index. Raises MolclrError, which says what to do, if columns are missing, several or without a label.
    """
    smiles = _find(table, smiles_column, "--smiles-column") if smiles_column else _find_smiles(table)
    if smiles is None:
        table, smiles = _without_header(table)
    if targets is None:
        candidates = [place for place in range(len(table.columns)) if place != smiles]
    else:
        candidates = [_find(table, name, "--targets") for name in targets]
    surveys = {place: Survey(table.columns[place], decimal) for place in candidates}
    rows = _read_through(table, surveys)
    if rows == 0:
        raise MolclrError(f"'{table.name}' has a header and no rows; give a table of molecules.")
    ignored = {place: why for place in candidates if targets is None and (why := _why_ignored(surveys[place]))}
    taken = {place: surveys[place] for place in candidates if place not in ignored}
    _check_targets(table, taken.values())
    columns = Columns(len(table.columns), smiles, {place: survey.reader() for place, survey in taken.items()})
    left = [place for place in range(len(table.columns)) if place not in (smiles, *candidates)]
    ignored |= dict.fromkeys(left, "not named")
    told = list(_told(table, smiles, rows, taken.values(), ignored))
    return Taken(table, columns, rows, told if targets != [] else told[:1])


def naming_column(table: RawTable, smiles: int) -> int | None:
    """Return the place of the first column that names molecules, by its first rows: text, or what looks like an identifier.

    smiles: the place of the SMILES, which are no names. None if there is no such column.
    """
    sample = table.sample()
    for place, name in enumerate(table.columns):
        survey = Survey(name)
        survey.add([row[place] if place < len(row) else "" for row in sample])
        if place != smiles and name and not name.startswith(UNNAMED) and _why_ignored(survey):
            return place
    return None


def _find(table: RawTable, name: str, option: str) -> int:
    """The place of a column by its name. Raises MolclrError if there is none or there are several."""
    if table.columns.count(name.strip()) == 1:
        return table.columns.index(name.strip())
    found = ", ".join(table.columns)
    found = found if len(found) <= 200 else f"{found[:200]}..."
    if name.strip() in table.columns:
        raise MolclrError(f"'{table.name}' has several columns '{name}'; its columns are: {found}. Rename all but one.")
    raise MolclrError(f"'{table.name}' has no column '{name}'; its columns are: {found}. Name yours with {option}.")


def _find_smiles(table: RawTable) -> int | None:
    """The place of the column of SMILES, by name or by content; None if the table has no header."""
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in table.columns]
    for name in SMILES_NAMES:
        if places := [place for place, found in enumerate(plain) if found == name]:
            return _only(table, places)
    if places := [place for place, found in enumerate(plain) if "smiles" in found]:
        return _only(table, places)
    sample = table.sample()
    fractions = [_fraction_of_smiles(sample, place) for place in range(len(table.columns))]
    for name in POSSIBLE_NAMES:
        if places := [place for place, found in enumerate(plain) if found == name and fractions[place] >= MOSTLY]:
            return _only(table, places)
    best = max(range(len(fractions)), key=lambda place: fractions[place], default=0)
    if not table.columns or fractions[best] < MOSTLY:
        found = ", ".join(table.columns)[:200]
        raise MolclrError(
            f"'{table.name}' has no column of SMILES; its columns are: {found}. Name yours with --smiles-column."
        )
    return None if is_smiles(table.columns[best]) else best


def _only(table: RawTable, places: Sequence[int]) -> int:
    if len(places) > 1:
        names = "', '".join(table.columns[place] for place in places)
        raise MolclrError(
            f"'{table.name}' has several columns that may hold the SMILES, '{names}'; name one with --smiles-column."
        )
    return places[0]


def _fraction_of_smiles(rows: Sequence[Sequence[str]], place: int) -> float:
    """The fraction of the values of a column that are SMILES."""
    values = [row[place] for row in rows if place < len(row) and row[place].strip()]
    return sum(map(is_smiles, values)) / len(values) if values else 0.0


def _without_header(table: RawTable) -> tuple[RawTable, int]:
    """The table with its first line as a row, and the place of the SMILES."""
    first, read = table.columns, table.read
    place = next(place for place, text in enumerate(first) if is_smiles(text))
    names = ["smiles" if column == place else f"column {column + 1}" for column in range(len(first))]
    return replace(
        table, columns=names, read=lambda: chain([first], read()), notes=[*table.notes, "without a header"]
    ), place


def _read_through(table: RawTable, surveys: dict[int, Survey]) -> int:
    """Show all rows to the surveys of their columns; return how many there are."""
    rows, count = table.rows(), 0
    while part := list(islice(rows, ROWS_PER_PART)):
        count += len(part)
        for place, survey in surveys.items():
            survey.add([row[place] if place < len(row) else "" for row in part])
    return count


def _why_ignored(survey: Survey) -> str:
    """Why a column is no target unless it is named; empty if it is one."""
    if not survey.name or survey.name.startswith(UNNAMED):
        return "it has no name"
    if survey.is_text:
        return "text"
    if survey.name.lower() in NAMES_OF_NAMES:
        return "names of molecules"
    return "it looks like an index or identifier" if survey.is_index else ""


def _check_targets(table: RawTable, surveys: Iterable[Survey]) -> None:
    """Raise MolclrError if targets have one name, a name of ours, or no label at all."""
    for survey in surveys:
        if table.columns.count(survey.name) > 1:
            raise MolclrError(
                f"'{table.name}' has several columns '{survey.name}'; rename all but one, or name --targets."
            )
        if survey.name in (*OWN_COLUMNS, "reason"):
            raise MolclrError(
                f"A target of '{table.name}' is called '{survey.name}', as a column of ours is; rename it."
            )
        if survey.is_empty:
            only = "nothing but limits such as >10" if survey.kinds["limit"] else "no label in any row"
            raise MolclrError(f"The target '{survey.name}' of '{table.name}' has {only}; leave it out with --targets.")


def _told(table: RawTable, smiles: int, rows: int, targets: Iterable[Survey], ignored: dict[int, str]) -> Iterator[str]:
    """What was taken of a table, in lines."""
    surveys = list(targets)
    yield f"{table.name}: {rows} rows, SMILES in '{table.columns[smiles]}'{''.join(f', {note}' for note in table.notes)}"
    if len(surveys) > TARGETS_TOLD:
        low, high = min(survey.low for survey in surveys), max(survey.high for survey in surveys)
        labels, missing = sum(survey.labels for survey in surveys), sum(survey.kinds["missing"] for survey in surveys)
        first = ", ".join(survey.name for survey in surveys[:3])
        yield f"{len(surveys)} targets, {first}, ...: {labels} labels from {low:g} to {high:g}, {missing} missing"
    else:
        yield from (f"target '{survey.name}': {survey}" for survey in surveys)
    if not surveys:
        yield "no targets"
    reasons: dict[str, list[str]] = {}
    for place, why in sorted(ignored.items()):
        reasons.setdefault(why, []).append(f"'{table.columns[place]}'")
    for why, names in reasons.items():
        shown = ", ".join(names[:TARGETS_TOLD]) + ", ..." * (len(names) > TARGETS_TOLD)
        yield f"ignored, {why}: {shown}" + "; name it with --targets to predict it" * ("looks" in why)
