"""Each of the paper's benchmarks through the whole workflow: a few hundred of its molecules, one epoch."""

import csv
import gzip
import json
import os
import re
from contextlib import chdir

import pytest
from paths import REPOSITORY
from workflow_runs import run

from molclr.cli import main
from molclr.data.catalogue import load_catalogue

pytestmark = [pytest.mark.workflow, pytest.mark.network]
CATALOGUE = load_catalogue().benchmarks
WITHIN_REACH = [
    name
    for name, benchmark in CATALOGUE.items()
    if os.environ.get("MOLCLR_MIRROR") or any(source.wheel for source in benchmark.sources)
]
MOLECULES = 300


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of results of all benchmarks that can be fetched: the commands that Snakemake plans, run in this process."""
    folder = tmp_path_factory.mktemp("benchmarks")
    settings = {
        "benchmarks": WITHIN_REACH,
        "benchmark_molecules": MOLECULES,
        "models": ["GIN"],
        "seeds": [0],
        "encoder": {"layers": 2, "hidden_dim": 16, "embedding_dim": 16},
        "finetune": {"epochs": 1},
    }
    (folder / "run.yaml").write_text(json.dumps(settings))
    for name in ("Snakefile", "molclr", "workflow", "profiles"):
        (folder / name).symlink_to(REPOSITORY / name)
    options = ["--configfile", "run.yaml", "--cores", "1", "--dry-run", "--printshellcmds", "all"]
    plan = run(folder, "snakemake", *options)
    commands = re.findall(r"^ *(?:Shell command: )?molclr (.*) 2> logs/\S+$", plan, re.MULTILINE)
    assert len(commands) == plan.count("    output: "), "one of each job"
    with chdir(folder):
        for command in commands:
            assert main(run(folder, "bash", "-c", f"printf '%s\\n' {command}").splitlines()) == 0, command
    return folder / "results"


@pytest.mark.parametrize("name", CATALOGUE)
def test_it_runs(results, name):
    if name not in WITHIN_REACH:
        pytest.skip("its sources are the web and a mirror folder: MOLCLR_MIRROR is not set")
    benchmark = CATALOGUE[name]
    metrics = json.loads((results / "runs" / name / "GIN/seed-0/metrics.json").read_text())
    assert {*metrics["per_target"], *metrics["left_out"]} == set(benchmark.targets)
    assert metrics["metric"] == benchmark.metric
    with (results / f"tables/{benchmark.task}.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["benchmark"] == benchmark.name)
    scored = metrics["test"] is not None
    assert (row["mean"] != "") == scored
    assert scored or name in {"hiv", "muv"}, "so few actives that none may be among the test molecules"
    with (results / "tables/datasets.csv").open() as file:
        audit = next(row for row in csv.DictReader(file) if row["benchmark"] == name)
    assert int(audit["rows"]) == MOLECULES
    assert int(audit["targets"]) == len(benchmark.targets)
    assert sum(int(audit[subset]) for subset in ("train", "valid", "test")) == int(audit["molecules"])


@pytest.mark.parametrize(
    ("name", "limit", "more", "seeds"),
    [
        ("own.csv", 12, {}, 1),
        ("own.csv", 11, {}, 3),
        ("own.csv", 11, {"benchmark_molecules": 11}, 1),
        ("own.csv.gz", 12, {}, 3),
    ],
)
def test_support_vector_machines_that_may_be_fitted_to_a_sample_have_all_seeds(tmp_path, name, limit, more, seeds):
    """Of a table of your own with 12 rows; how many a compressed one has is not known before it is read."""
    table = "".join(f"{'C' * number},{number}\n" for number in range(1, 13))
    text = f"smiles,carbons\n{table}".encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    own = {"table": name, "task": "regression", "metric": "rmse", "targets": ["carbons"], "split": "random-0"}
    settings = {"benchmarks": ["own"], "own_benchmarks": {"own": own}, "models": ["RF", "SVM"], "seeds": [0, 1, 2]}
    (tmp_path / "run.yaml").write_text(json.dumps(settings | {"baselines": {"svm_training_limit": limit}} | more))
    for part in ("Snakefile", "molclr", "workflow", "profiles"):
        (tmp_path / part).symlink_to(REPOSITORY / part)
    plan = run(tmp_path, "snakemake", "--configfile", "run.yaml", "--cores", "1", "--dry-run", "all_finetune")
    assert len(set(re.findall(r"own/RF/seed-\d", plan))) == 3
    assert len(set(re.findall(r"own/SVM/seed-\d", plan))) == seeds
