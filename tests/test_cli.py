import subprocess
import sys

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
    assert error.startswith("molclr: error: --settings: unknown key 'epoch'; known here are ") and " epochs," in error


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
    wrong, out = tmp_path / "wrong", tmp_path / "out" / "out"
    if content is not None:
        wrong.write_text(content)
    places = {"FILE": str(wrong), "OUT": str(out)}
    assert main([places.get(argument, argument) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("molclr: error: ") and error.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != wrong]


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
