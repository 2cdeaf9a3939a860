"""The representation h of molecules, as a table."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from molclr.config import Compute
from molclr.data.corpus import held_out_positions
from molclr.data.molecules import OWN_COLUMNS, open_molecules
from molclr.data.store import GraphStore, open_store_of
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import ENCODER_KEY
from molclr.files import replacing
from molclr.models.encoder import Encoder
from molclr.progress import progress
from molclr.training.checkpoint import load_encoder
from molclr.training.device import prepare

BATCH = 512


def embed(store: GraphStore, encoder: Encoder, molecules: np.ndarray, device: torch.device) -> np.ndarray:
    """Representation h of the molecules at positions `molecules`, int64 (n,), of the store: float32 (n, feature)."""
    encoder.to(device).eval()
    parts = [np.empty((0, encoder.shape.feature), np.float32)]
    with torch.no_grad():
        for first in progress(range(0, len(molecules), BATCH), label="embed", unit="batch"):
            parts.append(encoder(*store.batch(molecules[first : first + BATCH]).to(device)).cpu().numpy())
    return np.concatenate(parts)


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
    """Write `row`, `smiles` and `embedding`, float32 (feature,), of a molecule table.

    held_out: only what pre-training of this encoder held out of the table, its corpus. limit: at most so many, evenly
    spaced. encoder_class: see `molclr.training.checkpoint.stored_encoder`. Raises MolclrError if the graphs are not those of the
    table.
    """
    table = open_molecules(molecules)
    count = table.metadata.num_rows
    model, about = load_encoder(encoder, encoder_class=encoder_class)
    positions = np.arange(count)
    if held_out:
        known = held_out_positions(count, about["held_out"] or {})
        if known is None:
            raise MolclrError(f"What pre-training of '{encoder}' held out is not known; embed without --held-out.")
        positions = known
    if limit is not None and limit < len(positions):
        positions = positions[np.arange(limit) * len(positions) // limit]
    chosen = table.read(columns=list(OWN_COLUMNS)).take(positions)
    store = open_store_of(graphs, count, chosen.column("smiles").to_pylist(), positions)
    h = embed(store, model, positions, prepare(compute))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(h.ravel()), h.shape[1])
    hydrogens = " with hydrogens" if store.explicit_hydrogens else ""
    made_by = {ENCODER_KEY: hashlib.sha256(encoder.read_bytes()).hexdigest() + hydrogens}
    with replacing(output) as temporary:
        pq.write_table(chosen.append_column("embedding", vectors).replace_schema_metadata(made_by), temporary)
