import csv

import pyarrow.parquet as pq
import pytest

from molclr.data import leakage
from molclr.data.canonicalize import canonicalize
from molclr.data.leakage import compared, exclude, measure_leakage, read_tests
from molclr.data.molecules import BenchmarkFiles, read_molecules

TESTS = {
    "one": ["N[C@@H](C)C(=O)O", "Cc1ccccc1", "C1CCCCC1O", "CCCl"],
    "two": ["c1ccc2ccccc2c1", "CCCl"],
}
CORPUS = ["NC(C)C(=O)O", "Oc1ccccc1", "CC(C)C", "[13CH3]CCl", "CCOC", "c1ccncc1", "C1CC1"]


@pytest.fixture
def benchmarks(tmp_path):
    """Two benchmarks with test molecules and other molecules."""
    found = []
    for name, smiles in TESTS.items():
        raw = tmp_path / f"{name}.csv"
        raw.write_text("smiles,y\n" + "".join(f"{text},1\n" for text in ["c1ccncc1", *smiles]))
        files = BenchmarkFiles(
            name, *(tmp_path / f"{name}.{kind}" for kind in ("parquet", "rejected.csv", "split.csv"))
        )
        canonicalize(raw, files.molecules, files.rejected)
        subsets = ["train", *["test"] * len(smiles)]
        files.split.write_text("row,subset\n" + "".join(f"{row},{subset}\n" for row, subset in enumerate(subsets)))
        found.append(files)
    return found


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus.csv").write_text("smiles\n" + "\n".join(CORPUS) + "\n")
    canonicalize(tmp_path / "corpus.csv", tmp_path / "corpus.parquet", tmp_path / "corpus.rejected.csv")
    return tmp_path / "corpus.parquet"


@pytest.mark.parametrize(("part", "processes"), [(2000, 1), (2, 1), (3, 2)])
def test_counts_of_molecules_and_scaffolds_in_the_corpus(benchmarks, corpus, tmp_path, monkeypatch, part, processes):
    """The result does not depend on the size of the parts in which the corpus is read."""
    monkeypatch.setattr(leakage, "MOLECULES_PER_PART", part)
    measure_leakage(benchmarks, corpus, tmp_path / "leakage.csv", tmp_path / "molecules.csv", processes)
    with (tmp_path / "leakage.csv").open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    # alanine without its centre, chloroethane without its isotope; toluene and phenol have the scaffold benzene; no other centre
    assert rows == [("one", "4", "2", "1", "2", "1"), ("two", "2", "1", "0", "1", "0")]
    with (tmp_path / "molecules.csv").open() as file:
        found = [tuple(row.values()) for row in csv.DictReader(file)]
    assert found == [
        ("one", "1", "C[C@H](N)C(=O)O", "1", "0"),
        ("one", "2", "Cc1ccccc1", "0", "1"),
        ("one", "4", "CCCl", "1", "0"),
        ("two", "2", "CCCl", "1", "0"),
    ]


@pytest.mark.parametrize("part", [2000, 2])
@pytest.mark.parametrize(
    ("like", "dropped"),
    [
        ("molecules", {0: "a test molecule", 3: "a test molecule"}),
        ("scaffolds", {0: "a test molecule", 1: "the scaffold of a test molecule", 3: "a test molecule"}),
    ],
)
def test_a_corpus_without_them(benchmarks, corpus, tmp_path, monkeypatch, part, like, dropped):
    monkeypatch.setattr(leakage, "MOLECULES_PER_PART", part)
    output, rejected = tmp_path / "without.parquet", tmp_path / "without.rejected.csv"
    assert exclude(benchmarks, corpus, like, output, rejected, 1) == (len(CORPUS) - len(dropped), len(dropped))
    table = read_molecules(output)
    assert table["row"].tolist() == [row for row in range(len(CORPUS)) if row not in dropped]
    assert pq.read_schema(output) == pq.read_schema(corpus)
    with rejected.open() as file:
        assert {int(row["row"]): row["reason"] for row in csv.DictReader(file)} == dropped
    measure_leakage(benchmarks, output, tmp_path / "leakage.csv", tmp_path / "molecules.csv", 1)
    with (tmp_path / "leakage.csv").open() as file:
        left = [(row["in_corpus"], row["scaffold_in_corpus"]) for row in csv.DictReader(file)]
    assert left == ([("0", "0"), ("0", "0")] if like == "scaffolds" else [("0", "1"), ("0", "0")])


def test_only_test_molecules_count(benchmarks):
    assert [one.row for one in read_tests(benchmarks[0])] == [1, 2, 3, 4], "pyridine is for training"


@pytest.mark.parametrize("other", ["[2H]C([2H])([2H])[C@H](O)F", "[13CH3][C@@H](O)F", "C[C@H](O)F", "CC(O)[18F]"])
def test_stereochemistry_and_isotopes_are_ignored(other):
    assert compared(other).flat == compared("CC(O)F").flat


@pytest.mark.parametrize(
    ("one", "other"),
    [("CC(=O)O", "CC(=O)[O-].[Na+]"), ("CCN", "CC[NH3+]"), ("CCN", "CCN.Cl"), ("Oc1ccccn1", "O=c1cccc[nH]1")],
)
def test_salts_charge_states_and_tautomers_are_different_molecules(one, other):
    assert compared(one).flat != compared(other).flat
