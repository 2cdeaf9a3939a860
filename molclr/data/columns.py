"""Choice of the columns of a raw table that contain SMILES and labels."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

from molclr.chem.smiles import is_smiles
from molclr.data.forms import ROWS_PER_PART, RawTable
from molclr.data.labels import DecimalSign, LabelReader, Survey, is_comma_number, ungrouping
from molclr.data.molecules import OWN_COLUMNS
from molclr.errors import MolclrError
from molclr.progress import counted, say

SMILES_NAMES = ("smiles", "canonicalsmiles", "isomericsmiles", "cansmiles", "isosmiles", "rdkitsmiles")
"""Names of a column of SMILES, in lower case and without other characters than letters, in order of preference."""
POSSIBLE_NAMES = ("structure", "mol", "molecule", "compound", "drug", "ligand")
"""Names that a column of SMILES may have; its content decides."""
NAMES_OF_NAMES = {"name", "_name", "names", "title"}
"""Names of a column with the names of molecules, which may be numbers."""
UNNAMED = ("Unnamed: ", "__index_level_")
"""Beginnings of the names that pandas gives to columns without a name, and in Parquet to an index."""
MOSTLY = 0.5
"""The fraction of the first rows that must be SMILES if the content decides."""
LINES_ABOVE = 10
"""Lines among which the header is sought if it is not the first."""
TARGETS_SHOWN = 10
"""The largest number of targets that are reported individually."""
NO_COLUMNS = "its lines are read as a SMILES and a name; save the table as CSV with a header"
"""What to do if a column of a .smi file is wanted."""


class Columns(NamedTuple):
    """The positions of SMILES and labels in a raw row, and the number of its fields."""

    width: int
    smiles: int
    targets: dict[int, LabelReader]
    """Position of the field -> how to read it, in the order of the targets."""


class ChosenColumns(NamedTuple):
    """A raw table with the columns that a command uses."""

    table: RawTable
    columns: Columns
    rows: int
    report: list[str]
    """Lines that describe the choice to the user."""


def choose_columns(
    table: RawTable,
    smiles_column: str | None,
    targets: Sequence[str] | None,
    decimal: DecimalSign | None = None,
    split_column: str | None = None,
) -> ChosenColumns:
    """Choose the columns of a table, and read it once to survey the labels.

    smiles_column: None to find it by name or content. targets: None for all columns of numbers or classes that have a name and do
    not look like an index. split_column: a column of subsets, which is not a target. Raises MolclrError for columns that are
    missing, ambiguous or without a label.
    """
    table, smiles = _with_smiles(table, smiles_column)
    split = [place for place, name in enumerate(table.columns) if name == split_column and place != smiles]
    used = {smiles: "SMILES"} | dict.fromkeys(split, "split")
    candidates = _candidates(table, targets, used)
    surveys = {place: Survey(table.columns[place], decimal) for place in candidates}
    rows = _read_through(table, surveys)
    if rows == 0:
        raise MolclrError(f"'{table.name}' has a header and no rows; give a table of molecules.")
    ignored = {} if targets is not None else _ignored(surveys)
    taken = {place: surveys[place] for place in candidates if place not in ignored}
    _check_targets(table, taken.values())
    _check_points(table, taken.values())
    columns = Columns(len(table.columns), smiles, {place: survey.reader() for place, survey in taken.items()})
    left = [place for place in range(len(table.columns)) if place not in (*used, *candidates)]
    ignored |= dict.fromkeys(left, "not named")
    report = list(_report(table, used, rows, taken.values(), ignored))
    return ChosenColumns(table, columns, rows, report if targets != [] else report[:1])


def require_columns(table: RawTable, smiles_column: str | None, named: Mapping[str, Sequence[str]]) -> None:
    """Raise MolclrError if a table lacks one of the columns `named`, key of the configuration -> names of columns."""
    table, _ = _with_smiles(table, smiles_column)
    for key, names in named.items():
        for name in names:
            _find(table, name, key)


def _with_smiles(table: RawTable, smiles_column: str | None) -> tuple[RawTable, int]:
    """Return the table, whose first line may be a row, and the position of the SMILES."""
    _require_header(table)
    smiles = _find(table, smiles_column, "--smiles-column") if smiles_column else _find_smiles(table)
    return _without_header(table) if smiles is None else (table, smiles)


def _require_header(table: RawTable) -> None:
    """Raise MolclrError if blanks separate the columns, or if the header is below the first line."""
    names, sample = table.columns, table.sample()
    words = names[0].split() if len(names) == 1 else []
    lines = [row[0].split() for row in sample]
    if len(words) > 1 and all(len(line) == len(words) for line in lines) and any(is_smiles(line[0]) for line in lines):
        raise MolclrError(
            f"'{table.name}' seems to have {len(words)} columns separated by blanks, '{names[0]}'; "
            "separate them by commas or tabs."
        )
    if any(map(_names_smiles, names)):
        return
    has_title = len(names) > 1 and sum(map(bool, names)) == 1
    for row in sample[:LINES_ABOVE]:
        texts = [text for field in row for text in re.split(r"[,;\t|]", field) if text.strip()]
        is_header = has_title and len(texts) > 1 and not any(is_smiles(text) or _is_number(text) for text in texts)
        if is_header or any(map(_names_smiles, texts)):
            raise MolclrError(
                f"The header of '{table.name}' seems to be '{', '.join(texts)[:100]}', below the line "
                f"'{', '.join(filter(None, names))[:100]}'; delete the lines above the header."
            )


def _names_smiles(name: str) -> bool:
    """Return whether a name is one of SMILES_NAMES."""
    return _plain(name) in SMILES_NAMES


def _plain(name: str) -> str:
    """Return a name in lower case, without other characters than letters."""
    return re.sub(r"[^a-z]", "", name.lower())


def _is_number(text: str) -> bool:
    return is_comma_number(text) or text.strip().lstrip("+-").replace(".", "", 1).isdigit()


def _candidates(table: RawTable, targets: Sequence[str] | None, used: dict[int, str]) -> list[int]:
    """Return the positions of the columns that may be targets. used: position of another column -> what it has."""
    if targets is None:
        return [place for place in range(len(table.columns)) if place not in used]
    named = [_find(table, name, "--targets") for name in targets]
    for place in named:
        if place in used:
            raise MolclrError(
                f"'{table.columns[place]}' has the {used[place]} of '{table.name}'; leave it out of --targets."
            )
    return named


def naming_column(table: RawTable, smiles: int) -> int | None:
    """Return the position of the column with the names of molecules: the first one with text or what looks like an identifier.

    smiles: the position of the SMILES, which are not names. None if there is no such column.
    """
    sample = table.sample()
    for place, name in enumerate(table.columns):
        survey = Survey(name)
        survey.add([row[place] if place < len(row) else "" for row in sample])
        may_name = name and not name.startswith(UNNAMED) and not survey.is_occasion
        if place != smiles and may_name and _why_ignored(survey):
            return place
    return None


def _find(table: RawTable, name: str, option: str) -> int:
    """Return the position of the column `name`. Raises MolclrError if there is none or there are several."""
    if table.columns.count(name.strip()) == 1:
        return table.columns.index(name.strip())
    if table.is_lines:
        raise MolclrError(f"'{table.name}' has no column '{name}'; {NO_COLUMNS}.")
    found = ", ".join(table.columns)
    found = found if len(found) <= 200 else f"{found[:200]}..."
    if name.strip() in table.columns:
        raise MolclrError(f"'{table.name}' has several columns '{name}'; its columns are: {found}. Rename all but one.")
    raise MolclrError(f"'{table.name}' has no column '{name}'; its columns are: {found}. Name yours with {option}.")


def _find_smiles(table: RawTable) -> int | None:
    """Return the position of the column of SMILES, found by name or content; None if the table has no header."""
    plain = [_plain(name) for name in table.columns]
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
    places = [place for place, fraction in enumerate(fractions) if fraction >= MOSTLY]
    if not places:
        found, notes = ", ".join(table.columns)[:200], f" ({', '.join(table.notes)})" if table.notes else ""
        raise MolclrError(
            f"'{table.name}'{notes} has no column of SMILES; its columns are: {found}. Name yours with --smiles-column."
        )
    if any(is_smiles(table.columns[place]) for place in places):
        if len(places) > 1:
            raise MolclrError(f"'{table.name}' has no header, and SMILES in {len(places)} columns; add a header.")
        return None
    return _only(table, places)


def report_other_smiles(table: RawTable, chosen: str) -> None:
    """Warn if another column than `chosen`, in which a model expects the SMILES, would have been taken for them."""
    try:
        place = _find_smiles(table)
    except MolclrError:
        return
    if place is not None and table.columns[place] != chosen:
        say(
            f"warning: the model was trained on '{chosen}', so the SMILES are read from it, and not from "
            f"'{table.columns[place]}'; use --smiles-column to read another column"
        )


def _only(table: RawTable, places: Sequence[int]) -> int:
    if len(places) > 1:
        names = "', '".join(table.columns[place] for place in places)
        raise MolclrError(
            f"'{table.name}' has several columns that may hold the SMILES, '{names}'; name one with --smiles-column."
        )
    return places[0]


def _fraction_of_smiles(rows: Sequence[Sequence[str]], place: int) -> float:
    """Return the fraction of the non-empty values of a column that are SMILES."""
    values = [row[place] for row in rows if place < len(row) and row[place].strip()]
    return sum(map(is_smiles, values)) / len(values) if values else 0.0


def _without_header(table: RawTable) -> tuple[RawTable, int]:
    """Return the table with its first line as a row, and the position of the SMILES."""
    first, read = table.columns, table.read
    place = next(place for place, text in enumerate(first) if is_smiles(text))
    names = ["smiles" if column == place else f"column {column + 1}" for column in range(len(first))]
    return replace(
        table, columns=names, read=lambda: chain([first], read()), notes=[*table.notes, "without a header"]
    ), place


def _read_through(table: RawTable, surveys: dict[int, Survey]) -> int:
    """Add all rows to the surveys of their columns; return the number of rows.

    Raises MolclrError if most rows have more fields than the header, which is then another line.
    """
    rows, count, longer, width = table.rows(), 0, 0, len(table.columns)
    while part := list(islice(rows, ROWS_PER_PART)):
        count += len(part)
        longer += sum(any(row[width:]) for row in part if len(row) > width)
        for place, survey in surveys.items():
            survey.add([row[place] if place < len(row) else "" for row in part])
    if 2 * longer > count:
        raise MolclrError(
            f"Most rows of '{table.name}' have more fields than its first line, '{', '.join(table.columns)[:100]}'; name all "
            "columns in it, and delete lines above it."
        )
    return count


def _ignored(surveys: dict[int, Survey]) -> dict[int, str]:
    """Return the positions of the columns that are not targets, and why.

    A column whose labels are all equal is a target only if there is no other.
    """
    ignored = {place: why for place, survey in surveys.items() if (why := _why_ignored(survey))}
    constant = {place for place, survey in surveys.items() if place not in ignored and survey.is_constant}
    if len(ignored) + len(constant) < len(surveys):
        ignored |= dict.fromkeys(constant, "all its labels are equal")
    return ignored


def _why_ignored(survey: Survey) -> str:
    """Return why a column is not a target unless it is named; an empty string if it is one."""
    if not survey.name or survey.name.startswith(UNNAMED):
        return "it has no name"
    if survey.is_grouped:
        return f"it has thousands separators, as in {survey.separated} ({ungrouping(survey.separated)})"
    if survey.is_text:
        return "text"
    if survey.name.lower() in NAMES_OF_NAMES:
        return "names of molecules"
    if survey.is_occasion:
        return "it looks like a date, batch or plate"
    return "it looks like an index or identifier" if survey.is_index else ""


def _check_targets(table: RawTable, surveys: Iterable[Survey]) -> None:
    """Raise MolclrError if targets share a name, have a reserved name, or have no label."""
    for survey in surveys:
        if table.columns.count(survey.name) > 1:
            raise MolclrError(
                f"'{table.name}' has several columns '{survey.name}'; rename all but one, or name --targets."
            )
        if survey.name in (*OWN_COLUMNS, "reason"):
            raise MolclrError(
                f"A target of '{table.name}' is called '{survey.name}', which is a reserved name; rename the column."
            )
        if survey.is_empty:
            only = "nothing but limits such as >10" if survey.kinds["limit"] else "no label in any row"
            raise MolclrError(f"The target '{survey.name}' of '{table.name}' has {only}; leave it out with --targets.")


def _check_points(table: RawTable, surveys: Iterable[Survey]) -> None:
    """Raise MolclrError for points that may separate thousands, in a table with commas that may be decimal."""
    found = next((survey for survey in surveys if survey.may_be_grouped), None)
    if found and (found.kinds["comma"] or any(is_comma_number(text) for row in table.sample() for text in row)):
        raise MolclrError(
            f"'{found.grouped}' in the column '{found.name}' may have a decimal point or a point between thousands, because "
            f"'{table.name}' also has numbers with a comma; choose with --decimal , or --decimal ."
        )


def _report(
    table: RawTable, used: dict[int, str], rows: int, targets: Iterable[Survey], ignored: dict[int, str]
) -> Iterator[str]:
    """Yield the lines that describe to the user which columns are used. used: see `_candidates`."""
    surveys = list(targets)
    columns = [f"{what} in '{table.columns[place]}'" for place, what in used.items()]
    yield f"{table.name}: {', '.join([counted(rows, 'row'), *columns, *table.notes])}"
    if len(surveys) > TARGETS_SHOWN:
        low, high = min(survey.low for survey in surveys), max(survey.high for survey in surveys)
        labels, missing = sum(survey.labels for survey in surveys), sum(survey.kinds["missing"] for survey in surveys)
        first = ", ".join(survey.name for survey in surveys[:3])
        yield f"{len(surveys)} targets, {first}, ...: {counted(labels, 'label')} from {low:g} to {high:g}, {missing} missing"
    else:
        yield from (f"target '{survey.name}': {survey}" for survey in surveys)
    if not surveys:
        yield "no targets"
    reasons: dict[str, list[str]] = {}
    for place, why in sorted(ignored.items()):
        reasons.setdefault(why, []).append(f"'{table.columns[place]}'")
    for why, names in reasons.items():
        more = ", ..." if len(names) > TARGETS_SHOWN else ""
        advice = "; name it with --targets to predict it" if "looks" in why or "equal" in why else ""
        yield f"ignored, {why}: {', '.join(names[:TARGETS_SHOWN])}{more}{advice}"
