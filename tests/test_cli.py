import subprocess
import sys
from pathlib import Path

import pytest
from paths import FIXTURES

from molclr.cli import build_parser, main


def test_help_needs_no_heavy_import():
    heavy = {"torch", "torch_geometric", "rdkit", "pandas", "sklearn", "matplotlib", "pyarrow", "snakemake"}
    program = f"import sys, molclr.cli; molclr.cli.build_parser(); print({heavy!r} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_every_step_has_a_subcommand_with_help(capsys):
    help_text = build_parser().format_help()
    for step in (
        "fetch",
        "canonicalize",
        "split",
        "featurize",
        "pretrain",
        "finetune",
        "predict",
        "baseline",
        "embed",
        "table",
        "figure",
    ):
        assert step in help_text
        with pytest.raises(SystemExit, match="0"):
            main([step, "--help"])
        assert step in capsys.readouterr().out


def test_a_mistake_is_one_sentence_and_exit_code_1(tmp_path, capsys):
    assert (
        main(["split", str(tmp_path / "none.parquet"), "--scheme", "scaffold", "--output", str(tmp_path / "s.csv")])
        == 1
    )
    error = capsys.readouterr().err
    assert error.startswith("molclr: error: ") and "none.parquet" in error and error.count("\n") == 1
    assert not (tmp_path / "s.csv").exists()


def test_a_mistake_in_the_settings_names_the_key(tmp_path, capsys):
    command = ["pretrain", "graphs.safetensors", "--encoder", "gin", "--folder", str(tmp_path), "--settings"]
    assert main([*command, "{epoch: 3}"]) == 1
    error = capsys.readouterr().err
    assert (
        error.startswith("molclr: error: --settings: unknown key 'epoch'; the keys here are ") and " epochs," in error
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["split", "FILE", "--scheme", "scaffold", "--output", "OUT"],
        ["featurize", "FILE", "--output", "OUT"],
        ["pretrain", "FILE", "--encoder", "gin", "--folder", "OUT"],
        ["embed", "FILE", "--graphs", "FILE", "--encoder", "FILE", "--output", "OUT"],
        ["predict", "FILE", "--model", "FILE", "--output", "OUT"],
        ["figure", "tsne", "FILE", "--png", "OUT", "--svg", "OUT"],
        ["figure", "retrieval", "FILE", "--png", "OUT", "--svg", "OUT"],
        ["figure", "pretraining", "FILE", "--png", "OUT", "--svg", "OUT"],
        ["figure", "benchmarks", "FILE", "FILE", "--png", "OUT", "--svg", "OUT"],
        ["figure", "benchmarks", "FILE", "--png", "OUT", "--svg", "OUT"],
        [
            "table",
            "FILE",
            "--task",
            "regression",
            "--csv",
            "OUT",
            "--scores",
            "OUT",
            "--json",
            "OUT",
            "--markdown",
            "OUT",
            "--latex",
            "OUT",
            "--html",
            "OUT",
        ],
        ["canonicalize", "FILE", "--molecules", "OUT", "--rejected", "OUT"],
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
@pytest.mark.parametrize("content", [None, "", "<html>\n<body>no\n"], ids=["missing", "empty", "html"])
def test_a_wrong_file_is_one_sentence_and_nothing_is_written(tmp_path, capsys, arguments, content):
    places = {"FILE": tmp_path, "OUT": tmp_path / "out"}
    given = [str(places[word] / f"{word}-{i}.parquet") if word in places else word for i, word in enumerate(arguments)]
    wrong = [Path(path) for path, word in zip(given, arguments, strict=True) if word == "FILE" and content is not None]
    for path in wrong:
        path.write_text(content)
    assert main(given) == 1
    error = capsys.readouterr().err
    assert error.startswith("molclr: error: ") and error.count("\n") == 1
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        ["split", "FILE", "--scheme", "scaffold", "--output", "FILE"],
        ["predict", "FILE", "--model", "model.safetensors", "--output", "FILE"],
        ["embed", "m.parquet", "--graphs", "FILE", "--encoder", "gin.safetensors", "--output", "FILE"],
        ["gather", "a.safetensors", "FILE", "--output", "FILE"],
        ["audit", "--benchmark", "bbbp", "b.parquet", "FILE", "b.split.csv", "--output", "FILE"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_writes_over_what_it_reads(tmp_path, capsys, arguments):
    (tmp_path / "mine.parquet").write_text("precious")
    places = [tmp_path / "mine.parquet", tmp_path / "folder" / ".." / "mine.parquet"]
    assert main([str(places.pop()) if word == "FILE" else word for word in arguments]) == 1
    assert "mine.parquet' is given as " in capsys.readouterr().err
    assert (tmp_path / "mine.parquet").read_text() == "precious"


@pytest.mark.parametrize("folder", [".", "/", "/dev/null"])
def test_a_folder_in_place_of_a_file_to_write(capsys, folder):
    assert main(["predict", "new.csv", "--model", "model.safetensors", "--output", folder]) == 1
    assert capsys.readouterr().err == f"molclr: error: --output: '{folder}' is no file; name one.\n"


def test_a_file_in_place_of_a_folder(tmp_path, capsys):
    (tmp_path / "mine").write_text("precious")
    assert main(["pretrain", "graphs.safetensors", "--encoder", "gin", "--folder", str(tmp_path / "mine")]) == 1
    assert (
        capsys.readouterr().err
        == f"molclr: error: '{tmp_path / 'mine'}' is no folder in which something can be written; name another one.\n"
    )


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    assert main(["pretrain", "graphs.safetensors", "--encoder", "gin", "--folder", str(tmp_path / "new" / "run")]) == 1
    assert (
        capsys.readouterr().err
        == f"molclr: error: '{tmp_path}' is no folder in which something can be written; name another one.\n"
    )


def test_what_is_only_read_may_be_named_twice(tmp_path, capsys):
    """The molecules of a benchmark as its corpus; neighbours in the same table."""
    table = str(tmp_path / "m.parquet")
    out = ["--output", str(tmp_path / "out.csv")]
    assert main(["neighbours", table, "--library", table, *out]) == 1
    files = [table, str(tmp_path / "rejected.csv"), str(tmp_path / "split.csv")]
    leaked = ["--molecules", str(tmp_path / "leaked.csv")]
    assert main(["leakage", "--benchmark", "mine", *files, "--corpus", table, *leaked, *out]) == 1
    assert "is given as" not in capsys.readouterr().err


def test_a_parquet_file_has_its_name(capsys):
    with pytest.raises(SystemExit):
        main(["embed", "m.parquet", "--graphs", "g", "--encoder", "official-gcn", "--output", "h.csv"])
    assert "'h.csv' will be a Parquet file; name it so" in capsys.readouterr().err


def test_the_data_steps_by_hand(tmp_path):
    """A chemist's own table: canonicalize, split and featurize it from the command line."""
    table, split, graphs = (str(tmp_path / name) for name in ("table.parquet", "split.csv", "graphs.safetensors"))
    raw, rejected = str(FIXTURES / "bbbp.csv"), str(tmp_path / "rejected.csv")
    assert main(["canonicalize", raw, "--molecules", table, "--rejected", rejected, "--limit", "50"]) == 0
    assert main(["split", table, "--scheme", "random", "--seed", "1", "--output", split]) == 0
    assert main(["featurize", table, "--output", graphs]) == 0
    assert (tmp_path / "split.csv").read_text().count("\n") == 51
    from molclr.data.store import GraphStore

    assert len(GraphStore(graphs)) == 50


def test_the_shipped_encoder_is_taken_where_none_is_named():
    embed = ["embed", "m.parquet", "--graphs", "g.safetensors", "--output", "h.parquet"]
    assert build_parser().parse_args(embed).encoder == "molclr-gin"
    finetune = ["finetune", "m.parquet", "--graphs", "g", "--split", "s", "--benchmark", "b", "--model", "m"]
    finetune += ["--seed", "0", "--task", "regression", "--metric", "rmse", "--folder", "f"]
    assert build_parser().parse_args(finetune).encoder == "molclr-gin"
    scratch = build_parser().parse_args([*finetune, "--from-scratch", "gcn"])
    assert scratch.from_scratch == "gcn"
