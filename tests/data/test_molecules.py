import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import FIXTURES

from molclr.data import parts as module
from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.molecules import read_molecules, read_rejections, target_columns
from molclr.data.repeats import FirstRows
from molclr.errors import MolclrError


@pytest.fixture
def run(tmp_path):
    """Canonicalize a text: gives the molecule table and the rejected rows."""

    def run(text: str, **options):
        (tmp_path / "raw.csv").write_text(text, encoding="utf-8")
        output, rejected = tmp_path / "out" / "table.parquet", tmp_path / "out" / "table.rejected.csv"
        counts = canonicalize(tmp_path / "raw.csv", output, rejected, Selection(**options))
        table, rejections = read_molecules(output), read_rejected(rejected)
        assert counts == (len(table), len(rejections))
        return table, rejections

    return run


def read_rejected(path: Path) -> list[tuple[int, str, str]]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "smiles", "reason"]
    return [(int(row), smiles, reason) for row, smiles, reason in rows]


def test_table(run, tmp_path):
    table, rejections = run('smiles,NR-AR,"Neoplasms, benign"\nOCC,1,0.5\n[Na+].[Cl-],,nan\nC1=CC=CC=C1,0,-1e-3\n')
    assert rejections == []
    assert list(table.columns) == ["row", "smiles", "NR-AR", "Neoplasms, benign"]
    assert target_columns(tmp_path / "out" / "table.parquet") == ["NR-AR", "Neoplasms, benign"]
    assert table["row"].tolist() == [0, 1, 2] and table["row"].dtype == np.int64
    assert table["smiles"].tolist() == ["CCO", "[Cl-].[Na+]", "c1ccccc1"]
    np.testing.assert_array_equal(table["NR-AR"], [1, np.nan, 0])
    np.testing.assert_array_equal(table["Neoplasms, benign"], [0.5, np.nan, -1e-3])


BAD_ROWS = {
    "unparsable": ("C1CC,1", "C1CC", "cannot parse"),
    "impossible valence": ("CN(C)(C)(C)C,1", "CN(C)(C)(C)C", "Explicit valence"),
    "a null byte": ("C\x00C,1", "C\x00C", "cannot parse"),
    "no SMILES": (",1", "", "no atoms"),
    "no element": ("*CC,1", "*CC", "without an element"),
    "dative bond": ("N->[Cu],1", "N->[Cu]", "type dative"),
    "a word for a label": ("CC,toxic", "CC", "the label 'toxic' of p_np is not a number"),
    "a number as Python writes it": ("CC,1_000", "CC", "the label '1_000' of p_np is not a number"),
    "an infinite label": ("CC,inf", "CC", "the label 'inf' of p_np is not a number"),
    "a label beyond all floats": ("CC,1e999", "CC", "the label '1e999' of p_np is beyond single precision (3.4e38)"),
    "a label beyond single precision": (
        "CC,-1e39",
        "CC",
        "the label '-1e39' of p_np is beyond single precision (3.4e38)",
    ),
    "nothing but a limit": ("CC,>10", "CC", "the label '>10' of p_np is only a limit"),
    "a field too many": ("CC,1,2", "CC", "3 fields where the header has 2, without a column for '2'"),
    "a field too few": ("CC", "CC", "1 field where the header has 2"),
}


@pytest.mark.parametrize(("line", "smiles", "reason"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_are_recorded(run, line, smiles, reason):
    table, rejections = run(f"smiles,p_np\nCCO,1\n{line}\nCCN,0\n")
    assert table["row"].tolist() == [0, 2]
    [(row, found, why)] = rejections
    assert (row, found) == (1, smiles)
    assert reason in why


def test_every_row_is_accounted_for(tmp_path):
    accepted, rejected = canonicalize(FIXTURES / "hiv.csv", tmp_path / "hiv.parquet", tmp_path / "rejected.csv")
    assert accepted + rejected == 300
    rejections = read_rejected(tmp_path / "rejected.csv")
    assert [row for row, *_ in rejections] == [1]  # an aluminium with six bonds
    assert "Al, 6, is greater than permitted" in rejections[0][2]
    rows = read_molecules(tmp_path / "hiv.parquet")["row"].tolist()
    assert rows == [0, *range(2, 300)]


BAD_FILES = {
    "empty": ("", {}, "is empty"),
    "only a header": ("smiles,p_np\n", {}, "no rows"),
    "no such SMILES column": (
        "SMILES,p_np\nCC,1\n",
        {"smiles_column": "smiles"},
        "no column 'smiles'; its columns are: SMILES, p_np. Name yours with --smiles-column",
    ),
    "no SMILES": ("name,p_np\nwater,1\n", {}, "no column of SMILES; its columns are: name, p_np"),
    "two SMILES columns": ("smiles,smiles\nCC,CC\n", {}, "several columns that may hold the SMILES"),
    "a target without a label": ("smiles,a,b\nCC,1,\nC,2,NA\n", {}, "The target 'b' of .* has no label in any row"),
    "a target of limits": ("smiles,a,b\nCC,1,>5\nC,2,\n", {}, "The target 'b' of .* has nothing but limits"),
    "no such target": ("smiles,p_np\nCC,1\n", {"targets": ["Class"]}, "no column 'Class'"),
    "two targets of one name": ("smiles,a,a\nCC,1,2\n", {}, "several columns 'a'; rename all but one"),
    "a target called as our own column": ("smiles,row\nCC,1\n", {"targets": ["row"]}, "called 'row'"),
    "a target called as a column of predictions": ("smiles,reason\nCC,1\n", {}, "called 'reason'"),
    "a web page": ("<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n", {}, "is a web page"),
    "all rows rejected": (
        "smiles,name\nCC,ethane\nCCC,propane\n",
        {"targets": ["name"]},
        "for example row 0: the label 'ethane' of name",
    ),
    "a quote that never ends": ('smiles\n"' + "CC\n" * 50_000, {}, "not a CSV table"),
    "a quote that ends nowhere, in a short file": (
        'smiles,p_np\nCC,1\n"CCC,0\nCCN,1\n',
        {},
        r"line 4: unexpected end of data\); correct its quotes",
    ),
    "no rows asked for": ("smiles\nCC\n", {"limit": 0}, "at least 1"),
}


@pytest.mark.parametrize(("text", "options", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_leave_nothing(run, tmp_path, text, options, message):
    with pytest.raises(MolclrError, match=message):
        run(text, **options)
    assert [path for path in tmp_path.glob("out/*")] == []


def test_a_device_is_not_replaced(tmp_path):
    (tmp_path / "raw.csv").write_text("smiles\nCC\n")
    with pytest.raises(MolclrError, match=r"'/dev/null' is not a regular file"):
        canonicalize(tmp_path / "raw.csv", tmp_path / "table.parquet", "/dev/null")
    assert not (tmp_path / "table.parquet").exists() and Path("/dev/null").is_char_device()


def test_another_table_is_no_molecule_table(tmp_path):
    """One of embeddings, say."""
    pq.write_table(pa.table({"row": [0], "smiles": ["C"], "embedding": [[0.5]]}), tmp_path / "h.parquet")
    with pytest.raises(MolclrError, match="is not a molecule table"):
        read_molecules(tmp_path / "h.parquet")


def test_a_missing_file(tmp_path):
    with pytest.raises(MolclrError, match="no file"):
        canonicalize(tmp_path / "none.csv", tmp_path / "table.parquet", tmp_path / "rejected.csv")


def test_a_failure_leaves_the_former_files(run, tmp_path):
    former, _ = run("smiles\nCCO\n")
    with pytest.raises(MolclrError):
        run("smiles\nC1CC\n")
    assert read_molecules(tmp_path / "out" / "table.parquet").equals(former)
    assert sorted(path.name for path in tmp_path.glob("out/*")) == ["table.parquet", "table.rejected.csv"]


def test_a_chemists_own_table(run):
    """As a spreadsheet saves it: byte order mark, CRLF, other columns, a line of spaces and an empty one at the end."""
    text = "\ufeffname,Structure,IC50 / nM\r\naspirin,CC(=O)Oc1ccccc1C(O)=O, 280 \r\n  \r\nnone yet,CCO,\r\n\r\n"
    table, rejections = run(text, smiles_column="Structure", targets=["IC50 / nM"])
    assert rejections == [] and table["row"].tolist() == [0, 1]
    assert list(table.columns) == ["row", "smiles", "IC50 / nM"]
    np.testing.assert_array_equal(table["IC50 / nM"], [280, np.nan])


def test_molecules_without_labels(run):
    table, _ = run("id,smiles\n7,CCO\n", targets=[])
    assert list(table.columns) == ["row", "smiles"]


@pytest.mark.parametrize(
    ("limit", "rows"), [(1, [0]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (10, list(range(10))), (99, list(range(10)))]
)
def test_limit_takes_evenly_spaced_rows(run, limit, rows):
    text = "smiles\n" + "".join("C" * length + "\n" for length in range(1, 11))
    table, _ = run(text, limit=limit)
    assert table["row"].tolist() == rows
    assert table["smiles"].tolist() == ["C" * (row + 1) for row in rows]


def test_unique_keeps_the_first_occurrence(run, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_PART", 2)  # duplicates within a part and between parts
    text = "smiles,y\nOCC,x\nCCO,1\nC(O)C,2\nCCN,3\nC1CC,4\nNCC,5\nCCO,6\n"
    table, rejections = run(text, unique=True)
    assert table["row"].tolist() == [1, 3]
    reasons = [(row, reason) for row, _, reason in rejections]
    assert reasons == [
        (0, "the label 'x' of y is not a number"),  # and so it is not what row 1 repeats
        (2, "duplicate of row 1"),
        (4, "RDKit cannot parse it"),
        (5, "duplicate of row 3"),
        (6, "duplicate of row 1"),
    ]
    assert rejections[1][1] == "C(O)C"


def test_carriage_returns_are_quoted_in_the_table_of_rejected_rows(run, tmp_path):
    _, rejections = run('smiles,y\nC,1\n"C1CC\rCC",2\n')
    assert [(row, smiles) for row, smiles, _ in rejections] == [(1, "C1CC\rCC")]
    table = read_rejections(tmp_path / "out" / "table.rejected.csv")
    assert table[["row", "smiles"]].values.tolist() == [[1, "C1CC\rCC"]]


def test_first_rows_of_many_parts():
    """The same answers as a dictionary, while runs are merged."""
    seen, dictionary = FirstRows(), {}
    random = np.random.default_rng(0)
    for part in range(60):
        rows = list(range(100 * part, 100 * part + 100))
        smiles = ["C" * length for length in random.integers(1, 5000, 100)]
        expected = [dictionary.setdefault(text, row) for text, row in zip(smiles, rows, strict=True)]
        assert seen.of(smiles, rows).tolist() == expected


@pytest.mark.slow
def test_the_number_of_processes_does_not_show(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_PART", 50)
    written = []
    for processes in (1, 2):
        output, rejected = tmp_path / f"{processes}.parquet", tmp_path / f"{processes}.csv"
        canonicalize(FIXTURES / "hiv.csv", output, rejected, processes=processes)
        written.append((output.read_bytes(), rejected.read_bytes()))
    assert written[0] == written[1]
    assert pq.ParquetFile(tmp_path / "1.parquet").num_row_groups == 6


def test_the_first_row_and_rows_without_labels_are_rejected_when_asked(tmp_path):
    raw = tmp_path / "raw.csv"
    raw.write_text("smiles,a,b\nC,1,1\nCC,,1\nCCC,,\nCCCC,0,\n")
    selection = Selection(targets=["a", "b"], drop_first=True, labelled=True)
    canonicalize(raw, tmp_path / "m.parquet", tmp_path / "r.csv", selection)
    assert read_molecules(tmp_path / "m.parquet")["row"].tolist() == [1, 3]
    rejected = (tmp_path / "r.csv").read_text().splitlines()[1:]
    assert rejected == ['0,C,"the first row, which the official code does not read"', "2,CCC,it has no label"]
    canonicalize(raw, tmp_path / "m.parquet", tmp_path / "r.csv", Selection(targets=["a"], labelled=True))
    assert read_molecules(tmp_path / "m.parquet")["row"].tolist() == [0, 3]


def test_lines_that_begin_with_a_smiles(tmp_path):
    (tmp_path / "corpus.smi").write_text("CCO ethanol 1\n\nOCC\tagain\nC1CC, ring\nC\n")
    output, rejected = tmp_path / "table.parquet", tmp_path / "rejected.csv"
    assert canonicalize(tmp_path / "corpus.smi", output, rejected, Selection(targets=[], unique=True)) == (2, 2)
    assert read_molecules(output)["row"].tolist() == [0, 3]
    assert [(row, smiles) for row, smiles, _ in read_rejected(rejected)] == [(1, "OCC"), (2, "C1CC,")]


@pytest.mark.parametrize("options", [{"labelled": True}, {"targets": ["logS"]}])
def test_a_smi_file_has_no_column_of_labels(tmp_path, options):
    (tmp_path / "mine.smi").write_text("smiles logS\nCCO -0.3\nCCC 0.5\n")
    with pytest.raises(MolclrError, match=r"no column (with labels|'logS'); its lines are .*; save the table as CSV"):
        canonicalize(tmp_path / "mine.smi", tmp_path / "m.parquet", tmp_path / "r.csv", Selection(**options))
