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
RUN = "results/runs/bbbp/MolCLR_GIN/seed-{}/{}"
PROFILE = ["--workflow-profile", "profiles/slurm", "--default-resources", "slurm_partition=main"]
# Short jobs, and no data base that remembers them.
STATES = ["--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"]
STATES += ["--slurm-status-command", "squeue"]
CONFIGURATION = ["--configfile", "config/test.yaml", "--config", "models=[MolCLR_GIN]", "pretrain={gpus: 1}"]


def snakemake(folder, target, environment):
    """Have SLURM make a file of `folder`; return the exit code of Snakemake and what it prints."""
    command = [sys.executable, "-m", "snakemake", target, *PROFILE, *STATES, *CONFIGURATION]
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
    """A copy in which SLURM made a table anew, from raw SMILES on; its records; what was said of a job that failed."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("on slurm") / "copy")
    shutil.rmtree(folder / "results")
    (folder / "data/molecules/bbbp-120.parquet").unlink()
    with slurm.cluster() as environment:
        code, output = snakemake(folder, TABLE, environment)
        assert code == 0, output
        jobs = accepted(environment)
        encoder = (folder / ENCODER).read_bytes()
        (folder / ENCODER).write_bytes(b"not an encoder")
        failure = snakemake(folder, RUN.format(0, "metrics.json"), environment)
        (folder / ENCODER).write_bytes(encoder)
    return folder, jobs, failure


def test_it_makes_what_one_machine_makes(submitted, finished):
    folder, _, _ = submitted
    assert (folder / TABLE).exists()
    for name in (ENCODER, RUN.format(1, "predictions.csv")):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def test_every_job_but_the_smallest_is_one_of_slurm(submitted):
    """A molecule table's steps are one, seeds are one each; what takes a second is done where Snakemake runs."""
    _, jobs, _ = submitted
    expected = {
        "rule_molecules_canonicalize_featurize_split",
        "rule_pretrain_wildcards_gin",
        *(f"rule_finetune_wildcards_bbbp_MolCLR_GIN_{seed}" for seed in (0, 1)),
    }
    assert set(jobs) == expected
    assert all("JobState=COMPLETED" in record for record in jobs.values())


def test_a_job_asks_for_its_gpu_time_and_memory(submitted):
    _, jobs, _ = submitted
    assert [name for name, record in jobs.items() if "gres:gpu:1" in record] == ["rule_pretrain_wildcards_gin"]
    record = jobs["rule_pretrain_wildcards_gin"]
    assert "TimeLimit=7-00:00:00" in record and "MinMemoryNode=4000M" in record and "Requeue=1" in record


def test_an_error_on_a_node_is_shown_where_snakemake_runs(submitted):
    _, _, (code, output) = submitted
    assert code != 0
    assert "encoder.safetensors" in output and "molclr: error" in output
