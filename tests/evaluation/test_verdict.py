"""The verdict in words, of made-up results."""

import pandas as pd
import pytest

from molclr.evaluation.summary import COLUMNS
from molclr.evaluation.verdict import verdict


def row(benchmark, model, mean=70.0, scratch="", baseline="", paper=None, check="", metric="ROC-AUC"):
    values = {"benchmark": benchmark, "model": model, "metric": metric, "mean": mean, "paper_mean": paper}
    verdicts = {"minus_scratch_verdict": scratch, "minus_baseline_verdict": baseline, "paper_check": check}
    return values | verdicts


def said(*rows):
    return verdict(pd.DataFrame(rows, columns=COLUMNS)).sentences


NOT = "not significant"


def test_pretraining_wins():
    headline, model, how = said(
        row("BBBP", "RF"),
        row("BBBP", "MolCLR_GIN", scratch="better", baseline="better"),
        row("BACE", "MolCLR_GIN", scratch="better", baseline=NOT),
    )
    assert headline == (
        "Pre-training is significantly better than the same network from scratch in 2 of 2 comparisons and significantly worse "
        "in 0. A model with a pre-trained encoder is significantly better than the best baseline in 1 of 2 comparisons and "
        "significantly worse in 0."
    )
    assert model == (
        "MolCLR_GIN: significantly better than GIN from scratch on 2 of 2 benchmarks (BBBP, BACE); significantly better than the "
        "best baseline on 1 of 2 benchmarks (BBBP)."
    )
    assert "Holm" in how and "validation" in how


def test_pretraining_loses():
    headline, *models, _ = said(
        row("BBBP", "MolCLR_GIN", scratch="worse", baseline="worse"),
        row("BBBP", "MolCLR_GCN", scratch=NOT, baseline="worse"),
    )
    assert "better than the same network from scratch in 0 of 2 comparisons and significantly worse in 1." in headline
    assert "better than the best baseline in 0 of 2 comparisons and significantly worse in 2." in headline
    assert models == [
        "MolCLR_GIN: significantly worse than GIN from scratch on 1 of 1 benchmark (BBBP); significantly worse than the best "
        "baseline on 1 of 1 benchmark (BBBP).",
        "MolCLR_GCN: not significantly better or worse than GCN from scratch on the only benchmark; significantly worse than the "
        "best baseline on 1 of 1 benchmark (BBBP).",
    ]


def test_pretraining_ties():
    headline, model, _ = said(row("BBBP", "MolCLR_GIN", scratch=NOT))
    assert (
        headline
        == "Pre-training is not significantly better or worse than the same network from scratch in the only comparison."
    )
    assert "baseline" not in headline + model, "there was none"


def test_one_seed_has_no_verdict():
    headline, model = said(row("BBBP", "MolCLR_GIN", scratch="one seed"))
    assert (
        headline
        == "Pre-training was compared with the same network from scratch with one seed, which does not show significance."
    )
    assert model == "MolCLR_GIN: compared with GIN from scratch with one seed, without a verdict, on BBBP."
    headline, *_ = said(
        row("BBBP", "MolCLR_GIN", scratch="better"),
        row("HIV", "MolCLR_GIN", scratch="one seed"),
    )
    assert "better than the same network from scratch in 1 of 1 comparison and" in headline
    assert headline.endswith("(1 more comparison with one seed, without a verdict).")


@pytest.mark.parametrize("rows", [[], [row("BBBP", "GIN"), row("BBBP", "RF")], [row("BBBP", "MolCLR_GIN")]])
def test_without_a_comparison_nothing_is_claimed(rows):
    assert said(*rows) == [
        "Pre-trained models were not compared with others, so these results do not say whether pre-training helps."
    ]


def test_confirmed_values_of_the_paper_are_counted():
    rows = [
        row("BBBP", "MolCLR_GIN", 73.7, paper="73.6", check="verified"),
        row("BACE", "MolCLR_GIN", 80.0, paper="89.0", check="std unverified"),
        row("MUV", "MolCLR_GIN", 99.0, paper="88.6", check="unverified"),
        row("ESOL", "MolCLR_GIN", 1.4, paper="1.3", check="verified", metric="RMSE"),
        row("QM7", "MolCLR_GIN", None, paper="66.8", check="verified", metric="MAE"),
    ]
    assert said(*rows)[1] == "MolCLR_GIN: reaches the paper's mean on 1 of 3 benchmarks."
    (model,) = verdict(pd.DataFrame(rows, columns=COLUMNS)).models
    assert [(value.benchmark, value.reached) for value in model.paper] == [
        ("BBBP", True),
        ("BACE", False),
        ("ESOL", False),
    ]


def test_a_table_read_from_csv_says_the_same(tmp_path):
    table = pd.DataFrame(
        [row("BBBP", "MolCLR_GIN", scratch="better", paper="73.6", check="verified"), row("BBBP", "RF")],
        columns=COLUMNS,
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    assert verdict(pd.read_csv(tmp_path / "table.csv")) == verdict(table)
