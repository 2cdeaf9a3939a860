"""The commands in the pages about commands print what the pages show."""

import contextlib
import io
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from paths import FIXTURES, REPOSITORY

from molclr.cli import main
from molclr.evaluation import metrics

FILES = {
    "new.csv": FIXTURES / "cases" / "c13_new.csv",
    "library.csv": FIXTURES / "bbbp.csv",
    "freesolv.csv": FIXTURES / "freesolv.csv",
}
NUMBER = re.compile(r"-?\d+\.\d+")


def run(language, code, names):
    """Run the lines of a shell block, or a Python block; return what is printed on both streams."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        if language == "python":
            exec(code, names)
        for words in map(shlex.split, code.splitlines() if language == "sh" else []):
            if words[0] == "head":
                print("".join(Path(words[2]).read_text().splitlines(keepends=True)[: int(words[1][1:])]), end="")
            elif "mine-model" not in words:
                assert words[0] == "molclr" and main(words[1:]) == 0, printed.getvalue()
    return printed.getvalue()


def compare(printed, shown):
    """Numbers may differ by two units of their last decimal, because machines round differently."""
    assert NUMBER.sub("N", printed) == NUMBER.sub("N", shown), printed
    for expected, found in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True):
        unit = 10.0 ** -len(expected.partition(".")[2])
        assert float(found) == pytest.approx(float(expected), abs=2.01 * unit)


@pytest.mark.skipif("MOLCLR_MIRROR" not in os.environ, reason="no mirror folder: MOLCLR_MIRROR is not set")
def test_the_refit_of_the_page_about_training(tmp_path, monkeypatch):
    shutil.copy(Path(os.environ["MOLCLR_MIRROR"], "moleculenet/freesolv.csv"), tmp_path)
    monkeypatch.chdir(tmp_path)
    section = (REPOSITORY / "docs/train.md").read_text().partition("\n## Refit\n")[2]
    command, shown = re.search(r"```sh\n(.*?)```\n\n```text\n(.*?)```", section, re.S).groups()
    known = {name: metric for name, metric in metrics.METRICS.items() if metric.label in shown}
    monkeypatch.setattr(metrics, "METRICS", known)  # A metric that is added later does not change the page.
    compare(run("sh", command, {}), shown)


@pytest.mark.parametrize("page", ["embed.md", "search.md", "explain.md"])
def test_the_examples_of_a_page_print_what_it_shows(page, tmp_path, monkeypatch):
    for name, source in FILES.items():
        shutil.copy(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names, compared, printed = {}, 0, ""
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```", (REPOSITORY / "docs" / page).read_text(), re.M | re.S):
        if language != "text":
            printed = run(language, code, names)
        elif code == FILES["new.csv"].read_text():
            continue
        else:
            compared += 1
            compare(printed, code)
    assert compared == 2
