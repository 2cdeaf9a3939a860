"""Drawings of molecules for a page: each molecule once, by its number."""

import base64
import gzip
import json
import re
from collections.abc import Iterable

from rdkit import Chem, rdBase
from rdkit.Chem.Draw import rdMolDraw2D

from molclr.progress import progress

SIZE = (240, 170)
"""Width and height of a drawing, pixels."""
_CLASS = re.compile(r" class='[^']*'|\n")

_AS_IT_IS = Chem.SmilesParserParams()
_AS_IT_IS.sanitize = False
_AS_IT_IS.removeHs = False
_AS_IT_IS.allowCXSMILES = False
_AS_IT_IS.parseName = False
"""Also molecules with impossible chemistry; nothing after the SMILES."""


class Structures:
    """The molecules of a page, each with a number, and their drawings."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, smiles: str) -> int:
        """Return the number of a molecule, which is drawn if it is new."""
        return self._numbers.setdefault(smiles, len(self._numbers))

    def packed(self) -> str:
        """Draw all molecules and return a JSON list of SVG and SMILES, by number, compressed by gzip and encoded in base64."""
        smiles = list(self._numbers)
        drawn = drawings(progress(smiles, label="structures", unit="molecule"))
        text = json.dumps(list(zip(drawn, smiles, strict=True)), separators=(",", ":"))
        return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def drawings(smiles: Iterable[str]) -> list[str]:
    """Draw molecules as SVG; an empty string where RDKit cannot draw one."""
    with rdBase.BlockLogs():
        return [_drawing(text) for text in smiles]


def _drawing(smiles: str) -> str:
    """Draw a molecule, also one with impossible chemistry."""
    molecule = Chem.MolFromSmiles(smiles, _AS_IT_IS)
    if molecule is None or not molecule.GetNumAtoms():
        return ""
    possible = not Chem.SanitizeMol(molecule, catchErrors=True)
    canvas = rdMolDraw2D.MolDraw2DSVG(*SIZE, -1, -1, True)  # text as text, not as outlines
    options = canvas.drawOptions()
    options.clearBackground = False
    options.padding = 0.04
    options.bondLineWidth = 1.5
    options.fixedBondLength = 28
    options.useAvalonAtomPalette()  # the default yellow of sulphur is too pale on white
    try:
        if possible:
            molecule = Chem.RemoveHs(molecule)
        else:
            molecule.UpdatePropertyCache(strict=False)
        canvas.DrawMolecule(rdMolDraw2D.PrepareMolForDrawing(molecule, kekulize=possible))
        canvas.FinishDrawing()
    except (RuntimeError, ValueError):
        return ""
    return compact(canvas.GetDrawingText())


def compact(svg: str) -> str:
    """Shorten a drawing of RDKit by its header, the names of atoms and bonds, and line ends."""
    _, _, body = svg.partition("<!-- END OF HEADER -->")
    return f"<svg viewBox='0 0 {SIZE[0]} {SIZE[1]}'>{_CLASS.sub('', body)}"
