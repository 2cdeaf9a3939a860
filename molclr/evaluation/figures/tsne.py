"""t-SNE maps of the representation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

from molclr.chem.smiles import read_molecule
from molclr.config import MolecularProperty
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import read_embeddings
from molclr.evaluation.figures.style import AnyPath, save, styled
from molclr.evaluation.maps import places_of, read_map
from molclr.evaluation.maps import tsne as project
from molclr.files import replacing

MAP = 4.6
"""Width of the map, inches."""

HELD_OUT = " of the corpus, on which pre-training did not train,"
CAPTION = (
    "t-SNE (cosine distance) of the representations of {what} coloured by a property that the model has not seen: {label}. "
    "Colours end at the 2nd and 98th percentile. Neighbourhoods are meaningful; the sizes of clusters and the distances between "
    "them are not."
)


@dataclass(frozen=True)
class Property:
    """A molecular property, computed by RDKit."""

    label: str
    of: Callable[[Chem.Mol], float]


PROPERTIES: dict[MolecularProperty, Property] = {
    "molecular_weight": Property("Molecular weight (g/mol)", Descriptors.MolWt),
    "logp": Property("Octanol-water log P (Crippen)", Crippen.MolLogP),
    "tpsa": Property("Polar surface area, TPSA (Å²)", rdMolDescriptors.CalcTPSA),
    "rings": Property("Number of rings", rdMolDescriptors.CalcNumRings),
}


@styled
def tsne(
    embeddings: AnyPath,
    output: AnyPath,
    property: str,
    seed: int = 0,
    name: str | None = None,
    coordinates: AnyPath | None = None,
) -> None:
    """Draw a t-SNE of the molecules in the parquet `embeddings`, coloured by one of PROPERTIES.

    name: name of the encoder in the title; by default that of the file. coordinates: those of `molclr.evaluation.maps`; None to
    compute them. OUTPUT.csv has the coordinates: raw row number, x, y. Raises MolclrError for fewer than four molecules, an
    unknown property and coordinates of other molecules.
    """
    if property not in PROPERTIES:
        raise MolclrError(f"Unknown property '{property}'; choose one of {', '.join(PROPERTIES)}.")
    molecules, chosen = read_embeddings(embeddings, at_least=4), PROPERTIES[property]
    if coordinates is None:
        places = project(molecules.vectors, seed)
    else:
        places = places_of(read_map(coordinates, molecules.rows), "t-SNE")
    places = places[:, np.argsort(-np.ptp(places, axis=0), kind="stable")]  # wider than high
    values = np.array([chosen.of(read_molecule(smiles)) for smiles in molecules.smiles])
    what = f"{len(values):,} {'held-out ' if molecules.held_out else ''}molecules"
    figure = _draw(places, values, chosen.label, has_integers=property == "rings")
    figure.axes[0].set_title(f"{name or Path(embeddings).stem.upper()}: representation of {what}")
    table = pd.DataFrame({"row": molecules.rows, "x": places[:, 0], "y": places[:, 1]})
    with replacing(f"{output}.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")
    save(figure, output, CAPTION.format(what=f"{what}{HELD_OUT if molecules.held_out else ''}", label=chosen.label))


def _draw(places: np.ndarray, values: np.ndarray, label: str, has_integers: bool) -> Figure:
    """Draw points, (n, 2), coloured by values, (n,), in a frame of the shape of the map, so that the map fills it."""
    across, up = np.maximum(np.ptp(places, axis=0), 1e-3)  # not 0 if all molecules have one place
    figure = Figure(figsize=(MAP + 1.0, MAP * max(0.5, up / across) + 0.6), layout="compressed")
    axes = figure.subplots()
    # Without this, a few extreme values would use most of the colour range.
    low, high = np.percentile(values, [2, 98])
    size = float(np.clip(14000 / len(values), 3, 20))
    look: dict[str, Any] = {"s": size, "cmap": "viridis", "vmin": low, "vmax": high, "linewidths": 0}
    points = axes.scatter(places[:, 0], places[:, 1], c=values, **look)
    bar = figure.colorbar(points, ax=axes, label=label, extend="both", extendfrac=0.03, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=has_integers))
    axes.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    (left, bottom), (right, top) = places.min(axis=0), places.max(axis=0)
    edge = 0.02 * across
    axes.set(xlim=(left - edge, right + edge), ylim=(bottom - edge, top + edge), aspect="equal")
    return figure
