"""The workflow through a real SLURM: profiles/slurm on a cluster of one node, at a path with a space."""

import re
import shutil
import subprocess
import sys

import pytest
import slurm

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.network,
    pytest.mark.skipif(bool(slurm.missing()), reason=f"no SLURM here (slurm-wlm, munge): {', '.join(slurm.missing())}"),
]
TABLE = "results/tables/classification.csv"
ENCODER = "results/pretrain/gin/encoder.safetensors"
RUN = "results/runs/{}/MolCLR_GIN/seed-{}/{}"
GRAPHS = "data/graphs/freesolv-120.safetensors"
PROFILE = ["--workflow-profile", "profiles/slurm", "--default-resources", "slurm_partition=main"]
# No data base that remembers jobs. After every look that finds nothing new Snakemake waits 10 s longer: the first is late enough.
STATES = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "20"]
CONFIGURATION = ["--configfile", "config/test.yaml", "--config", "models=[MolCLR_GIN]", "pretrain={gpus: 1}"]


def snakemake(folder, environment, *targets):
    """Have SLURM make files of `folder`; return the exit code of Snakemake and what it prints."""
    command = [sys.executable, "-m", "snakemake", *targets, "--keep-going", *PROFILE, *STATES, *CONFIGURATION]
    result = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return result.returncode, result.stdout


def accepted(environment):
    """What SLURM has of every job: its comment, which names the rule, and the rest of its record."""
    records = subprocess.run(["scontrol", "show", "job"], env=environment, capture_output=True, text=True).stdout
    return {re.search(r"Comment=(\S+)", record)[1]: record for record in records.strip().split("\n\n")}


@pytest.fixture(scope="module")
def submitted(finished, tmp_path_factory):
    """A copy in which SLURM made a table anew, from raw SMILES on, and could not make a run; its records; what was printed."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("on slurm") / "copy")
    shutil.rmtree(folder / "results")
    (folder / "data/molecules/bbbp-120.parquet").unlink()
    (folder / GRAPHS).write_bytes(b"no graphs")
    with slurm.cluster() as environment:
        printed = snakemake(folder, environment, TABLE, RUN.format("freesolv", 0, "metrics.json"))
        return folder, accepted(environment), printed


def test_it_makes_what_one_machine_makes(submitted, finished):
    folder, _, (_, output) = submitted
    assert (folder / TABLE).exists(), output
    for name in (ENCODER, RUN.format("bbbp", 1, "predictions.csv")):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def test_every_job_but_the_smallest_is_one_of_slurm(submitted):
    """A molecule table's steps are one, seeds are one each; what takes a second is done where Snakemake runs."""
    _, jobs, _ = submitted
    assert {name: re.search(r"JobState=(\w+)", record)[1] for name, record in jobs.items()} == {
        "rule_molecules_canonicalize_featurize_split": "COMPLETED",
        "rule_pretrain_wildcards_gin": "COMPLETED",
        "rule_finetune_wildcards_bbbp_MolCLR_GIN_0": "COMPLETED",
        "rule_finetune_wildcards_bbbp_MolCLR_GIN_1": "COMPLETED",
        "rule_finetune_wildcards_freesolv_MolCLR_GIN_0": "FAILED",
    }


def test_a_job_asks_for_its_gpu_time_and_memory(submitted):
    _, jobs, _ = submitted
    assert [name for name, record in jobs.items() if "gres:gpu:1" in record] == ["rule_pretrain_wildcards_gin"]
    record = jobs["rule_pretrain_wildcards_gin"]
    assert "TimeLimit=7-00:00:00" in record and "MinMemoryNode=4000M" in record and "Requeue=1" in record


def test_an_error_on_a_node_is_shown_where_snakemake_runs(submitted):
    _, _, (code, output) = submitted
    assert code != 0
    assert f"molclr: error: '{GRAPHS}'" in output
