"""Files and folders that are replaced at once or not at all."""

import os

import pytest

from molclr.errors import MolclrError
from molclr.files import new_folder

MARK = "model.json"


@pytest.fixture
def folder(tmp_path):
    """A folder that may be replaced."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / MARK).write_text("old")
    return tmp_path / "model"


def renew(folder):
    with new_folder(folder, MARK, replace=True) as temporary:
        (temporary / MARK).write_text("new")


def test_a_folder_is_replaced(folder):
    renew(folder)
    assert (folder / MARK).read_text() == "new" and os.listdir(folder.parent) == ["model"]


def test_what_was_made_meanwhile_is_not_replaced(tmp_path):
    folder = tmp_path / "model"
    message = r"model' was made meanwhile, .*; the new folder is '.*/model\.[0-9a-f]{8}'"
    with pytest.raises(MolclrError, match=message), new_folder(folder, MARK) as temporary:
        (temporary / MARK).write_text("new")
        folder.mkdir()
        (folder / MARK).write_text("of another program")
    other, kept = sorted(tmp_path.iterdir(), key=lambda path: len(path.name), reverse=True)
    assert (other / MARK).read_text() == "new" and (kept / MARK).read_text() == "of another program"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_the_old_folder_stays_in_its_place_if_the_new_one_cannot_take_it(folder, monkeypatch, error):
    rename = os.replace
    calls = []

    def interrupted(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise error
        rename(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(error):
        renew(folder)
    assert (folder / MARK).read_text() == "old" and os.listdir(folder.parent) == ["model"]
