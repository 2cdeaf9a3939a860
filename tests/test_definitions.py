"""What a configuration names is found, or missed, without running code."""

import sys

import pytest

from molclr.config import Config, parse_section
from molclr.definitions import NAMED, keys_of, require_named_code
from molclr.errors import MolclrError
from molclr.models.augment import AUGMENTATIONS
from molclr.models.encoders import ENCODERS
from molclr.models.nt_xent import LOSSES
from molclr.training.supervised import SUPERVISED_LOSSES

CODE = """
from numpy import mean as average, log
import os.path
A, (B, *C) = 1, (2, 3)
D: int = 4
if A:
    with open(__file__) as E:
        for F in [0]:
            G = 1
else:
    try:
        def hop(): INSIDE = 1
    except ValueError:
        H = 1
class GAT:
    INSIDE = 1
raise RuntimeError
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write a module in the working directory that cannot be run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return lambda code: (tmp_path / "mine.py").write_text(code)


def check(**values):
    settings = parse_section(Config, {"benchmarks": ["bbbp"], "models": ["RF"]} | values, "run.yaml")
    require_named_code(settings, "run.yaml")


def test_the_tables_are_read_as_they_are():
    tables = [table for _, table, _ in NAMED.values()]
    assert [keys_of(table) for table in tables] == [[*ENCODERS], [*LOSSES], [*AUGMENTATIONS]]
    assert keys_of("molclr.training.supervised:SUPERVISED_LOSSES") == [*SUPERVISED_LOSSES]


def test_names_that_a_module_defines_are_accepted(mine):
    mine(CODE)
    for name in ("average", "log", "os", "A", "B", "C", "D", "E", "F", "G", "H", "hop", "GAT"):
        check(pretrain={"loss": f"mine:{name}"})
    for name in ("mean", "path", "INSIDE", "gat"):
        with pytest.raises(MolclrError, match=f"'mine:{name}': the module 'mine' does not define '{name}'"):
            check(pretrain={"loss": f"mine:{name}"})
    for code in ("from numpy import *", "def __getattr__(name): pass"):
        mine(code)
        check(encoder={"name": "mine:Anything"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encoder": {"name": "mine:EdgeGatt"}}, "'encoder.name': 'mine:EdgeGatt': the module 'mine' does not define"),
        ({"encoder": {"name": "edgegat"}}, "'encoder.name': Unknown encoder 'edgegat'; choose gin, gcn, or give the"),
        ({"encoder": {"name": "yours:GAT"}}, "'encoder.name': There is no Python module 'yours'"),
        ({"pretrain": {"loss": "nt-xent"}}, "'pretrain.loss': Unknown loss of pre-training 'nt-xent'; choose nt_xent"),
        (
            {"pretrain": {"augmentation": {"composition": [{"atom_masking": 0.1}, {"atom_maskin": 0.1}]}}},
            "'pretrain.augmentation.composition': Unknown augmentation 'atom_maskin'; choose atom_masking, bond_deletion, ",
        ),
        (
            {"pretrain": {"augmentation": {"composition": [{"mine:isolat": 0.1}]}}},
            "'pretrain.augmentation.composition': 'mine:isolat': the module 'mine' does not define 'isolat'",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_that_names_the_key(mine, values, message):
    mine("def isolate(): pass")
    with pytest.raises(MolclrError, match=f"^run.yaml: {message}"):
        check(**values)
