"""The page of a model that 'molclr train' made."""

import json

import pytest

from molclr.evaluation import statistics
from molclr.evaluation.report.model import write_model_page
from molclr.files import write_rows

LABELS = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
ERRORS = {"svm": 0.1, "rf": 0.11, "network": 3.0}
SMILES = ["C", "CC", "CCC", "CCCC", "CCCCC", "CCCCCC", "CCCCCCC", "CCCCCCCC"]


@pytest.fixture
def text(tmp_path, monkeypatch):
    """The page of a folder whose best model is svm, from which rf does not differ."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    rows, models = [], {}
    for model, error in ERRORS.items():
        score = {"rmse": {"value": error, "interval": [error / 2, 2 * error]}}
        models[model] = {"validation": score, "test": score}
        for place, label in enumerate(LABELS):
            missed = error if place % 2 == (model == "rf") else error / 2
            known = {"row": place, "subset": "test", "target": "logS", "label": label, "model": model}
            rows.append(known | {"mean": label + missed, "std": ""})
    write_rows(tmp_path / "predictions.csv", rows)
    (tmp_path / "rejected.csv").write_text("row,smiles,reason\n9,not a molecule,RDKit cannot parse it\n")
    write_rows(tmp_path / "network-0.history.csv", [{"epoch": 1, "train_loss": 2.0, "validation": 3.0}])
    metrics = {"metric": "rmse", "chosen": "svm", "confidence": 0.95, "models": models}
    sizes = {"train": 80, "valid": 8, "test": 8}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics | {"molecules": sizes}))
    about = {"table": "mine.csv", "split": "scaffold", "encoder": "molclr-gin", "networks": 1}
    (tmp_path / "model.json").write_text(json.dumps(about | {"settings": {"epochs": 7}, "baselines": {}}))
    write_model_page(tmp_path, dict(enumerate(SMILES)))
    return (tmp_path / "report.html").read_text()


def test_it_says_which_model_was_chosen_and_what_cannot_be_distinguished(text):
    assert "best validation score, svm, has a test RMSE of 0.1 (0.05 to 0.2)." in text
    assert "The test molecules do not distinguish it from rf." in text
    assert text.count('<tr class="best">') == 1 and "<td>epochs</td><td" in text
    assert "RDKit cannot parse it" in text and "Largest errors of svm" in text
