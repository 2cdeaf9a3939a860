import json
import subprocess
import sys
from pathlib import Path

import pytest
from paths import REPOSITORY

from molclr import digest
from molclr.digest import PACKAGE, bytes_digest, code_digest, code_of, files_behind, modules_behind
from molclr.errors import MolclrError
from molclr.evaluation.summary import unit_of
from molclr.imports import modules_of

INTERPRETERS = [Path(sys.executable)] + [
    path
    for version in ("3.11", "3.12", "3.13")
    for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))[:1]
]
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
CODE = '''
"""A module."""
import math


def area(radius: float, name="circle", *rest, **options):
    """What it covers."""
    if radius < 0:
        pass
    text = f"{name!r:>{10}} " "of " f"{radius=} {{}}"
    return [math.pi * radius**2, "a", "b", 1, 1.0, True, None, b"x", "\\U0001fae8"], text
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write the modules of a package that raises an error when it is run; Python can import it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**modules):
        (tmp_path / "mine").mkdir(exist_ok=True)
        for name, code in ({"__init__": ""} | modules).items():
            (tmp_path / f"mine/{name}.py").write_text(f"{code}\nraise RuntimeError\n")

    return write


def meaning(code):
    return "".join(digest._meaning(digest.ast.parse(code)))


@pytest.mark.slow
@pytest.mark.parametrize("python", INTERPRETERS, ids=lambda path: path.parts[-3])
def test_digests_are_the_same_in_all_versions_of_python(python):
    """Of every module, and of f-strings and characters that versions cut or print differently; without other packages."""
    program = (
        "import ast, json, sys; from molclr import digest; names, code = json.load(sys.stdin);"
        "print(json.dumps([*map(digest.code_digest, names), ''.join(digest._meaning(ast.parse(code)))]))"
    )
    given = json.dumps([MODULES, CODE])
    result = subprocess.run([python, "-c", program], input=given, cwd=REPOSITORY, text=True, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [*map(code_digest, MODULES), meaning(CODE)]


def test_digests_need_only_the_standard_library():
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import molclr.digest",
    ]
    subprocess.run(command, check=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""A module."""', '"""Another text."""\n# and a comment'),
        ('    """What it covers."""\n', ""),
        ("import math", "import math\n'''What it is.'''"),
        ("        pass", '        """Nothing to do."""'),
        ('"of "', "'of '"),
        ('"of " f"{', '"o" "f " f"{'),
        ("radius: float, name", "\n    radius: float,\n    name"),
        ('"a", "b"', '"a",\n        "b"'),
        ("radius**2", "(radius ** 2)"),
    ],
)
def test_formatting_and_comments_do_not_change_the_digest(before, after):
    assert before in CODE
    assert meaning(CODE.replace(before, after)) == meaning(CODE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("radius**2", "radius**3"),
        ('"a", "b"', '"ab"'),
        ('"a", "b"', '"b", "a"'),
        ("1, 1.0, True", "1, 1, True"),
        ("1, 1.0, True", "True, 1.0, 1"),
        ('b"x"', '"x"'),
        ("{name!r", "{name!s"),
        (">{10}", "<{10}"),
        ("*rest", "*others"),
        ("radius < 0", "radius <= 0"),
        ('"of "', '"off"'),
        ("import math", "import cmath as math"),
    ],
)
def test_changes_of_meaning_change_the_digest(before, after):
    assert before in CODE
    assert meaning(CODE.replace(before, after)) != meaning(CODE)


def test_a_user_module_is_read_but_not_run(package):
    package(gat="from .layers import attention\nimport json", layers="from mine import scale", scale="SCALE = 1")
    assert modules_behind("mine.gat") == ["mine", "mine.gat", "mine.layers", "mine.scale"]
    before = code_digest("molclr.training.pretrain", "mine.gat")
    package(scale="SCALE = 1  # of a head")
    assert code_digest("molclr.training.pretrain", "mine.gat") == before
    package(scale="SCALE = 2")
    assert code_digest("molclr.training.pretrain", "mine.gat") != before
    assert "mine" not in sys.modules


def test_modules_beside_a_user_module_count_and_installed_ones_do_not(package, tmp_path):
    package(gat="import numpy, torch.nn, os, rdkit.Chem, molclr.batch, layers.wide")
    (tmp_path / "layers").mkdir()  # a package without __init__.py
    (tmp_path / "layers/wide.py").write_text("from scale import FACTOR\n")
    (tmp_path / "scale.py").write_text("import mine.gat\nFACTOR = 1\n")
    assert modules_behind("scale") == ["layers.wide", "mine", "mine.gat", "scale"] == modules_behind("mine.gat")
    before = code_digest("mine.gat")
    (tmp_path / "scale.py").write_text("import mine.gat\nFACTOR = 2\n")
    assert code_digest("mine.gat") != before
    package(gat="from pytest import fixture\nimport _pytest.fixtures")
    assert modules_behind("mine.gat") == ["mine", "mine.gat"]
    assert modules_behind("pytest") == ["pytest"]


def test_a_change_shows_in_the_part_of_its_module(package):
    package(gat="from .layers import attention", layers="SCALE = 1")
    before = code_of("mine.gat", "molclr/data/catalogue.yaml")
    assert list(before) == ["mine", "mine.gat", "mine.layers", "molclr/data/catalogue.yaml"]
    package(gat="from .layers import attention", layers="SCALE = 2")
    after = code_of("mine.gat", "molclr/data/catalogue.yaml")
    assert {name for name in after if after[name] != before[name]} == {"mine.layers"}
    assert all(part.startswith(f"{name} ") for name, part in after.items()), "Snakemake prints these values"


def test_an_encoder_is_named_by_the_path_of_its_class(package):
    package(gat="from mine import layers", layers="")
    path = [*sys.path]
    assert modules_of(["gin", "mine.gat:GAT"]) == ["mine.gat"]
    assert sys.path == path
    assert [path.name for path in files_behind("mine.gat")] == ["__init__.py", "gat.py", "layers.py"]


def test_missing_modules_and_files_are_named(package):
    package(broken="def")
    with pytest.raises(MolclrError, match=r"no Python module 'mine\.magic'"):
        code_digest("mine.magic")
    with pytest.raises(MolclrError, match=r"no Python module 'nobodys\.magic'"):
        code_digest("nobodys.magic")
    with pytest.raises(MolclrError, match=r"code of 'mine\.broken' is not Python \(.*, line 1\)"):
        code_digest("mine.broken")
    with pytest.raises(MolclrError, match=r"The file '.*magic\.csv' cannot be read"):
        code_digest("molclr/data/magic.csv")


def test_a_data_file_counts_with_its_bytes():
    digests = {code_digest("molclr.seeds", *files) for files in ([], ["molclr/data/catalogue.yaml"])}
    assert len(digests) == 2
    assert bytes_digest(b"a") != bytes_digest(b"b")


def test_modules_that_affect_pretraining():
    modules = set(modules_behind("molclr.training.pretrain"))
    assert {"molclr.models.augment", "molclr.models.nt_xent", "molclr.data.store"} <= modules
    assert not {"molclr.config", "molclr.cli", "molclr.training.finetune"} & modules
    assert not [name for name in modules if "evaluation" in name]


def test_the_units_of_tables_are_chosen_by_code_that_counts():
    assert unit_of.__module__ in modules_behind("molclr.evaluation.tables")


def test_tables_do_not_depend_on_training():
    assert not [name for name in modules_behind("molclr.evaluation.tables") if "training" in name or "models" in name]


def test_a_module_that_decides_nothing_counts_where_it_is_named():
    """The configuration reaches rules as parameters, but its defaults only as code."""
    assert code_digest("molclr.config") != code_digest()
    assert not [name for name in modules_behind("molclr.training.pretrain") if name.startswith("molclr.config")]
