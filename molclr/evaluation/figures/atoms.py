"""Molecules whose atoms are coloured by their contributions to a prediction: SVG drawings and a page of them."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from molclr.chem.smiles import read_molecule
from molclr.evaluation.text import MINUS

COLOURS = matplotlib.colormaps["RdBu_r"]
"""Blue lowers and red raises the prediction: a diverging map that is safe for colour-blind readers (ColorBrewer)."""
DEPTH = 0.4
"""The part of the map on each side that is used, without its darkest colours, on which no symbol could be read."""
QUANTILE = 0.98
"""The fraction of contributions that the colours resolve; stronger ones have the colour of the end of the scale."""
WIDTH, HEIGHT, TITLE, BAR = 300, 220, 34, 60
"""Sizes of a drawing, of its two lines of text and of a legend, pixels."""
COLUMNS = 4
BOND = 35
"""The longest bond, pixels."""
LEGEND = "legend.svg"
"""The file of a folder of drawings that has the legend alone."""
STEPS = 60
"""Rectangles in a legend."""
FONT = 'font-family="sans-serif" fill="#222"'
STYLE = (
    "body{font-family:sans-serif;margin:2em;color:#222;background:#fff}main{display:flex;flex-wrap:wrap;gap:1em}"
    f"figure{{margin:0;width:{WIDTH}px;border:1px solid #ddd}}figcaption{{font-size:12px;padding:4px;overflow-wrap:anywhere}}"
)


class Drawing(NamedTuple):
    """A molecule to draw. smiles: decides the order of atoms. atoms, atoms_std: float64 (num_atoms,), NaN where unknown."""

    name: str
    """Unique, for names of files."""
    smiles: str
    caption: str
    atoms: np.ndarray
    atoms_std: np.ndarray


class Group(NamedTuple):
    """Drawings that share a scale. label: what the colours are, with its unit."""

    label: str
    drawings: Sequence[Drawing]

    @property
    def limit(self) -> float:
        """The contribution at the end of the scale."""
        strengths = np.abs(np.concatenate([drawing.atoms for drawing in self.drawings]))
        return float(np.quantile(strengths, QUANTILE)) or 1.0


def colour(value: float, limit: float) -> tuple[float, float, float]:
    """Return the colour of a contribution on the scale from -limit to limit: red, green and blue from 0 to 1."""
    return COLOURS(0.5 + DEPTH * float(np.clip(value / limit, -1, 1)))[:3]


def drawn(drawing: Drawing, limit: float) -> str:
    """Draw a molecule with coloured atoms, whose numbers a browser shows under the pointer: an svg element."""
    molecule = read_molecule(drawing.smiles)
    rdDepictor.Compute2DCoords(molecule)
    drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT, -1, -1, True)  # text, not outlines of letters
    options = drawer.drawOptions()
    options.useBWAtomPalette()
    options.fixedBondLength = BOND
    atoms = list(range(molecule.GetNumAtoms()))
    colours = {atom: colour(drawing.atoms[atom], limit) for atom in atoms}
    rdMolDraw2D.PrepareAndDrawMolecule(
        drawer, molecule, highlightAtoms=atoms, highlightAtomColors=colours, highlightBonds=[]
    )
    tips = []
    for atom, value, std in zip(atoms, drawing.atoms, drawing.atoms_std, strict=True):
        place = drawer.GetDrawCoords(atom)
        text = f"{molecule.GetAtomWithIdx(atom).GetSymbol()}, atom {atom}: {number(value)}"
        text += "" if np.isnan(std) else f" ± {std:.2g}"
        tips.append(
            f'<circle cx="{place.x:.1f}" cy="{place.y:.1f}" r="9" fill-opacity="0"><title>{text}</title></circle>'
        )
    drawer.FinishDrawing()
    svg = drawer.GetDrawingText()
    return svg[svg.index("<svg") :].replace("</svg>", "".join(tips) + "</svg>")


def legend(label: str, limit: float) -> str:
    """Draw the scale of colours from -limit to limit: an svg element."""
    left, width = 20, WIDTH - 40
    step = width / STEPS
    parts = []
    for place in range(STEPS):
        red, green, blue = (round(255 * part) for part in colour((place + 0.5) / STEPS * 2 - 1, 1.0))
        parts.append(
            f'<rect x="{left + place * step:.1f}" y="22" width="{step + 0.5:.1f}" height="14" fill="rgb({red},{green},{blue})"/>'
        )
    for x, text in ((left, f"≤ {number(-limit)}"), (WIDTH / 2, "0"), (WIDTH - left, f"≥ {number(limit)}")):
        parts.append(f'<text x="{x}" y="50" font-size="11" text-anchor="middle" {FONT}>{text}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="14" font-size="12" text-anchor="middle" {FONT}>{escape(label)}</text>')
    return _svg(WIDTH, BAR, parts)


def sheet(groups: Sequence[Group], limits: Sequence[float]) -> str:
    """Draw groups below each other, each with its legend: an svg element."""
    parts, top = list[str](), 0
    for group, limit in zip(groups, limits, strict=True):
        parts.append(_placed(legend(group.label, limit), 0, top))
        top += BAR
        for place, drawing in enumerate(group.drawings):
            x, y = place % COLUMNS * WIDTH, top + place // COLUMNS * (HEIGHT + TITLE)
            parts.append(_placed(drawn(drawing, limit), x, y + TITLE))
            for line, text in enumerate((drawing.caption, drawing.smiles)):
                shown = escape(text if len(text) <= 45 else f"{text[:44]}…")
                parts.append(f'<text x="{x + 8}" y="{y + 14 + 14 * line}" font-size="11" {FONT}>{shown}</text>')
        top += -(-len(group.drawings) // COLUMNS) * (HEIGHT + TITLE)
    columns = min(COLUMNS, max(1, *(len(group.drawings) for group in groups)))
    return _svg(columns * WIDTH, top, ['<rect width="100%" height="100%" fill="white"/>', *parts])


def page(groups: Sequence[Group], title: str, notes: Sequence[str]) -> str:
    """Make a page with all drawings that needs no other file."""
    parts = [
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    ]
    parts += [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(note)}</p>" for note in notes)]
    for group in groups:
        limit = group.limit
        parts += [f"<section>{legend(group.label, limit)}<main>"]
        for drawing in group.drawings:
            caption = f"{escape(drawing.caption)}<br>{escape(drawing.smiles)}"
            parts.append(f"<figure>{drawn(drawing, limit)}<figcaption>{caption}</figcaption></figure>")
        parts.append("</main></section>")
    return "\n".join([*parts, "</html>\n"])


def write_files(folder: Path, groups: Sequence[Group]) -> None:
    """Write an SVG file for each molecule, with all groups, which have the same molecules in the same order, and the legend."""
    limits = [group.limit for group in groups]
    (folder / LEGEND).write_text(sheet([group._replace(drawings=[]) for group in groups], limits), encoding="utf-8")
    for place, drawing in enumerate(groups[0].drawings):
        ours = [group._replace(drawings=[group.drawings[place]]) for group in groups]
        (folder / f"{drawing.name}.svg").write_text(sheet(ours, limits), encoding="utf-8")


def number(value: float) -> str:
    """Write a number with its sign and two digits."""
    return f"{value:+.2g}".replace("-", MINUS)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return "\n".join([head, *parts, "</svg>"])


def _placed(svg: str, x: int, y: int) -> str:
    """Place an svg element in another."""
    return svg.replace("<svg", f'<svg x="{x}" y="{y}"', 1)
