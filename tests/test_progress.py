"""Who sees the progress of long work, and what a call from Python prints."""

import sys
from types import SimpleNamespace

import pytest

from molclr import progress as module
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
