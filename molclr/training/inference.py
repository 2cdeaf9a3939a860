"""Inference: networks applied to molecules in batches, without training."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from molclr.models.predictor import Predictor
from molclr.progress import progress
from molclr.training.device import flushing_subnormals
from molclr.training.graphs import Graphs, in_batches

BATCH = 512
"""Batch size of inference, which affects only rounding."""
FETCHED = 16
"""Batches per transfer from the device, each of which waits for it."""


@flushing_subnormals()
@torch.no_grad()
def infer(
    encoder: nn.Module,
    graphs: Graphs,
    molecules: np.ndarray,
    then: Callable[[Tensor], Tensor] | None = None,
    label: str | None = None,
    size: int = BATCH,
) -> np.ndarray:
    """Compute the representation of molecules, or the function `then` of it: float32 (n, embedding_dim) or (n, m).

    molecules: int64 (n,), n >= 1, places in `graphs`. label: label of the progress display; None for no display.
    size: molecules in a batch.
    """
    batches = in_batches(molecules, size)
    handles = graphs.handles(batches, graphs.capacity([batches]))
    found, waiting = list[np.ndarray](), list[Tensor]()
    for number, handle in enumerate(progress(handles, len(batches), label or "", "batch", silent=label is None), 1):
        h = graphs.represent(encoder, handle)
        waiting.append(then(h) if then else h)
        if len(waiting) == FETCHED or number == len(batches):
            found.append(torch.cat(waiting).cpu().numpy())
            waiting.clear()
    return np.concatenate(found)[: len(molecules)]


def predict_molecules(model: Predictor, graphs: Graphs, molecules: np.ndarray, size: int = BATCH) -> np.ndarray:
    """Predict probabilities of class 1, or values in the target's unit: float32 (n, targets).

    molecules: int64 (n,), places in `graphs`. size: molecules in a batch. NaN for targets that had no training labels.
    """
    model.eval()
    if not len(molecules):
        return np.empty((0, len(model.mean)), np.float32)
    return infer(model.encoder, graphs, molecules, model.predict, size=size)
