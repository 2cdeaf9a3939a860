"""Features that occur in a pre-training corpus, and warnings about molecules with other features."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb
Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db
Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
""".split()  # noqa: SIM905
"""The symbols of the 118 elements by atomic number, so that training does not need RDKit."""
_ATOMS = re.compile(r"\[\d*(?P<bracket>[A-Z][a-z]?|[a-z][a-z]?)[^]]*\]|(?P<plain>Cl|Br|[BCNOPSFIbcnops])")
_CHARGE = re.compile(r"\[[^]]*[+-]\d*(?::\d+)?\]")


CHARGE, STEREOCENTRE, DIRECTIONS = "a charge", "a stereocentre", "a double bond with directions"


class Seen(NamedTuple):
    """The features that occur in a corpus.

    elements: symbols of elements. chirality: whether there are stereocentres. bond_directions: whether there are double bonds
    with directions. charges: whether there are charged atoms; None if unknown.
    """

    elements: list[str]
    chirality: bool
    bond_directions: bool
    charges: bool | None

    def lacks(self, smiles: str, explicit_hydrogens: bool = False) -> list[str]:
        """List the features of a molecule, given by its canonical SMILES, that do not occur in the corpus."""
        known = {f"the element {symbol}" for symbol in self.elements}
        known |= {CHARGE} if self.charges is not False else set()
        known |= {STEREOCENTRE} if self.chirality else set()
        known |= {DIRECTIONS} if self.bond_directions else set()
        given = features_of(smiles) | ({"the element H"} if explicit_hydrogens else set())
        others = [feature for feature in (CHARGE, STEREOCENTRE, DIRECTIONS) if feature in given - known]
        return [*sorted(given - known - {*others}), *others]


def features_of(smiles: str) -> set[str]:
    """Return the features of a molecule, given by its canonical SMILES: its elements, charges, stereocentres, bond directions."""
    features = {f"the element {symbol}" for symbol in elements_of(smiles)}
    features |= {CHARGE} if _CHARGE.search(smiles) else set()
    features |= {STEREOCENTRE} if "@" in smiles else set()
    return features | ({DIRECTIONS} if "/" in smiles or "\\" in smiles else set())


def elements_of(smiles: str) -> set[str]:
    """Return the symbols of the elements of a molecule's atoms."""
    return {(match["bracket"] or match["plain"]).capitalize() for match in _ATOMS.finditer(smiles)}


def seen_atoms(atomic_numbers: Iterable[int], chirality: bool, bond_directions: bool) -> Seen:
    """Make a Seen from the features of graphs, which do not contain charges."""
    elements = sorted(SYMBOLS[int(number) - 1] for number in atomic_numbers)
    return Seen(elements, chirality, bond_directions, charges=None)


class UnseenFeatures:
    """The number of molecules with features that an encoder never saw, counted part by part."""

    def __init__(self, seen: Seen | None, explicit_hydrogens: bool = False) -> None:
        """seen: the features of the encoder's corpus; None if unknown, in which case nothing is counted."""
        self.seen, self.explicit_hydrogens = seen, explicit_hydrogens
        self.molecules = self.affected = 0
        self.kinds: Counter[str] = Counter()

    def add(self, smiles: Sequence[str]) -> None:
        """Count more molecules, given by their canonical SMILES."""
        if self.seen is None:
            return
        self.molecules += len(smiles)
        for text in smiles:
            lacks = self.seen.lacks(text, self.explicit_hydrogens)
            self.affected += bool(lacks)
            self.kinds.update(lacks)

    def __str__(self) -> str:
        """Describe how many molecules have unseen features, and the most common one; empty if there are none."""
        if not self.affected:
            return ""
        (reason, count), *others = self.kinds.most_common()
        return (
            f"{self.affected} of {self.molecules} molecules have features that the encoder never saw in pre-training "
            f"({reason}{f' in {count} of them, and others' if others else ''}); their representation is less reliable."
        )


def warn_of_unseen(seen: Seen | None, smiles: Sequence[str], explicit_hydrogens: bool = False) -> str:
    """Return a warning with the number of molecules that have unseen features and the most common one; empty if there are none.

    smiles: canonical SMILES. seen: the features of the encoder's corpus; None if unknown, which gives no warning.
    """
    unseen = UnseenFeatures(seen, explicit_hydrogens)
    unseen.add(smiles)
    return str(unseen)
