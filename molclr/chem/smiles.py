"""SMILES and molecules: what is read, what is rejected, and the one canonical spelling."""

import re
from collections.abc import Iterable

from rdkit import Chem, rdBase

from molclr.errors import MolclrError

MAX_ATOMS = 1_000
"""The largest benchmark molecule has 492. Beyond some 20,000 RDKit's SMILES writer overflows the stack and ends the process,
and reading all bonds at once takes the memory of a matrix of atoms by atoms."""

MAX_CHARACTERS = 20_000
"""Longer strings are not parsed: RDKit may take hours for them, and MAX_ATOMS atoms need fewer."""

MAX_READINGS = 8
"""Of a canonical SMILES until it has to be stable. Nearly all are after one."""

_PLAIN = Chem.SmilesParserParams()
_PLAIN.allowCXSMILES = False
_PLAIN.parseName = False
"""A SMILES and nothing after it: by default RDKit takes 'CC O' for an ethane named O."""

_UNSANITIZED = Chem.SmilesParserParams()
_UNSANITIZED.allowCXSMILES = False
_UNSANITIZED.parseName = False
_UNSANITIZED.sanitize = False
_UNSANITIZED.removeHs = False

_CONSTITUTION = (
    Chem.SANITIZE_CLEANUP
    | Chem.SANITIZE_PROPERTIES
    | Chem.SANITIZE_SYMMRINGS
    | Chem.SANITIZE_KEKULIZE
    | Chem.SANITIZE_FINDRADICALS
    | Chem.SANITIZE_SETAROMATICITY
)
"""The steps of sanitization that decide which bonds there are, or reject. The others (hybridization, conjugation, ...) do not."""

_NUMBERS = {"B": 5, "C": 6, "N": 7, "O": 8, "F": 9, "P": 15, "S": 16, "Cl": 17, "Br": 35, "I": 53}
_NUMBERS |= {symbol.lower(): number for symbol, number in _NUMBERS.items() if symbol in "BCNOPS"}
_SYMBOL = r"(?:Cl|Br|[BCNOPSFIbcnops])"
_symbols = re.compile(_SYMBOL).findall
_is_ordinary = re.compile(rf"(?:{_SYMBOL}|\[\d*{_SYMBOL}[H@+\d-]*\]|[\d()=#:/\\.%-])++").fullmatch
"""Non-metals in single, double, triple and aromatic bonds, no hydrogen as an atom: as good as all molecules of a corpus."""

_has_stereo = re.compile(r"[@/\\]").search
_has_atom_map = re.compile(r":\d+\]").search

_NOTHING = {"nan", "na", "n/a", "#n/a", "none", "null", "-", "?"}
"""Words that stand in a table where there is no SMILES."""

_NO_ELEMENT = Chem.MolFromSmarts("[#0]")
_OTHER_BOND = Chem.MolFromSmarts("[*]~;!-;!=;!#;!:[*]")


class RejectedMolecule(MolclrError):
    """A molecule that the models cannot represent. The message is the reason, in a few words."""

    @property
    def reason(self) -> str:
        """Why the molecule is rejected."""
        return str(self)


def read_molecule(smiles: str) -> Chem.Mol:
    """The sanitized molecule of a SMILES string; isotopes, charges, salts and single atoms are welcome.

    Atom maps are removed. Raises RejectedMolecule if RDKit cannot parse it, if it has no atom or more than MAX_ATOMS, an atom
    without an element (`*`), or a bond that is neither single, double, triple nor aromatic (dative, quadruple, ...): the paper's
    atom and bond features have no place for these.
    """
    with rdBase.BlockLogs():
        return _read(smiles)


def _read(smiles: str) -> Chem.Mol:
    """`read_molecule` without silence: to switch RDKit's log off and on takes a tenth of the time of parsing."""
    molecule = _parsed(smiles)
    if molecule.GetNumAtoms() == 0:
        raise RejectedMolecule("it has no atoms")
    if molecule.GetNumAtoms() > MAX_ATOMS:
        raise RejectedMolecule(f"it has {molecule.GetNumAtoms()} atoms, more than {MAX_ATOMS}")
    if _is_ordinary(smiles):
        return molecule
    # Substructure queries, because loops over atoms and bonds in Python would cost as much as parsing.
    if molecule.HasSubstructMatch(_NO_ELEMENT):
        raise RejectedMolecule("it has an atom without an element (*)")
    if molecule.HasSubstructMatch(_OTHER_BOND):
        first, second = molecule.GetSubstructMatch(_OTHER_BOND)
        kind = molecule.GetBondBetweenAtoms(first, second).GetBondType().name.lower()
        raise RejectedMolecule(f"it has a bond of type {kind} between atoms {first} and {second}")
    if _has_atom_map(smiles):
        for atom in molecule.GetAtoms():
            atom.SetAtomMapNum(0)
    return molecule


def _parsed(smiles: str) -> Chem.Mol:
    """RDKit's molecule. Raises RejectedMolecule whatever RDKit does: one string must not end the work on all others."""
    if len(smiles) > MAX_CHARACTERS:
        raise RejectedMolecule(f"it has {len(smiles)} characters, more than {MAX_CHARACTERS}")
    try:
        molecule = Chem.MolFromSmiles(smiles, _PLAIN)
    except Exception as error:  # Boost and RDKit throw errors of many types.
        raise RejectedMolecule(_failure(error)) from None
    if molecule is None:
        raise RejectedMolecule(_parser_complaint(smiles))
    return molecule


def is_smiles(text: str) -> bool:
    """Whether a text is a SMILES of at least one atom, of whatever chemistry."""
    if len(text) > MAX_CHARACTERS:
        return False
    with rdBase.BlockLogs():
        try:
            molecule = Chem.MolFromSmiles(text, _UNSANITIZED)
        except Exception:  # Boost and RDKit throw errors of many types.
            return False
    return molecule is not None and molecule.GetNumAtoms() > 0


def read_constitutions(smiles: Iterable[str]) -> list[Chem.Mol]:
    """As `read_molecule` of each, for a reader of elements, bonds and stereochemistry: what else RDKit perceives may be missing.

    Where a SMILES has no stereochemistry and no hydrogen atoms, that saves a third of the time.
    """
    with rdBase.BlockLogs():
        return [_read_constitution(text) for text in smiles]


def _read_constitution(smiles: str) -> Chem.Mol:
    if _is_ordinary(smiles) and not _has_stereo(smiles):
        molecule = Chem.MolFromSmiles(smiles, _UNSANITIZED)
        failed = molecule is None or Chem.SanitizeMol(molecule, _CONSTITUTION, catchErrors=True)
        if not failed and molecule.GetNumAtoms() <= MAX_ATOMS:
            return molecule
    return _read(smiles)


def atomic_numbers(smiles: str, molecule: Chem.Mol) -> list[int]:
    """Atomic number of each atom of the molecule that was read from `smiles`.

    From the string where it is ordinary, its atoms in order: RDKit's objects for atoms cost a fifth of parsing.
    """
    if _is_ordinary(smiles):
        numbers = [_NUMBERS[symbol] for symbol in _symbols(smiles)]
        if len(numbers) == molecule.GetNumAtoms():
            return numbers
    return [molecule.GetAtomWithIdx(index).GetAtomicNum() for index in range(molecule.GetNumAtoms())]


def canonical_smiles(molecule: Chem.Mol) -> str:
    """RDKit's canonical SMILES, with stereochemistry and isotopes.

    Raises RejectedMolecule where SMILES cannot write it: a chain of a thousand rings may need too many ring closures.
    """
    try:
        return Chem.MolToSmiles(molecule)
    except Exception as error:  # Boost and RDKit throw errors of many types.
        raise RejectedMolecule(_failure(error)) from None


def canonicalize_all(smiles: Iterable[str]) -> list[str | RejectedMolecule]:
    """For each string its canonical SMILES, or why it is rejected. A canonical SMILES that is read again gives itself."""
    verdicts: list[str | RejectedMolecule] = []
    with rdBase.BlockLogs():
        for text in smiles:
            try:
                verdicts.append(_stable_smiles(text))
            except RejectedMolecule as rejection:
                verdicts.append(rejection)
    return verdicts


def _stable_smiles(smiles: str) -> str:
    """The canonical SMILES, read and written until it no longer changes: RDKit's first one is not always its own.

    Raises RejectedMolecule like `read_molecule` and `canonical_smiles`, and if the canonical SMILES is rejected or never settles.
    """
    canonical = canonical_smiles(_read(smiles))
    for _ in range(MAX_READINGS):
        if canonical == smiles:
            return canonical
        smiles = canonical
        try:
            canonical = canonical_smiles(_read(smiles))
        except RejectedMolecule as rejection:
            raise RejectedMolecule(f"its canonical SMILES '{smiles}' is rejected ({rejection.reason})") from None
    raise RejectedMolecule(f"its canonical SMILES changes each time it is read, from '{smiles}' to '{canonical}'")


def _parser_complaint(smiles: str) -> str:
    """Why RDKit returns no molecule: its own words about the chemistry; about the grammar it only logs."""
    if not smiles.strip():
        return "it has no atoms"
    if foreign := _other_notation(smiles.strip()):
        return foreign
    unsanitized = Chem.MolFromSmiles(smiles, sanitize=False)
    try:
        problems = Chem.DetectChemistryProblems(unsanitized) if unsanitized else []
    except Exception:  # RDKit throws for unknown elements such as [#200]
        problems = []
    return f"RDKit: {problems[0].Message().strip()}" if problems else "RDKit cannot parse it"


def _other_notation(text: str) -> str:
    """What a text is that is more than a SMILES or none; empty if that is not known."""
    if text.lower() in _NOTHING:
        return f"it has no SMILES ({text!r})"
    if text.startswith("InChI="):
        return "it is an InChI, not a SMILES"
    parts = text.split(">")  # reactants, agents and products
    if len(parts) == 3 and all(is_smiles(part) for part in parts if part):
        return "it is a reaction, not a molecule"
    smiles, _, after = text.partition(" ") if " " in text else text.partition("\t")
    if after and is_smiles(smiles):
        kind = "it has a CXSMILES extension" if after.startswith("|") else "it has text after the SMILES"
        return f"{kind} ({after.strip()[:40]!r})"
    return ""


def _failure(error: Exception) -> str:
    """What RDKit says as it fails, on one line."""
    words = " ".join(str(error).split()).rstrip(".")
    return f"RDKit: {words}" if words else f"RDKit fails with {type(error).__name__}"
