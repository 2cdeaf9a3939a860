"""Search in a library for the nearest molecules to one molecule or to each of a table."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from molclr.chem.smiles import RejectedMolecule, canonicalize_all
from molclr.data.columns import ChosenColumns, Columns, choose_columns, naming_column
from molclr.data.forms import RawTable
from molclr.data.output import writing
from molclr.data.parts import Part, read_parts
from molclr.data.row_counts import RowCounts
from molclr.data.tables import free_names, open_table
from molclr.errors import MolclrError
from molclr.library.embedder import Embedder
from molclr.library.hits import Found, hits_schema, hits_table
from molclr.library.index import SearchInputs, search_inputs
from molclr.library.neighbours import Library
from molclr.progress import say


def search(
    queries: str | Path,
    library: Library,
    embedder: Embedder,
    count: int = 10,
    output: Path | None = None,
    smiles_column: str | None = None,
    processes: int = 1,
) -> Generator[Found]:
    """Yield the `count` molecules of the library that are nearest to each query, by representation and by ECFP4.

    queries: a SMILES, or a table of molecules, whose rejected rows are reported and left out. embedder: that of the library.
    output: file to write at the same time, CSV or Parquet, with a row for each hit (see `hits_table`). Raises MolclrError if no
    query is accepted.
    """
    work = partial(search_inputs, explicit_hydrogens=embedder.explicit_hydrogens)
    counts = RowCounts(seen=embedder.seen, explicit_hydrogens=embedder.explicit_hydrogens)
    with _table_of(queries, smiles_column) as chosen:
        say(*chosen.report)
        columns = free_names(chosen.table.columns, [])
        schema = hits_schema(columns, library.columns)
        names = naming_column(chosen.table, chosen.columns.smiles)
        with writing(output, schema) if output else nullcontext() as write:
            label = "search" if isinstance(queries, Path) else ""
            for part in read_parts(chosen, work, processes, label, embedder.desalt):
                counts.add(part.molecules, part.rejections)
                found = _found(part, library, embedder, count, columns, names)
                if write and found:
                    write(hits_table(found, schema))
                yield from found
            counts.require_molecules(chosen.table.name)
    counts.report(embedder.desalt)


@contextmanager
def _table_of(queries: str | Path, smiles_column: str | None) -> Iterator[ChosenColumns]:
    """Yield the queries as a table."""
    if isinstance(queries, Path):
        with open_table(queries) as raw:
            yield choose_columns(raw, smiles_column, [])
        return
    (verdict,) = canonicalize_all([queries])
    if isinstance(verdict, RejectedMolecule):
        raise MolclrError(
            f"The query '{queries}' is neither a file nor a molecule as SMILES: {verdict.reason}; correct the path or the SMILES."
        )
    yield ChosenColumns(RawTable("the query", ["smiles"], lambda: iter([[queries]])), Columns(1, 0, {}), 1, [])


def _found(
    part: Part[SearchInputs], library: Library, embedder: Embedder, count: int, columns: list[str], names: int | None
) -> list[Found]:
    """Search for the molecules of a part. names: the position of the column with their names; None if there is none."""
    if part.made is None:
        return []
    near = library.search(embedder.embed(part.made.graphs), part.made.fingerprints, count)
    found = []
    for place, molecule, hits in zip(part.places, part.molecules, near, strict=True):
        fields = part.rows[place]
        query = dict(zip(columns, fields, strict=True))
        found.append(Found("" if names is None else fields[names], molecule.smiles, query, hits))
    return found
