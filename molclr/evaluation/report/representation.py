"""The part of a page about the representation: maps of held-out molecules, and retrieval of the nearest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molclr.chem.fingerprints import packed_ecfp4, tanimoto_of_bits
from molclr.evaluation.embeddings import Embeddings, highest, read_embeddings, unit
from molclr.evaluation.maps import PROJECTIONS, places_of, principal_components, read_map
from molclr.evaluation.report.charts import Chart
from molclr.evaluation.report.maps import benchmark_map, corpus_map, map_chart
from molclr.evaluation.report.results import Results
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.text import listed

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
    map: Chart
    missing: list[str]
    """What the map does not offer because files are missing, as sentences."""
    held_out: tuple[int, int] | None
    """Number of embedded molecules of the corpus, and dimension; None without embeddings."""
    retrieval: Retrieval | None


def representation_part(name: str, results: Results, structures: Structures) -> RepresentationPart | None:
    """Make the part of the page about an encoder, from its embeddings of the corpus and its maps; None without any."""
    embeddings = results.folder / "embeddings" / f"{name.lower()}.parquet"
    maps = results.folder / "maps" / name.lower()
    there = [one for one in results.benchmarks if (maps / f"{one.key}.csv").exists()]
    shown = [benchmark_map(one, results, maps / f"{one.key}.csv", structures, len(there)) for one in there]
    retrieval, held_out, missing = None, None, []
    if embeddings.exists():
        molecules = read_embeddings(embeddings, at_least=4)
        held_out = molecules.vectors.shape
        places = corpus_places(molecules, maps.with_name(f"{maps.name}.csv"))
        if len(places) < len(PROJECTIONS):
            missing.append(f"t-SNE and UMAP of the corpus cannot be chosen: '{maps}.csv' is missing.")
        shown.insert(0, corpus_map(molecules.smiles, places, structures))
        retrieval = retrieve(molecules, shown[0].structures, min(NEIGHBOURS, len(molecules.smiles) - 1))
    if not shown:
        return None
    if absent := [one for one in results.benchmarks if one not in there]:
        files = listed([f"'{maps}/{one.key}.csv'" for one in absent])
        missing.append(f"{listed([one.name for one in absent])} cannot be chosen, without {files}.")
    return RepresentationPart(name, map_chart(name, shown), missing, held_out, retrieval)


def corpus_places(molecules: Embeddings, path: Path) -> dict[str, np.ndarray]:
    """Return projection -> coordinates, (n, 2), from a table of `molclr maps`; only principal components if it is missing.

    Raises MolclrError if it has other molecules.
    """
    if not path.exists():
        return {"PCA": principal_components(molecules.vectors, 0)}
    table = read_map(path, molecules.rows)
    return {name: places_of(table, name) for name in PROJECTIONS}


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
