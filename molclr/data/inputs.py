"""Molecules as Python programs give them: lists, arrays, Series and generators of SMILES strings or RDKit molecules."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from rdkit import Chem, rdBase

from molclr.chem.salts import canonicalize_desalted
from molclr.chem.smiles import MAX_ATOMS, RejectedMolecule, canonical_smiles, canonicalize_all
from molclr.data.molecules import Rejection
from molclr.data.row_counts import RowCounts
from molclr.errors import MolclrError
from molclr.progress import progress

Molecule: TypeAlias = str | Chem.Mol
OnError = Literal["raise", "nan"]
"""What happens to rejected molecules: an error, or a warning and NaN in the result."""


class InvalidInput(MolclrError, ValueError):
    """Input from a program that cannot be used; also a ValueError, as Python programs expect."""


class Accepted(NamedTuple):
    """The accepted molecules of an input."""

    smiles: list[str]
    """Canonical SMILES, in the order of the input."""
    places: np.ndarray
    """int64 (len(smiles),), their places in the input, ascending."""
    total: int
    """Number of molecules in the input, rejected ones included."""

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Place the rows of `values`, float (len(smiles), ...), at the places of their molecules: (total, ...), others NaN."""
        if len(values) == self.total:
            return values
        spread = np.full((self.total, *values.shape[1:]), np.nan, values.dtype)
        spread[self.places] = values
        return spread


def accept(
    molecules: Iterable[Molecule],
    on_error: OnError = "raise",
    stacklevel: int = 2,
    outcome: str = "their rows are NaN",
    desalt: bool = False,
) -> Accepted:
    """Canonicalize molecules. on_error: "raise", or "nan" to leave out rejected molecules.

    Warns (UserWarning) with the number of molecules that were left out and the commonest reasons. stacklevel: as in
    `warnings.warn`, counted from the caller. outcome: what happens to rejected molecules. desalt: keep only the largest organic
    part, as 'molclr canonicalize --desalt' does. Raises InvalidInput, which names the first rejected molecule and its place, and
    if `molecules` is not an ordered collection.
    """
    if on_error not in get_args(OnError):
        raise InvalidInput(f"on_error is '{on_error}'; choose {' or '.join(get_args(OnError))}.")
    given = listed(molecules)
    smiles, places, counts = list[str](), list[int](), RowCounts("molecule")
    for place, verdict in enumerate(_verdicts(given, canonicalize_desalted if desalt else canonicalize_all)):
        if not isinstance(verdict, RejectedMolecule):
            smiles.append(verdict)
            places.append(place)
        elif on_error == "raise":
            raise InvalidInput(f"Molecule {place} of the list, {_shown(given[place])}, is rejected: {verdict.reason}.")
        else:
            counts.add([], [Rejection(place, _shown(given[place]), verdict.reason)])
    counts.accepted = len(smiles)
    if counts.rejected:
        warnings.warn(f"{counts}; {outcome}", stacklevel=stacklevel + 1)
    return Accepted(smiles, np.array(places, np.int64), len(given))


def listed(molecules: Iterable[Molecule]) -> list[Any]:
    """Return the molecules of a collection in order. Raises InvalidInput for a single molecule, a dict, a set or a table."""
    if isinstance(molecules, str | Chem.Mol):
        one = f"'{molecules}' is a single SMILES" if isinstance(molecules, str) else "This is a single molecule"
        raise InvalidInput(f"{one}, not a list; give [{_shown(molecules)}].")
    if isinstance(molecules, Mapping | Set):
        raise InvalidInput(f"A {type(molecules).__name__} is not an ordered list of molecules; give a list of SMILES.")
    if hasattr(molecules, "__array__") and not hasattr(molecules, "__iter__"):
        molecules = np.asarray(molecules)
    shape = getattr(molecules, "shape", ())
    if len(shape) > 1:
        if shape[1:] != (1,):
            columns = " by ".join(map(str, shape))
            raise InvalidInput(f"A table of {columns} is not a list of molecules; give its column of SMILES.")
        return np.asarray(molecules, object)[:, 0].tolist()
    if hasattr(molecules, "to_pylist"):  # of Arrow
        return molecules.to_pylist()
    try:
        return list(molecules)
    except TypeError:
        raise InvalidInput(f"{_shown(molecules)} is not a list of molecules; give a list of SMILES.") from None


def _verdicts(
    given: list[Any], canonicalize: Callable[[Iterable[str]], list[str | RejectedMolecule]]
) -> list[str | RejectedMolecule]:
    """Return the canonical SMILES of each molecule, or the reason for its rejection."""
    with rdBase.BlockLogs():
        texts = [_text_of(molecule) for molecule in given]
    smiles = [text for text in texts if isinstance(text, str)]
    canonical = iter(canonicalize(progress(smiles, label="canonicalize", unit="molecule")))
    return [next(canonical) if isinstance(text, str) else text for text in texts]


def _text_of(molecule: Any) -> str | RejectedMolecule:
    """Return the SMILES of a molecule, not yet canonical, or the reason for its rejection."""
    if isinstance(molecule, str):
        return str(molecule)
    if not isinstance(molecule, Chem.Mol):
        return RejectedMolecule("it is neither a SMILES string nor an RDKit molecule")
    if molecule.GetNumAtoms() > MAX_ATOMS:
        return RejectedMolecule(f"it has {molecule.GetNumAtoms()} atoms, more than {MAX_ATOMS}")
    try:
        return canonical_smiles(molecule)
    except RejectedMolecule as rejection:
        return rejection


def _shown(molecule: Any) -> str:
    text = "an RDKit molecule" if isinstance(molecule, Chem.Mol) else repr(molecule)
    return text if len(text) <= 100 else f"{text[:100]}..."
