"""The workflow through a real SLURM: profiles/slurm on a cluster of one node, at a path with a space."""

import json
import re
import subprocess
import sys

import pytest
import slurm
from paths import copy_repository

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.network,
    pytest.mark.skipif(bool(slurm.missing()), reason=f"no SLURM here (slurm-wlm, munge): {', '.join(slurm.missing())}"),
]
TABLE = "results/tables/classification.csv"
RUN = "results/runs/bbbp/MolCLR_GIN/seed-{}/metrics.json"
# Without the overlap of a real cluster's long jobs: ask for their states at once, and no database of finished ones.
IMPATIENT = ["--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"]
WITHOUT_ACCOUNTING = ["--slurm-status-command", "squeue"]
CONFIGURATION = ["--configfile", "config/test.yaml", "--config", "models=[MolCLR_GIN]", "pretrain={gpus: 1}"]


def snakemake(folder, *arguments, environment=None):
    """Run Snakemake in `folder`; return its exit code and what it prints."""
    command = [sys.executable, "-m", "snakemake", *arguments, *CONFIGURATION]
    result = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return result.returncode, result.stdout


def accepted(environment):
    """What SLURM has of every job: its comment, which names the rule, and the rest of its record."""
    records = subprocess.run(["scontrol", "show", "job"], env=environment, capture_output=True, text=True).stdout
    return {re.search(r"Comment=(\S+)", record)[1]: record for record in records.strip().split("\n\n")}


@pytest.fixture(scope="module")
def submitted(tmp_path_factory):
    """A copy in which SLURM made a table, and did not make another; what was printed, and SLURM's records."""
    folder = copy_repository(tmp_path_factory.mktemp("on slurm"))
    profile = ["--workflow-profile", "profiles/slurm", *IMPATIENT, *WITHOUT_ACCOUNTING]
    with slurm.cluster() as environment:
        made = snakemake(folder, TABLE, *profile, environment=environment)
        jobs = accepted(environment)
        encoder = folder / "results/pretrain/gin/encoder.safetensors"
        content = encoder.read_bytes()
        encoder.write_bytes(b"not an encoder")
        broken = snakemake(folder, RUN.format(0), *profile, environment=environment)
        encoder.write_bytes(content)
    return folder, made, jobs, broken


def test_it_makes_what_a_single_machine_makes(submitted, tmp_path_factory):
    folder, (code, output), _, _ = submitted
    assert code == 0, output
    assert (folder / TABLE).stat().st_size > 0


def test_every_job_but_the_smallest_is_one_of_slurm(submitted):
    """Seeds are jobs of their own; the table of a handful of numbers is made where Snakemake runs."""
    _, _, jobs, _ = submitted
    expected = {
        "rule_molecules_canonicalize_featurize",
        "rule_molecules_canonicalize_featurize_split",
        "rule_pretrain_wildcards_gin",
        *(f"rule_finetune_wildcards_bbbp_MolCLR_GIN_{seed}" for seed in (0, 1)),
    }
    assert set(jobs) == expected
    assert all("JobState=COMPLETED" in record for record in jobs.values())


def test_a_job_asks_for_its_gpu_time_and_memory(submitted):
    _, _, jobs, _ = submitted
    assert [name for name, record in jobs.items() if "gres:gpu:1" in record] == ["rule_pretrain_wildcards_gin"]
    record = jobs["rule_pretrain_wildcards_gin"]
    assert "TimeLimit=7-00:00:00" in record and "MinMemoryNode=4000M" in record and "Requeue=1" in record


def test_an_error_on_a_node_is_shown_where_snakemake_runs(submitted):
    _, _, _, (code, output) = submitted
    assert code != 0
    assert "encoder.safetensors" in output and "molclr: error" in output
