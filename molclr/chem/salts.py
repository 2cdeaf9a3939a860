"""Molecules of several parts, such as salts and mixtures, and molecules with metals."""

from collections.abc import Iterable

from rdkit import rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from molclr.chem.seen import SYMBOLS, elements_of
from molclr.chem.smiles import RejectedMolecule, canonical_smiles, canonicalize_all, read_molecule

NONMETALS = frozenset(
    [
        "H",
        "He",
        "B",
        "C",
        "N",
        "O",
        "F",
        "Ne",
        "Si",
        "P",
        "S",
        "Cl",
        "Ar",
        "Ge",
        "As",
        "Se",
        "Br",
        "Kr",
        "Te",
        "I",
        "Xe",
        "At",
        "Rn",
        "Ts",
        "Og",
    ]
)
METALS = frozenset(SYMBOLS) - NONMETALS

_LARGEST = rdMolStandardize.LargestFragmentChooser(preferOrganic=True)
_NEUTRAL = rdMolStandardize.Uncharger()


def canonicalize_desalted(smiles: Iterable[str]) -> list[str | RejectedMolecule]:
    """Canonicalize like `canonicalize_all`, but keep only the largest organic part of several, without the charges of a salt.

    A molecule of several parts without an organic one is rejected.
    """
    return [
        _desalted(verdict) if isinstance(verdict, str) and "." in verdict else verdict
        for verdict in canonicalize_all(smiles)
    ]


def _desalted(smiles: str) -> str | RejectedMolecule:
    """Return the canonical main part of a canonical SMILES; rejected if no part has carbon, such as that of NaCl."""
    if "C" not in elements_of(smiles):
        return RejectedMolecule("it has several parts, none of which is organic")
    return canonicalize_all([_main_part(smiles)])[0]


def _main_part(smiles: str) -> str:
    """Return the largest organic part of a canonical SMILES as a molecule that protons neutralize as far as possible."""
    with rdBase.BlockLogs():
        return canonical_smiles(_NEUTRAL.uncharge(_LARGEST.choose(read_molecule(smiles))))


def has_parts(smiles: str) -> bool:
    """Return whether a SMILES has several parts."""
    return "." in smiles


def has_metal(smiles: str) -> bool:
    """Return whether a SMILES has an atom of a metal."""
    return "[" in smiles and not METALS.isdisjoint(elements_of(smiles))
