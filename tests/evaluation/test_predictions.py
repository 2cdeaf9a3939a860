"""The table of all predictions."""

import gzip

import numpy as np
import pytest

from molclr.errors import MolclrError
from molclr.evaluation.predictions import gather_predictions
from molclr.evaluation.runs import Run, write_run


@pytest.fixture
def metrics(tmp_path):
    files = []
    for seed in (0, 1):
        folder = tmp_path / f"seed-{seed}"
        run = Run("bbbp", "RF", seed, "classification", "roc_auc", ("p_np",))
        write_run(folder, run, np.array([4, 9]), np.array([[1.0], [np.nan]]), np.array([[0.1 + seed], [1 / 3]]))
        files.append(folder / "metrics.json")
    return files


@pytest.mark.parametrize("content", ["row,smiles,p_np,reason\n0,C,0.5,\n", ""])
def test_other_predictions_are_not_those_of_a_run(metrics, tmp_path, content):
    metrics[1].with_name("predictions.csv").write_text(content)
    with pytest.raises(MolclrError, match=r"seed-1/predictions\.csv' does not contain the predictions of a run"):
        gather_predictions(metrics, tmp_path / "all.csv.gz")


def test_every_line_of_every_run(metrics, tmp_path):
    gather_predictions(metrics, tmp_path / "all.csv.gz")
    assert gzip.decompress((tmp_path / "all.csv.gz").read_bytes()).decode().splitlines() == [
        "benchmark,model,seed,row,target,label,prediction",
        "bbbp,RF,0,4,p_np,1,0.100000001",
        "bbbp,RF,0,9,p_np,,0.333333343",
        "bbbp,RF,1,4,p_np,1,1.10000002",
        "bbbp,RF,1,9,p_np,,0.333333343",
    ]


def test_the_bytes_do_not_depend_on_time_and_place(metrics, tmp_path):
    for name in ("one.csv.gz", "two.csv.gz"):
        gather_predictions(metrics, tmp_path / name)
    first = (tmp_path / "one.csv.gz").read_bytes()
    assert first == (tmp_path / "two.csv.gz").read_bytes()
    assert first[3] == 0 and first[4:8] == bytes(4), "neither a name nor a time"


def test_no_runs_make_a_header(tmp_path):
    gather_predictions([], tmp_path / "all.csv.gz")
    assert gzip.decompress((tmp_path / "all.csv.gz").read_bytes()).decode().count("\n") == 1


def test_a_missing_file_is_named(metrics, tmp_path):
    metrics[1].with_name("predictions.csv").unlink()
    with pytest.raises(MolclrError, match=r"seed-1/predictions\.csv"):
        gather_predictions(metrics, tmp_path / "all.csv.gz")
    assert not (tmp_path / "all.csv.gz").exists()
