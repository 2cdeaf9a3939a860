"""Who sees the progress of long work, and what a call from Python prints."""

import ast
import sys
from types import SimpleNamespace

import pytest

from molclr import progress as module
from molclr.digest import PACKAGE
from molclr.progress import called_from_python, progress, say


@pytest.fixture
def notebook(monkeypatch):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


def test_a_log_has_lines(capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    assert list(progress(range(2), label="work", unit="step")) == [0, 1]
    assert "work: 1/2 step" in capsys.readouterr().err


def test_a_notebook_has_a_bar(capsys, notebook):
    with called_from_python():
        assert list(progress(range(2), label="work")) == [0, 1]
    assert "work:   0%|" in capsys.readouterr().err
    notebook.config.clear()  # IPython on a terminal that is not one
    with called_from_python():
        assert list(progress(range(2), label="work")) == [0, 1]
    assert capsys.readouterr().err == ""


def test_a_worker_process_has_no_bar(capsys, notebook, monkeypatch):
    monkeypatch.setattr(module, "current_process", lambda: SimpleNamespace(name="LokyProcess-1"))
    with called_from_python():
        assert list(progress(range(2), label="work")) == [0, 1]
    assert capsys.readouterr().err == ""


def test_warnings_of_a_call_from_python_are_warnings_of_python(capsys):
    with called_from_python(), pytest.warns(UserWarning, match="^all labels are equal$"):
        say("split: random", "warning: all labels are equal")
    assert capsys.readouterr() == ("", "")
    with called_from_python(verbose=True):
        say("split: random")
    say("warning: all labels are equal")
    assert capsys.readouterr().err == "molclr: split: random\nmolclr: warning: all labels are equal\n"


def test_the_first_of_several_processes_prints_messages_and_each_its_error(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    say("split: random")
    say("error: no GPU", every_process=True)
    assert capsys.readouterr().err == "molclr: error: no GPU\n"
    monkeypatch.setenv("RANK", "0")
    say("split: random")
    assert capsys.readouterr().err == "molclr: split: random\n"


def test_messages_are_printed_by_say_and_results_by_commands():
    """Except for the interrupt of `__main__`, before the module of `say` is imported."""
    calls = {
        path.relative_to(PACKAGE).as_posix(): [ast.unparse(call) for call in calls_of_print(path)]
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "__main__.py"
    }
    assert {name for name, found in calls.items() if found and not name.startswith("cli/")} == {"progress.py"}
    assert not [call for name, found in calls.items() for call in found if "stderr" in call and name != "progress.py"]


def calls_of_print(path):
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"]
