"""A drawing of queries and the nearest molecules of a library."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from rdkit.Chem.Draw import rdMolDraw2D

from molclr.chem.smiles import read_molecule
from molclr.files import replacing
from molclr.library.hits import Found
from molclr.library.neighbours import KINDS, REPRESENTATION, Hit

COLUMNS = 5
"""Hits in a line, after the query."""
WIDTH, HEIGHT, TEXT = 210, 150, 50
"""Width and height of a drawn molecule, and the height of the two lines of text below it, pixels."""
BOND, SYMBOLS = 24, (6, 11)
"""Length of a bond where the molecule fits, and the smallest and largest size of a symbol, pixels."""
LETTERS = 28
"""The most characters of a name, which fit below a molecule."""


def draw_hits(found: Sequence[Found], svg: Path) -> None:
    """Draw one or more queries, each followed by its hits by representation and by ECFP4, with both similarities, as SVG."""
    lines = [line for each in found for line in _lines(each)]
    width, height = WIDTH * (COLUMNS + 1), (HEIGHT + TEXT) * len(lines)
    panels = (
        f'<g transform="translate({WIDTH * place},{(HEIGHT + TEXT) * number})">{panel}</g>'
        for number, line in enumerate(lines)
        for place, panel in enumerate(line)
    )
    with replacing(svg) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">\n')
        file.write(f'<rect width="{width}" height="{height}" fill="white"/>\n')
        file.writelines(f"{panel}\n" for panel in panels)
        file.write("</svg>\n")


def _lines(found: Found) -> Iterator[list[str]]:
    """Yield the panels of each line, of which the first is the query or empty."""
    for kind in KINDS:
        hits = [_panel(hit.smiles, f"{hit.rank}. {hit.name}", _similarities(hit)) for hit in found.of(kind)]
        title = f"nearest by {'representation' if kind == REPRESENTATION else 'ECFP4'}"
        query = _panel(found.smiles, found.name or "query", title, "bold")
        for first in range(0, len(hits), COLUMNS):
            yield ["" if first else query, *hits[first : first + COLUMNS]]


def _similarities(hit: Hit) -> str:
    return f"cosine {hit.cosine:.4f}, ECFP4 {hit.tanimoto:.2f}"


def _panel(smiles: str, name: str, text: str, weight: str = "normal") -> str:
    """Draw a molecule with its name and a text below it, as elements of an SVG."""
    canvas = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT, -1, -1, True)  # text, not outlines of letters
    options = canvas.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = BOND
    options.minFontSize, options.maxFontSize = SYMBOLS
    options.useAvalonAtomPalette()  # the default yellow of sulphur is too pale on white
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, read_molecule(smiles))
    canvas.FinishDrawing()
    drawing = canvas.GetDrawingText().partition("<!-- END OF HEADER -->")[2].rpartition("</svg>")[0]
    name = name if len(name) <= LETTERS else f"{name[: LETTERS - 3]}..."
    style = f'x="{WIDTH // 2}" text-anchor="middle" font-family="sans-serif" font-size="13" font-weight="{weight}"'
    return (
        f'{drawing}<text y="{HEIGHT + 16}" {style}>{escape(name)}</text><text y="{HEIGHT + 33}" {style}>{text}</text>'
    )
