import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES, GOLDEN
from rdkit import Chem, rdBase
from rdkit.DataStructs import TanimotoSimilarity

from molclr.chem.butina import butina_clusters
from molclr.chem.fingerprints import ecfp4
from molclr.chem.scaffold import scaffold_smiles
from molclr.chem.smiles import RejectedMolecule, read_molecule
from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.molecules import read_molecules
from molclr.data.splits import SCHEMES, random_split, scaffold_split, split_groups, write_given_split, write_split
from molclr.data.subsets import read_split, subset_indices
from molclr.errors import MolclrError

OFFICIAL = json.loads((GOLDEN / "scaffold_splits.json").read_text())
"""What the official MolCLR code does: `n` molecules that RDKit parses, and raw row numbers of `valid` and `test`."""

MIRROR = os.environ.get("MOLCLR_MIRROR")


@pytest.fixture
def table_of(tmp_path):
    """A molecule table of the SMILES given."""

    def table_of(smiles: list[str]):
        (tmp_path / "raw.csv").write_text("\n".join(["smiles", *smiles]) + "\n")
        canonicalize(tmp_path / "raw.csv", tmp_path / "table.parquet", tmp_path / "rejected.csv")
        return tmp_path / "table.parquet"

    return table_of


@pytest.fixture
def hiv(tmp_path):
    """A molecule table from which a row is missing: row 1 is rejected."""
    canonicalize(FIXTURES / "hiv.csv", tmp_path / "hiv.parquet", tmp_path / "hiv.rejected.csv")
    return tmp_path / "hiv.parquet"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_molecule_is_in_one_subset(hiv, tmp_path, scheme):
    sizes = write_split(hiv, tmp_path / "split.csv", scheme)
    with (tmp_path / "split.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == read_molecules(hiv)["row"].tolist()
    assert {line["subset"] for line in lines} == {"train", "valid", "test"}
    assert sum(sizes.values()) == 299
    split = read_split(tmp_path / "split.csv")
    assert {subset: len(rows) for subset, rows in split.items()} == sizes
    assert min(sizes.values()) > 0


@pytest.mark.parametrize("scheme", ["scaffold", "butina", "random"])
def test_the_schemes_of_the_package_have_four_fifths_in_training(hiv, tmp_path, scheme):
    sizes = write_split(hiv, tmp_path / "split.csv", scheme)
    assert sizes["train"] in (239, 241) and sizes["valid"] in (29, 30)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_bytes_again(hiv, tmp_path, scheme):
    for name in ("first.csv", "second.csv"):
        write_split(hiv, tmp_path / name, scheme, seed=3)
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


def test_the_seed_decides_what_is_not_the_scaffold_split(hiv, tmp_path):
    for scheme in ("scaffold", "butina", "random"):
        for seed in (0, 1):
            write_split(hiv, tmp_path / f"{scheme}-{seed}.csv", scheme, seed)
    assert (tmp_path / "scaffold-0.csv").read_bytes() == (tmp_path / "scaffold-1.csv").read_bytes()
    for scheme in ("butina", "random"):
        assert (tmp_path / f"{scheme}-0.csv").read_bytes() != (tmp_path / f"{scheme}-1.csv").read_bytes()


def test_clusters_of_similar_molecules_stay_together(hiv):
    smiles = read_molecules(hiv)["smiles"].tolist()
    clusters = butina_clusters([*smiles, *smiles[:5]])
    assert clusters[len(smiles) :] == clusters[:5], "equal molecules are in one cluster"
    assert 100 < len({*clusters}) < len(smiles)
    prints = [ecfp4(read_molecule(text)) for text in smiles]
    for cluster in {*clusters}:
        members = [place for place, name in enumerate(clusters[: len(smiles)]) if name == cluster]
        assert any(
            all(TanimotoSimilarity(prints[one], prints[other]) >= 0.3999 for other in members) for one in members
        )
    for indices in SCHEMES["butina"](smiles, 1):
        outside = {*range(len(smiles))} - {*indices.tolist()}
        assert not {clusters[place] for place in indices} & {clusters[place] for place in outside}


def test_too_many_molecules_for_all_pairs(monkeypatch):
    monkeypatch.setattr("molclr.chem.butina.MAX_MOLECULES", 2)
    assert len(butina_clusters(["C", "CC", "C"])) == 3
    with pytest.raises(MolclrError, match=r"of at most 2 different molecules; there are 3\. Use the scaffold split"):
        butina_clusters(["C", "CC", "CCC"])


@pytest.mark.parametrize(
    ("count", "sizes"), [(3, (1, 1, 1)), (9, (7, 1, 1)), (100, (80, 10, 10)), (130_831, (104_665, 13_083, 13_083))]
)
def test_random_split(count, sizes):
    subsets = random_split([str(number) for number in range(count)], seed=0)
    assert tuple(map(len, subsets)) == sizes
    assert sorted(np.concatenate(subsets)) == list(range(count))


def test_a_repeated_molecule_is_in_one_subset():
    """No subset exceeds its fraction, even if half the rows are one molecule."""
    smiles = ["C0"] * 50 + [f"C{number // 2}" for number in range(2, 52)]
    for seed in range(20):
        indices = random_split(smiles, seed)
        subsets = [{smiles[index] for index in own} for own in indices]
        assert len(set.union(*subsets)) == sum(map(len, subsets)) == 26
        assert tuple(map(len, indices)) == (80, 10, 10)


def test_an_unknown_scheme_is_an_error(hiv, tmp_path):
    with pytest.raises(MolclrError, match="Unknown split scheme 'spectral'; choose scaffold, butina, random"):
        write_split(hiv, tmp_path / "split.csv", "spectral")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0, 1], [2], [4]), "leaves out 1 of 5 molecules, such as CCCC"),
        (([0, 1, 2], [2, 3], [4, 0]), "repeats 2 of 5 molecules, such as C"),
        (([0, 1], [2, 3], [4, 5]), "returned the index 5; those of 5 molecules are 0 to 4"),
        (([0, 1], [2, 3], [-1]), "returned the index -1"),
        (([0, 1], [2, 3, 4]), "must return three arrays of integers"),
        ((np.arange(5) < 3, np.arange(5) == 3, np.arange(5) > 3), "must return three arrays of integers"),
        (([0, 1, 2, 3], [4], []), "leaves test empty"),
    ],
)
def test_a_scheme_that_does_not_assign_each_molecule_once_is_an_error(table_of, tmp_path, monkeypatch, parts, message):
    monkeypatch.setitem(SCHEMES, "mine", lambda smiles, seed: parts)
    with pytest.raises(MolclrError, match=message):
        write_split(table_of(["C", "CC", "CCC", "CCCC", "CCCCC"]), tmp_path / "split.csv", "mine")
    assert not (tmp_path / "split.csv").exists()


def test_a_scheme_that_separates_the_rows_of_a_molecule_is_an_error(table_of, tmp_path, monkeypatch):
    monkeypatch.setitem(SCHEMES, "mine", lambda smiles, seed: ([0, 1], [2], [3]))
    with pytest.raises(MolclrError, match="scheme 'mine' is wrong: it puts rows of the molecule CCO into different"):
        write_split(table_of(["C", "CCO", "OCC", "CC"]), tmp_path / "split.csv", "mine")


@pytest.fixture
def folds(tmp_path):
    """A raw table whose rows say train, valid and test, with a row that is rejected and an empty line."""
    rows = ["SMILES,fold", "C,train", "CC,valid", "", "not a molecule,banana", "CCC,test ", "CCCC,train"]
    (tmp_path / "folds.csv").write_text("\n".join(rows) + "\n")
    canonicalize(
        tmp_path / "folds.csv",
        tmp_path / "f.parquet",
        tmp_path / "f.csv",
        Selection(smiles_column="SMILES", targets=[]),
    )
    return tmp_path / "folds.csv"


def test_a_split_given_by_a_column(folds, tmp_path):
    sizes = write_given_split(tmp_path / "f.parquet", tmp_path / "split.csv", folds, "fold")
    assert sizes == {"train": 2, "valid": 1, "test": 1}
    assert (tmp_path / "split.csv").read_text() == "row,subset\n0,train\n1,valid\n3,test\n4,train\n"


def test_words_for_the_subsets_of_a_column(folds, tmp_path):
    folds.write_text(
        folds.read_text().replace("C,train", "C,Training", 1).replace("valid", "VAL").replace("test", "Test")
    )
    sizes = write_given_split(tmp_path / "f.parquet", tmp_path / "split.csv", folds, "fold")
    assert sizes == {"train": 2, "valid": 1, "test": 1}


def test_validation_is_drawn_from_training_where_a_column_has_none(tmp_path, capsys):
    chains = ["C" * (place % 25 + 1) for place in range(50)]
    lines = [f"{smiles},{'Test' if place % 5 == 0 else 'Train'}" for place, smiles in enumerate(chains)]
    (tmp_path / "t.csv").write_text("\n".join(["SMILES,fold", *lines]))
    canonicalize(tmp_path / "t.csv", tmp_path / "t.parquet", tmp_path / "t.rejected.csv", Selection(targets=[]))
    splits = []
    for seed in (0, 0, 1):
        assert write_given_split(tmp_path / "t.parquet", tmp_path / "s.csv", tmp_path / "t.csv", "fold", seed) == {
            "train": 36,
            "valid": 4,
            "test": 10,
        }
        splits.append({name: rows.tolist() for name, rows in read_split(tmp_path / "s.csv").items()})
    assert splits[0] == splits[1] != splits[2]
    assert splits[0]["test"] == splits[2]["test"] == [*range(0, 50, 5)]
    assert not {chains[row] for row in splits[0]["valid"]} & {chains[row] for row in splits[0]["train"]}
    assert (
        "'fold' has no validation molecules: 4 training molecules, drawn at random, become" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("edit", "column", "message"),
    [
        (("CCC,test", "CCC,holdout"), "fold", "Row 3 of '.*folds.csv' has 'holdout' in the column 'fold'"),
        (("CCC,test ", "CCC,train"), "fold", "assigns no accepted molecule to test"),
        (("", ""), "split", "has no column 'split'; its columns are: SMILES, fold. .*split_column"),
        (("CCCC,train\n", ""), "fold", "was not made from"),
    ],
)
def test_an_invalid_given_split_is_an_error(folds, tmp_path, edit, column, message):
    folds.write_text(folds.read_text().replace(*edit))
    with pytest.raises(MolclrError, match=message):
        write_given_split(tmp_path / "f.parquet", tmp_path / "split.csv", folds, column)
    assert not (tmp_path / "split.csv").exists()


def test_positions_in_the_table(hiv, tmp_path):
    write_split(hiv, tmp_path / "split.csv", "scaffold")
    rows = read_molecules(hiv)["row"].to_numpy()
    split = read_split(tmp_path / "split.csv")
    for subset, indices in subset_indices(rows, tmp_path / "split.csv").items():
        np.testing.assert_array_equal(rows[indices], split[subset])
    for subset, indices in subset_indices(rows[::-1], tmp_path / "split.csv").items():
        np.testing.assert_array_equal(rows[::-1][indices], split[subset])


def test_too_few_molecules(table_of, tmp_path):
    with pytest.raises(MolclrError, match="2 molecules; a split needs at least 3"):
        write_split(table_of(["CC", "CCO"]), tmp_path / "split.csv", "random")


def test_an_empty_subset(table_of, tmp_path):
    alkanes = ["C" * length for length in range(1, 30)]
    with pytest.raises(MolclrError, match="leaves train empty"):
        write_split(table_of(alkanes), tmp_path / "split.csv", "scaffold")  # one scaffold, larger than any subset
    with pytest.raises(MolclrError, match=r"of the 40 molecules \(2 different\) in "):
        write_split(table_of(["CCO", "CCN"] * 20), tmp_path / "split.csv", "random")
    assert not (tmp_path / "split.csv").exists()
    assert write_split(table_of(alkanes), tmp_path / "split.csv", "random") == {"train": 25, "valid": 2, "test": 2}


def test_a_split_of_another_table(hiv, table_of, tmp_path):
    write_split(hiv, tmp_path / "split.csv", "scaffold")
    rows = read_molecules(table_of(["CC", "CCO", "CCN"]))["row"].to_numpy()
    with pytest.raises(MolclrError, match="another molecule table"):
        subset_indices(rows, tmp_path / "split.csv")


@pytest.mark.parametrize(
    "text",
    [
        "row,subset\n0,train\n1,holdout\n",
        "row,subset\n0,train\n0,test\n",
        "row,fold\n0,train\n",
        "row,subset\na,train\n",
        "",
    ],
    ids=[
        "an unknown subset",
        "a row in two subsets",
        "another column",
        "a row without number",
        "nothing",
    ],
)
def test_other_files_are_not_splits(tmp_path, text):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(MolclrError, match="make the split again"):
        read_split(tmp_path / "split.csv")


def test_a_missing_file(hiv, tmp_path):
    with pytest.raises(MolclrError, match=r"The split .* does not exist"):
        read_split(tmp_path / "none.csv")
    with pytest.raises(MolclrError, match="The molecule table"):
        write_split(tmp_path / "none.parquet", tmp_path / "split.csv", "random")


def test_other_files_are_not_molecule_tables(tmp_path):
    with pytest.raises(MolclrError, match="is not a molecule table"):
        write_split(FIXTURES / "bbbp.csv", tmp_path / "split.csv", "random")


def test_molecules_of_a_scaffold_stay_together():
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


def test_the_scaffold_split_is_a_partition():
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
