"""Representations h of the molecules of graph stores."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from molclr.chem.seen import warn_of_unseen
from molclr.config import Compute
from molclr.data.corpus import held_out_positions
from molclr.data.labelled import LabelledMolecules
from molclr.data.molecules import OWN_COLUMNS, open_molecules
from molclr.data.store import GraphStore, open_store_of
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import ENCODER_KEY, HELD_OUT_KEY
from molclr.files import replacing
from molclr.models.encoder import GraphEncoder
from molclr.progress import say
from molclr.training.checkpoint import load_encoder
from molclr.training.device import prepare
from molclr.training.graphs import graphs_on
from molclr.training.inference import BATCH, infer


def embed(
    store: GraphStore,
    encoder: GraphEncoder,
    molecules: np.ndarray,
    device: torch.device,
    silent: bool = False,
    size: int = BATCH,
) -> np.ndarray:
    """Compute h of the molecules at positions `molecules`, int64 (n,), of the store: float32 (n, embedding_dim).

    silent: show no progress. size: molecules in a batch.
    """
    if not len(molecules):
        return np.empty((0, encoder.shape.embedding_dim), np.float32)
    encoder.to(device).eval()
    graphs, places = graphs_on(device, store, molecules, encoder), np.arange(len(molecules))
    return infer(encoder, graphs, places, label=None if silent else "embed", size=size)


def embed_labelled(
    data: LabelledMolecules,
    graphs: Path,
    encoder: Path,
    encoder_class: str | None = None,
    compute: Compute | None = None,
) -> np.ndarray:
    """Compute h of all molecules of a benchmark: float32 (n, embedding_dim).

    graphs: the graph store of its molecule table. encoder_class: see `molclr.training.checkpoint.stored_encoder`. compute: None
    for one thread of the CPU. Raises MolclrError if the graphs do not belong to the molecules.
    """
    places = np.arange(len(data.smiles))
    store = open_store_of(graphs, len(places), data.smiles, places)
    model, _ = load_encoder(encoder, encoder_class=encoder_class)
    return embed(store, model, places, prepare(compute or Compute(device="cpu")))


def write_embeddings(
    molecules: Path,
    graphs: Path,
    output: Path,
    encoder: Path,
    compute: Compute,
    held_out: bool = False,
    limit: int | None = None,
    encoder_class: str | None = None,
) -> None:
    """Embed a molecule table: write the columns `row`, `smiles` and `embedding`, float32 (embedding_dim,), as Parquet.

    held_out: embed only the molecules that the pre-training of this encoder held out; the table must be its corpus. limit: embed
    at most this many molecules, evenly spaced. encoder_class: see `molclr.training.checkpoint.stored_encoder`. Prints a warning
    with the number of molecules that have features the encoder never saw. Raises MolclrError if the graphs do not belong to the
    table or, with `held_out`, the table is not the corpus of the encoder.
    """
    table = open_molecules(molecules)
    count = table.metadata.num_rows
    model, about = load_encoder(encoder, encoder_class=encoder_class)
    positions = np.arange(count)
    if held_out:
        known = held_out_positions(count, about["held_out"] or {})
        if known is None:
            raise MolclrError(
                f"'{encoder}' does not record which molecules its pre-training held out; embed without --held-out."
            )
        _check_corpus(about["held_out"], graphs, encoder)
        positions = known
    if limit is not None and limit < len(positions):
        positions = positions[np.arange(limit) * len(positions) // limit]
    chosen = table.read(columns=list(OWN_COLUMNS)).take(positions)
    store = open_store_of(graphs, count, chosen.column("smiles").to_pylist(), positions)
    if warning := warn_of_unseen(about["seen"], chosen.column("smiles").to_pylist(), store.explicit_hydrogens):
        say(f"warning: {warning}")
    h = embed(store, model, positions, prepare(compute))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(h.ravel()), h.shape[1])
    hydrogens = " with hydrogens" if store.explicit_hydrogens else ""
    made_by = {ENCODER_KEY: hashlib.sha256(encoder.read_bytes()).hexdigest() + hydrogens}
    if held_out:
        made_by[HELD_OUT_KEY] = "yes"
    with replacing(output) as temporary:
        pq.write_table(chosen.append_column("embedding", vectors).replace_schema_metadata(made_by), temporary)


def _check_corpus(held_out: dict[str, Any], graphs: Path, encoder: Path) -> None:
    """Raise MolclrError if the graph store is not the recorded corpus of pre-training; earlier versions did not record it."""
    if "corpus" in held_out and GraphStore(graphs).identity() != held_out["corpus"]:
        raise MolclrError(
            f"'{graphs}' is not the corpus of '{encoder}', so no molecules of it were held out; embed without --held-out."
        )
