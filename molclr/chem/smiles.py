"""Reading SMILES, rejecting unsuitable molecules, and canonical SMILES."""

import re
from collections.abc import Iterable

from rdkit import Chem, rdBase

from molclr.errors import MolclrError

MAX_ATOMS = 1_000
"""The largest benchmark molecule has 492 atoms. With more than about 20,000, RDKit's SMILES writer overflows the stack and ends
the process, and reading all bonds at once needs the memory of a matrix of atoms by atoms."""

MAX_CHARACTERS = 20_000
"""Longer strings are not parsed, because RDKit may take hours; MAX_ATOMS atoms need fewer characters."""

MAX_READINGS = 8
"""Number of times that a canonical SMILES is read until it must be stable. Nearly all are stable after the first."""

_PLAIN = Chem.SmilesParserParams()
_PLAIN.allowCXSMILES = False
_PLAIN.parseName = False
"""Accepts nothing after the SMILES; by default, RDKit reads 'CC O' as an ethane named O."""

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
"""The sanitization steps that decide bonds or reject molecules; others, such as hybridization and conjugation, do not."""

_NUMBERS = {"B": 5, "C": 6, "N": 7, "O": 8, "F": 9, "P": 15, "S": 16, "Cl": 17, "Br": 35, "I": 53}
_NUMBERS |= {symbol.lower(): number for symbol, number in _NUMBERS.items() if symbol in "BCNOPS"}
_SYMBOL = r"(?:Cl|Br|[BCNOPSFIbcnops])"
_symbols = re.compile(_SYMBOL).findall
_is_ordinary = re.compile(rf"(?:{_SYMBOL}|\[\d*{_SYMBOL}[H@+\d-]*\]|[\d()=#:/\\.%-])++").fullmatch
"""Only non-metals in single, double, triple and aromatic bonds, no hydrogen atoms; nearly all molecules of a corpus."""

_has_stereo = re.compile(r"[@/\\]").search
_has_atom_map = re.compile(r":\d+\]").search
_foreign_character = re.compile(r"[^\x00-\x7f\s\xad\u200b-\u200d\u2060\ufeff]").search
"""A character of no SMILES, except blanks and invisible ones."""
_query_atom = re.compile(r"\[\d*#\d+[^]]*\]").search
"""RDKit reads [#6] as a carbon without hydrogen atoms, a radical, while SMARTS means any carbon."""

_NOTHING = {"nan", "na", "n/a", "#n/a", "none", "null", "-", "?"}
"""Words for a missing SMILES."""
UNREADABLE = "unreadable structure"
"""What readers of structure files write in place of the SMILES of a record that RDKit cannot read."""

_NO_ELEMENT = Chem.MolFromSmarts("[#0]")
_OTHER_BOND = Chem.MolFromSmarts("[*]~;!-;!=;!#;!:[*]")


class RejectedMolecule(MolclrError):
    """A molecule that the models cannot represent. The message is a short reason."""

    @property
    def reason(self) -> str:
        """Why the molecule is rejected."""
        return str(self)


def read_molecule(smiles: str) -> Chem.Mol:
    """Return the sanitized molecule of a SMILES string, without atom maps; isotopes, charges and salts are accepted.

    Raises RejectedMolecule if RDKit cannot parse it, or if it has no atoms, more than MAX_ATOMS, an atom without an element
    (`*`), or a bond that is not single, double, triple or aromatic. The paper's features do not cover the last two.
    """
    with rdBase.BlockLogs():
        return _read(smiles)


def _read(smiles: str) -> Chem.Mol:
    """Read a molecule like `read_molecule`, but without blocking RDKit's log, which takes a tenth of the time of parsing."""
    molecule = _parsed(smiles)
    if molecule.GetNumAtoms() == 0:
        raise RejectedMolecule("it has no atoms")
    if molecule.GetNumAtoms() > MAX_ATOMS:
        raise RejectedMolecule(f"it has {molecule.GetNumAtoms()} atoms, more than {MAX_ATOMS}")
    if _is_ordinary(smiles):
        return molecule
    if query := _query_atom(smiles):
        raise RejectedMolecule(f"it has a query atom of SMARTS ({query[0]})")
    # Substructure queries, because loops over atoms and bonds in Python would take as long as parsing.
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
    """Return RDKit's molecule. Raises RejectedMolecule for any error of RDKit, so that one string does not stop a whole table."""
    if len(smiles) > MAX_CHARACTERS:
        raise RejectedMolecule(f"it has {len(smiles)} characters, more than {MAX_CHARACTERS}")
    if "\n" in smiles.strip():
        raise RejectedMolecule("it has several lines")  # RDKit would read only the first.
    try:
        molecule = Chem.MolFromSmiles(smiles, _PLAIN)
    except Exception as error:  # Boost and RDKit throw errors of many types.
        raise RejectedMolecule(_failure(error)) from None
    if molecule is None:
        raise RejectedMolecule(_parser_complaint(smiles))
    if not smiles.isascii() and (foreign := _foreign_character(smiles)):
        raise RejectedMolecule(f"it has the character {foreign[0]!r}")  # At both ends, RDKit drops them.
    return molecule


def is_smiles(text: str) -> bool:
    """Return whether a text is a SMILES of at least one atom, valid in syntax if not in chemistry."""
    if len(text) > MAX_CHARACTERS:
        return False
    with rdBase.BlockLogs():
        try:
            molecule = Chem.MolFromSmiles(text, _UNSANITIZED)
        except Exception:  # Boost and RDKit throw errors of many types.
            return False
    return molecule is not None and molecule.GetNumAtoms() > 0


def read_constitutions(smiles: Iterable[str]) -> list[Chem.Mol]:
    """Read molecules like `read_molecule`, but guarantee only their elements, bonds and stereochemistry.

    For SMILES without stereochemistry and hydrogen atoms, skipping other perception saves a third of the time.
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
    """Return the atomic number of each atom of the molecule that was read from `smiles`.

    Ordinary strings are read without RDKit's atom objects, which would take a fifth of the time of parsing.
    """
    if _is_ordinary(smiles):
        numbers = [_NUMBERS[symbol] for symbol in _symbols(smiles)]
        if len(numbers) == molecule.GetNumAtoms():
            return numbers
    return [molecule.GetAtomWithIdx(index).GetAtomicNum() for index in range(molecule.GetNumAtoms())]


def canonical_smiles(molecule: Chem.Mol) -> str:
    """Return RDKit's canonical SMILES, with stereochemistry and isotopes.

    Raises RejectedMolecule if RDKit cannot write it; a chain of a thousand rings may need too many ring closures.
    """
    try:
        return Chem.MolToSmiles(molecule)
    except Exception as error:  # Boost and RDKit throw errors of many types.
        raise RejectedMolecule(_failure(error)) from None


def canonicalize_all(smiles: Iterable[str]) -> list[str | RejectedMolecule]:
    """Return the canonical SMILES of each string, which reads back to itself, or the reason for its rejection."""
    verdicts: list[str | RejectedMolecule] = []
    with rdBase.BlockLogs():
        for text in smiles:
            try:
                verdicts.append(_stable_smiles(text))
            except RejectedMolecule as rejection:
                verdicts.append(rejection)
    return verdicts


def _stable_smiles(smiles: str) -> str:
    """Return the canonical SMILES, read and written until it no longer changes; RDKit's first one may change when it is read.

    Raises RejectedMolecule like `read_molecule` and `canonical_smiles`, and if the result is rejected or keeps changing.
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
    """Return why RDKit returned no molecule: its message about the chemistry; for syntax errors, it only writes a log."""
    if not smiles.strip():
        return "it has no atoms"
    if smiles == UNREADABLE:
        return "its structure cannot be read"
    if foreign := _other_notation(smiles.strip()):
        return foreign
    unsanitized = Chem.MolFromSmiles(smiles, sanitize=False)
    try:
        problems = Chem.DetectChemistryProblems(unsanitized) if unsanitized else []
    except Exception:  # RDKit throws for unknown elements such as [#200]
        problems = []
    return f"RDKit: {problems[0].Message().strip()}" if problems else "RDKit cannot parse it"


def _other_notation(text: str) -> str:
    """Return the name of another notation than a plain SMILES that a text has; an empty string if it is unknown."""
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
    """Return RDKit's error message on one line."""
    words = " ".join(str(error).split()).rstrip(".")
    return f"RDKit: {words}" if words else f"RDKit fails with {type(error).__name__}"
