"""Results of a search in a library: as a table, for the terminal and for programs."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from molclr.data.tables import free_names
from molclr.library.neighbours import KINDS, Hit

QUERY = "query_"
"""The beginning of the names of the query's columns."""
SCORES = {
    "by": pa.string(),
    "rank": pa.int64(),
    "cosine": pa.float32(),
    "tanimoto": pa.float32(),
    "row": pa.int64(),
    "canonical_smiles": pa.string(),
}
"""Columns of a table of hits between those of the query and those of the library."""
NAME, STRUCTURE = 16, 28
"""The most characters of a name and a SMILES on the terminal."""


class Found(NamedTuple):
    """The nearest molecules to a query."""

    name: str
    """The query's name; empty if it has none."""
    smiles: str
    """The canonical SMILES of the query."""
    query: dict[str, str]
    """The query's row of its table."""
    hits: list[Hit]
    """Of all KINDS, the nearest first."""

    def of(self, kind: str) -> list[Hit]:
        """Return the hits of one of KINDS."""
        return [hit for hit in self.hits if hit.by == kind]


def hits_schema(query_columns: Sequence[str], library_columns: Sequence[str]) -> pa.Schema:
    """Return the columns of a table of hits: those of the query with `query_` in front, SCORES, and those of the library.

    A column of the library that has a name of SCORES gets an underscore in front.
    """
    asked = free_names([f"{QUERY}{name}" for name in query_columns], SCORES)
    known = free_names(library_columns, [*asked, *SCORES])
    text = pa.string()
    return pa.schema([*((name, text) for name in asked), *SCORES.items(), *((name, text) for name in known)])


def hits_table(found: Sequence[Found], schema: pa.Schema) -> pa.Table:
    """Return the hits of one or more queries as rows of a table with the columns of `hits_schema`."""
    rows = [
        [*each.query.values(), hit.by, hit.rank, hit.cosine, hit.tanimoto, hit.row, hit.smiles, *hit.fields]
        for each in found
        for hit in each.hits
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def as_dict(found: Found, library_columns: Sequence[str]) -> dict[str, Any]:
    """Return a query and its hits of each kind for a program."""
    hits = {kind: [_hit_as_dict(hit, library_columns) for hit in found.of(kind)] for kind in KINDS}
    return {"query": found.query, "canonical_smiles": found.smiles, **hits}


def _hit_as_dict(hit: Hit, library_columns: Sequence[str]) -> dict[str, Any]:
    scores = {"rank": hit.rank, "cosine": round(hit.cosine, 6), "tanimoto": round(hit.tanimoto, 6)}
    molecule = {"row": hit.row, "canonical_smiles": hit.smiles, "name": hit.name}
    return scores | molecule | {"fields": dict(zip(library_columns, hit.fields, strict=True))}


def lines_of(found: Found) -> Iterator[str]:
    """Yield the lines of a readable table: the hits by representation on the left, those by ECFP4 on the right."""
    yield f"{found.name or 'query'}  {found.smiles}"
    width = NAME + STRUCTURE + 1
    yield f"rank  {'by representation':{width}}  cosine  ECFP4   {'by ECFP4':{width}}  cosine  ECFP4"
    for left, right in zip(*map(found.of, KINDS), strict=True):
        yield f"{left.rank:4}  {_half(left)}   {_half(right)}"
    yield ""


def _half(hit: Hit) -> str:
    name, smiles = _short(hit.name, NAME), _short(hit.smiles, STRUCTURE)
    return f"{name:{NAME}} {smiles:{STRUCTURE}}  {hit.cosine:6.4f}  {hit.tanimoto:5.3f}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
