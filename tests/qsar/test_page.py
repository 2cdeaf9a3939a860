"""The page of a model that 'molclr train' made."""

import json
import re

import numpy as np
import pytest

from molclr.evaluation import statistics
from molclr.evaluation.statistics import Difference
from molclr.files import write_rows
from molclr.qsar.page import headline, write_model_page

LABELS = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
ERRORS = {"svm": 0.1, "rf": 0.11, "network": 3.0}
SMILES = ["C", "CC", "CCC", "CCCC", "CCCCC", "CCCCCC", "CCCCCCC", "CCCCCCCC"]


def scored(value, interval=None):
    return {"rmse": {"value": value, "interval": interval or [None, None], "undefined": {}}}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Write the page of a folder whose best model is svm, from which rf does not differ; return its text.

    scales: target -> unit of its labels and errors, by which its scores are divided. more: further entries of metrics.json.
    """
    monkeypatch.setattr(statistics, "RESAMPLES", 200)

    def write(scales, **more):
        rows, models = [], {}
        for model, error in ERRORS.items():
            models[model] = {"validation": scored(error), "test": scored(error, [error / 2, 2 * error])}
            for target, scale in scales.items():
                for place, label in enumerate(LABELS):
                    missed = error if place % 2 == (model == "rf") else error / 2
                    known = {"row": place, "subset": "test", "target": target, "label": scale * label, "model": model}
                    rows.append(known | {"mean": scale * (label + missed), "std": ""})
        write_rows(tmp_path / "predictions.csv", rows)
        (tmp_path / "rejected.csv").write_text("row,smiles,reason\n9,not a molecule,RDKit cannot parse it\n")
        write_rows(tmp_path / "network-0.history.csv", [{"epoch": 1, "train_loss": 2.0, "validation": 3.0}])
        metrics = {"metric": "rmse", "chosen": "svm", "confidence": 0.95, "models": models, "scale": scales}
        metrics |= {"molecules": {"train": 80, "valid": 8, "test": 8}, "test_labels": dict.fromkeys(scales, 8)}
        metrics |= {"test_labels_of_rarer_class": None, "mean_over_targets_in": "units" if len(scales) > 1 else None}
        metrics |= {"molecules_in_several_subsets": 0, "molecules_with_conflicting_labels": 2}
        (tmp_path / "metrics.json").write_text(json.dumps(metrics | more))
        about = {"table": "mine.csv", "split": "scaffold", "encoder": "molclr-gin", "networks": 1}
        (tmp_path / "model.json").write_text(json.dumps(about | {"settings": {"epochs": 7}, "baselines": {}}))
        write_model_page(tmp_path, dict(enumerate(SMILES)))
        return " ".join((tmp_path / "report.html").read_text().split())

    return write


def gap_of(text, model):
    """The difference of a model to the chosen one, as it is shown and as it is sorted."""
    row = text.split(f'<th scope="row" class="score">{model}</th>')[1].split("</tr>")[0]
    value, shown = re.findall(r'<td class="number" data-value="([^"]*)">([^<]*)</td>', row)[-1]
    return float(value), shown


def test_it_says_which_model_was_chosen_and_how_the_others_differ(page):
    text = page({"logS": 1.0})
    assert "best validation score, svm, has a test RMSE of 0.1 (0.05 to 0.2)." in text
    assert "it is significantly better than network. The test molecules do not distinguish it from rf." in text
    assert text.count('<tr class="best">') == 1 and "<td>epochs</td><td" in text
    assert "RDKit cannot parse it" in text and "Largest errors of svm" in text
    assert "Test labels in 90 % intervals" in text and "Intervals have a level of 95 % and cover the choice of" in text
    assert "fewer than 10 test labels of &#39;logS&#39; (8)" in text and "refit" not in text
    assert "mean over the targets" not in text and "several subsets" not in text
    assert "Caution: 2 molecules are in several rows with conflicting labels of a target." in text


def test_differences_of_several_targets_are_in_the_unit_of_the_scores(page):
    """Scores are means over targets after division by the scale of each, in which these targets have the same errors."""
    value, shown = gap_of(page({"logS": 1.0}), "network")
    assert value > 2 and shown.startswith(f"+{value:.3f} (")
    text = page({"z": 1000.0, "a": 0.01})
    assert gap_of(text, "network")[0] == pytest.approx(value)
    assert "RMSE (units), lower is better, mean over the targets." in text


def test_the_p_values_are_adjusted_for_the_number_of_models(page, monkeypatch):
    """Two comparisons: the smaller p-value counts twice."""
    monkeypatch.setattr(
        "molclr.qsar.page.difference", lambda *_: Difference(-1.0, -2.0, -0.1, 0.04, "better")
    )  # as if the interval were all that counts
    text = page({"logS": 1.0})
    assert gap_of(text, "rf")[1].endswith("p = 0.08") and "do not distinguish it from rf and network." in text
    assert "significantly better" not in text.split("</section>")[0]


def test_after_a_refit_it_says_that_scores_are_those_of_before(page):
    refit = {"molecules": 96, "out_of_fold": scored(0.2, [0.15, 0.25])}
    text = page({"logS": 1.0}, refit=refit)
    assert (
        "The model in this folder is svm, fitted again to all 96 molecules. Its RMSE out of fold is 0.2 (0.15 to 0.25). It is "
        "optimistic, because the penalty and the model were chosen on some of the molecules that it scores." in text
    )
    assert "The scores, predictions and intervals on this page are those before the refit." in text


def test_what_the_molecules_do_not_show_is_not_said():
    """A model without a validation score is not the best; undefined scores are neither better nor worse."""
    nothing = {"validation": scored(None), "test": scored(None)}
    metrics = {"metric": "rmse", "chosen": "rf", "models": {"rf": nothing, "svm": nothing, "network": nothing}}
    unknown = dict.fromkeys(("svm", "network"), statistics.UNKNOWN)
    for gaps in (unknown, {}):
        assert headline(metrics, gaps) == (
            "The validation molecules give no score to choose a model by. The first model, rf, has no test RMSE. "
            "The test molecules do not allow a comparison with svm and network."
        )
    alone = {**metrics, "models": {"rf": {"validation": scored(1.0), "test": scored(2.0)}}}
    assert headline(alone, {}) == "The model, rf, which was selected with --model, has a test RMSE of 2."
    worse = dict.fromkeys(("svm", "network"), Difference(1.0, 0.5, 1.5, 0.01, "worse"))
    best = {**metrics, "models": {name: {"validation": scored(1.0), "test": scored(2.0)} for name in metrics["models"]}}
    assert headline(best, worse).endswith("On the test molecules, it is significantly better than all others.")
    better = {"svm": Difference(-1.0, -1.5, -0.5, 0.01, "better"), "network": statistics.UNKNOWN}
    assert "On the test molecules, svm is significantly better. " in headline(best, better)
    assert np.isnan(better["network"].value) and headline(best, better).endswith("a comparison with network.")
