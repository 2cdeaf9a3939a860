"""The index of a library of molecules: their vectors and fingerprints, made once.

It is an Arrow file, which is memory-mapped; its metadata say of which table and by which networks it was made.
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
from molclr.chem.seen import UnseenFeatures
from molclr.data.columns import Taken, choose_columns, naming_column
from molclr.data.featurize import featurize_part
from molclr.data.parts import Part, read_parts
from molclr.data.tables import open_table
from molclr.data.tally import Tally
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import unit
from molclr.evaluation.neighbours import OWN, Library
from molclr.files import replacing, sha256_of
from molclr.progress import say
from molclr.training.embed_table import tell_counts
from molclr.training.embedder import Embedder

KEY = b"molclr_index"
"""Metadata key of an index: what it was made of, as JSON."""
FORMAT = 1
"""Version of the layout of an index."""
REASONS = {
    "library": "the library has changed",
    "networks": "it was made with another encoder or model",
    "code": "the code of the encoder has changed",
    "smiles_column": "it was made with another --smiles-column",
    "desalt": "it was made with another choice of --desalt",
}
"""Why an index is stale where such an entry differs."""


class Compared(NamedTuple):
    """Inputs of a comparison of molecules: graphs for the networks, and fingerprints, uint64 (n, WORDS)."""

    graphs: dict[str, np.ndarray]
    fingerprints: np.ndarray


def compared(smiles: list[str], explicit_hydrogens: bool) -> Compared:
    """Make the inputs of a comparison of molecules, given by their canonical SMILES."""
    return Compared(featurize_part(smiles, explicit_hydrogens), packed_ecfp4(smiles))


def open_library(
    library: Path,
    embedder: Embedder,
    index: Path | None = None,
    smiles_column: str | None = None,
    processes: int = 1,
) -> Library:
    """Open the index of a table of molecules; make it first if it is missing, or not of this table and these networks.

    index: its path; by default next to the table, named after it and the embedder. Says what is made and why. Raises MolclrError
    if the library is not a file or not a table of molecules, or if `index` is a file of another kind.
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
        say(f"the index '{place}' is made, because {why}")
        _write_index(library, place, embedder, wanted, processes)
    with pa.memory_map(str(place)) as file:
        table = pa.ipc.open_file(file).read_all()
    return Library(table, json.loads(table.schema.metadata[KEY])["names"])


def _why_made(index: Path, wanted: dict[str, Any]) -> str:
    """Say why an index has to be made; empty if it is as wanted. Raises MolclrError if the file is no index."""
    if not index.exists():
        return "there is none"
    try:
        with pa.memory_map(str(index)) as file:
            found = json.loads(pa.ipc.open_file(file).schema.metadata[KEY])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        raise MolclrError(
            f"'{index}' is not an index of a library, so it is not replaced; name another file with --index."
        ) from None
    differing = [key for key, value in wanted.items() if found.get(key) != value]
    return " and ".join(REASONS.get(key, f"it was made with another version of {key}") for key in differing)


def _write_index(library: Path, place: Path, embedder: Embedder, made_of: dict[str, Any], processes: int) -> None:
    """Write the index of a library, part by part."""
    work = partial(compared, explicit_hydrogens=embedder.explicit_hydrogens)
    with open_table(library) as raw, replacing(place) as temporary:
        taken = choose_columns(raw, made_of["smiles_column"], [])
        say(*taken.told)
        schema = _schema(taken, embedder, made_of)
        tally, unseen = Tally(), UnseenFeatures(embedder.seen, embedder.explicit_hydrogens)
        with pa.ipc.new_file(str(temporary), schema) as file:
            for part in read_parts(taken, work, processes, f"index {raw.name}", embedder.desalt):
                tally.add(part.molecules, part.rejections)
                unseen.add([molecule.smiles for molecule in part.molecules])
                if part.made is not None:
                    file.write_batch(_as_batch(part, part.made, embedder, schema))
        tally.require_molecules(raw.name)
    tell_counts(tally, unseen, embedder.desalt)


def _schema(taken: Taken, embedder: Embedder, made_of: dict[str, Any]) -> pa.Schema:
    vectors, fingerprints = pa.list_(pa.float32(), embedder.dim), pa.list_(pa.uint64(), WORDS)
    own = zip(OWN, (pa.int64(), pa.string(), vectors, fingerprints), strict=True)
    given = ((name, pa.string()) for name in taken.table.columns)
    about = {**made_of, "names": naming_column(taken.table, taken.columns.smiles)}
    return pa.schema([*own, *given], {KEY: json.dumps(about)})


def _as_batch(part: Part[Compared], made: Compared, embedder: Embedder, schema: pa.Schema) -> pa.RecordBatch:
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
