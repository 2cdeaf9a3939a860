"""The part of a page about a benchmark: units, the ranking of errors, colours."""

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, DRIVER, chromium, open_page

from molclr.evaluation.metrics import METRICS
from molclr.evaluation.report.benchmark import LARGEST_ERRORS, errors_order, largest_errors
from molclr.evaluation.report.charts import colour_of, line_of, marker_of
from molclr.evaluation.report.predictions import error_distribution, predicted_and_measured
from molclr.evaluation.report.render import write_page
from molclr.evaluation.report.results import BenchmarkResults
from molclr.evaluation.report.structures import Structures

UNITS = {"melting": "K", "pic50": ""}
MOLECULES = 20


def results_of(metric="rmse"):
    """Predictions of one model for two targets: large numbers with small relative errors, and the other way round."""
    generator, rows = np.random.default_rng(0), np.arange(MOLECULES)
    tables = []
    for target, scale, error in (("melting", 100.0, 0.1), ("pic50", 1.0, 2.0)):
        labels = scale * generator.normal(size=MOLECULES)
        guesses = labels + scale * error * (1 + generator.uniform(size=MOLECULES))
        known = {"model": "GIN", "seed": 0, "target": target}
        tables.append(pd.DataFrame({"row": rows, "label": labels, "prediction": guesses}).assign(**known))
    table = pd.DataFrame({"model": ["GIN"], "mean": 1.0, "best": "best", "baseline": ""})
    smiles = {row: "C" * (1 + row) for row in range(MOLECULES)}
    return BenchmarkResults(
        "own", "Own", METRICS[metric], "mixed units", table, pd.concat(tables), pd.DataFrame(), smiles, UNITS
    )


def test_axes_have_the_unit_of_the_target_and_not_that_of_the_score():
    scatter = predicted_and_measured(results_of(), Structures())
    assert scatter.choices["Target"] == ["melting", "pic50"]
    layout = scatter.figure.layout
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("measured (K)", "predicted (K)")
    assert layout.meta["titles"]["pic50"] == {"xaxis.title.text": "measured", "yaxis.title.text": "predicted"}
    errors = error_distribution(results_of("r2")).figure.layout
    assert (errors.xaxis.title.text, errors.yaxis.title.text) == ("absolute error (K)", "fraction of molecules")


def test_errors_of_several_targets_are_ranked_by_their_standard_deviations():
    results = results_of()
    assert "standard deviation of the target's labels" in errors_order(results)
    found = largest_errors(results, Structures())
    assert len(found) == LARGEST_ERRORS and all(one.lines[-1].startswith("pic50, row ") for one in found)
    own = results.means.query("target == 'pic50'")
    row = int(found[0].lines[-1].split()[-1])
    worst = own[own["row"] == row].iloc[0]
    scaled = abs(worst["mean"] - worst["label"]) / own["label"].std(ddof=0)
    assert found[0].lines[2] == f"error {scaled:.2g} standard deviations"
    assert scaled == pytest.approx(((own["mean"] - own["label"]).abs() / own["label"].std(ddof=0)).max())


def test_errors_of_one_target_are_ranked_by_their_size_and_have_their_unit():
    results = results_of()
    one = results.predictions.query("target == 'melting'")
    results = BenchmarkResults(
        "own", "Own", METRICS["rmse"], "K", results.table, one, pd.DataFrame(), results.smiles, UNITS
    )
    assert errors_order(results) == ""
    found = largest_errors(results, Structures())
    assert found[0].lines[0].endswith(" K") and found[0].lines[1].endswith(" K") and len(found[0].lines) == 3
    errors = (one["prediction"] - one["label"]).abs()
    assert found[0].lines[2] == f"row {one['row'][errors.idxmax()]}"


def test_targets_with_equal_labels_come_last():
    results = results_of()
    results.predictions.loc[results.predictions["target"] == "pic50", "label"] = 5.0
    assert all(one.lines[-1].startswith("melting") for one in largest_errors(results, Structures()))


def test_models_differ_in_colour_or_symbol_and_in_colour_or_dash():
    names = ["RF", "SVM", "SVM_Tanimoto", "GIN", "MolCLR_GIN", "GCN", "MolCLR_GCN", "GAT", "MolCLR_GAT"]
    names += [f"SVM_MolCLR_{network}{end}" for network in ("GIN", "GCN", "GAT") for end in ("", "_ECFP")]
    trained = ["network", "rf", "svm", "tanimoto", "representation", "combined"]
    for models in (names, trained):
        for look in (lambda name: line_of(name)["dash"], lambda name: marker_of(name)["symbol"]):
            assert len({(colour_of(name), look(name)) for name in models}) == len(models)


@pytest.mark.slow
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)")
def test_the_choice_of_a_target_changes_the_unit(tmp_path):
    structures = Structures()
    charts = [predicted_and_measured(results_of(), structures)]
    content = {"title": "Own", "sections": {}, "shown_charts": charts}
    write_page(tmp_path / "page.html", "base.html", content, structures)
    with chromium() as driver:
        open_page(driver, tmp_path / "page.html")
        title = "return document.querySelector('.plot .xtitle').textContent"
        for target, shown in (("pic50", "measured"), ("melting", "measured (K)")):
            driver.find_element("css selector", f"input[value='{target}']").click()
            assert driver.execute_script(title) == shown
