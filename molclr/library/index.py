"""The index of a library of molecules: their vectors and fingerprints, made once.

It is an Arrow file, which is memory-mapped; its metadata name the table and the networks from which it was made.
"""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from rdkit import rdBase

from molclr.chem.fingerprints import WORDS, packed_ecfp4
from molclr.data.columns import ChosenColumns, choose_columns, naming_column
from molclr.data.featurize import featurize_part
from molclr.data.parts import Part, read_parts
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import unit
from molclr.files import replacing, sha256_of
from molclr.library.embedder import Embedder
from molclr.library.neighbours import OWN, Library
from molclr.progress import say

KEY = b"molclr_index"
"""Metadata key of an index: the inputs from which it was made, as JSON."""
FORMAT = 1
"""Version of the layout of an index."""
REASONS = {
    "library": "the library has changed",
    "networks": "it was made with another encoder or model",
    "code": "the code of the encoder has changed",
    "smiles_column": "it was made with another --smiles-column",
    "desalt": "it was made with another choice of --desalt",
}
"""Entry of the metadata -> the reason to make the index again if it differs."""


class SearchInputs(NamedTuple):
    """What molecules are compared by, in libraries and queries: graphs for the networks, and fingerprints, uint64 (n, WORDS)."""

    graphs: dict[str, np.ndarray]
    fingerprints: np.ndarray


def search_inputs(smiles: list[str], explicit_hydrogens: bool) -> SearchInputs:
    """Compute the graphs and fingerprints of molecules, given by their canonical SMILES."""
    return SearchInputs(featurize_part(smiles, explicit_hydrogens), packed_ecfp4(smiles))


def open_library(
    library: Path,
    embedder: Embedder,
    index: Path | None = None,
    smiles_column: str | None = None,
    processes: int = 1,
) -> Library:
    """Open the index of a table of molecules; make it first if it is missing or was made from other inputs.

    index: its path; by default next to the table, named after it and the embedder. Reports why an index is made. Raises
    MolclrError if the library is not a file or not a table of molecules, or if `index` is a file of another kind.
    """
    if not library.is_file():
        raise MolclrError(f"The library '{library}' is not a file; name a table of molecules, which is indexed once.")
    place = index or library.with_name(f"{library.name}.{embedder.name}.arrow")
    wanted = {
        "format": FORMAT,
        "library": sha256_of(library),
        "networks": embedder.digest,
        "code": embedder.code,
        "smiles_column": smiles_column,
        "desalt": embedder.desalt,
        "rdkit": rdBase.rdkitVersion,
    }
    if why := _why_made(place, wanted):
        if not os.access(place.parent, os.W_OK):
            raise MolclrError(f"The index '{place}' cannot be written there; name another place with --index.")
        _write_index(library, place, embedder, wanted, why, processes)
    with pa.memory_map(str(place)) as file:
        table = pa.ipc.open_file(file).read_all()
    return Library(table, json.loads(table.schema.metadata[KEY])["names"])


def _why_made(index: Path, wanted: dict[str, Any]) -> str:
    """Return the reason to make an index; empty if there is a current one. Raises MolclrError if the file is not an index."""
    if not index.exists():
        return "it does not exist"
    try:
        with pa.memory_map(str(index)) as file:
            found = json.loads(pa.ipc.open_file(file).schema.metadata[KEY])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        raise MolclrError(
            f"'{index}' is not an index of a library, or damaged, so it is not replaced; delete it, or name another file with "
            "--index."
        ) from None
    differing = [key for key, value in wanted.items() if found.get(key) != value]
    return " and ".join(REASONS.get(key, f"it was made with another version of {key}") for key in differing)


def _write_index(
    library: Path, place: Path, embedder: Embedder, made_of: dict[str, Any], why: str, processes: int
) -> None:
    """Write the index of a library, part by part. why: what is said of the reason."""
    work = partial(search_inputs, explicit_hydrogens=embedder.explicit_hydrogens)
    with open_table(library) as raw, replacing(place) as temporary:
        chosen = choose_columns(raw, made_of["smiles_column"], [])
        say(f"making the index '{place}' because {why}", *chosen.report)
        schema = _schema(chosen, embedder, made_of)
        counts = RowCounts(seen=embedder.seen, explicit_hydrogens=embedder.explicit_hydrogens)
        with pa.ipc.new_file(str(temporary), schema) as file:
            for part in read_parts(chosen, work, processes, f"index {raw.name}", embedder.desalt):
                counts.add(part.molecules, part.rejections)
                if part.made is not None:
                    file.write_batch(_as_batch(part, part.made, embedder, schema))
        counts.require_molecules(raw.name)
    counts.report(embedder.desalt)


def _schema(chosen: ChosenColumns, embedder: Embedder, made_of: dict[str, Any]) -> pa.Schema:
    vectors, fingerprints = pa.list_(pa.float32(), embedder.dim), pa.list_(pa.uint64(), WORDS)
    own = zip(OWN, (pa.int64(), pa.string(), vectors, fingerprints), strict=True)
    given = ((name, pa.string()) for name in chosen.table.columns)
    about = {**made_of, "names": naming_column(chosen.table, chosen.columns.smiles)}
    return pa.schema([*own, *given], {KEY: json.dumps(about)})


def _as_batch(part: Part[SearchInputs], made: SearchInputs, embedder: Embedder, schema: pa.Schema) -> pa.RecordBatch:
    """Embed the molecules of a part; return their rows of the index."""
    matrices = unit(embedder.embed(made.graphs)), made.fingerprints
    rows, smiles = zip(*((molecule.row, molecule.smiles) for molecule in part.molecules), strict=True)
    columns = [
        rows,
        smiles,
        *(pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1]) for matrix in matrices),
        *zip(*(part.rows[place] for place in part.places), strict=True),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
