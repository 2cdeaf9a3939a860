"""The workflow through a real SLURM: profiles/slurm on a cluster of one node, at a path with a space."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import slurm
from workflow_runs import finish

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.network,
    pytest.mark.skipif(bool(slurm.missing()), reason=f"no SLURM here (slurm-wlm, munge): {', '.join(slurm.missing())}"),
]
RUN = "results/runs/freesolv/MolCLR_GIN/seed-0/metrics.json"
GRAPHS = "data/graphs/freesolv-120.safetensors"
PROFILE = ["--workflow-profile", "profiles/slurm", "--default-resources", "slurm_partition=main"]
# No data base that remembers jobs. After every look that finds nothing new Snakemake waits 10 s longer: the first is late enough.
STATES = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "10"]
CONFIGURATION = ["--configfile", "config/test.yaml", "--config", "run={pretrain_gpus: 1}"]


def snakemake(folder, environment, *targets):
    """Have SLURM make files of `folder`; return the exit code of Snakemake and what it prints."""
    options = [*targets, "--keep-going", *PROFILE, *STATES, *CONFIGURATION]
    return finish(folder, "snakemake", *options, env=environment)


def accepted(environment):
    """What SLURM has of every job: the rule and wildcards that its comment names, and its record."""
    records = subprocess.run(["scontrol", "show", "job"], env=environment, capture_output=True, text=True).stdout
    return [(re.search(r"Comment=(\S+)", record)[1], record) for record in records.strip().split("\n\n")]


@pytest.fixture(scope="module")
def submitted(finished, tmp_path_factory):
    """A copy in which SLURM made everything, from raw tables on, and then failed on a run; the job records; the output.

    What does not depend on the encoder is there for one of the benchmarks: every rule runs, but not for everything.
    """
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("on slurm") / "copy")
    for name in (
        "results/pretrain",
        "results/embeddings",
        "results/runs/freesolv",
        "results/tables",
        "results/figures",
        "results/maps",
    ):
        shutil.rmtree(folder / name)
    for name in ("molecules", "splits", "graphs"):
        for path in (folder / "data" / name).iterdir():
            if not path.name.startswith("bbbp"):
                path.unlink()
    with slurm.cluster() as environment:
        made = snakemake(folder, environment, "all")
        graphs = (folder / GRAPHS).read_bytes()
        (folder / GRAPHS).write_bytes(b"no graphs")
        failed = snakemake(folder, environment, RUN)
        (folder / GRAPHS).write_bytes(graphs)
        return folder, accepted(environment), made, failed


def test_it_makes_what_one_machine_makes(submitted, finished):
    folder, _, (code, output), _ = submitted
    assert code == 0, output
    made = [path for place in ("data", "results") for path in finished.glob(f"{place}/**/*") if path.is_file()]
    # Neither images nor the run that failed later.
    names = {path.relative_to(finished) for path in made if path.suffix not in (".png", ".svg")}
    names -= {name for name in names if name.is_relative_to("results/published") or name.parent == Path(RUN).parent}
    names.remove(Path("results/report.html"))  # It has times and the date.
    assert len(names) > 60
    for name in names:
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def test_every_job_but_the_smallest_is_one_of_slurm(submitted):
    """A molecule table's steps are one, seeds are one each; what takes a second is done where Snakemake runs."""
    _, jobs, _, _ = submitted
    states = Counter((name, re.search(r"JobState=(\w+)", record)[1]) for name, record in jobs)
    completed = [
        "rule_molecules_canonicalize_featurize",
        "rule_molecules_canonicalize_featurize_split",
        "rule_pretrain_wildcards_gin",
        *(
            f"rule_finetune_wildcards_{run}_MolCLR_GIN_{seed}"
            for run, seed in (("bbbp", 0), ("bbbp", 1), ("freesolv", 0))
        ),
        "rule_finetune_wildcards_freesolv_GCN_0",
        "rule_baseline_wildcards_freesolv_RF_0",
        *(f"rule_frozen_wildcards_{benchmark}_SVM_MolCLR_GIN_ECFP_0" for benchmark in ("bbbp", "freesolv")),
        "rule_embed_wildcards_gin",
        *(f"rule_embed_benchmark_wildcards_gin_{benchmark}" for benchmark in ("bbbp", "freesolv")),
        "rule_maps_wildcards_gin",
        "rule_figure_tsne_wildcards_gin",
        "rule_audit",
        "rule_leakage",
        "rule_predictions",
        "rule_report",
    ]
    expected = Counter((name, "COMPLETED") for name in completed)
    assert states == expected + Counter([("rule_finetune_wildcards_freesolv_MolCLR_GIN_0", "FAILED")])


def test_a_job_asks_for_its_gpu_time_and_memory(submitted):
    _, jobs, _, _ = submitted
    assert [name for name, record in jobs if "gres:gpu:1" in record] == ["rule_pretrain_wildcards_gin"]
    record = dict(jobs)["rule_pretrain_wildcards_gin"]
    assert "TimeLimit=7-00:00:00" in record and "MinMemoryNode=4000M" in record and "Requeue=1" in record


def test_an_error_on_a_node_is_shown_where_snakemake_runs(submitted):
    _, _, _, (code, output) = submitted
    assert code != 0
    assert f"molclr: error: '{GRAPHS}'" in output
