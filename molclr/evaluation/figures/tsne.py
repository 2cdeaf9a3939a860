"""A map of the representation: molecules that lie close in it lie close on the page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from molclr.chem.smiles import read_molecule
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import read_embeddings
from molclr.evaluation.figures.style import AnyPath, save, styled

PERPLEXITY = 30.0


@dataclass(frozen=True)
class Property:
    """A property of a molecule, computed by RDKit."""

    label: str
    of: Callable[[Chem.Mol], float]


PROPERTIES = {
    "molecular_weight": Property("Molecular weight (g/mol)", Descriptors.MolWt),
    "logp": Property("Octanol-water log P (Crippen)", Crippen.MolLogP),
    "tpsa": Property("Polar surface area, TPSA (Å²)", rdMolDescriptors.CalcTPSA),
    "rings": Property("Number of rings", rdMolDescriptors.CalcNumRings),
}


@styled
def tsne(embeddings: AnyPath, png: AnyPath, svg: AnyPath, property: str, seed: int = 0) -> None:
    """Draw a t-SNE of the molecules in the parquet `embeddings`, coloured by one of PROPERTIES.

    Raises MolclrError if there are fewer than four molecules, or for a property that is not one of them.
    """
    if property not in PROPERTIES:
        raise MolclrError(f"There is no property '{property}' to colour by; there are {', '.join(PROPERTIES)}.")
    molecules = read_embeddings(embeddings, at_least=4)
    chosen = PROPERTIES[property]
    values = np.array([chosen.of(read_molecule(smiles)) for smiles in molecules.smiles])
    places = project(molecules.vectors, seed)

    figure = Figure(figsize=(6, 4.6))
    axes = figure.subplots()
    # The few extreme molecules would take most of the colours for themselves.
    low, high = np.percentile(values, [2, 98])
    across, up = places.T
    points = axes.scatter(across, up, c=values, cmap="viridis", vmin=low, vmax=high, s=8, linewidths=0)
    bar = figure.colorbar(points, ax=axes, label=chosen.label, extend="both", extendfrac=0.03, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=property == "rings"))
    axes.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"{Path(embeddings).stem.upper()}: representation of {len(values):,} molecules")
    save(figure, png, svg)


def project(vectors: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE by cosine distance, as the loss of pre-training compares: (n, embedding_dim) to float32 (n, 2).

    On one thread: the sums of several come in any order, and t-SNE amplifies the last digit.
    """
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed).fit_transform(vectors)
