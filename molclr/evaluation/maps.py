"""Maps of representations: t-SNE, UMAP and principal components, and tables of their coordinates."""

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from os import PathLike

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from molclr.errors import MolclrError
from molclr.evaluation.embeddings import read_embeddings, unit
from molclr.files import replacing

Projection = Callable[[np.ndarray, int], np.ndarray]
"""Function of representations, float (n, embedding_dim), and a seed, to coordinates, float (n, 2)."""

PERPLEXITY = 30.0
NEIGHBOURS = 15
"""Neighbours of a molecule in UMAP, including itself; the default of the library."""


def _or_origin(project: Projection) -> Projection:
    """Place all molecules at the origin if all vectors are equal, for which libraries divide by zero."""

    @wraps(project)
    def projected(vectors: np.ndarray, seed: int) -> np.ndarray:
        if (vectors == vectors[0]).all():
            return np.zeros((len(vectors), 2), np.float32)
        return project(vectors, seed)

    return projected


@_or_origin
def tsne(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Compute a t-SNE by cosine distance, like the pre-training loss: (n, embedding_dim) to float32 (n, 2).

    Runs on one thread, because several threads add in a varying order and t-SNE amplifies rounding errors.
    """
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed).fit_transform(vectors)


@_or_origin
def umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Compute a UMAP by cosine distance, with exact neighbours: (n, embedding_dim) to float32 (n, 2).

    Runs on one thread, as a seed requires. The import and the first call compile code for seconds. Raises MolclrError if the
    library is not installed.
    """
    count = min(NEIGHBOURS, len(vectors))
    with threadpool_limits(1), warnings.catch_warnings():
        # Ignore warnings about TensorFlow, which is not needed, and about mapping further molecules, which is not done.
        warnings.simplefilter("ignore")
        try:
            from umap import UMAP
        except ImportError:
            raise MolclrError("umap-learn is not installed; install it with 'pip install umap-learn'.") from None
        nearest = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(vectors)
        distances, places = nearest.kneighbors(vectors)
        known = (places, distances.astype(np.float32))
        mapper = UMAP(n_neighbors=count, init="pca", random_state=seed, n_jobs=1, precomputed_knn=known)
        return mapper.fit_transform(vectors)


@_or_origin
def principal_components(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Compute the first two principal components of representations, scaled to length 1: (n, embedding_dim) to (n, 2).

    seed: not used.
    """
    return PCA(2, svd_solver="full").fit_transform(unit(vectors))


PROJECTIONS: dict[str, tuple[str, Projection]] = {
    "t-SNE": ("tsne", tsne),
    "UMAP": ("umap", umap),
    "PCA": ("pca", principal_components),
}
"""Name -> beginning of its columns in a table of coordinates, and function of representations and seed."""
COLUMNS = ["row", "smiles", *(f"{start}_{axis}" for start, _ in PROJECTIONS.values() for axis in "xy")]


def write_maps(embeddings: Sequence[PathLike[str]], outputs: Sequence[PathLike[str]], seed: int = 0) -> None:
    """Write the coordinates of each table of embeddings (Parquet) in all PROJECTIONS as a CSV table with the columns COLUMNS.

    Raises MolclrError for another number of outputs, and for fewer than four molecules.
    """
    if len(embeddings) != len(outputs):
        raise MolclrError(f"{len(embeddings)} tables of embeddings need as many outputs, not {len(outputs)}.")
    tables = [read_embeddings(path, at_least=4) for path in embeddings]
    for molecules, output in zip(tables, outputs, strict=True):
        table = pd.DataFrame({"row": molecules.rows, "smiles": molecules.smiles})
        for start, project in PROJECTIONS.values():
            table[[f"{start}_x", f"{start}_y"]] = project(molecules.vectors, seed)
        with replacing(output) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read_map(path: str | PathLike[str], rows: np.ndarray | None = None) -> pd.DataFrame:
    """Read a table of `write_maps`; rows: raw row numbers that it must have, (n,). Raises MolclrError for another table."""
    try:
        table = pd.read_csv(path, dtype={"smiles": str}, keep_default_na=False)
    except (FileNotFoundError, ValueError):
        table = pd.DataFrame()
    if list(table.columns) != COLUMNS:
        raise MolclrError(f"'{path}' is not a table of coordinates; make it with 'molclr maps'.")
    if rows is not None and not np.array_equal(table["row"], rows):
        raise MolclrError(f"'{path}' has the coordinates of other molecules; make it again with 'molclr maps'.")
    return table


def places_of(table: pd.DataFrame, projection: str) -> np.ndarray:
    """Return the coordinates of a projection in a table of `read_map`: float64 (n, 2)."""
    start, _ = PROJECTIONS[projection]
    return table[[f"{start}_x", f"{start}_y"]].to_numpy()
