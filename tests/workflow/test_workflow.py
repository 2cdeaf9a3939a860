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

import pytest
from paths import REPOSITORY
from workflow_runs import replace_in, run

from molclr.config import Run
from molclr.data.catalogue import load_catalogue

pytestmark = [pytest.mark.workflow, pytest.mark.network]
OUTPUTS = {
    "tables/predictions.csv.gz",
    "tables/configuration.yaml",
    *(f"tables/{name}.csv" for name in ("datasets", "leakage", "leakage_molecules")),
    *(f"tables/{task}_scores.csv" for task in ("classification", "regression")),
    *(
        f"tables/{task}.{form}"
        for task in ("classification", "regression")
        for form in ("csv", "json", "md", "tex", "html")
    ),
    *(
        f"figures/{name}.{form}"
        for name in ("benchmarks", "pretraining", "finetuning", "tsne_gin", "retrieval_gin")
        for form in ("png", "svg", "pdf", "txt")
    ),
    "figures/tsne_gin.csv",
    "maps/gin.csv",
    *(f"maps/gin/{name}.{form}" for name in ("bbbp", "freesolv") for form in ("csv", "parquet")),
}


PAGE = {"report": 1, "all": 1}
"""The jobs that make the page again."""


def options(*arguments):
    """Arguments of Snakemake, with the small configuration if they name no other."""
    configuration = [] if "--configfile" in arguments else ["--configfile", "config/test.yaml"]
    return [*configuration, "--cores", "2", *arguments]


def command(*arguments):
    """The command line of Snakemake, for a process that is to be killed."""
    return [sys.executable, "-m", "snakemake", *options(*arguments)]


def snakemake(folder, *arguments, fails=False):
    """Run Snakemake in `folder`; return what it prints."""
    return run(folder, "snakemake", *options(*arguments), fails=fails)


def planned(folder, *arguments):
    """How many jobs of each rule Snakemake would run."""
    return jobs_of(snakemake(folder, "--dry-run", "all", *arguments))


def jobs_of(output):
    """How many jobs of each rule the output of a dry run names."""
    lines = output.splitlines()
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


def test_it_makes_every_table_figure_and_map(finished):
    results = finished / "results"
    paths = [path for name in ("tables", "figures", "maps") for path in (results / name).rglob("*") if path.is_file()]
    made = {str(path.relative_to(results)) for path in paths}
    assert made == OUTPUTS
    with (finished / "results/tables/classification.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"RF", "GCN", "MolCLR_GIN", "SVM_MolCLR_GIN_ECFP"}
    assert all(0 < float(row["mean"]) < 100 for row in rows.values())
    assert [row["seeds"] for row in rows.values()] == ["2", "2", "2", "1"], "nothing in a kernel machine is random"
    assert rows["MolCLR_GIN"]["paper_mean"] == "73.6"


def test_changed_code_runs_its_jobs_again(as_finished):
    """And nothing else: what follows from it. Snakemake names the module. A docstring decides nothing."""

    def edited(name, before, after):
        path = as_finished / name
        text = path.read_text()
        replace_in(path, before, after)
        output = snakemake(as_finished, "--dry-run", "all")
        path.write_text(text)
        module = name.removesuffix(".py").replace("/", ".") if name.endswith(".py") else name
        assert not jobs_of(output) or re.search(rf"reason: .* now: .*'{module} \w+'", output), output
        return jobs_of(output)

    assert edited("README.md", "# MolCLR", "# Edited") == {}
    assert edited("molclr/models/nt_xent.py", '"""', '"""Edited. ') == {}
    jobs = edited("molclr/models/nt_xent.py", "def nt_xent(", "EDITED = True\n\n\ndef nt_xent(")
    assert jobs["pretrain"] == 1
    assert jobs["finetune"] == 3, "both benchmarks, all seeds, but only the pre-trained model"
    assert jobs["frozen"] == 2, "both benchmarks, once"
    assert jobs["table"] == 1
    assert not {"fetch", "canonicalize", "split", "featurize", "baseline"} & set(jobs)
    jobs = edited("molclr/evaluation/figures/style.py", "import matplotlib", "import math\nimport matplotlib")
    assert jobs and all(name.startswith("figure") or name in PAGE for name in jobs)
    jobs = edited("molclr/data/catalogue.yaml", "name: BBBP", "name: Edited")
    assert jobs == {"table": 1, "figure_benchmarks": 1, "figure_finetuning": 1, **PAGE}
    assert planned(as_finished) == {}


def test_a_parameter_decides_pre_training_and_what_follows(finished):
    jobs = planned(finished, "--config", "pretrain={temperature: 0.5}")
    assert jobs["pretrain"] == 1 and jobs["finetune"] == 3 and "canonicalize" not in jobs


def test_settings_of_run_do_not_run_jobs_again(finished):
    others = {"pretrain_gpus": 4, "finetune_gpus": 1, "checkpoint_seconds": 60, "begin_anew": True, "forest_threads": 2}
    assert others.keys() == Run.model_fields.keys()
    assert planned(finished, "--config", f"run={others}") == {}


def test_a_changed_benchmark_setting_leaves_pre_training_alone(finished):
    jobs = planned(finished, "--config", "finetune={epochs: 3}")
    assert jobs["finetune"] == 6 and not {"pretrain", "baseline", "frozen"} & jobs.keys()


def test_a_large_corpus_is_featurized_in_shards_to_the_same_bytes(as_finished):
    graphs, rules = as_finished / "data/graphs/sample-300.safetensors", as_finished / "workflow/rules/data.smk"
    before = graphs.read_bytes()
    rules.write_text(rules.read_text().replace("MOLECULES_PER_SHARD = 1_000_000", "MOLECULES_PER_SHARD = 150"))
    graphs.unlink()
    output = snakemake(as_finished, "data/graphs/sample-300.safetensors")
    assert output.count("rule featurize_shard:") == 2 and "rule join:" in output and "rule featurize:" not in output
    assert graphs.read_bytes() == before
    assert [path.name for path in graphs.parent.iterdir() if path.name.startswith(".")] == []
    assert "join" not in planned(as_finished)


def test_killed_anywhere_it_finishes_with_the_same_bytes(as_finished):
    """Snakemake is killed again and again, its orphaned jobs run on, and in the end files are those of before."""
    made = ["pretrain/gin", "runs/freesolv/MolCLR_GIN/seed-0", "runs/freesolv/RF/seed-0", "embeddings", "figures"]
    made += ["maps", "maps/gin"]
    before = {path: path.read_bytes() for name in made for path in (as_finished / "results" / name).glob("*.*")}
    assert len(before) > 15
    for path in before:
        path.unlink()
    shutil.rmtree(as_finished / "results/pretrain/gin/kept")
    for seconds in (1, 4):
        killed = subprocess.Popen(command("all"), cwd=as_finished, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not any((as_finished / ".snakemake/locks").glob("*")):
            assert killed.poll() is None
            time.sleep(0.05)
        time.sleep(seconds)
        killed.kill()
        killed.wait()
        assert "--unlock" in snakemake(as_finished, "all", fails=True), "Snakemake says itself what to do"
        snakemake(as_finished, "--unlock")
    snakemake(as_finished, "all")
    assert {path: path.read_bytes() for path in before} == before
    assert planned(as_finished) == {}


def test_an_unfinished_pre_training_stops_the_workflow_until_a_key_says_to_begin_anew(as_finished):
    """After a change that decides; its checkpoints are kept, and so is the finished encoder, which returns with its settings."""
    folder, target = as_finished / "results/pretrain/gin", "results/pretrain/gin/encoder.safetensors"
    before = (as_finished / target).read_bytes()
    long = ["--config", "pretrain={epochs: 200}", "run={checkpoint_seconds: 0}"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    killed = subprocess.Popen(command(target, *long), cwd=as_finished, start_new_session=True, **silent)
    while not (folder / "state.previous.pt").exists():
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    snakemake(as_finished, "--unlock")
    short = ["--config", "pretrain={epochs: 1}"]
    output = snakemake(as_finished, target, *short, fails=True)
    assert "state.pt' has epochs = 200, now it is 1; undo that change to continue it, or start again" in output
    assert (folder / "state.pt").exists()
    snakemake(as_finished, target, *short, "run={begin_anew: true}")
    assert [path.name for path in folder.glob("kept/unfinished-*/state.pt")] == ["state.pt"]
    assert (as_finished / target).read_bytes() != before
    snakemake(as_finished, target)
    assert (as_finished / target).read_bytes() == before
    assert "its files are restored from" in (as_finished / "logs/results/pretrain/gin.log").read_text()
    assert "pretrain" not in planned(as_finished)


def test_the_page_shows_the_run_and_is_made_again_if_it_looks_different(as_finished):
    page = as_finished / "results/report.html"
    text = page.read_text()
    assert all(f'<section id="{name}"' in text for name in ("verdict", "benchmarks", "representation", "making"))
    assert "<td>fine-tune</td>" in text, "what the steps cost"
    style = as_finished / "molclr/evaluation/report/templates/style.css"
    style.write_text(style.read_text() + "\n")
    assert planned(as_finished) == PAGE


def test_the_paper_is_planned(finished):
    jobs = planned(finished, "--configfile", "config/paper.yaml")
    benchmarks = load_catalogue().benchmarks
    targets = sum(len(benchmark.targets) for benchmark in benchmarks.values())  # a model each
    assert (len(benchmarks), targets) == (13, 85)
    assert jobs["finetune"] == targets * 4 * 3
    sampled = [name for name, benchmark in benchmarks.items() if 0.8 * (benchmark.rows or 0) > 10_000]
    seeds = {name: 3 if name in sampled else 1 for name in benchmarks}  # of support vector machines
    machines = sum(len(benchmark.targets) * seeds[name] for name, benchmark in benchmarks.items())
    assert sampled == ["hiv", "muv", "qm8", "qm9"]
    assert jobs["baseline"] == targets * 3 + 2 * machines and jobs["frozen"] == 4 * machines
    assert jobs["pretrain"] == 2
    assert (jobs["embed_benchmark"], jobs["maps"]) == (13 * 2, 2), "a benchmark is embedded once, not for each target"
    assert jobs["featurize_shard"] == 10 and jobs["join"] == 1


def test_the_studies_with_released_weights_are_planned(finished):
    """Each command of the docs: from the authors' checkpoint, in a folder of results of its own, without a corpus."""
    text = (REPOSITORY / "docs/fidelity.md").read_text().replace("\\\n", "")
    commands = re.findall(r"^snakemake all (--configfile config/official-gcn.yaml.*)$", text, re.MULTILINE)
    folders = {path.parent.name for path in (REPOSITORY / "results/published").glob("*/predictions.csv.gz")}
    for options in map(shlex.split, commands):
        output = snakemake(finished, "--dry-run", "all", *options)
        jobs = jobs_of(output)
        assert jobs["fetch_checkpoint"] == jobs["import_official"] == 1
        assert jobs["finetune"] > 0 and jobs["maps"] == 1 and not {"pretrain", "embed"} & jobs.keys()
        folders.remove(re.search(r"^    output: results/(\S+)/tables/predictions.csv.gz", output, re.MULTILINE)[1])
    assert not folders


def test_a_table_of_any_number_of_runs_is_one_command(finished):
    """A command may be 128 KiB long, less than the names of these thousands of files."""
    options = ["--configfile", "config/paper.yaml", "--config", f"seeds={list(range(5))}", "seeds_of={bbbp: [7]}"]
    table = "results/paper/tables/predictions.csv.gz"
    output = snakemake(finished, "--dry-run", "--printshellcmds", table, *options)
    command = re.search(r"molclr predictions (.*) --output", output)[1]
    files = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    ).stdout.split()
    targets = sum(len(benchmark.targets) for benchmark in load_catalogue().benchmarks.values())
    sampled = sum(len(load_catalogue().benchmarks[name].targets) for name in ("hiv", "muv", "qm8", "qm9"))
    machines = sampled * 5 + targets - sampled  # runs of each of the six support vector machines
    assert len(set(files)) == len(files) == ((targets - 1) * 5 + 1) * 5 + machines * 6
    assert len(files) > 2000
    assert "results/paper/runs/bbbp/RF/seed-7/metrics.json" in files and len(command) < 10_000


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pretrain={temprature: 0.5}", "config/test.yaml and --config: unknown key 'pretrain.temprature'"),
        (
            "benchmarks=[bbpb]",
            "config/test.yaml and --config: 'benchmarks': unknown benchmark 'bbpb'; choose one of bbbp",
        ),
        (
            "finetune={standardize: [qm77]}",
            "config/test.yaml and --config: 'finetune.standardize': unknown benchmark 'qm77'",
        ),
        ("seeds_of={bbb: [0]}", "config/test.yaml and --config: 'seeds_of': unknown benchmark 'bbb'"),
    ],
)
def test_a_mistake_in_the_configuration_names_the_key(finished, option, message):
    assert message in snakemake(finished, "--dry-run", "all", "--config", option, fails=True)


def test_no_output_of_a_run_is_committed():
    """Snakemake would take it for made in a fresh clone."""
    files = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = ("data/", "results/", "logs/")
    assert [name for name in files if name.startswith(folders) and not name.startswith("results/published/")] == []
