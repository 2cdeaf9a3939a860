"""Strings that nobody would write: half are real SMILES with one to four edits, the others are put together at random.

`python tests/chem/test_mutated_smiles.py 100000 SEED` tries more of them.
"""

import csv
import datetime
import random
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from molclr.chem.fingerprints import ecfp4_counts
from molclr.chem.graphs import molecular_graphs
from molclr.chem.scaffold import scaffold_smiles
from molclr.chem.smiles import RejectedMolecule, canonicalize_all, read_molecule

FIXTURES = Path(__file__).parents[1] / "fixtures"
TOKENS = [
    *"BCNOPSFIbcnops()=#:/\\.-+%~$*@[]<>|0123456789 \t{}?!_'\"\x00é",
    *["Cl", "Br", "[nH]", "[C@H]", "[C@@H]", "[O-]", "[N+]", "[2H]", "[H]", "[Fe+2]", "[se]", "[#6]", "[#200]", "[U]"],
    *["->", "<-", ">>", "%12", "%(123)", "c1ccccc1", "C(=O)", "[CH3:1]", "[*:2]", "@TH1", "[Pt@SP1]", "|&1:1|", "|c:1|"],
    *["[C@AL1]", "[13C]", "[Og]", "[H+]", "[C--]", "[999C]", "[C+15]", "[as]", "[te]", "[si]", "InChI=1S/"],
]  # fmt: skip
GENTLE = [
    "C",
    "N",
    "O",
    "S",
    "F",
    "(C)",
    "(=O)",
    "C=C",
    "[C@H]",
    "[C@@H]",
    "/",
    "\\",
    "[O-]",
    ".",
    "[CH2:3]",
    "[13CH2]",
    "[Na+].",
    "c",
]
"""Tokens that often leave a SMILES one."""
REASONS = re.compile(
    r"RDKit cannot parse it|RDKit: .*|its canonical SMILES .*|it is (an InChI|a reaction).*|it has (no atoms|no SMILES|"
    r"\d+ atoms, more than|an atom without an element|a bond of type|text after|"
    r"a CXSMILES|several lines|the character|a query atom).*",
    re.DOTALL,
)
OWN_ERRORS = re.compile(r"Traceback|TypeError|KeyError|IndexError|NoneType|Python argument types|object has no")


def real_smiles() -> list[str]:
    smiles = []
    for table in ("bbbp", "freesolv", "hiv", "zinc"):
        with (FIXTURES / f"{table}.csv").open(newline="") as file:
            smiles += [row["smiles"] for row in csv.DictReader(file)]
    return smiles


def edited(smiles: str, chance: random.Random) -> str:
    """One to four edits: a part deleted, doubled, moved or replaced, or something put in."""
    for _ in range(chance.choice([1, 1, 2, 3, 4])):
        first = chance.randint(0, len(smiles))
        end = min(len(smiles), first + chance.choice([0, 0, 1, 1, 2, 8]))
        part, token = smiles[first:end], chance.choice(chance.choice([GENTLE, GENTLE, TOKENS]))
        new = chance.choice(["", part + part, part[::-1], token, token, part + token])
        smiles = smiles[:first] + new + smiles[end:]
    return smiles


def put_together(real: list[str], chance: random.Random) -> str:
    """Tokens at random, or pieces of two molecules."""
    if chance.random() < 0.5:
        return "".join(chance.choices(TOKENS, k=chance.randint(0, 30)))
    one, other = chance.sample(real, 2)
    return one[: chance.randint(0, len(one))] + chance.choice(TOKENS) + other[chance.randint(0, len(other)) :]


def mutated(count: int, seed: int) -> list[str]:
    chance, real = random.Random(seed), real_smiles()
    return [edited(chance.choice(real), chance) if i % 2 else put_together(real, chance) for i in range(count)]


def try_out(smiles: list[str]) -> Counter[str]:
    """Count what becomes of each; raise AssertionError for what must not happen."""
    verdicts = canonicalize_all(smiles)
    assert len(verdicts) == len(smiles)
    accepted = [verdict for verdict in verdicts if isinstance(verdict, str)]
    for text, verdict in zip(smiles, verdicts, strict=True):
        if isinstance(verdict, RejectedMolecule):
            assert REASONS.fullmatch(verdict.reason) and not OWN_ERRORS.search(verdict.reason), (text, verdict.reason)
    assert canonicalize_all(accepted) == accepted
    for text in accepted:
        graphs = molecular_graphs([text])
        explicit = molecular_graphs([text], explicit_hydrogens=True)
        assert 0 < graphs.atom_counts[0] <= explicit.atom_counts[0], text
        assert ":" not in re.sub(r"\[[^]:]*\]|:", "", text), text
        scaffold_smiles(read_molecule(text))
    if accepted:
        assert len(ecfp4_counts(accepted)) == len(accepted)
    kinds = (
        re.sub(r"'.*'|\d+|\(.*", "", v.reason)[:60] if isinstance(v, RejectedMolecule) else "accepted" for v in verdicts
    )
    return Counter(kinds)


@pytest.mark.slow
def test_nothing_that_is_written_ends_the_work():
    seed = int(f"{datetime.date.today():%Y%m%d}")
    print(f"seed {seed}")  # shown if this fails
    counts = try_out(mutated(10_000, seed))
    assert counts.total() == 10_000 and counts["accepted"] > 500


if __name__ == "__main__":
    wanted, start = int(sys.argv[1]), int(sys.argv[2])
    found: Counter[str] = Counter()
    for part in range(wanted // 2000):
        found += try_out(mutated(2000, start + part))
    for reason, number in found.most_common(40):
        print(f"{number:7} {reason}")
