"""The real workflow on real molecules: a copy of the repository in a folder with a space runs config/test.yaml."""

import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml
from paths import REPOSITORY

from molclr.data.catalogue import load_catalogue

pytestmark = [pytest.mark.workflow, pytest.mark.network]
OUTPUTS = {
    "tables/predictions.csv.gz",
    *(f"tables/{name}.csv" for name in ("datasets", "leakage", "leakage_molecules")),
    *(f"tables/{task}_scores.csv" for task in ("classification", "regression")),
    *(
        f"tables/{task}.{form}"
        for task in ("classification", "regression")
        for form in ("csv", "json", "md", "tex", "html")
    ),
    *(
        f"figures/{name}.{form}"
        for name in ("benchmarks", "pretraining", "tsne_gin", "retrieval_gin")
        for form in ("png", "svg")
    ),
}


def command(*arguments):
    """The command line of Snakemake, with the small configuration if the arguments name no other."""
    configuration = [] if "--configfile" in arguments else ["--configfile", "config/test.yaml"]
    return [sys.executable, "-m", "snakemake", *configuration, "--cores", "2", *arguments]


def snakemake(folder, *arguments, check=True):
    """Run Snakemake in `folder`; return what it prints."""
    result = subprocess.run(
        command(*arguments), cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert not check or result.returncode == 0, result.stdout
    return result.stdout


def planned(folder, *arguments):
    """How many jobs of each rule Snakemake would run."""
    lines = snakemake(folder, "--dry-run", "all", *arguments).splitlines()
    if not any(line.startswith("Job stats") for line in lines):
        assert any("Nothing to be done" in line for line in lines)
        return {}
    start = next(i for i, line in enumerate(lines) if line.startswith("Job stats")) + 3
    rows = (line.split() for line in lines[start:])
    jobs = {}
    for row in rows:
        if len(row) != 2 or row[0] == "total":
            break
        jobs[row[0]] = int(row[1])
    return jobs


@pytest.fixture
def edit(finished):
    """Append to a file of the copy; undo it afterwards, time stamp included."""
    before = {}

    def append(name, text):
        path = finished / name
        before[path] = (path.read_bytes(), path.stat())
        path.write_text(path.read_text() + text)

    yield append
    for path, (content, stat) in before.items():
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_it_makes_every_table_and_figure(finished):
    made = {str(path.relative_to(finished / "results")) for path in finished.glob("results/[tf]*/*")}
    assert made == OUTPUTS
    with (finished / "results/tables/classification.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"RF", "GCN", "MolCLR_GIN"}
    assert all(0 < float(row["mean"]) < 100 and row["seeds"] == "2" for row in rows.values())
    assert rows["MolCLR_GIN"]["paper_mean"] == "73.6"


def test_nothing_is_done_twice(finished):
    assert planned(finished) == {}


def test_the_augmentation_decides_pre_training_and_what_follows(finished, edit):
    edit("molclr/models/augment.py", "\n# edited\n")
    jobs = planned(finished)
    assert jobs["pretrain"] == 1
    assert jobs["finetune"] == 4, "both benchmarks, both seeds, but only the pre-trained model"
    assert jobs["table"] == 2
    assert not {"fetch", "canonicalize", "split", "featurize", "baseline"} & set(jobs)


def test_a_parameter_decides_pre_training_and_what_follows(finished):
    jobs = planned(finished, "--config", "pretrain={temperature: 0.5}")
    assert jobs["pretrain"] == 1 and jobs["finetune"] == 4 and "canonicalize" not in jobs


@pytest.mark.parametrize(
    "option",
    ["{pretrain_gpus: 4, finetune_gpus: 1}", "{checkpoint_seconds: 60, begin_anew: true}", "{forest_threads: 2}"],
)
def test_what_decides_nothing_re_runs_nothing(finished, option):
    assert planned(finished, "--config", f"run={option}") == {}


def test_a_figure_decides_nothing_but_figures(finished, edit):
    edit("README.md", "\nedited\n")
    assert planned(finished) == {}
    edit("molclr/evaluation/figures/style.py", "\n# edited\n")
    jobs = planned(finished)
    assert jobs and all(name.startswith("figure") or name == "all" for name in jobs)


def test_a_changed_benchmark_setting_leaves_pre_training_alone(finished):
    jobs = planned(finished, "--config", "finetune={epochs: 3}")
    assert jobs["finetune"] == 8 and "pretrain" not in jobs and "baseline" not in jobs


def test_a_large_corpus_is_featurized_in_shards_to_the_same_bytes(finished):
    graphs = finished / "data/graphs/zinc-300.safetensors"
    rules = finished / "workflow/rules/data.smk"
    before, content = graphs.read_bytes(), rules.read_text()
    try:
        rules.write_text(content.replace("MOLECULES_PER_SHARD = 1_000_000", "MOLECULES_PER_SHARD = 100"))
        jobs = planned(finished, "--forcerun", "gather")
        assert jobs["featurize_shard"] == 3 and jobs["gather"] == 1 and "featurize" not in jobs
        graphs.unlink()
        snakemake(finished, "data/graphs/zinc-300.safetensors")
        assert graphs.read_bytes() == before
        assert [path.name for path in graphs.parent.iterdir() if path.name.startswith(".")] == []
        assert "gather" not in planned(finished)
    finally:
        rules.write_text(content)
        snakemake(finished, "--touch", "--forceall", "all")


def test_killed_anywhere_it_finishes_with_the_same_bytes(finished):
    """Snakemake is killed again and again, its orphaned jobs run on, and in the end the tables are those of before."""
    tables = {path.name: path.read_bytes() for path in (finished / "results/tables").iterdir()}
    for folder in ("results", "data/molecules", "data/splits", "data/graphs"):
        shutil.rmtree(finished / folder)
    for seconds in (5, 10, 20):
        run = subprocess.Popen(command("all"), cwd=finished, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert "--unlock" in snakemake(finished, "all", check=False), "Snakemake says itself what to do"
        snakemake(finished, "--unlock")
    snakemake(finished, "all")
    assert {path.name: path.read_bytes() for path in (finished / "results/tables").iterdir()} == tables
    assert planned(finished) == {}


def test_the_report_is_one_page(finished):
    snakemake(finished, "--report", "report.html")
    page = (finished / "report.html").read_text()
    assert "classification.html" in page and "retrieval_gin.png" in page


@pytest.mark.parametrize(
    ("name", "origin"), [("config", "molecules of the corpus ``zinc``"), ("official-gcn", "``official-gcn``")]
)
def test_the_report_says_what_was_run(name, origin):
    settings = yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text())
    template = (REPOSITORY / "workflow/report/workflow.rst").read_text()
    text = jinja2.Template(template).render(snakemake=SimpleNamespace(config=settings))
    assert origin in text and "bbbp, bace" in text


def test_the_paper_is_planned(finished):
    jobs = planned(finished, "--configfile", "config/paper.yaml")
    benchmarks = load_catalogue().benchmarks
    targets = sum(len(benchmark.targets) for benchmark in benchmarks.values())  # a model each
    assert (len(benchmarks), targets) == (13, 85)
    assert jobs["finetune"] == targets * 4 * 3
    assert jobs["baseline"] == targets * 2 * 3
    assert jobs["pretrain"] == 2
    assert jobs["featurize_shard"] == 10 and jobs["gather"] == 1


def test_the_studies_with_released_weights_are_planned(finished):
    """Each command of the docs: from the authors' checkpoint, in a folder of results of its own, without a corpus."""
    text = (REPOSITORY / "docs/fidelity.md").read_text().replace("\\\n", "")
    commands = re.findall(r"^snakemake all (--configfile config/official-gcn.yaml.*)$", text, re.MULTILINE)
    folders = {path.parent.name for path in (REPOSITORY / "results/published").glob("*/predictions.csv.gz")}
    for options in map(shlex.split, commands):
        jobs = planned(finished, *options)
        assert jobs["fetch_checkpoint"] == jobs["import_official"] == 1
        assert jobs["finetune"] > 0 and not {"pretrain", "embed"} & jobs.keys()
        summary = snakemake(finished, "--summary", *options)
        folders.remove(re.search(r"^results/(\S+)/tables/predictions.csv.gz", summary, re.MULTILINE)[1])
    assert not folders


def test_a_table_of_any_number_of_runs_is_one_command(finished):
    """A command may be 128 KiB long, less than the names of these 2,526 files."""
    options = ["--configfile", "config/paper.yaml", "--config", f"seeds={list(range(5))}", "seeds_of={bbbp: [7]}"]
    table = "results/paper/tables/predictions.csv.gz"
    output = snakemake(finished, "--dry-run", "--printshellcmds", table, *options)
    command = re.search(r"molclr predictions (.*) --output", output)[1]
    files = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    ).stdout.split()
    targets = sum(len(benchmark.targets) for benchmark in load_catalogue().benchmarks.values())
    assert len(set(files)) == len(files) == ((targets - 1) * 5 + 1) * 6 == 2526
    assert "results/paper/runs/bbbp/RF/seed-7/metrics.json" in files and len(command) < 10_000


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pretrain={temprature: 0.5}", "config/test.yaml and --config: unknown key 'pretrain.temprature'"),
        ("benchmarks=[bbpb]", "config/test.yaml and --config: 'benchmarks' names 'bbpb'; the catalogue has bbbp"),
        ("seeds=[a]", "config/test.yaml and --config: 'seeds.0' is 'a'"),
        ("search_trials=193", "config/test.yaml and --config: 'search_trials"),
        ("finetune={standardize: [qm77]}", "config/test.yaml and --config: 'finetune.standardize' names 'qm77'"),
        ("seeds_of={bbb: [0]}", "config/test.yaml and --config: 'seeds_of' names 'bbb'"),
    ],
)
def test_a_mistake_in_the_configuration_names_the_key(finished, option, message):
    assert message in snakemake(finished, "--dry-run", "all", "--config", option, check=False)


def test_no_output_of_a_run_is_committed():
    """Snakemake would take it for made in a fresh clone."""
    files = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = ("data/", "results/", "logs/")
    assert [name for name in files if name.startswith(folders) and not name.startswith("results/published/")] == []


def test_cores_need_not_be_named(finished):
    program = Path(sys.executable).parent / "snakemake"
    arguments = [program, "results/tables/classification.csv", "--dry-run", "--configfile", "config/test.yaml"]
    result = subprocess.run(arguments, cwd=finished, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
