"""dvc.yaml says of each stage what the Snakemake rules say, and dvc.lock what the files of this repository say."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import dump_yaml
from paths import REPOSITORY

from molclr.config import Config, Section, parse_section
from workflow import provenance

pytestmark = pytest.mark.workflow
STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
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
    "models": "[SVM, GCN, MolCLR_GCN]",
    "seeds": "[0, 2]",
    "seeds_of": "{bbbp: [0]}",
    "encoder": "official-gin",
    "pretrain": "{temperature: 0.5}",
    "finetune": "{epochs: 3}",
    "baselines": "{trees: 21}",
    "figures.molecules": "{molecules: 99}",
    "figures": "{neighbours: 3, property: tpsa}",
}
"""For every key that dvc.yaml names, another value."""
OWN_TABLE = "tests/fixtures/freesolv.csv"
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
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--printshellcmds", "--cores", "1"]
    targets = [f"all_{name}" for name in STAGES]
    options = ["--configfile", "config/test.yaml", *(["--config", *settings] if settings else [])]
    result = subprocess.run([*command, *targets, *options], cwd=REPOSITORY, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr
    found = {name: {} for name in STAGES}
    for block in re.split(r"^\[.*\]\n", result.stdout, flags=re.MULTILINE):
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
    return next((str(folder) for folder in provenance.folders(stage) if Path(path).is_relative_to(folder)), None)


def keys_of(stage):
    return {key for entry in STAGES[stage]["params"] for key in entry[CONFIG]}


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
    """Of all that they can be: DVC has to know code that only another configuration runs."""
    inputs = {path for plan in plans for inputs, _ in plan[name].values() for path in inputs if stage_of(path) != name}
    expected = {
        folder_of(path, STAGES[stage_of(path)]) if stage_of(path) else os.path.normpath(path) for path in inputs
    }
    expected -= {OWN_TABLE}  # Whoever has a table of one's own adds it to dvc.yaml.
    own = parse_section(Config, yaml.safe_load((REPOSITORY / CONFIG).read_text()), CONFIG)
    stated = set(STAGES[name]["deps"]) - {table.table for table in (*own.own_benchmarks.values(), own.corpus)}
    assert stated == expected, f"add to dvc.yaml: {expected - stated}; remove from it: {stated - expected}"


@pytest.mark.parametrize("name", STAGES)
def test_the_folders_of_a_stage_are_made_by_its_jobs(planned, name):
    made = {
        folder_of(path, STAGES[name]) for outputs in planned[name] if isinstance(outputs, tuple) for path in outputs
    }
    assert made == {str(folder) for folder in provenance.folders(STAGES[name])}


def test_every_job_is_one_of_a_stage(plans):
    for plan in plans:
        for name, found in plan.items():
            for outputs, (_, command) in found.items():
                if isinstance(outputs, tuple):
                    assert command and name and {stage_of(path) for path in outputs} == {name}, outputs


def test_every_key_that_decides_is_a_parameter():
    assert {key.partition(".")[0] for key in OTHER_VALUES} == set(Config.model_fields) - {"results", "mirror"}
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
    """Neither they nor the time between checkpoints are parameters, which would make files anew that stay the same."""
    job = next(job for job in planned["pretrain"] if "results/pretrain/gin/encoder.safetensors" in job)
    changed = jobs("pretrain={gpus: 4, checkpoint_seconds: 60, temperature: 0.1, epochs: 2, warmup_epochs: 1}")
    before, after = planned["pretrain"][job][1], changed["pretrain"][job][1]
    assert before.startswith("molclr pretrain ") and " --checkpoint-seconds 300.0 " in before
    assert after.startswith("torchrun --standalone --nproc-per-node 4 -m molclr.cli pretrain ")
    assert "molclr " + after.partition(" molclr.cli ")[2].replace("-seconds 60.0", "-seconds 300.0") == before


def test_every_parameter_of_dvc_yaml_stands_in_the_default_configuration():
    """DVC reads the file as it is, without defaults."""
    assert (REPOSITORY / CONFIG).samefile(REPOSITORY / "config/config.yaml")
    values = yaml.safe_load((REPOSITORY / CONFIG).read_text())
    for key in OTHER_VALUES:
        section, _, name = key.partition(".")
        assert section in values and (not name or name in values[section]), key


def test_keys_that_decide_nothing_are_those_that_no_rule_has_as_parameters():
    sections = {key: field.annotation for key, field in Config.model_fields.items()}
    excluded = {
        f"{key}.{name}"
        for key, section in sections.items()
        if isinstance(section, type) and issubclass(section, Section)
        for name, field in section.model_fields.items()
        if field.exclude
    }
    assert excluded - {"encoder.released"} == provenance.DECIDES_NOTHING


def test_restore_compares_parameters_as_dvc_reads_them(monkeypatch, tmp_path):
    """And lets those that decide nothing be what they are."""
    stage = {"cmd": "true", "params": [{"config.yaml": ["pretrain"]}], "deps": [], "outs": []}
    lock = stage | {"params": {"config.yaml": {"pretrain": {"learning_rate": 1e-5, "gpus": 0}}}}
    monkeypatch.chdir(tmp_path)
    dump_yaml("dvc.yaml", {"stages": {"pretrain": stage}})
    dump_yaml("dvc.lock", {"stages": {"pretrain": lock}})
    Path("config.yaml").write_text("pretrain: {learning_rate: 1e-5, gpus: 1}")
    assert provenance.differences("pretrain") == []
    Path("config.yaml").write_text("pretrain: {learning_rate: 1e-4, gpus: 0}")
    (difference,) = provenance.differences("pretrain")
    assert difference == "pretrain: pretrain.learning_rate in config.yaml is 0.0001, was 1e-05"


def test_snakemake_and_dvc_read_one_configuration(monkeypatch, tmp_path):
    """An editor that replaces the link would have DVC record parameters that Snakemake did not have."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seeds: [0]")
    Path("config").mkdir()
    link = Path("config/config.yaml")
    link.symlink_to("../params.yaml")
    provenance.refuse_another_configuration()
    link.unlink()
    for replaced in (False, True):
        if replaced:
            link.write_text("seeds: [0]")
        with pytest.raises(provenance.Refusal, match=r"no link to params\.yaml"):
            provenance.refuse_another_configuration()


def test_the_lock_is_that_of_this_code_and_these_parameters(monkeypatch):
    """Otherwise no clone could restore what it names."""
    monkeypatch.chdir(REPOSITORY)
    assert list(provenance.read_stages("dvc.lock")) == list(STAGES)
    found = [line for name in STAGES for line in provenance.differences(name)]
    assert found == [], "run `dvc repro` and commit dvc.lock"
