"""The part of a page about the representation: maps of held-out molecules, and retrieval of the nearest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from molclr.chem.fingerprints import packed_ecfp4, tanimoto_of_bits
from molclr.chem.smiles import read_molecule
from molclr.evaluation.embeddings import Embeddings, highest, read_embeddings, unit
from molclr.evaluation.figures.tsne import PROPERTIES
from molclr.evaluation.report.charts import Chart, Trace, chart
from molclr.evaluation.report.structures import Structures

NEIGHBOURS = 8


@dataclass(frozen=True)
class Retrieval:
    """Nearest neighbours of every molecule in the representation, and how similar their fingerprints are.

    The similarities are means of the Tanimoto similarity of ECFP4 over all queries.
    """

    count: int
    """Neighbours of a query."""
    neighbours: float
    random: float
    """To all other molecules: what random molecules have on average."""
    best: float
    """To the same number of molecules with the most similar fingerprints: the highest possible value."""
    structures: list[int]
    """Number of the structure of each molecule."""
    found: list[list[int]]
    """Positions of the neighbours of each molecule, the nearest first."""
    cosines: list[list[float]]

    @property
    def json(self) -> str:
        """Return what the script of the page shows, as JSON."""
        return json.dumps({name: getattr(self, name) for name in ("structures", "found", "cosines")})


@dataclass(frozen=True)
class RepresentationPart:
    """What the page shows of an encoder."""

    name: str
    molecules: int
    dimension: int
    map: Chart
    retrieval: Retrieval


def representation_part(name: str, embeddings: Path, tsne: Path, structures: Structures) -> RepresentationPart:
    """Make the part of the page about an encoder: embeddings of held-out molecules (Parquet), and their t-SNE (CSV)."""
    molecules = read_embeddings(embeddings, at_least=4)
    numbers = [structures.number(smiles) for smiles in molecules.smiles]
    maps = {"PCA": principal_components(molecules)}
    if tsne.exists():
        places = pd.read_csv(tsne).set_index("row").loc[molecules.rows, ["x", "y"]]
        maps = {"t-SNE": places.to_numpy(), **maps}
    return RepresentationPart(
        name,
        len(numbers),
        molecules.vectors.shape[1],
        molecule_map(name, molecules, maps, numbers),
        retrieve(molecules, numbers, min(NEIGHBOURS, len(numbers) - 1)),
    )


def principal_components(molecules: Embeddings) -> np.ndarray:
    """Compute the first two principal components of the representations, scaled to length 1: float (n, 2)."""
    return PCA(2, svd_solver="full").fit_transform(unit(molecules.vectors))


def molecule_map(name: str, molecules: Embeddings, maps: dict[str, np.ndarray], numbers: Sequence[int]) -> Chart:
    """Draw the molecules in two dimensions; a choice of the projection and of the property that colours show."""
    parsed = [read_molecule(smiles) for smiles in molecules.smiles]
    values = {one.label: np.array([one.of(molecule) for molecule in parsed]) for one in PROPERTIES.values()}
    traces: list[Trace] = []
    for projection, places in maps.items():
        for label, column in values.items():
            traces.append(
                {
                    **{"mode": "markers", "hoverinfo": "none", "showlegend": False},
                    **{"x": places[:, 0].astype(np.float32), "y": places[:, 1].astype(np.float32)},
                    **{"marker": _coloured(column), "meta": {"Projection": projection, "Colour": label}},
                }
            )
    hidden: dict[str, Any] = {"showticklabels": False, "showgrid": False, "showline": False}
    return chart(
        f"Map of {name}",
        "Each point is a molecule that pre-training did not train on. Move over a point for its structure; select it to see its "
        "nearest neighbours. In a t-SNE, neighbourhoods are meaningful; sizes of clusters and distances between them are not.",
        traces,
        hidden,
        hidden | {"scaleanchor": "x"},
        height=560,
        margin=dict.fromkeys("lrtb", 8),
        meta={"structures": list(numbers), "text": _texts(values)},
    )


def _texts(values: dict[str, np.ndarray]) -> list[str]:
    """Return the properties of each molecule as text."""
    return [
        ", ".join(f"{label}: {value:.4g}" for label, value in zip(values, row, strict=True))
        for row in zip(*values.values(), strict=True)
    ]


def _coloured(values: np.ndarray) -> dict[str, Any]:
    """Return markers coloured by values, whose extremes do not take most of the colours."""
    low, high = np.percentile(values, [2, 98])
    bar = {"thickness": 12, "outlinewidth": 0}
    scale = {"colorscale": "Viridis", "cmin": float(low), "cmax": float(high), "colorbar": bar, "showscale": True}
    return {"color": values.astype(np.float32), "size": 6, "opacity": 0.85, **scale}


def retrieve(molecules: Embeddings, numbers: Sequence[int], count: int) -> Retrieval:
    """Find the `count` nearest neighbours of every molecule by cosine, and compare their fingerprints with the query's."""
    fingerprints = packed_ecfp4(molecules.smiles)
    vectors = unit(molecules.vectors)
    found, cosines, sums = [], [], np.zeros(3)
    for query, vector in enumerate(vectors):
        values = vectors @ vector
        places = highest(values, count + 1)
        near = places[places != query][:count]
        found.append(near.tolist())
        cosines.append(values[near].round(3).tolist())
        similarity = tanimoto_of_bits(fingerprints[query], fingerprints)
        rest = np.delete(similarity, query)
        sums += similarity[near].mean(), rest.mean(), rest[highest(rest, count)].mean()
    mean, random, best = sums / len(fingerprints)
    return Retrieval(count, mean, random, best, list(numbers), found, cosines)
