import csv

import pytest

from molclr.data.audit import audit, undefined_stereo, write_audit
from molclr.data.canonicalize import canonicalize
from molclr.data.molecules import BenchmarkFiles
from molclr.data.splits import write_split
from molclr.errors import MolclrError

CLASSES = """smiles,a,b
CCO,1,0
OCC,0,0
C(C)O,,1
CCN,1,
c1ccccc1,0,0
nonsense,1,1
N[C@@H](C)C(=O)O,1,1
NC(C)C(=O)O,1,1
FC=CF,0,0
F/C=C/F,0,0
C*,1,1
C(C)(C)(C)(C)C,0,0
CC(C)(C)(C)(C)C,0,0
"""


@pytest.fixture
def files(tmp_path):
    def make(text, name="raw"):
        raw = tmp_path / f"{name}.csv"
        raw.write_text(text)
        paths = [tmp_path / f"{name}.{kind}" for kind in ("parquet", "rejected.csv", "split.csv")]
        canonicalize(raw, *paths[:2])
        write_split(paths[0], paths[2], "random")
        return BenchmarkFiles(name, *paths)

    return make


def test_audit_of_a_benchmark(files):
    found = audit(files(CLASSES))
    assert found["reasons"] == (
        "RDKit cannot parse it: 1; RDKit: Explicit valence for atom # # C, #, is greater than permitted: 2;"
        " it has an atom without an element (*): 1"
    )
    assert {key: found[key] for key in ("rows", "rejected", "molecules", "duplicates", "conflicting_labels")} == {
        "rows": 13,
        "rejected": 4,
        "molecules": 9,
        "duplicates": 2,  # ethanol, twice again
        "conflicting_labels": 1,  # of a by rows 0 and 1, of b by rows 0 and 2
    }
    assert found["undefined_stereo"] == 2, "alanine and difluoroethene without marks"
    assert found["targets"] == 2
    assert float(found["missing_labels"]) == pytest.approx(2 / 18, abs=1e-6)
    assert float(found["positives"]) == pytest.approx(7 / 16, abs=1e-6)
    assert found["mean"] == found["std"] == ""
    assert found["split"] == "split", "of raw.split.csv"
    assert (found["train"], found["valid"], found["test"]) == (7, 1, 1)


def test_regression_has_mean_and_standard_deviation(files):
    found = audit(files("smiles,y\nC,1.5\nCC,2.5\nCCC,\nCCCC,3.5\n"))
    assert found["positives"] == ""
    assert float(found["mean"]) == 2.5 and float(found["std"]) == pytest.approx((2 / 3) ** 0.5, rel=1e-5)


def test_equal_labels_do_not_conflict(files):
    assert audit(files("smiles,y\nCCO,1.5\nOCC,1.5\nCO,\nOC,2\nCCC,1\nCCN,1\n"))["conflicting_labels"] == 0
    assert audit(files("smiles,y\nCCO,1.5\nOCC,1.6\nCO,1\nOC,2\nCCC,1\nCCN,1\n"))["conflicting_labels"] == 2


@pytest.mark.parametrize("content", ["row,subset\n0,train\n", "", b"PAR1\xff\xfe", None])
def test_another_file_is_not_a_table_of_rejected_rows(files, content):
    benchmark = files(CLASSES)
    benchmark.rejected.unlink()
    if content is not None:
        benchmark.rejected.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(MolclrError, match="table of rejected rows"):
        audit(benchmark)


def test_undefined_stereochemistry():
    assert undefined_stereo(["CC(C)O", "C[C@H](O)F", "F/C=C/F", "C1CCCCC1", "C=CC"]) == 0
    assert undefined_stereo(["CC(O)F", "FC=CF", "C[C@H](O)C(F)Cl"]) == 3


@pytest.mark.slow
def test_one_row_per_benchmark_for_any_number_of_processes(files, tmp_path):
    benchmarks = [files(CLASSES, "one"), files("smiles,y\nC,1.5\nCC,2.5\nCCC,\n", "two")]
    for processes in (1, 2):
        write_audit(benchmarks, tmp_path / f"{processes}.csv", processes)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    with (tmp_path / "1.csv").open() as file:
        assert [row["benchmark"] for row in csv.DictReader(file)] == ["one", "two"]
