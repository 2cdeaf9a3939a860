import csv
import re

import pytest
from paths import FIXTURES
from rdkit import Chem

from molclr.chem import smiles as smiles_module
from molclr.chem.smiles import MAX_ATOMS, RejectedMolecule, canonical_smiles, canonicalize_all, read_molecule

REFUSED = {
    "not a SMILES": ("hello world", "cannot parse"),
    "an open ring": ("C1CC", "cannot parse"),
    "an unknown element": ("[Xx]", "cannot parse"),
    "text after the SMILES": ("CC O", r"text after the SMILES \('O'\)"),
    "a CXSMILES extension": ("C[C@H](O)CN |&1:1|", r"a CXSMILES extension \('\|&1:1\|'\)"),
    "a reaction": ("CCO>>CC=O", "a reaction, not a molecule"),
    "an InChI": ("InChI=1S/CH4/h1H4", "an InChI, not a SMILES"),
    "several lines": ("CC\nO", "several lines"),
    "a letter that RDKit drops": ("βCCO", "the character 'β'"),
    "a query atom": ("[#6]-[#8]", r"a query atom of SMARTS \(\[#6\]\)"),
    "a word for nothing": ("NaN", r"no SMILES \('NaN'\)"),
    "a string that takes hours": ("C1CC1" * 100_000, "500000 characters, more than 20000"),
    "an element that is not there": ("[#200]", "cannot parse"),
    "what is no Unicode": ("\ud800C", "surrogates not allowed"),
    "pentavalent nitrogen": ("CN(C)(C)(C)C", "Explicit valence for atom # 1 N, 5"),
    "an aromatic ring of five carbons": ("c1cccc1", "kekulize"),
    "nothing": ("", "no atoms"),
    "an attachment point": ("*c1ccccc1", "without an element"),
    "a labelled attachment point": ("[1*]CC", "without an element"),
    "a dative bond": ("[NH3]->[Cu]", "type dative between atoms 0 and 1"),
    "a dative bond that RDKit makes of a single one": (
        "C1C[N+]23CCC[N+]4(C1)CC[S-]1[Fe+2]24([SH+]CC3)[S-]2CC[N+]34CCC[N+]5(CCC3)CC[SH+][Fe+2]1254",
        "bond of type dative",
    ),
    "a quadruple bond": ("[Cr]$[Cr]", "quadruple"),
    "an unspecified bond": ("C~C", "unspecified"),
    "too many atoms": ("C" * (MAX_ATOMS + 1), f"{MAX_ATOMS + 1} atoms"),
}


@pytest.mark.parametrize(("smiles", "reason"), REFUSED.values(), ids=REFUSED)
def test_rejects_with_the_reason(smiles, reason):
    with pytest.raises(RejectedMolecule, match=reason) as rejection:
        read_molecule(smiles)
    assert "\n" not in rejection.value.reason


@pytest.mark.parametrize(
    ("smiles", "canonical"),
    {
        "isotopes": ("OC([2H])([2H])[13CH3]", "[2H]C([2H])([13CH3])O"),
        "charges": ("C[N+](C)(C)CC(=O)[O-]", "C[N+](C)(C)CC(=O)[O-]"),
        "a salt": ("[Na+].OCC(=O)[O-]", "O=C([O-])CO.[Na+]"),
        "ions without a bond": ("[Na+].[Cl-]", "[Cl-].[Na+]"),
        "one atom": ("[CH4]", "C"),
        "invisible characters at both ends": ("\ufeffCCO\u200b ", "CCO"),
        "a proton": ("[H+]", "[H+]"),
        "hydrogen": ("[H][H]", "[H][H]"),
        "explicit hydrogens": ("[H]C([H])([H])[H]", "C"),
        "chirality": ("N[C@@H](C)C(=O)O", "C[C@H](N)C(=O)O"),
        "a bond direction": ("F\\C=C\\F", "F/C=C/F"),
        "a triple bond": ("N#CC", "CC#N"),
        "a Kekulé ring": ("C1=CC=CC=C1", "c1ccccc1"),
        "white space around": (" CCO\n", "CCO"),
        "atom maps": ("[CH3:1][CH2:2][OH:3]", "CCO"),
        "a hydrogen with an atom map": ("[H:1]C", "C"),
    }.values(),
)
def test_canonical_smiles(smiles, canonical):
    assert canonical_smiles(read_molecule(smiles)) == canonical


def test_all_smiles_of_a_molecule_have_the_same_canonical_smiles():
    aspirin = ["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1OC(C)=O", "O=C(C)OC1=CC=CC=C1C(O)=O"]
    assert len({canonical_smiles(read_molecule(smiles)) for smiles in aspirin}) == 1


def test_atom_maps_make_no_stereocentre():
    assert canonicalize_all(["C[C@H]([CH3:1])O", "[CH3:7][CH](C)O"]) == ["CC(C)O", "CC(C)O"]


def test_a_molecule_that_smiles_cannot_write_is_rejected():
    """RDKit opens a ring closure for each ring of this chain before it closes one, and there are only so many."""
    chain = Chem.MolFromSmiles("C" + "c1ccc(cc1)" * 1100 + "C")
    with pytest.raises(RejectedMolecule, match="Too many rings"):
        canonical_smiles(chain)


@pytest.mark.parametrize("table", ["bbbp", "freesolv", "hiv", "zinc"])
def test_the_canonical_smiles_represents_the_same_molecule(table):
    with (FIXTURES / f"{table}.csv").open(newline="") as file:
        verdicts = canonicalize_all(row["smiles"] for row in csv.DictReader(file))
    canonical = [verdict for verdict in verdicts if isinstance(verdict, str)]
    assert len(canonical) >= 299
    with (FIXTURES / f"{table}.csv").open(newline="") as file:
        raw = [row["smiles"] for row in csv.DictReader(file)]
    for spelling, verdict in zip(raw, verdicts, strict=True):
        if isinstance(verdict, str):
            again = read_molecule(verdict)
            assert sorted(map(describe, again.GetAtoms())) == sorted(map(describe, read_molecule(spelling).GetAtoms()))
            assert canonical_smiles(again) == verdict


def describe(atom: Chem.Atom) -> tuple[int, int, int, int, int]:
    """The properties of an atom that do not depend on its index."""
    return (
        atom.GetAtomicNum(),
        atom.GetFormalCharge(),
        atom.GetIsotope(),
        atom.GetTotalNumHs(includeNeighbors=True),
        atom.GetDegree(),
    )


def test_rdkit_messages_are_suppressed_here_only(capfd):
    with pytest.raises(RejectedMolecule):
        read_molecule("C1CC")
    assert capfd.readouterr().err == ""
    Chem.MolFromSmiles("C1CC")
    assert "SMILES Parse Error" in capfd.readouterr().err


def test_canonicalization_is_idempotent():
    """RDKit's first canonical SMILES of this molecule is not its own; its last one is."""
    with (FIXTURES / "cases" / "b20_flipflop.csv").open() as file:
        spellings = [row["smiles"] for row in csv.DictReader(file)]
    first = canonical_smiles(read_molecule(spellings[0]))
    assert canonical_smiles(read_molecule(first)) != first
    verdicts = canonicalize_all(spellings)
    assert len(set(verdicts)) == 1
    assert canonicalize_all(verdicts) == verdicts


def test_smiles_that_cannot_be_read_back_are_rejected():
    unreadable, no_element = canonicalize_all(["COC(=O)c1cccc(NC(=O)c2cc3cccc3oc=2=O)c1", "[#200]"])
    assert isinstance(unreadable, RejectedMolecule) and isinstance(no_element, RejectedMolecule)
    assert re.match(r"its canonical SMILES '.*' is rejected \(RDKit: Can't kekulize", unreadable.reason)


def test_smiles_without_a_stable_canonical_form_are_rejected(monkeypatch):
    monkeypatch.setattr(smiles_module, "canonical_smiles", lambda molecule: "C" * (molecule.GetNumAtoms() + 1))
    (verdict,) = canonicalize_all(["CC"])
    assert isinstance(verdict, RejectedMolecule) and "changes each time it is read" in verdict.reason
