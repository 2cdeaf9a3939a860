from itertools import pairwise

import pytest
from paths import REPOSITORY

from molclr.dependencies import PACKAGE, imported_modules, source_files

FLOORS = [
    {
        "config",
        "errors",
        "files",
        "progress",
        "seeds",
        "imports",
        "hashing",
        "batch",
        "dependencies",
        "parallel",
        "distributed",
        "chem",
    },
    {"data", "models"},
    {"evaluation"},
    {"training"},
    {"cli", "representation"},
]


def floor_of(module):
    return next(i for i, floor in enumerate(FLOORS) if module.split(".")[0] in floor)


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            yield name, path


def test_no_import_goes_up_a_floor():
    for name, path in modules():
        for imported in imported_modules(path):
            assert floor_of(imported) <= floor_of(name), f"{name} imports {imported}"


def test_data_and_models_do_not_know_each_other():
    for name, path in modules():
        below = {module.split(".")[0] for module in imported_modules(path)}
        top = name.split(".")[0]
        assert not (top == "models" and "data" in below), name
        assert not (top == "data" and "models" in below), name
        assert not (top == "chem" and below - {"chem", "errors"}), name


def test_what_decides_pre_training(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    files = source_files("training.pretrain")
    assert {"molclr/models/augment.py", "molclr/models/nt_xent.py", "molclr/data/store.py"} <= set(files)
    assert not {"molclr/config.py", "molclr/cli.py", "molclr/training/finetune.py"} & set(files)
    assert not [path for path in files if "evaluation" in path]
    assert all(first < second for first, second in pairwise(files))


def test_what_decides_a_table_knows_no_training(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert not [path for path in source_files("evaluation.tables") if "training" in path or "models" in path]


def test_a_module_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        source_files("training.magic")
