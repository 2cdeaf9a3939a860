"""Raw tables in every form that chemists have them in, and what is taken of each."""

import bz2
import gzip
import io
import lzma
import os
import re
import subprocess
import sys
import tracemalloc
import zipfile
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from paths import FIXTURES, REPOSITORY
from rdkit import Chem

from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.columns import choose_columns
from molclr.data.molecules import read_molecules, read_rejections
from molclr.data.splits import read_column
from molclr.data.tables import kept_table, name_of, open_table
from molclr.errors import MolclrError

CASES = FIXTURES / "cases"
TABLE = "smiles,logS\nOCC,-0.29\nCCCO,0.5\nCCN,1.25\n"


@pytest.fixture
def take(tmp_path, capfd):
    """Canonicalize a file, or a name with text or bytes: gives the molecule table, the rejected rows and what was told."""

    def take(path, content=None, **options):
        if content is not None:
            path = tmp_path / path
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        output, rejected = tmp_path / "out" / "table.parquet", tmp_path / "out" / "rejected.csv"
        capfd.readouterr()
        canonicalize(path, output, rejected, Selection(**options))
        return read_molecules(output), read_rejections(rejected), capfd.readouterr().err

    return take


ALL = ({"logS": 60}, {}, "")
EXPECTED = {
    # file: (labels of each target, rejected rows -> words of the reason, words of what is told)
    "a01_semicolon.csv": ({"Standard Value": 60}, {}, "separated by semicolons"),
    "a03_headerless.smi": ({}, {}, "without a header"),
    "a05_base.csv.gz": ALL,
    "a06_excel.xlsx": ({"logS": 60}, {}, "Excel workbook"),
    "a10_index.csv": ({"logS": 60}, {}, "ignored, it has no name: ''"),
    "a11_numeric_id.csv": ({"logS": 60}, {}, "ignored, it looks like an index or identifier: 'cid'; name it with"),
    "a14_missing_words.csv": ({"t1": 60, "t2": 30}, {}, "'t2': 30 labels from -0.835 to -0.06, 30 missing"),
    "a14b_R_NA.csv": ({"t1": 40, "t2": 40}, {}, "20 missing"),
    "a21_decimal_comma.csv": ({"logS": 60}, {}, "from -1.67 to -0.04 with decimal commas"),
    "a23_active.csv": ({"activity": 60}, {}, "inactive and active read as 0 and 1"),
    "a31_trailing_comma.csv": ({"logS": 60}, {}, "ignored, it has no name: ''"),
    "b06b_maps_duplicates.csv": ({"logS": 34}, {}, ""),
    "b07_cxsmiles.csv": ({"logS": 40}, {5: "a CXSMILES extension ('|&1:1|')"}, "rejected 1 of 41 rows: 1 (row 5: it has a CX"),
    "b08_name_after.csv": ({"logS": 40}, {5: "text after the SMILES ('ethanol')"}, ""),
    "b09_reaction.csv": ({"logS": 40}, {5: "a reaction"}, ""),
    "b10_inchi.csv": ({"logS": 40}, {5: "an InChI"}, ""),
    "b14_spellings.csv": ({"logS": 10}, {}, "all labels are equal"),
    "b20_flipflop.csv": ({"logS": 3}, {}, "all labels are equal"),
    "base_cls.csv": ({"active": 60}, {}, "60 labels from 0 to 1, 0 missing"),
    "base_reg.csv": ALL,
    "c01b_three.csv": ({"logS": 3}, {}, ""),
    "c03_one_class.csv": ({"active": 60}, {}, "all labels are equal"),
    "c13_new.csv": ({}, {1: "cannot parse", 2: "no atoms", 4: "without an element"}, "ignored, text: 'compound_id', 'vendor'"),
}  # fmt: skip
ERRORS = {
    "a19_twice.csv": "several columns 'logS'; rename all but one",
    "c08_empty_target.csv": "The target 't2' of .* has no label in any row; leave it out with --targets",
}


def test_every_case_has_an_expectation():
    assert {path.name for path in CASES.iterdir()} == {*EXPECTED, *ERRORS}


@pytest.mark.parametrize("name", EXPECTED)
def test_case(take, name):
    labels, reasons, words = EXPECTED[name]
    table, rejected, told = take(CASES / name)
    assert table.drop(columns=["row", "smiles"]).notna().sum().to_dict() == labels
    assert rejected["row"].tolist() == list(reasons)
    assert all(words in reason for words, reason in zip(reasons.values(), rejected["reason"], strict=True))
    assert words in told


@pytest.mark.parametrize("name", ERRORS)
def test_case_that_is_an_error(take, name):
    with pytest.raises(MolclrError, match=ERRORS[name]):
        take(CASES / name)


def test_values_do_not_depend_on_the_form_of_the_file(take):
    """The 60 values of one table, in the forms that the cases have it in."""
    expected = take(CASES / "base_reg.csv")[0]
    for name in ("a01_semicolon.csv", "a05_base.csv.gz", "a06_excel.xlsx", "a10_index.csv", "a21_decimal_comma.csv"):
        table = take(CASES / name)[0]
        assert table["smiles"].tolist() == expected["smiles"].tolist(), name
        np.testing.assert_array_equal(table.iloc[:, 2], expected["logS"], name)


def test_spellings_and_atom_maps_are_one_molecule(take):
    smiles = take(CASES / "b14_spellings.csv")[0]["smiles"]
    assert len(set(smiles[:5])) == len(set(smiles[5:])) == 1
    assert take(CASES / "b20_flipflop.csv")[0]["smiles"].nunique() == 1
    table, rejected, _ = take(CASES / "b06b_maps_duplicates.csv", unique=True)
    assert (len(table), len(rejected)) == (31, 3) and rejected["reason"].str.startswith("duplicate of row").all()


def archive(**members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("_csv", ".csv").replace("X_", "X/"), text)
    return content.getvalue()


def archive_with(local: int, central: int, value: int) -> bytes:
    """Return an archive with another byte at these positions of the local and the central header of its member."""
    content = bytearray(archive(t_csv=TABLE))
    content[local], content[content.index(b"PK\x01\x02") + central] = value, value
    return bytes(content)


def workbook(left_out: str) -> bytes:
    """Return an Excel workbook without one of its files."""
    content = io.BytesIO()
    with zipfile.ZipFile(CASES / "a06_excel.xlsx") as given, zipfile.ZipFile(content, "w") as file:
        for name in given.namelist():
            if name != left_out:
                file.writestr(name, given.read(name))
    return content.getvalue()


def parquet() -> bytes:
    content = io.BytesIO()
    pd.read_csv(io.StringIO(TABLE)).to_parquet(content)
    return content.getvalue()


def sdf() -> bytes:
    records = io.StringIO()
    with Chem.SDWriter(records) as writer:
        for line in TABLE.splitlines()[1:]:
            molecule = Chem.MolFromSmiles(line.split(",")[0])
            molecule.SetProp("logS", line.split(",")[1])
            writer.write(molecule)
    return records.getvalue().encode()


FORMS = {
    "a byte order mark": ("t.csv", b"\xef\xbb\xbf" + TABLE.encode()),
    "CRLF": ("t.csv", TABLE.replace("\n", "\r\n")),
    "UTF-16": ("t.csv", TABLE.encode("utf-16")),
    "UTF-16 without a mark": ("t.csv", TABLE.encode("utf-16-le")),
    "tabs": ("t.tsv", TABLE.replace(",", "\t")),
    "tabs, by another name": ("t.txt", TABLE.replace(",", "\t")),
    "semicolons and decimal commas": ("t.csv", TABLE.replace(",", ";").replace(".", ",")),
    "blanks around names and values": ("t.csv", TABLE.replace(",", " , ")),
    "a column before": ("t.csv", "\n".join(f"x{line}" for line in TABLE.splitlines()).replace("x", "a b,")),
    "a trailing comma in the rows": ("t.csv", TABLE.replace("\n", ",\n").replace(",\n", "\n", 1)),
    "gzip": ("t.csv.gz", gzip.compress(TABLE.encode())),
    "gzip by a wrong name": ("t.csv", gzip.compress(TABLE.encode())),
    "bzip2": ("t.csv.bz2", bz2.compress(TABLE.encode())),
    "xz": ("t.csv.xz", lzma.compress(TABLE.encode())),
    "zip": ("t.zip", archive(t_csv=TABLE, __MACOSX_x="x")),
    "Parquet": ("t.parquet", parquet()),
    "SDF": ("t.sdf", sdf()),
    "SDF in gzip": ("t.sdf.gz", gzip.compress(sdf())),
    "another name of the SMILES": ("t.csv", TABLE.replace("smiles", "Canonical SMILES")),
    "a name that may mean them": ("t.csv", TABLE.replace("smiles", "Drug")),
    "a name that says nothing": ("t.csv", TABLE.replace("smiles", "Formel")),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_one_table(take, form):
    table = take(*FORMS[form])[0]
    assert table["smiles"].tolist() == ["CCO", "CCCO", "CCN"]
    assert table.columns.tolist() == ["row", "smiles", "logS"]
    assert table["logS"].tolist() == [-0.29, 0.5, 1.25]


BROKEN = {
    "a gzip cut short": ("t.csv.gz", gzip.compress((TABLE * 999).encode())[:-20], "damaged or cut short"),
    "bytes": ("t.csv", bytes(range(256)) * 4, "neither text nor a table of a known form"),
    "several files in an archive": ("t.zip", archive(a_csv=TABLE, b_csv=TABLE), "an archive of 2 files; unpack it"),
    "an archive with a password": ("t.zip", archive_with(6, 8, 1), "'.*t.zip' cannot be unpacked .*encrypted"),
    "an archive in Deflate64": (
        "t.zip",
        archive_with(8, 10, 9),
        "cannot be unpacked .*compression.*; unpack it and name",
    ),
    "an archive of a later version": ("t.zip", archive_with(4, 6, 99), "cannot be unpacked .*version 9.9"),
    "a workbook without its list of files": (
        "t.xlsx",
        workbook("[Content_Types].xml"),
        "not an Excel workbook that can",
    ),
    "a workbook without its sheet": ("t.xlsx", workbook("xl/worksheets/sheet1.xml"), "not an Excel workbook that can"),
    "a workbook of an old Excel": ("t.xls", b"\xd0\xcf\x11\xe0" + bytes(99), "old Excel .*save it as CSV"),
    "Parquet cut short": ("t.parquet", parquet()[:-9], "is not a Parquet table"),
    "three decimals after a comma": (
        "t.csv",
        "smiles;k\nC;1,234\nCC;2,5\n",
        "'1,234' in the column 'k' .* choose with --decimal",
    ),
    "words in no column": ("t.csv", "name,y\nwater,1\n", "no column of SMILES"),
}


@pytest.mark.parametrize("trouble", BROKEN)
def test_what_cannot_be_read_is_told(take, trouble):
    name, content, message = BROKEN[trouble]
    with pytest.raises(MolclrError, match=message):
        take(name, content)


def test_excel_without_openpyxl(take, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MolclrError, match="an Excel workbook: save it as CSV, or run 'pip install openpyxl'"):
        take(CASES / "a06_excel.xlsx")


@pytest.mark.parametrize(("decimal", "value"), [(",", 1.234), (".", 1234.0)])
def test_the_user_says_what_a_comma_means(take, decimal, value):
    assert take("t.csv", "smiles;k\nC;1,234\nCC;2\n", decimal=decimal)[0]["k"].tolist() == [value, 2]


@pytest.mark.parametrize(
    ("decimal", "text", "value"),
    [
        (",", "1.770", 1770),
        (",", "-1.234.567,5", -1234567.5),
        (",", "0,770", 0.77),
        (".", "1.770", 1.77),
        (".", "1,234,567.5", 1234567.5),
        (".", "0.770", 0.77),
    ],
)
def test_the_decimal_sign_also_tells_the_thousands_separator(take, decimal, text, value):
    assert take("t.csv", f"smiles;k\nC;{text}\nCC;2\n", decimal=decimal)[0]["k"].tolist() == [value, 2]


@pytest.mark.parametrize(("decimal", "text"), [(",", "0.770"), (",", "1.5"), (".", "0,770"), (",", "1,234.5")])
def test_a_number_with_the_other_decimal_sign_is_rejected(take, decimal, text):
    table, rejected, _ = take("t.csv", f"smiles;k\nC;{text}\nCC;2\n", decimal=decimal, targets=["k"])
    assert table["k"].tolist() == [2] and f"'{text}'" in rejected["reason"][0]


@pytest.mark.parametrize("options", [{}, {"targets": ["Ki"]}])
def test_points_that_may_separate_thousands_are_not_guessed_next_to_commas(take, options):
    text = "smiles;logS;Ki\nC;-0,77;1.770\nCC;-1,5;10.150\n"
    with pytest.raises(
        MolclrError, match=r"'10.150' in the column 'Ki' may have a decimal point or .* choose with --dec"
    ):
        take("t.csv", text, **options)
    assert take("t.csv", text, decimal=",")[0]["Ki"].tolist() == [1770, 10150]
    table, _, told = take("t.csv", text.replace("10.150", "0.150"))
    assert table["Ki"].tolist() == [1.77, 0.15] and "thousands" not in told
    table, _, told = take("t.csv", text.replace(",", "."))
    assert (
        table["Ki"].tolist() == [1.77, 10.15] and "points as in 10.150 are read as decimal; --decimal , reads" in told
    )


def test_a_stored_number_has_a_decimal_point_whatever_the_decimal_sign(take):
    content = io.BytesIO()
    pd.DataFrame({"smiles": ["C", "CC"], "a": [1.234, 0.5], "b": ["1,5", "1.234"]}).to_parquet(content)
    table = take("t.parquet", content.getvalue(), decimal=",")[0]
    np.testing.assert_array_equal(table[["a", "b"]], [[1.234, 1.5], [0.5, 1234]])


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("1,770.00", "remove them, or choose the decimal sign with --decimal"),
        ("1.770,0", "remove them, or choose the decimal sign with --decimal"),
        ("1'770", "write 1770"),
        ("1\u202f770,5", "write 1770,5"),
    ],
)
def test_numbers_with_thousands_separators_are_told(take, text, advice):
    table = f"smiles;k;y\nC;{text};0.5\nCC;{text};2\n"
    assert f"ignored, it has thousands separators, as in {text} ({advice}): 'k'" in take("t.csv", table)[2]
    with pytest.raises(MolclrError, match=rf"seems to have thousands separators; {re.escape(advice)}\.$"):
        take("t.csv", table, targets=["k"])


@pytest.mark.parametrize("text", ["0,349", "-0,349", "\N{MINUS SIGN}0,349"])
def test_a_leading_zero_makes_the_comma_decimal(take, text):
    table, _, told = take("t.csv", f"smiles;k\nC;{text}\nCC;12,5\n")
    assert np.abs(table["k"]).tolist() == [0.349, 12.5] and "with decimal commas" in told
    for unclear in ("1,349", "10,349", "00,349"):
        with pytest.raises(MolclrError, match=f"'{unclear}' in the column 'k' may have a decimal comma or a comma"):
            take("t.csv", f"smiles;k\nC;{text}\nCC;{unclear}\n")


def test_the_smiles_are_no_target(take):
    with pytest.raises(MolclrError, match=r"'smiles' has the SMILES of .*; leave it out of --targets"):
        take("t.csv", TABLE, targets=["smiles"])


def test_a_table_without_a_header(take):
    table, _, told = take("t.csv", TABLE.split("\n", 1)[1])
    assert table.columns.tolist() == ["row", "smiles", "column 2"] and len(table) == 3
    assert "without a header" in told
    assert take("t.txt", "CCO ethanol\nC\n")[0]["smiles"].tolist() == ["CCO", "C"]
    assert take("t.smi", "SMILES Name\nCCO 7\n")[0]["row"].tolist() == [0]


def test_an_impossible_structure_of_an_sdf_is_rejected_for_its_chemistry(take):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CN(C)(C)(C)C", sanitize=False), kekulize=False)
    table, rejected, _ = take("t.sdf", block + "$$$$\nnothing\n\n\n  1  9\n$$$$\n" + sdf().decode())
    assert table["row"].tolist() == [2, 3, 4]
    assert rejected["reason"].str.contains("valence|its structure cannot be read").tolist() == [True, True]


def test_titles_and_properties_of_an_sdf_do_not_depend_on_the_structure(tmp_path):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CO"))  # begins with an empty title
    first = f"MY-0{block.replace(' C ', ' Xq', 1)}>  <id>  (1)\n7\n\n> <note>\ntwo\nlines\n\n$$$$\n"
    (tmp_path / "t.sdf").write_text(f"{first}MY-1{block}> <id>\n>  25 <note>\nlast\n$$$$\n")
    with open_table(tmp_path / "t.sdf") as table:
        assert table.columns == ["smiles", "name", "id", "note"]
        assert [row[1:] for row in table.rows()] == [["MY-0", "7", "two\nlines"], ["MY-1", "", "last"]]


def test_properties_of_an_sdf_that_are_called_like_added_columns(take):
    text = sdf().decode().replace("\n     RDKit", "7\n     RDKit")
    more = "> <name>\nours\n\n> <smiles>\nN\n\n$$$$"
    table, _, told = take("t.sdf", text.replace("$$$$", more), smiles_column="_smiles")
    assert table["smiles"].tolist() == ["CCO", "CCCO", "CCN"]
    assert "ignored, names of molecules: '_name'" in told and "ignored, text: 'name'" in told


def test_a_wide_field(take):
    table, _, told = take("t.csv", f"smiles,y,picture\nC,1,{'A' * 200_000}\nCC,2,B\n")
    assert table["y"].tolist() == [1, 2] and "ignored, text: 'picture'" in told


def test_limits_are_missing_labels(take):
    table, rejected, told = take("t.csv", "smiles,a,b\nC,>10,1\nCC,< 5.5,\nCCC,3,2\n")
    np.testing.assert_array_equal(table["a"], [np.nan, 3])
    assert rejected["reason"].tolist() == ["the label '< 5.5' of a is only a limit"]
    assert "2 limits such as >10 taken as missing" in told


@pytest.mark.parametrize("values", [["2020"] * 4, ["", "1.5", "1.5", ""], ["yes"] * 4])
def test_a_constant_is_a_target_only_if_there_is_no_other(take, values):
    rows = [f"C,{value},{label}" for value, label in zip(values, [1.5, 0, 3, 2], strict=True)]
    table, _, told = take("t.csv", "\n".join(["smiles,x,y", *rows]))
    assert "x" not in table.columns and "y" in table.columns
    assert "ignored, all its labels are equal: 'x'; name it with --targets to predict it" in told
    assert "x" in take("t.csv", "\n".join(["smiles,x,y", *rows]), targets=["x"])[0].columns
    assert "x" in take("t.csv", "\n".join(["smiles,x", *(f"C,{value}" for value in values)]))[0].columns


@pytest.mark.parametrize(
    ("values", "is_target"),
    {
        "an index": (range(12), False),
        "an index of few rows": (range(1, 5), True),
        "ascending numbers with gaps": (range(3, 99, 7), False),
        "whole numbers": ([3, 1, 2] * 5, True),
        "registry numbers": ([7654321, 1234567, 7654321] * 5, False),
        "classes": ([0, 1] * 8, True),
        "values that ascend": (np.linspace(0, 1, 20), True),
        "a counter": ([0, 1, 2, 3, 4] * 3, True),
        "an index that pandas made floats of": ([float(row) for row in range(20)], False),
    }.values(),
)
def test_what_looks_like_an_index_is_no_target(take, values, is_target):
    text = "smiles,x\n" + "".join(f"C,{value}\n" for value in values)
    assert ("x" in take("t.csv", text)[0].columns) == is_target
    assert "x" in take("t.csv", text, targets=["x"])[0].columns


@pytest.mark.parametrize(
    "name", ["CID", "Compound ID", "compound_id", "moleculeID", "idx", "Row", "Cmpd No.", "Unnamed: 0"]
)
def test_a_column_with_the_name_of_an_identifier_is_no_target(take, name):
    table, _, told = take("t.csv", f"smiles,{name},y\nC,5,1\nCC,3,2\n")
    assert list(table.columns) == ["row", "smiles", "y"] and f"'{name}'" in told


def test_words_of_two_classes(take):
    table, rejected, _ = take("t.csv", "smiles,a,b\nC,Yes,TRUE\nCC,no,False\nCCC,,1\nCCCC,perhaps,\n")
    np.testing.assert_array_equal(table[["a", "b"]], [[1, 1], [0, 0], [np.nan, 1]])
    assert rejected["reason"].tolist() == ["the label 'perhaps' of a is neither no nor yes"]


def test_mixed_points_and_commas_are_not_guessed(take):
    _, rejected, told = take("t.csv", 'smiles,y\nC,"1,5"\nCC,2.5\nCCC,3\n')
    assert "target 'y': 2 labels" in told and "1 that cannot be read" in told
    assert rejected["reason"].tolist() == ["the label '1,5' of y has a comma, but other labels have a decimal point"]


def test_many_targets_are_told_together(take):
    names = [f"t{number}" for number in range(30)]
    told = take("t.csv", f"smiles,{','.join(names)}\nC{',1' * 30}\nCC{',0' * 29},\n")[2]
    assert "30 targets, t0, t1, t2, ...: 59 labels from 0 to 1, 1 missing" in told


def test_a_pipe_is_read_once(take, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=lambda: (tmp_path / "pipe").write_text(TABLE))
    writer.start()
    table, _, told = take(tmp_path / "pipe", limit=2)
    writer.join()
    assert table["smiles"].tolist() == ["CCO", "CCCO"] and "pipe: 3 rows" in told


def test_a_pipe_that_a_command_opens_twice_keeps_its_name(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=lambda: (tmp_path / "pipe").write_text(TABLE))
    writer.start()
    kept = kept_table(tmp_path / "pipe", tmp_path)
    writer.join()
    for _ in range(2):
        with open_table(kept, name_of(tmp_path / "pipe")) as table:
            (report,) = choose_columns(table, None, []).report
            assert report == f"{tmp_path / 'pipe'}: 3 rows, SMILES in 'smiles'"


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(tmp_path, name):
    command = [sys.executable, "-m", "molclr", "canonicalize", name, "--molecules", str(tmp_path / "m.parquet")]
    result = subprocess.run(
        [*command, "--rejected", str(tmp_path / "r.csv")],
        input=gzip.compress(TABLE.encode()),
        capture_output=True,
        cwd=REPOSITORY,
        check=True,
    )
    assert b"3 rows, SMILES in 'smiles'" in result.stderr
    assert len(read_molecules(tmp_path / "m.parquet")) == 3


def test_a_column_of_any_table(tmp_path):
    assert read_column(CASES / "a01_semicolon.csv", "Smiles")[:2] == ["CCO", "CCCO"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "smi"])
def test_memory_does_not_grow_with_the_table(tmp_path, suffix):
    peaks = []
    for rows in (10_000, 100_000):
        with (tmp_path / f"t.{suffix}").open("w") as file:
            file.write("smiles,y\n" * (suffix == "csv"))
            file.writelines(
                f"{'C' * (row % 50 + 1)}{',' if suffix == 'csv' else ' '}{row / 7}\n" for row in range(rows)
            )
        tracemalloc.start()
        with open_table(tmp_path / f"t.{suffix}") as table:
            taken = choose_columns(table, None, None)
            assert sum(1 for _ in taken.table.rows()) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_file_that_is_no_file(take, tmp_path):
    with pytest.raises(MolclrError, match="There is no file"):
        take(tmp_path / "none.csv")
    with pytest.raises(MolclrError, match="is a folder; name a table in it"):
        take(tmp_path)


@pytest.mark.parametrize("name", ["a01_semicolon.csv", "b08_name_after.csv"])
def test_the_documentation_shows_what_is_told(take, monkeypatch, name):
    monkeypatch.chdir(REPOSITORY)
    told = take(f"tests/fixtures/cases/{name}")[2]
    assert told in (REPOSITORY / "docs" / "input.md").read_text()


def test_the_minus_sign_of_word_processors(take):
    table, _, told = take("t.csv", "smiles,y\nC,\u22120.5\nCC,1.5\n")
    assert table["y"].tolist() == [-0.5, 1.5] and "from -0.5 to 1.5" in told


def test_the_line_of_excel_that_names_the_separator_is_skipped(take):
    for text in ("sep=;\nsmiles;y\nC;1\nCC;2,5\n", "\ufeffsep=;\r\nsmiles;y\r\nC;1\r\nCC;2,5\r\n"):
        assert take("t.csv", text)[0]["y"].tolist() == [1, 2.5]
    assert take("t.csv", "sep=;\nsmiles;y,z\nC;1\n")[0]["y,z"].tolist() == [1]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("# exported", "# exported\nsmiles,y\nC,1\nCC,2\n"),
        ("Data of 2024", "Data of 2024\n\nsmiles;y\nC;1\nCC;2\n"),
        ("Data of 2024", "Data of 2024\nSMILES\ty\nC\t1\nCC\t2\n"),
        ("Data, of 2024", "Data, of 2024\nmeasured by me,\nsmiles,y\nC,1\nCC,2\n"),
        ("Data of 2024", "Data of 2024,,\nStructure,name,y\nC,methane,1\nCC,ethane,2\n"),
        (
            "Data of 2024",
            ("Data of 2024", None),
        ),
    ],
)
def test_a_header_below_a_title_is_told(take, title, text):
    if isinstance(text, tuple):
        openpyxl = pytest.importorskip("openpyxl")
        book, content = openpyxl.Workbook(), io.BytesIO()
        for row in (text, ("Structure", "y"), ("C", 1), ("CC", 2)):
            book.active.append(row)
        book.save(content)
        text = content.getvalue()
    with pytest.raises(
        MolclrError, match=rf"seems to be '\w+, .*y', below the line '{title}'; delete the lines above the header"
    ):
        take("t.xlsx" if isinstance(text, bytes) else "t.csv", text)


def test_columns_separated_by_blanks_are_told(take):
    with pytest.raises(
        MolclrError, match="have 2 columns separated by blanks, 'smiles  logS'; separate them by commas"
    ):
        take("t.txt", "smiles  logS\nC 1.5\nCCO   2.5\n")
    assert take("t.csv", "Canonical SMILES\nC\nCCO\n")[0]["smiles"].tolist() == ["C", "CCO"]


@pytest.mark.parametrize("name", ["year", "Document Year", "date", "Batch", "plate"])
def test_a_year_or_batch_is_no_target_unless_it_is_named(take, name):
    text = f"smiles,{name},y\nC,2020,1\nCC,2019,2\nCCC,2024,0\n"
    table, _, told = take("t.csv", text)
    assert [*table] == ["row", "smiles", "y"]
    assert f"ignored, it looks like a date, batch or plate: '{name}'; name it with --targets to predict it" in told
    assert [*take("t.csv", text, targets=[name])[0]] == ["row", "smiles", name]
    assert [*take("t.csv", text.replace("2020", "0.5"))[0]] == ["row", "smiles", name, "y"]


def test_lines_above_the_header_are_told(take):
    with pytest.raises(MolclrError, match="have more fields than its first line, 'Structure'; name all columns in it"):
        take("t.csv", "Structure\nC,1\nCC,2\n")
    assert len(take("t.csv", "smiles,y\nC,1,\nCC,2,\n")[0]) == 2  # empty fields at the end


def test_columns_that_all_look_like_smiles_are_not_guessed(take):
    """Such as codes of compounds."""
    text = "code,str,y\nCO,CCCO,1\nC,CCN,2\n"
    with pytest.raises(MolclrError, match="several columns that may hold the SMILES, 'code', 'str'; name one with"):
        take("t.csv", text)
    assert take("t.csv", text, smiles_column="str")[0]["smiles"].tolist() == ["CCCO", "CCN"]
    with pytest.raises(MolclrError, match="has no header, and SMILES in 2 columns; add a header"):
        take("t.csv", text.partition("\n")[2])


def test_byte_order_marks_and_utf_16_without_one(take):
    assert take("t.csv", b"\xef\xbb\xbf" * 2 + TABLE.encode(), smiles_column="smiles")[0].columns[2] == "logS"
    for encoding in ("utf-16-le", "utf-16-be"):
        assert len(take("t.csv", TABLE.encode(encoding))[0]) == 3


def test_tables_that_pandas_wrote(take):
    content = io.BytesIO()
    pd.DataFrame({"smiles": [b"C", b"CC", b"CCO"], "y": [1.5, 0.5, 2]}, index=[2, 0, 1]).to_parquet(content)
    table, _, told = take("t.parquet", content.getvalue())
    assert list(table.columns) == ["row", "smiles", "y"] and table["smiles"].tolist() == ["C", "CC", "CCO"]
    assert "ignored, it has no name: '__index_level_0__'" in told


def test_the_sheet_without_smiles_is_named(take):
    openpyxl = pytest.importorskip("openpyxl")
    book, content = openpyxl.Workbook(), io.BytesIO()
    book.active["A1"], book.active["A2"] = "read me", "first"
    book.create_sheet("data").append(["smiles", "y"])
    book.save(content)
    with pytest.raises(
        MolclrError, match=r"\(sheet 'Sheet' of an Excel workbook of 2 sheets\) has no column of SMILES"
    ):
        take("t.xlsx", content.getvalue())
