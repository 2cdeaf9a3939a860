"""t-SNE maps of the representation."""

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
    """A molecular property, computed by RDKit."""

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

    Raises MolclrError for fewer than four molecules and for an unknown property.
    """
    if property not in PROPERTIES:
        raise MolclrError(f"Unknown property '{property}'; choose one of {', '.join(PROPERTIES)}.")
    molecules = read_embeddings(embeddings, at_least=4)
    chosen = PROPERTIES[property]
    values = np.array([chosen.of(read_molecule(smiles)) for smiles in molecules.smiles])
    places = project(molecules.vectors, seed)

    figure = Figure(figsize=(6, 4.6))
    axes = figure.subplots()
    # Without this, a few extreme values would use most of the colour range.
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
    """Compute a t-SNE by cosine distance, like the pre-training loss: (n, embedding_dim) to float32 (n, 2).

    Runs on one thread, because several threads add in a varying order and t-SNE amplifies rounding errors.
    """
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed).fit_transform(vectors)
