"""Raw tables with added columns, which are read, extended and written part by part."""

import csv
import errno
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molclr.data import parts
from molclr.data.columns import choose_columns
from molclr.data.output import write_extended
from molclr.data.parts import read_parts
from molclr.data.row_counts import RowCounts
from molclr.data.tables import open_table
from molclr.errors import MolclrError
from molclr.files import replacing

FIELDS = ["plain", "a,b", 'say "x"', "two\nlines", "carriage\rreturn", "", " blanks ", "é"]


def columns_of(part):
    lengths = [len(text) for text in part.made or []]
    vectors = pa.array(np.repeat(np.array(lengths, np.float32) / 3, 2))
    return {
        "length": pa.array(lengths, pa.int64()),
        "third": pa.array([length / 3 if length > 1 else np.nan for length in lengths], pa.float64(), from_pandas=True),
        "atoms": pa.array([list(text) for text in part.made or []], pa.list_(pa.string())),
        "values": pa.array([[1 / 3, 1e-9, 2e6]] * len(lengths), pa.list_(pa.float64())),
        "h": pa.FixedSizeListArray.from_arrays(vectors, 2),
    }


@pytest.fixture
def extend(tmp_path):
    """Write a table of rows of SMILES and text with the columns of `columns_of`."""

    def extend(name, rows, header=("smiles", "note"), **options):
        with (tmp_path / "given.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        counts = RowCounts()
        with open_table(tmp_path / "given.csv") as table:
            chosen = choose_columns(table, "smiles", [])
            found = read_parts(chosen, list, desalt=True)
            write_extended(found, chosen.table, tmp_path / name, columns_of, counts, **options)
        return counts

    return extend


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("size", [1, 3, 99])
def test_every_field_and_number_is_kept_whatever_the_size_of_parts(extend, tmp_path, monkeypatch, size):
    monkeypatch.setattr(parts, "ROWS_PER_PART", size)
    rows = [("C*" if place == 2 else "C" * (place + 1), text) for place, text in enumerate(FIELDS)]
    for name in ("out.csv", "out.parquet"):
        counts = extend(name, rows)
        assert (counts.accepted, counts.rejected) == (7, 1)
    found, table = rows_of(tmp_path / "out.csv"), pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["smiles"], row["note"]) for row in found] == rows == [(row["smiles"], row["note"]) for row in table]
    added = ["length", "third", "atoms", "values", "h"]
    assert [*table[0]] == ["smiles", "note", *added, "reason"] and len(table) == len(found) == 8
    assert [*found[0]] == ["smiles", "note", *added[:-1], "h_0", "h_1", "reason"]
    assert [table[2][name] for name in added] == [None] * 5 and table[2]["reason"] == found[2]["reason"] != ""
    assert [found[2][name] for name in [*added[:-1], "h_0", "h_1"]] == [""] * 6
    assert table[3]["reason"] is None and found[3]["reason"] == ""
    assert table[3]["third"] == 4 / 3 and (found[3]["third"], found[0]["third"]) == ("1.33333", "")
    assert found[3]["length"] == "4" and (found[3]["atoms"], found[3]["values"]) == ("C C C C", "0.333333 1e-09 2e+06")
    assert np.float32(found[3]["h_1"]) == np.float32(4 / 3) == table[3]["h"][1]


def test_an_error_of_the_disk_names_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "out.csv").write_text("old")
    with (
        pytest.raises(OSError, match="File too large") as error,
        replacing(tmp_path / "out.csv") as outer,
        replacing(outer),
    ):
        raise OSError(errno.EFBIG, "File too large")
    assert error.value.filename == str(tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"] and (tmp_path / "out.csv").read_text() == "old"


def test_rejected_rows_may_be_left_out(extend, tmp_path):
    extend("out.csv", [("C*", "a"), ("CC", "b"), ("", "c"), ("CCC", "d")], has_rejected=False)
    found = rows_of(tmp_path / "out.csv")
    assert [row["note"] for row in found] == ["b", "d"] and "reason" not in found[0]


def test_added_names_differ_from_those_of_the_table(extend, tmp_path):
    extend("out.csv", [("C", "a", "b", "c")], header=("smiles", "reason", "length", "_length"))
    header = (tmp_path / "out.csv").read_text().splitlines()[0].split(",")
    assert header[:5] == ["smiles", "reason", "length", "_length", "__length"] and header[-1] == "_reason"


def test_a_table_without_molecules_is_an_error_and_leaves_nothing(extend, tmp_path):
    with pytest.raises(MolclrError, match="All rows of"):
        extend("out.csv", [("C*", "a")])
    assert [path.name for path in tmp_path.iterdir()] == ["given.csv"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(extend, monkeypatch):
    monkeypatch.setattr(parts, "ROWS_PER_PART", 128)
    peaks = []
    for count in (10_000, 30_000):
        rows = [("C" * (place % 9), "x") for place in range(count)]
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        extend("out.csv", rows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert pa.total_allocated_bytes() - before < 1e5
    assert peaks[1] < 1.3 * peaks[0]
