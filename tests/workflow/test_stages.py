"""dvc.yaml says of each stage what the Snakemake rules say."""

import os
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from paths import REPOSITORY
from workflow_runs import run

from molclr.config import Config, parse_section
from molclr.errors import MolclrError
from workflow import digests, provenance

pytestmark = pytest.mark.workflow
ALL_STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
STAGES = {name: stage for name, stage in ALL_STAGES.items() if name != "code"}
CONFIG = "params.yaml"
OTHER_VALUES = {
    "corpus": "{molecules: 301, exclude: molecules}",
    "benchmarks": "[bbbp, lipo, clintox]",
    "own_benchmarks": "{mine: {table: %s, task: regression, metric: mae, targets: [freesolv], split: random-1}}",
    "benchmark_molecules": "121",
    "drop_first_row": "true",
    "single_task": "true",
    "explicit_hydrogens": "true",
    "search_trials": "2",
    "models": "[SVM, GCN, MolCLR_GCN, SVM_MolCLR_GCN]",
    "seeds": "[0, 2]",
    "seeds_of": "{bbbp: [0]}",
    "encoder": "official-gin",
    "pretrain": "{temperature: 0.5}",
    "finetune": "{epochs: 3}",
    "baselines": "{trees: 21, svm_training_limit: 50}",
    "figures.molecules": "{molecules: 99}",
    "figures": "{neighbours: 3, property: tpsa}",
}
"""For every key that dvc.yaml names, another value."""
OWN_TABLE, CORPUS = "tests/fixtures/freesolv.csv", "tests/fixtures/zinc.csv"
OTHER_VALUES["own_benchmarks"] %= OWN_TABLE
BESIDE = {
    "single_task": ["benchmarks=[clintox]"],  # has two targets
    "own_benchmarks": [
        "benchmarks=[mine]",
        f"own_benchmarks={{mine: {{table: {OWN_TABLE}, task: regression, metric: rmse, targets: [freesolv]}}}}",
    ],
}
"""For some of them, what both plans that are compared have."""


@cache
def jobs(*settings):
    """Inputs, outputs and command of every job, by stage; the target of the stage is the first."""
    targets = [f"all_{name}" for name in STAGES]
    options = ["--configfile", "config/test.yaml", *(["--config", *settings] if settings else [])]
    output = run(
        REPOSITORY, "snakemake", "--dry-run", "--forceall", "--printshellcmds", "--cores", "1", *targets, *options
    )
    found = {name: {} for name in STAGES}
    for block in re.split(r"^\[.*\]\n", output, flags=re.MULTILINE):
        rule = re.match(r"(?:local)?rule (\w+):\n", block)
        if not rule:
            continue
        fields = dict(re.findall(r"^    (input|output): (.*)$", block, re.MULTILINE))
        inputs, outputs = (tuple(filter(None, fields.get(key, "").split(", "))) for key in ("input", "output"))
        shell = re.search(r"^ *(?:Shell command: )?((?:molclr|torchrun) .*)$", block, re.MULTILINE)
        name = rule[1].removeprefix("all_") if not outputs else stage_of(outputs[0])
        found.setdefault(name, {})[outputs or rule[1]] = (inputs, shell[1] if shell else "")
    return found


def stage_of(path):
    """The stage into whose folders a file goes, if any."""
    return next((name for name, stage in STAGES.items() if folder_of(path, stage)), None)


def folder_of(path, stage):
    return next((folder for folder in folders(stage) if Path(path).is_relative_to(folder)), None)


def folders(stage):
    return [folder for out in stage["outs"] for folder in out]


def keys_of(stage):
    return {key for entry in STAGES[stage]["params"] for key in entry.get(CONFIG, [])}


@pytest.fixture(scope="module")
def planned():
    return jobs()


def jobs_with_another(key):
    """The jobs with the other value of a key, and those without it."""
    beside = BESIDE.get(key, [])
    other = [value for value in beside if not value.startswith(f"{key}=")]
    return jobs(f"{key.partition('.')[0]}={OTHER_VALUES[key]}", *other), jobs(*beside)


@pytest.fixture(scope="module")
def plans(planned):
    """The jobs of config/test.yaml and of every other value."""
    return [planned, *(jobs_with_another(key)[0] for key in OTHER_VALUES)]


@pytest.mark.parametrize("name", STAGES)
def test_the_dependencies_of_a_stage_are_the_inputs_of_its_jobs(plans, name):
    """Of all that they can be: another configuration may read other files."""
    inputs = {path for plan in plans for inputs, _ in plan[name].values() for path in inputs if stage_of(path) != name}
    expected = {
        folder_of(path, STAGES[stage_of(path)]) if stage_of(path) else os.path.normpath(path) for path in inputs
    }
    expected -= {OWN_TABLE, CORPUS}  # Tables of one's own, which whoever has one adds to dvc.yaml.
    own = parse_section(Config, yaml.safe_load((REPOSITORY / CONFIG).read_text()), CONFIG)
    stated = set(STAGES[name].get("deps", [])) - {table.table for table in (*own.own_benchmarks.values(), own.corpus)}
    assert stated == expected, f"add to dvc.yaml: {expected - stated}; remove from it: {stated - expected}"


@pytest.mark.parametrize("name", STAGES)
def test_the_folders_of_a_stage_are_made_by_its_jobs(planned, name):
    made = {
        folder_of(path, STAGES[name]) for outputs in planned[name] if isinstance(outputs, tuple) for path in outputs
    }
    assert made == set(folders(STAGES[name]))


def test_every_job_is_one_of_a_stage(plans):
    for plan in plans:
        for name, found in plan.items():
            for outputs, (_, command) in found.items():
                if isinstance(outputs, tuple):
                    assert command and name and {stage_of(path) for path in outputs} == {name}, outputs


def test_every_key_that_decides_is_a_parameter():
    assert {key.partition(".")[0] for key in OTHER_VALUES} == set(Config.model_fields) - {"results", "mirror", "run"}
    assert set().union(*map(keys_of, STAGES)) == set(OTHER_VALUES)


@pytest.mark.parametrize("key", OTHER_VALUES)
def test_the_parameters_of_a_stage_are_those_of_its_jobs(key):
    changed, before = jobs_with_another(key)
    section = key.partition(".")[0]
    differing = {name for name in STAGES if changed[name] != before[name]}
    stated = {name for name in STAGES if keys_of(name) & {key, section}}
    assert differing <= stated, f"'{key}' decides jobs of {differing - stated}: add it to their params in dvc.yaml"
    assert {name for name in STAGES if key in keys_of(name)} <= differing, f"'{key}' decides nothing there"


def test_pre_training_takes_as_many_processes_as_gpus(planned):
    """`begin_anew` is passed on, too. None of this is a parameter, which would run jobs again that make the same files."""
    job = next(job for job in planned["pretrain"] if "results/pretrain/gin/encoder.safetensors" in job)
    changed = jobs("run={pretrain_gpus: 4, checkpoint_seconds: 60, begin_anew: true}")
    before, after = planned["pretrain"][job][1], changed["pretrain"][job][1]
    assert before.startswith("molclr pretrain ") and " --checkpoint-seconds 300.0 " in before
    assert after.startswith("torchrun --standalone --nproc-per-node 4 -m molclr pretrain ")
    assert "molclr " + after.partition(" molclr ")[2].replace("60.0 --begin-anew", "300.0") == before


def test_every_parameter_of_dvc_yaml_stands_in_the_default_configuration():
    """DVC reads the file as it is, without defaults."""
    assert (REPOSITORY / CONFIG).samefile(REPOSITORY / "config/config.yaml")
    values = yaml.safe_load((REPOSITORY / CONFIG).read_text())
    for key in OTHER_VALUES:
        section, _, name = key.partition(".")
        assert section in values and (not name or name in values[section]), key


def test_snakemake_and_dvc_read_one_configuration(monkeypatch, tmp_path):
    """An editor that replaces the link would have DVC record parameters that Snakemake did not have."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seeds: [0]")
    Path("config").mkdir()
    link = Path("config/config.yaml")
    link.symlink_to("../params.yaml")
    provenance.require_one_configuration()
    link.unlink()
    for replaced in (False, True):
        if replaced:
            link.write_text("seeds: [0]")
        with pytest.raises(MolclrError, match=r"not a link to params\.yaml"):
            provenance.require_one_configuration()


def test_files_of_ones_own_have_to_be_those_that_dvc_looks_at(monkeypatch, tmp_path):
    """Tables, and the code of an encoder with what it imports."""
    monkeypatch.chdir(tmp_path)
    values = {"own_benchmarks": {"mine": {"table": "own/mine.csv"}}, "corpus": {"name": "zinc"}}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    Path("dvc.yaml").write_text("stages: {data: {cmd: none}}")
    with pytest.raises(MolclrError, match=r"own/mine\.csv\nAdd them to 'deps' of the stage 'data'"):
        provenance.require_own_files()
    monkeypatch.setattr(provenance, "named_modules", lambda: ["mine.gat"])
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine").mkdir()
    Path("mine/gat.py").write_text("from mine import layers")
    Path("mine/layers.py").touch()
    Path("dvc.yaml").write_text("stages: {data: {deps: [own/mine.csv]}, code: {deps: [mine/gat.py]}}")
    with pytest.raises(MolclrError, match=r"names:\n  mine/layers\.py\nAdd them to 'deps' of the stage 'code'"):
        provenance.require_own_files()
    Path("dvc.yaml").write_text("stages: {data: {deps: [own]}, code: {deps: [mine]}}")
    provenance.require_own_files()


def test_the_stages_of_dvc_are_known_where_snakemake_is_run_for_them():
    """Their folders and rules, too; and the digests of their code are parameters."""
    assert {name: folders(stage) for name, stage in STAGES.items()} == provenance.STAGES
    assert list(digests.RULES_OF) == list(STAGES)
    for name, stage in STAGES.items():
        assert {"workflow/code.yaml": [name]} in stage["params"]
        assert stage["cmd"] == f"python -m workflow.provenance snakemake all_{name}"
    written = {path.name for path in (REPOSITORY / "workflow/rules").iterdir()}
    assert written == {f"{name}.smk" for name in [*digests.RULES_OF.values(), "report"]}, (
        "the page is no output of a stage"
    )


def test_the_code_is_looked_at_before_anything_else():
    """The stage `code` depends on all digested files, and the other stages depend on its output."""
    stage = ALL_STAGES["code"]
    assert next(iter(ALL_STAGES)) == "code" and [*stage["outs"][0]] == ["workflow/code.yaml"]
    assert set(stage["deps"]) == {"Snakefile", "molclr", "workflow/digests.py", "workflow/rules"}
