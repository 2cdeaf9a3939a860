"""README, documentation and automation name what exists; the results table is that of the published tables."""

import re
import tomllib

import pytest
import yaml
from paths import REPOSITORY

from docs import hooks, keys, results
from molclr.config import Config
from molclr.evaluation.published import published

DOCUMENTS = [
    REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "results/published/README.md", "CHANGELOG.md")
] + sorted((REPOSITORY / "docs").glob("*.md"))


def targets():
    """Targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", results.PAGES, ids=lambda path: path.name)
def test_the_results_are_those_of_the_published_tables(page):
    assert results.renewed(page) == page.read_text(), "run `python docs/results.py`"


def test_the_differences_between_studies_are_those_of_the_published_means():
    first, second = (
        results.read(study).set_index(["model", "benchmark"])["mean"]["MolCLR_GCN"]
        for study in ("official-gcn", "official-gcn-without-hydrogens")
    )
    found = results.changes("official-gcn-without-hydrogens")
    assert set(found) == set(second.index)
    for benchmark, factor in (("BBBP", 100), ("FreeSolv", 1)):
        assert factor * found[benchmark].value == pytest.approx(second[benchmark] - first[benchmark], abs=1e-5)
    assert found["FreeSolv"].verdict == "worse"


def test_the_readme_counts_the_values_that_nobody_confirmed():
    unverified = (published()["check"] == "unverified").sum()
    for name in ("README.md", "docs/reproduce.md"):
        text = " ".join((REPOSITORY / name).read_text().split())
        assert f"{unverified} of the {len(published())} values" in text, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_the_repository_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
        if ":" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(document):
    named = re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    assert set(named) <= targets()


def test_every_key_is_in_the_table_of_keys():
    table = keys.PAGE.read_text()
    for key in Config.model_fields:
        assert f"\n| `{key}` |" in table
    assert "| `temperature` | `0.1` | number > 0 | temperature of the loss |" in table
    assert "| `learning_rate` | `5.0e-4` |" in table
    assert "`released`" not in table
    assert keys.renewed(table) == table, "run `python docs/keys.py`"


def test_every_command_has_its_help():
    sections = hooks.commands().split("\n## molclr ")[1:]
    names = {section.splitlines()[0] for section in sections}
    assert names >= {"fetch", "canonicalize", "pretrain", "finetune", "import-official", "predict", "show"}
    assert all(f"usage: molclr {section.splitlines()[0]}" in section for section in sections)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_named_have_the_options_that_are_given(document):
    if document.name == "CHANGELOG.md":
        return  # it names what was renamed
    text = document.read_text().replace("\\\n", " ")
    for name, arguments in re.findall(r"(?:^|`)molclr ([a-z-]+)([^`\n]*)", text, re.MULTILINE):
        section = re.search(rf"^## molclr {name}\b.*?(?=^## |\Z)", hooks.commands(), re.MULTILINE | re.DOTALL)
        assert section, f"there is no command {name}"
        for option in re.findall(r" (--[a-z-]+)", arguments.partition("#")[0]):
            assert option in section[0], f"molclr {name} has no {option}"


def test_every_module_has_a_page():
    assert {"molclr", "molclr.config.training", "molclr.chem.smiles", "molclr.models.fast.slots"} <= set(
        hooks.modules()
    )


def test_workflows_run_the_targets_of_make_on_every_python():
    commands, pythons = set(), set()
    for path in (REPOSITORY / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            commands |= {step["run"] for step in job["steps"] if "run" in step}
            pythons |= set(job.get("strategy", {}).get("matrix", {}).get("python", []))
    assert {re.fullmatch(r"make ([a-z-]+) PYTHON=python", command)[1] for command in commands} == {
        "test",
        "all",
        "release-check",
    }
    lowest = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f">={min(pythons, key=lambda version: int(version.partition('.')[2]))}" == lowest


def test_hooks_before_a_commit_are_the_linters_of_make():
    (local,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    makefile = (REPOSITORY / "Makefile").read_text()
    lint = "".join(re.findall(r"^(?:style|types):.*\n((?:\t.*\n)+)", makefile, re.MULTILINE))
    of_make = [re.sub(r" --check| \.$", "", line.strip().replace("$(BIN)", ".venv/bin")) for line in lint.splitlines()]
    of_hooks = [hook["entry"].replace(" --force-exclude", "") for hook in local["hooks"]]
    assert of_hooks == [re.sub(r" Snakefile workflow| \.$", "", line) for line in of_make]
