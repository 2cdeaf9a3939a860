"""An encoder of one's own in the workflow: which commands its jobs run."""

import re

import pytest
from paths import REPOSITORY
from workflow_runs import run

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def commands():
    settings = ["encoder={name: 'tests.own_encoder:GAT', layers: 2}", "models=[MolCLR_GAT, GAT, MolCLR_GIN]"]
    options = ["--configfile", "config/test.yaml", "--config", *settings, "results=results/own"]
    output = run(
        REPOSITORY, "snakemake", "--dry-run", "--forceall", "--printshellcmds", "--cores", "1", "all", *options
    )
    return re.findall(r"(molclr [a-z-]+ .*)$", output, re.MULTILINE)


def test_it_is_pretrained_as_its_class_in_a_folder_of_its_name(commands):
    pretrain = [command for command in commands if command.startswith("molclr pretrain")]
    assert sorted(re.search(r"--encoder (\S+)", command)[1] for command in pretrain) == ["gin", "tests.own_encoder:GAT"]
    assert any("results/own/pretrain/gat/encoder.safetensors" in command for command in pretrain)


def test_only_its_own_jobs_name_the_class(commands):
    """A file with such an encoder is not read without."""
    read = [command for command in commands if "encoder.safetensors" in command and "molclr pretrain" not in command]
    assert {command.split()[1] for command in read} == {"finetune", "embed-store"}
    for command in read:
        assert ("--encoder-class tests.own_encoder:GAT" in command) == ("pretrain/gat/" in command), command
    new = [command for command in commands if "--model GAT " in command]
    assert new and all("--from-scratch tests.own_encoder:GAT" in command for command in new)


def test_it_has_rows_in_the_tables_and_figures(commands):
    titles = re.findall(r"molclr figure (?:tsne|retrieval) \S*/(\w+)\.parquet --name (\w+)", "\n".join(commands))
    assert sorted(titles) == [("gat", "GAT")] * 2 + [("gin", "GIN")] * 2
    assert any("--names MolCLR_GAT MolCLR_GIN" in command for command in commands), "curves of pre-training"
    assert any("MolCLR_GAT" in command for command in commands if "molclr table" in command)
