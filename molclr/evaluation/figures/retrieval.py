"""A query molecule and its nearest neighbours in the representation."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from molclr.chem.fingerprints import ecfp4, packed, rdkit_fingerprint, tanimoto_of_bits
from molclr.chem.smiles import read_molecule
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import Embeddings, cosines, highest, read_embeddings
from molclr.evaluation.figures.style import DOTS_PER_INCH, INK, AnyPath, save, styled

COLUMNS = 4
PANEL = (1.35, 1.0)
"""Width and height of a drawn molecule, inches."""

CAPTION = (
    "A {kind}molecule and its nearest neighbours among {count} others by the cosine similarity of their representations, "
    "with the Tanimoto similarity of their ECFP4 and RDKit fingerprints, which the model has not seen. Below the query is the "
    "mean over all others, which a neighbour drawn at random would have on average. This is one example, not a measurement."
)


@dataclass(frozen=True)
class Similarity:
    """Similarity of a molecule to the query: cosine of the representation, and Tanimoto similarity of two fingerprints."""

    cosine: float
    ecfp4: float
    rdkit: float


@styled
def retrieval(
    embeddings: AnyPath, output: AnyPath, neighbours: int, query: int | None = None, name: str | None = None
) -> None:
    """Draw a query molecule of the parquet `embeddings` and its nearest neighbours by cosine.

    query: raw row number; by default the first molecule. name: name of the encoder in the title; by default that of the file.
    Raises MolclrError if the row is not in the file, or if there is no other molecule.
    """
    molecules = read_embeddings(embeddings, at_least=2)
    asked = 0 if query is None else position(molecules, query)
    similarities = compare(molecules, asked)
    found = nearest_neighbours(molecules.vectors, asked, neighbours)
    others = [similarity for place, similarity in enumerate(similarities) if place != asked]

    lines = math.ceil(len(found) / COLUMNS)
    columns = 1 + min(COLUMNS, len(found))
    # The text below the query has three more lines than the texts below the neighbours.
    size = (PANEL[0] * columns + 0.4, (PANEL[1] + 0.6) * lines + (0.2 if lines > 1 else 0.9))
    figure = Figure(figsize=size)
    grid = figure.add_gridspec(lines, columns)
    axes = figure.add_subplot(grid[:, 0])
    _draw(axes, molecules.smiles[asked], _mean_text(others))
    kind = "held-out " if molecules.held_out else ""
    axes.set_title(f"{name or Path(embeddings).stem.upper()}\n{kind}query", weight="bold")
    axes.spines[:].set_edgecolor(INK)
    for rank, place in enumerate(found):
        axes = figure.add_subplot(grid[rank // COLUMNS, 1 + rank % COLUMNS])
        _draw(axes, molecules.smiles[place], _text(similarities[place]))
        axes.set_title(f"Neighbour {rank + 1}")
    save(figure, output, CAPTION.format(kind=kind, count=f"{len(others):,}"))


def position(molecules: Embeddings, row: int) -> int:
    """Find the position of the molecule with the raw row number `row`. Raises MolclrError if there is none."""
    found = np.flatnonzero(molecules.rows == row)
    if not len(found):
        raise MolclrError(f"Row {row} is not among the {len(molecules.rows)} embedded molecules; choose another row.")
    return int(found[0])


def nearest_neighbours(vectors: np.ndarray, query: int, count: int) -> np.ndarray:
    """Find the positions of the `count` vectors with the highest cosine to vector `query`, without itself, best first."""
    found = highest(cosines(vectors[[query]], vectors)[0], count + 1)
    return found[found != query][:count]


def compare(molecules: Embeddings, query: int) -> list[Similarity]:
    """Compute the similarity of each molecule to the molecule at position `query`."""
    parsed = [read_molecule(smiles) for smiles in molecules.smiles]
    prints = [packed(map(fingerprint, parsed)) for fingerprint in (ecfp4, rdkit_fingerprint)]
    tanimotos = [tanimoto_of_bits(each[query], each).tolist() for each in prints]
    near = cosines(molecules.vectors[[query]], molecules.vectors)[0].tolist()
    return [Similarity(*values) for values in zip(near, *tanimotos, strict=True)]


def _text(similarity: Similarity) -> str:
    return f"cosine {similarity.cosine:.4f}\nECFP4 {similarity.ecfp4:.2f}   RDKit {similarity.rdkit:.2f}"


def _mean_text(others: list[Similarity]) -> str:
    """Format the mean similarity of all other molecules."""
    mean = Similarity(*np.mean([(other.cosine, other.ecfp4, other.rdkit) for other in others], axis=0))
    return f"\nmean of {len(others):,} others:\n{_text(mean)}"


def _draw(axes: Axes, smiles: str, text: str) -> None:
    """Draw the structure of a molecule with `text` below it."""
    width, height = (round(inches * DOTS_PER_INCH) for inches in PANEL)
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    options = canvas.drawOptions()
    options.bondLineWidth = 3
    options.padding = 0.03
    options.fixedBondLength = 50
    options.minFontSize = 18
    options.useAvalonAtomPalette()  # the default yellow of sulphur is too pale on white
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, Chem.Mol(read_molecule(smiles)))
    canvas.FinishDrawing()
    axes.imshow(imread(io.BytesIO(canvas.GetDrawingText()), format="png"))
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(text, linespacing=1.4)
    axes.spines[:].set_edgecolor("0.85")
