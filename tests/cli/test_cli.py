import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest
from paths import FIXTURES, REPOSITORY

from molclr.cli import COMMANDS, GROUPS, main
from molclr.evaluation.summary import COLUMNS

HEAVY = {"torch", "torch_geometric", "rdkit", "pandas", "sklearn", "matplotlib", "pyarrow", "snakemake", "dvc"}


def options_of(*words):
    """The options of a command before any check of paths."""
    return COMMANDS[words[0]].parser().parse_args(words[1:])


def test_help_needs_no_heavy_import():
    program = f"import sys, molclr.cli; molclr.cli.main(['--help']); print({HEAVY!r} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "set()"


def test_an_interrupt_while_modules_are_imported_is_one_line():
    program = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'molclr.cli.command':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from molclr.__main__ import main\n"
        "sys.exit(main())\n"
    )
    result = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "molclr: interrupted\n")
    assert 'molclr = "molclr.__main__:main"' in (REPOSITORY / "pyproject.toml").read_text()


def test_the_help_lists_every_command_below_what_it_is_for(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    blocks = text.split("\n\n")[2:]
    assert [block.partition(":")[0] for block in blocks] == list(GROUPS)
    for block, commands in zip(blocks, GROUPS.values(), strict=True):
        assert [line[2:].split("  ")[0] for line in block.splitlines()[1:]] == [command.name for command in commands]
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_in_the_help_of_a_command_is_one_that_it_understands(capsys, name):
    command = COMMANDS[name]
    with pytest.raises(SystemExit, match="0"):
        main([*name.split(), "--help"])
    assert indent(command.example, "  ") in capsys.readouterr().out
    for line in command.example.replace("\\\n", "").splitlines():
        words = shlex.split(line)
        assert words[: 1 + len(name.split())] == ["molclr", *name.split()]
        command.parser().parse_args(words[1 + len(name.split()) :])


def test_names_of_chemprop_name_the_same_files(tmp_path):
    train = "--targets a b --data-path mine.csv -o model", "-i mine.csv --save-dir=model --targets a b"
    for words in train:
        options = COMMANDS["train"].parser().checked(words.split())
        assert (str(options.table), str(options.output), options.targets) == ("mine.csv", "model", ["a", "b"])
    words = f"--model-paths model --test-path=new.csv --preds-path {tmp_path}/out.csv".split()
    options = COMMANDS["predict"].parser().checked(words)
    assert (str(options.table), str(options.model)) == ("new.csv", "model")


def test_a_mistake_in_the_arguments_is_one_line_that_names_unknown_options(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "mine.csv", "--results-dir", "model"])
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "(there is no option --results-dir); see 'molclr train --help'" in error


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "train m.csv -o m --seed 42",
            "unrecognized arguments: --seed 42; did you mean --seeds or --data-seed by --seed?",
        ),
        ("train m.csv -o m --batch-size 50", "; --batch-size is --settings '{batch_size: ...}' here"),
        ("train m.csv -o m --num-workers=4", "; --num-workers is --settings '{threads: ...}' here"),
        ("train m.csv -o m --splits-column part", "; --splits-column is --split here"),
        ("train --data_path m.csv -o m", "; --data_path is --data-path here"),
        ("predict m.csv --model m -o x.csv --accelerator gpu", "; --accelerator is --settings '{device: ...}' here"),
    ],
)
def test_an_option_of_chemprop_that_does_not_exist_is_translated(capsys, words, told):
    """Options are never abbreviated: --seed would be --seeds, a number of networks."""
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and told in error


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("SCAFFOLD_BALANCED", "scaffold"),
        ("random", "random"),
        ("Random_With_Repeated_Smiles", "random"),
        ("butina", "butina"),
        ("KMEANS", "KMEANS"),
    ],
)
def test_split_types_of_chemprop(given, meant):
    """Others may be columns; without such a column, the error lists the schemes."""
    assert options_of("train", "m.csv", "-o", "m", "--split-type", given).split == meant


def test_schemes_have_their_names():
    from molclr.cli.train import SCHEMES_OF_CHEMPROP, _split
    from molclr.data.splits import SCHEMES

    assert {_split(name.upper()) for name in SCHEMES} == {*SCHEMES} >= {*SCHEMES_OF_CHEMPROP.values()}
    assert [_split(name) for name in ("SCAFFOLD_BALANCED", "Fold")] == ["scaffold", "Fold"]


def test_without_a_command_it_prints_the_help_and_fails(capsys):
    assert main([]) == 2
    bare = capsys.readouterr()
    assert main(["-h"]) == 0
    assert bare == capsys.readouterr() and bare.out.startswith("usage: molclr COMMAND")


def test_figure_alone_lists_the_figures(capsys):
    assert main(["figure"]) == 2 and main(["figure", "--help"]) == 0
    listed = re.findall(r"^  (\S+) (\S+)", capsys.readouterr().out, re.MULTILINE)
    assert listed == 2 * [("figure", kind) for kind in ("benchmarks", "pretraining", "finetuning", "tsne", "retrieval")]


@pytest.mark.parametrize(
    "given, meant",
    [
        (["pretran", "graphs.safetensors"], "there is no command 'pretran'; did you mean 'molclr pretrain'? "),
        (["serach", "--help"], "there is no command 'serach'; did you mean 'molclr search'? "),
        (["figure", "benchmark"], "there is no command 'figure benchmark'; did you mean 'molclr figure benchmarks'? "),
        (["xyzzy"], "there is no command 'xyzzy'; "),
        (["--verbose", "fetch"], "there is no option '--verbose'; "),
    ],
)
def test_a_mistyped_command_gets_a_suggestion(capsys, given, meant):
    assert main(given) == 2
    assert capsys.readouterr().err == f"molclr: error: {meant}'molclr --help' lists all commands.\n"


@pytest.mark.parametrize("words", [["show"], ["--help"], ["table", "--help"]])
def test_a_reader_that_has_enough_gets_no_complaint(tmp_path, words):
    """As with `molclr show | head`: the other end of the pipe is closed."""
    (tmp_path / "results" / "tables").mkdir(parents=True)
    for task in ("classification", "regression"):
        (tmp_path / "results" / "tables" / f"{task}.csv").write_text(f"{','.join(COLUMNS)}\n")
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    command = [sys.executable, "-m", "molclr", *words]
    path = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(command, cwd=tmp_path, env=path, stdout=reader.stdin, stderr=subprocess.PIPE, text=True)
    reader.stdin.close()
    assert result.stderr == "" and result.returncode in ((141,) if words == ["show"] else (0, 141))


def test_a_mistake_is_one_sentence_and_exit_code_1(tmp_path, capsys):
    assert (
        main(["split", str(tmp_path / "none.parquet"), "--scheme", "scaffold", "--output", str(tmp_path / "s.csv")])
        == 1
    )
    error = capsys.readouterr().err
    assert error.startswith("molclr: error: ") and "none.parquet" in error and error.count("\n") == 1
    assert not (tmp_path / "s.csv").exists()


def test_a_mistake_in_the_settings_names_the_key(tmp_path, capsys):
    command = ["pretrain", "graphs.safetensors", "--encoder", "gin", "--output", str(tmp_path), "--settings"]
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
        ["pretrain", "FILE", "--encoder", "gin", "--output", "OUT"],
        ["embed-store", "FILE", "--graphs", "FILE", "--encoder", "FILE", "--output", "OUT"],
        ["predict", "FILE", "--model", "FILE", "--output", "OUT"],
        ["maps", "FILE", "--output", "OUT"],
        ["figure", "tsne", "FILE", "--output", "OUT"],
        ["figure", "retrieval", "FILE", "--output", "OUT"],
        ["figure", "pretraining", "FILE", "--output", "OUT"],
        ["figure", "benchmarks", "FILE", "FILE", "--output", "OUT"],
        ["table", "FILE", "--output", "OUT"],
        ["figure", "finetuning", "FILE", "--output", "OUT"],
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
        ["embed-store", "m.parquet", "--graphs", "FILE", "--encoder", "gin.safetensors", "--output", "FILE"],
        ["join", "a.safetensors", "FILE", "--output", "FILE"],
        ["audit", "--benchmark", "bbbp", "b.parquet", "FILE", "b.split.csv", "--output", "FILE"],
        ["predict", "new.csv", "--model", "FILE", "--output", "FILE"],
        ["predictions", "a/metrics.json", "FILE", "--output", "FILE"],
        ["explain", "FILE", "--model", "model", "--output", "e.csv", "--figure", "FILE"],
        ["embed", "FILE", "--output", "FILE"],
        ["search", "CCO", "--library", "FILE", "--output", "FILE"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_writes_over_what_it_reads(tmp_path, capsys, arguments):
    (tmp_path / "mine.parquet").write_text("precious")
    places = [tmp_path / "mine.parquet", tmp_path / "folder" / ".." / "mine.parquet"]
    assert main([str(places.pop()) if word == "FILE" else word for word in arguments]) == 1
    assert "mine.parquet' is given as " in capsys.readouterr().err
    assert (tmp_path / "mine.parquet").read_text() == "precious"


@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_in_place_of_a_file(capsys, folder):
    assert main(["predict", "new.csv", "--model", "model.safetensors", "--output", folder]) == 1
    assert capsys.readouterr().err == f"molclr: error: --output: '{folder}' is a folder; name a file.\n"
    assert main(["predict", folder, "--model", "model.safetensors", "--output", "out.csv"]) == 1
    assert capsys.readouterr().err == f"molclr: error: table: '{folder}' is a folder; name a file.\n"


def test_every_file_to_write_is_checked_whatever_its_option_is_called(tmp_path, capsys):
    files = ["--molecules", str(tmp_path / "m.parquet"), "--rejected", str(tmp_path)]
    assert main(["canonicalize", "raw.csv", *files]) == 1
    assert capsys.readouterr().err == f"molclr: error: --rejected: '{tmp_path}' is a folder; name a file.\n"
    assert main(["canonicalize", "raw.csv", *files[:3], files[1]]) == 1
    assert capsys.readouterr().err.endswith(
        "m.parquet' is given as --molecules and as --rejected; name another file.\n"
    )
    assert main(["maps", "a.parquet", "b.parquet", "--output", "map.csv", "map.csv"]) == 1
    assert capsys.readouterr().err == (
        "molclr: error: 'map.csv' is given as --output and as --output; name another file.\n"
    )


def test_a_file_of_settings_is_not_replaced(tmp_path, capsys):
    settings = str(tmp_path / "settings.yaml")
    assert main(["pretrain", "corpus.smi", "--settings", settings, "--output", settings]) == 1
    assert "settings.yaml' is given as --output and as --settings" in capsys.readouterr().err


def test_a_device_is_not_replaced(capsys):
    assert main(["featurize", "m.parquet", "--output", "/dev/null"]) == 1
    assert "--output: '/dev/null' is a device, not a file that can be replaced" in capsys.readouterr().err


def test_a_file_in_place_of_a_folder(tmp_path, capsys):
    (tmp_path / "mine").write_text("precious")
    mine = str(tmp_path / "mine")
    for words, label in (
        (["pretrain", "graphs.safetensors", "--output", mine], "--output"),
        (["choose", mine, "--chosen", "c.yaml", "--trials", "t.csv"], "folders"),
        (["show", mine], "results"),
    ):
        assert main(words) == 1
        assert capsys.readouterr().err == f"molclr: error: {label}: '{mine}' is a file; name a folder.\n"


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    assert main(["pretrain", "graphs.safetensors", "--encoder", "gin", "--output", str(tmp_path / "new" / "run")]) == 1
    assert (
        capsys.readouterr().err
        == f"molclr: error: --output: nothing can be written in '{tmp_path}'; name another place.\n"
    )


def test_what_is_only_read_may_be_named_twice(tmp_path, capsys):
    """The molecules of a benchmark as its corpus; a library as queries."""
    table = str(tmp_path / "m.parquet")
    out = ["--output", str(tmp_path / "out.csv")]
    assert main(["search", table, "--library", table, *out]) == 1
    files = [table, str(tmp_path / "rejected.csv"), str(tmp_path / "split.csv")]
    leaked = ["--molecules", str(tmp_path / "leaked.csv")]
    assert main(["leakage", "--benchmark", "mine", *files, "--corpus", table, *leaked, *out]) == 1
    assert "is given as" not in capsys.readouterr().err


def test_a_parquet_file_has_its_name(capsys):
    with pytest.raises(SystemExit):
        main(["embed-store", "m.parquet", "--graphs", "g", "--encoder", "official-gcn", "--output", "h.csv"])
    assert "'h.csv' must end in .parquet" in capsys.readouterr().err


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
    embed = ["embed", "m.csv", "--output", "h.parquet"]
    assert options_of(*embed).encoder == "molclr-gin"
    finetune = ["finetune", "m.parquet", "--graphs", "g", "--split", "s", "--benchmark", "b", "--model", "m"]
    finetune += ["--seed", "0", "--task", "regression", "--metric", "rmse", "--output", "f"]
    assert options_of(*finetune).encoder == "molclr-gin"
    assert options_of(*finetune, "--from-scratch", "gcn").from_scratch == "gcn"


@pytest.mark.parametrize("command", ["train", "predict", "embed", "search", "canonicalize", "pretrain"])
def test_every_command_that_reads_a_table_knows_the_name_of_chemprop_for_the_column_of_smiles(command):
    options = COMMANDS[command].parser()._option_string_actions
    assert options["--smiles-columns"] is options["--smiles-column"]
