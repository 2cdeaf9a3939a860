"""The sentence on another run with the same configuration."""

import pandas as pd
import pytest
import yaml
from paths import REPOSITORY

from molclr.config import Config
from molclr.evaluation.reference import PUBLISHED, compared_with_published, configuration_of_scores

HERE = [
    ("BBBP", "SVM", "ROC-AUC", 71.5, 0.0),
    ("BBBP", "GIN", "ROC-AUC", 66.1, 4.1),
    ("ESOL", "GIN", "RMSE", 1.2, None),
]
THERE = [
    ("BBBP", "SVM", "ROC-AUC", 71.5, 0.0),
    ("BBBP", "GIN", "ROC-AUC", 70.4, 1.5),
    ("ESOL", "GIN", "RMSE", 1.1, None),
]


@pytest.fixture
def folders(tmp_path):
    """Two folders with tables, each with a configuration."""

    def write(configuration, other, rows=HERE):
        for name, values, found in (("here", configuration, rows), ("there", other, THERE)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "configuration.yaml").write_text(yaml.safe_dump(values))
            table = pd.DataFrame(found, columns=["benchmark", "model", "metric", "mean", "std"])
            for task, metric in (("classification", "ROC-AUC"), ("regression", "RMSE")):
                table[table["metric"] == metric].to_csv(tmp_path / name / f"{task}.csv", index=False)
        return tmp_path / "here", tmp_path / "there"

    return write


SAME = {"benchmarks": ["bbbp", "esol"], "models": ["SVM", "GIN"]}


def test_the_same_configuration_tells_the_largest_differences(folders):
    said = compared_with_published(*folders(SAME, SAME | {"seeds": [0, 1, 2], "results": "results/other"}))
    assert said.startswith("2 of 3 means differ from those of ")
    assert "4.3 in ROC-AUC, GIN on BBBP, 66.1 ± 4.1 here, 70.4 ± 1.5 there; 0.1 in RMSE, GIN on ESOL, 1.2 here" in said


def test_a_run_with_more_models_is_compared_in_those_of_both(folders):
    more = SAME | {"models": ["SVM", "GIN", "GCN"]}
    said = compared_with_published(*folders(more, SAME, [*HERE, ("ESOL", "GCN", "RMSE", 1.3, 0.1)]))
    assert said.startswith("2 of 3 means differ from those of ")


def test_the_default_run_can_be_compared_with_the_published_one():
    published = configuration_of_scores(REPOSITORY / PUBLISHED / "configuration.yaml")
    assert published and configuration_of_scores(REPOSITORY / "params.yaml") == published


def test_equal_means_are_called_that(folders):
    assert compared_with_published(*folders(SAME, SAME, THERE)).startswith("All 3 means equal those of ")


@pytest.mark.parametrize("other", [SAME | {"seeds": [0]}, SAME | {"finetune": {"epochs": 9}}, {"unknown": 1}, []])
def test_nothing_is_said_of_another_configuration(folders, other):
    assert compared_with_published(*folders(SAME, other)) == ""


def test_nothing_is_said_without_a_published_run(folders, tmp_path):
    here, _ = folders(SAME, SAME)
    assert compared_with_published(here, tmp_path / "none") == ""


def test_the_configuration_of_the_published_run_is_that_of_the_lock():
    values = yaml.safe_load((REPOSITORY / "results/published/default/configuration.yaml").read_text())
    stages = yaml.safe_load((REPOSITORY / "dvc.lock").read_text())["stages"]
    locked = {
        key: value for stage in stages.values() for key, value in stage.get("params", {}).get("params.yaml", {}).items()
    }
    whole = {key: value for key, value in locked.items() if "." not in key}
    assert Config(**values).decisive() == Config(**whole).decisive()
