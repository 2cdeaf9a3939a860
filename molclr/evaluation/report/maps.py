"""Maps of molecules on a page, with a choice of the data, the projection, and the property or label that colours show."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molclr.chem.smiles import read_molecule
from molclr.evaluation.figures.tsne import PROPERTIES
from molclr.evaluation.maps import PROJECTIONS, places_of, read_map
from molclr.evaluation.report.charts import BLUE, GREY, ORANGE, Chart, chart
from molclr.evaluation.report.predictions import MOST_TARGETS
from molclr.evaluation.report.results import BenchmarkResults, Results
from molclr.evaluation.report.structures import Structures

MOST_MAPPED = 4000
"""Molecules of all benchmarks on the map of an encoder; of more, that many are drawn, to keep the page small."""
SUBSETS = {"train": ("circle", "training"), "valid": ("square", "validation"), "test": ("diamond", "test")}
"""Subset -> its symbol and its name."""
NOTE = (
    "Each point is a molecule. Move over a point for its structure. In a t-SNE and a UMAP, neighbourhoods are meaningful; sizes "
    "of clusters and distances between them are not. Principal components (PCA) keep large distances."
)
LOOK = {
    "marker": {"size": 7, "opacity": 0.85, "line": {"width": 0.5, "color": GREY}},
    "values": "Viridis",
    "classes": [[0, BLUE], [0.5, BLUE], [0.5, ORANGE], [1, ORANGE]],
    "missing": GREY,
}
"""Look of points: what all share, colours of numbers and of the classes 0 and 1, and the colour of missing labels."""


@dataclass(frozen=True)
class Colour:
    """Values that colours can show: one for each molecule, None where missing. low, high: the ends of the scale."""

    values: list[float | None]
    low: float
    high: float
    classes: bool


@dataclass(frozen=True)
class MoleculeMap:
    """Molecules in several projections, one option of the choice of data.

    structures: their numbers. titles: the beginning of the text of each. symbols: one for each, or one for all. places:
    projection -> x and y. colours: property or target -> values. queries: whether the nearest neighbours of these molecules can
    be shown.
    """

    name: str
    note: str
    structures: list[int]
    titles: list[str]
    symbols: list[str]
    places: dict[str, list[list[float]]]
    colours: dict[str, Colour]
    queries: bool


def map_chart(encoder: str, maps: Sequence[MoleculeMap]) -> Chart:
    """Draw maps; the script of the page makes the traces."""
    hidden: dict[str, Any] = {"showticklabels": False, "showgrid": False, "showline": False}
    look: dict[str, Any] = {"height": 560, "margin": dict.fromkeys("lrtb", 8)}
    meta = {"maps": {one.name: asdict(one) for one in maps}, "look": LOOK}
    drawn = chart(f"Map of {encoder}", NOTE, [], hidden, hidden | {"scaleanchor": "x"}, meta=meta, **look)
    projections = [name for name in PROJECTIONS if any(name in one.places for one in maps)]
    return replace(
        drawn, choices={"Data": [one.name for one in maps], "Projection": projections, "Colour": [*maps[0].colours]}
    )


def corpus_map(smiles: Sequence[str], places: Mapping[str, np.ndarray], structures: Structures) -> MoleculeMap:
    """Make the map of held-out molecules of the corpus, coloured by properties. places: projection -> float (n, 2)."""
    return MoleculeMap(
        "Corpus, held out",
        f"{len(smiles):,} molecules of the corpus that pre-training held out. Select a point to see its nearest neighbours.",
        [structures.number(one) for one in smiles],
        [f"molecule {1 + place}" for place in range(len(smiles))],
        ["circle"],
        {name: _rounded(found.T) for name, found in places.items()},
        properties(smiles),
        queries=True,
    )


def benchmark_map(
    benchmark: BenchmarkResults, results: Results, path: Path, structures: Structures, of: int = 1
) -> MoleculeMap:
    """Make the map of a benchmark from a table of coordinates, coloured by labels and properties. of: number of benchmarks."""
    table, labels, subsets = read_map(path), results.labels(benchmark.key), results.subsets(benchmark.key)
    most = max(1, MOST_MAPPED // of)
    if len(table) > most:
        table = table.iloc[np.arange(most) * len(table) // most]
    known = [SUBSETS.get(subsets.get(row, ""), ("circle", "")) for row in table["row"].tolist()]
    return MoleculeMap(
        benchmark.name,
        _facts(len(table), labels, bool(subsets), results.settings.single_task),
        [structures.number(smiles) for smiles in table["smiles"]],
        [f"row {row}{name and f', {name}'}" for row, (_, name) in zip(table["row"], known, strict=True)],
        [symbol for symbol, _ in known],
        {name: _rounded(places_of(table, name).T) for name in PROJECTIONS},
        label_colours(labels, table["row"], benchmark.metric.task == "classification")
        | properties(table["smiles"].tolist()),
        queries=False,
    )


def _facts(shown: int, labels: pd.DataFrame, has_split: bool, single_task: bool) -> str:
    """Say how many molecules and targets there are, and what symbols mean."""
    count, targets = labels.shape
    where = f"among those with a label of {labels.columns[0]}" if single_task and targets > 1 else "in the table"
    facts = [f"{shown:,} of {count:,} molecules, evenly spaced {where}." if count > shown else f"{shown:,} molecules."]
    if has_split:
        facts.append("Circles: training, squares: validation, diamonds: test.")
    if targets > MOST_TARGETS:
        facts.append(
            f"The first {MOST_TARGETS} of {targets} targets can be chosen, {targets - MOST_TARGETS} are left out."
        )
    if not targets:
        facts.append("Labels are not shown, because the molecule table is missing.")
    return " ".join(facts)


def label_colours(labels: pd.DataFrame, rows: pd.Series, classes: bool) -> dict[str, Colour]:
    """Return target -> its labels of the molecules with these raw row numbers, for the first targets."""
    chosen = labels.reindex(rows).iloc[:, :MOST_TARGETS]
    return {
        str(name): _colour(chosen[name].to_numpy(np.float64), classes) for name in chosen if chosen[name].notna().any()
    }


def properties(smiles: Sequence[str]) -> dict[str, Colour]:
    """Return property -> its values of molecules."""
    parsed = [read_molecule(one) for one in smiles]
    return {one.label: _colour(np.array([one.of(each) for each in parsed], np.float64)) for one in PROPERTIES.values()}


def _colour(values: np.ndarray, classes: bool = False) -> Colour:
    """Return values with a scale on which extremes do not take most of the colours; on that of classes, 0 and 1 are centred."""
    low, high = (-0.5, 1.5) if classes else map(float, np.nanpercentile(values, [2, 98]))
    return Colour([None if np.isnan(value) else float(f"{value:.4g}") for value in values], low, high, classes)


def _rounded(values: np.ndarray) -> list[list[float]]:
    """Round coordinates to what a screen can show, relative to the extent of the map."""
    digits = 4 - int(np.floor(np.log10(np.ptp(values, axis=1).max() or 1)))
    return values.astype(np.float64).round(digits).tolist()
