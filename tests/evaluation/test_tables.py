"""The result tables, with the paper's values and the verdict."""

import csv
import dataclasses
import json
import re

import pytest

from molclr.config import Config
from molclr.errors import MolclrError
from molclr.evaluation import statistics
from molclr.evaluation.metrics import METRICS
from molclr.evaluation.published import published
from molclr.evaluation.runs import FurtherScore, RunMetrics
from molclr.evaluation.summary import COLUMNS, SCORE_COLUMNS
from molclr.evaluation.tables import terminal_summary, write_tables

REGRESSION = {"freesolv": "rmse", "qm8": "mae", "assay": "mae"}


SOLUBILITY = {"table": "own.csv", "task": "regression", "metric": "r2", "targets": ["logS"], "unit": "log mol/L"}
OWN = Config(
    benchmarks=["solubility"], models=["RF"], own_benchmarks={"solubility": SOLUBILITY | {"name": "Solubility"}}
)


def run(benchmark, model, seed, test, left_out=None, note="", metric=None, also=None):
    metric = metric or REGRESSION.get(benchmark, "roc_auc")
    task = METRICS[metric].task
    further = {name: FurtherScore(value, {}, {}) for name, value in (also or {}).items()}
    return RunMetrics(benchmark, model, seed, task, metric, None, None, test, 204, {}, left_out or {}, note, further)


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Write the tables of some runs; give the CSV's rows, the Markdown and the LaTeX.

    Each run predicts the same labels with an error that grows with its distance from a perfect score.
    """
    monkeypatch.setattr(statistics, "RESAMPLES", 200)

    def write(runs, task="classification", folder="tables", settings=None):
        files = []
        for number, metrics in enumerate(runs):
            files.append(tmp_path / f"{number}" / "metrics.json")
            files[-1].parent.mkdir(exist_ok=True)
            files[-1].write_text(json.dumps(dataclasses.asdict(metrics)))
            lines = predicted(metrics)
            (files[-1].parent / "predictions.csv").write_text("row,target,label,prediction\n" + "".join(lines))
        write_tables(files, tmp_path / folder, settings)
        paths = [tmp_path / folder / f"{task}.{suffix}" for suffix in ("csv", "md", "tex", "html")]
        with paths[0].open() as file:
            rows = list(csv.DictReader(file))
        page = paths[3].read_text()
        assert page.count("<tr>") == page.count("</tr>") and all(row["benchmark"] in page for row in rows)
        return rows, *(path.read_text() for path in paths[1:3])

    return write


def predicted(metrics, molecules=60):
    """Predictions of alternating labels, of which the more are wrong the worse the score is."""
    score = metrics.test if metrics.test is not None else 0.5
    wrong = score * 10 if metrics.task == "regression" else (1 - score) * molecules
    for row in range(molecules):
        label = row % 2
        guess = label + 0.1 * score if metrics.task == "regression" else label if row >= wrong else 1 - label
        yield f"{row},{next(iter([*metrics.per_target, *metrics.left_out]), 'a')},{label},{guess}\n"


def cells(markdown, label, of_paper=False):
    """The fields of the first row of a Markdown table that begins with `label`, without the label: ours, or the paper's."""
    rows = [
        [field.strip() for field in line[1:-1].split("|")] for line in markdown.splitlines() if line.startswith("|")
    ]
    heads = next(row for row in rows if row[0] == "Method")
    found = next(row for row in rows if row[0] == label)
    if len(found) != len(heads):
        return found[1:]
    return [field for head, field in zip(heads[1:], found[1:], strict=True) if head.endswith(", paper") == of_paper]


def test_mean_and_sample_standard_deviation_over_seeds_in_percent(tables):
    rows, _, _ = tables([run("bbbp", "MolCLR_GIN", seed, test) for seed, test in enumerate([0.70, 0.72, 0.74])])
    assert list(rows[0]) == COLUMNS
    assert rows == [
        {
            "benchmark": "BBBP",
            "model": "MolCLR_GIN",
            "metric": "ROC-AUC",
            "unit": "%",
            "mean": "72.000000",
            "std": "2.000000",
            "seeds": "3",
            "deterministic": "",
            "seed_scores": "70.000000; 72.000000; 74.000000",
            "validation": "",
            "test_molecules": "204",
            "left_out_targets": "",
            "note": "",
            "minus_scratch": "",
            "minus_scratch_low": "",
            "minus_scratch_high": "",
            "minus_scratch_p": "",
            "minus_scratch_verdict": "",
            "baseline": "",
            "minus_baseline": "",
            "minus_baseline_low": "",
            "minus_baseline_high": "",
            "minus_baseline_p": "",
            "minus_baseline_verdict": "",
            "best": "best",
            "paper_mean": "73.6",
            "paper_std": "0.5",
            "paper_check": "verified",
            "paper_note": "",
            "label": "BBBP, MolCLR_GIN",
        }
    ]


def test_the_means_are_metrics_that_dvc_compares(tables, tmp_path):
    tables([run("bbbp", "GIN", 0, 0.7), run("bbbp", "RF", 0, 0.6), run("hiv", "GIN", 0, None)])
    assert json.loads((tmp_path / "tables/classification.json").read_text()) == {"BBBP": {"RF": 60.0, "GIN": 70.0}}


def test_one_seed_has_no_standard_deviation(tables):
    rows, markdown, _ = tables([run("bbbp", "GIN", 0, 0.7)])
    assert rows[0]["std"] == ""
    assert cells(markdown, "GIN") == ["**70.0**"]


def test_rows_and_columns_are_in_the_papers_order(tables):
    runs = [run(benchmark, model, 0, 0.7) for model in ("MolCLR_GIN", "RF", "GCN") for benchmark in ("clintox", "bbbp")]
    rows, markdown, _ = tables(runs)
    assert [(row["benchmark"], row["model"]) for row in rows] == [
        *(("BBBP", "RF"), ("BBBP", "GCN"), ("BBBP", "MolCLR_GIN")),
        *(("ClinTox", "RF"), ("ClinTox", "GCN"), ("ClinTox", "MolCLR_GIN")),
    ]
    assert cells(markdown, "Method") == ["BBBP", "ClinTox"]
    labels = re.findall(r"^\| (\w+) ", markdown.split("\n\nDifferences")[0], re.MULTILINE)
    assert labels == ["Method", "metric", "test", "RF", "GCN", "MolCLR_GIN"]
    assert cells(markdown, "Method", of_paper=True) == ["BBBP, paper", "ClinTox, paper"]


def test_the_papers_values_have_a_column_of_their_own_with_marks(tables):
    rows, markdown, latex = tables([run("muv", model, 0, 0.7) for model in ("RF", "MolCLR_GCN")])
    assert [cells(markdown, model, True) for model in ("RF", "MolCLR_GCN")] == [["63.2 ± 2.3 †"], ["84.0 ± 1.8 ‡"]]
    assert "† unconfirmed value of the paper" in markdown and r"63.2 $\pm$ 2.3$^\dagger$" in latex
    rows, markdown, latex = tables([run("bbbp", model, 0, 0.7) for model in ("RF", "GCN", "MolCLR_GCN")])
    assert [row["paper_check"] for row in rows] == ["std unverified", "verified", "std unverified"]
    values = [cells(markdown, model, True) for model in ("RF", "GCN", "MolCLR_GCN")]
    assert values == [["71.4 ± 0.0 ‡"], ["71.8 ± 0.9"], ["73.8 ± 0.2 ‡"]]
    assert "‡ the mean is confirmed, the standard deviation is not." in markdown
    assert r"71.4 $\pm$ 0.0$^\ddagger$" in latex and r"73.8 $\pm$ 0.2$^\ddagger$" in latex
    assert "table 1" in rows[0]["paper_note"], "how the mean was confirmed"


def test_marks_that_are_not_used_are_not_explained(tables):
    _, markdown, _ = tables([run("bbbp", "GCN", 0, 0.7)])
    assert "†" not in markdown and "‡" not in markdown


def test_a_missing_combination_is_an_empty_cell(tables):
    runs = [run("bbbp", "GCN", 0, 0.6), run("clintox", "GCN", 0, 0.6), run("clintox", "RF", 0, 0.7)]
    rows, markdown, latex = tables(runs)
    assert len(rows) == 3
    assert cells(markdown, "RF") == ["", "**70.0**"]
    assert markdown.index("| RF ") < markdown.index("| GCN "), (
        "the paper's order, though RF has no run in the first column"
    )
    assert re.search(r"^RF &  &  & \\textbf\{70\.0\} & 71\.3", latex, re.MULTILINE)


def test_the_best_is_bold_whichever_way_is_better(tables):
    def scored(benchmark, **tests):
        return [run(benchmark, model, seed, test) for model, test in tests.items() for seed in (0, 1)]

    _, markdown, _ = tables(scored("bbbp", RF=0.7, GCN=0.8))
    assert (cells(markdown, "RF"), cells(markdown, "GCN")) == (["70.0"], ["**80.0**"])
    _, markdown, _ = tables(scored("freesolv", RF=2.0, GCN=3.0), "regression")
    assert (cells(markdown, "RF"), cells(markdown, "GCN")) == (["**2.00**"], ["3.00"])


def test_equal_rounded_values_are_all_bold(tables):
    _, markdown, _ = tables([run("bbbp", "RF", 0, 0.70011), run("bbbp", "GCN", 0, 0.70012)])
    assert cells(markdown, "RF") == cells(markdown, "GCN") == ["**70.0**"]


def test_errors_have_their_unit_and_the_papers_digits(tables):
    runs = [run("freesolv", "SVM", seed, 3 + seed) for seed in range(2)] + [run("qm8", "SVM", 0, 0.05432)]
    rows, markdown, _ = tables(runs, "regression")
    assert [(row["metric"], row["unit"], row["mean"]) for row in rows] == [
        *(("RMSE", "kcal/mol", "3.500000"), ("MAE", "mixed units", "0.054320"))
    ]
    assert cells(markdown, "metric") == ["RMSE (kcal/mol) ↓", "MAE (mixed units) ↓"]
    assert cells(markdown, "SVM") == ["**3.50 ± 0.71**", "**0.0543**"]
    assert cells(markdown, "SVM", True) == ["3.14 ± 0.00", "0.0543 ± 0.0010 †"]
    assert "1 to 2 seeds" in markdown and cells(markdown, "seeds") == ["2", "1"]


def test_a_machine_runs_once_where_nothing_in_it_is_random(tables):
    """Its one run competes with means over seeds, and does not count as a table with fewer seeds."""
    runs = [run("bbbp", "RF", seed, 0.7) for seed in range(3)]
    machines = [run("bbbp", "SVM", 0, 0.6), run("bbbp", "SVM_MolCLR_GIN_ECFP", 0, 0.8)]
    rows, markdown, _ = tables([*runs, *(dataclasses.replace(run, deterministic=True) for run in machines)])
    assert [(row["model"], row["seeds"]) for row in rows] == [("RF", "3"), ("SVM", "1"), ("SVM_MolCLR_GIN_ECFP", "1")]
    assert cells(markdown, "SVM_MolCLR_GIN_ECFP") == ["**80.0**"] and "over 3 seeds" in markdown
    assert rows[2]["baseline"] == "" and rows[2]["minus_baseline_verdict"] == "", "none has a validation score"
    assert "| seeds " not in markdown and "if nothing in a model is random, given its encoder, one" in markdown
    assert "partly that of the kernel, because SVM_Tanimoto was not run" in markdown
    assert "not run" not in tables([run("bbbp", "SVM_Tanimoto", 0, 0.6), machines[1]])[1]
    assert "SVM_MolCLR_GIN: one on the frozen representation of the encoder with which MolCLR_GIN begins" in markdown


def test_without_a_run_there_is_no_summary(tmp_path):
    with pytest.raises(MolclrError, match=r"classification\.csv' does not exist; run 'make all' first"):
        terminal_summary(tmp_path, [])


def test_seeds_with_different_targets_are_an_error(tables):
    runs = [run("tox21", "RF", 0, 0.7, left_out={"NR-AR": "one class"}), run("tox21", "RF", 1, 0.8)]
    with pytest.raises(MolclrError, match="The seeds of RF on tox21 have different targets"):
        tables(runs)


def test_seeds_with_different_metrics_are_an_error(tables):
    other = dataclasses.replace(run("esol", "RF", 1, 0.8), metric="mae")
    with pytest.raises(MolclrError, match="The runs of esol have different metrics, roc_auc and mae"):
        tables([run("esol", "RF", 0, 0.7), other])


def test_left_out_targets_and_notes_are_listed(tables):
    left_out = {"NR-AR": "one class in the test set"}
    runs = [run("tox21", "SVM", seed, 0.7, left_out=left_out, note="Trained on a sample.") for seed in range(2)]
    rows, markdown, _ = tables(runs)
    assert (rows[0]["left_out_targets"], rows[0]["note"]) == ("NR-AR", "Trained on a sample.")
    assert "Tox21: not in the mean, since their score is undefined: NR-AR." in markdown
    assert "Tox21, SVM: Trained on a sample." in markdown


def test_runs_without_a_score_leave_the_cell_empty(tables):
    runs = [run("clintox", "RF", seed, None, left_out={"CT_TOX": "one class in the test set"}) for seed in range(2)]
    rows, markdown, _ = tables(runs)
    assert (rows[0]["mean"], rows[0]["std"], rows[0]["seeds"]) == ("", "", "0")
    assert cells(markdown, "RF") == [""]


def test_a_benchmark_that_neither_the_catalogue_nor_the_paper_has(tables):
    rows, markdown, _ = tables([run("assay", "RF", 0, 0.7), run("freesolv", "RF", 0, 2.0)], "regression")
    assert [(row["benchmark"], row["unit"]) for row in rows] == [("FreeSolv", "kcal/mol"), ("assay", "")]
    assert rows[1]["paper_mean"] == rows[1]["paper_check"] == ""
    assert cells(markdown, "RF") == ["**2.00**", "**0.700**"]
    assert cells(markdown, "RF", True) == ["2.03 ± 0.22"] and "assay, paper" not in markdown


def all_scores(tmp_path, task="classification"):
    with (tmp_path / f"tables/{task}_scores.csv").open() as file:
        return list(csv.DictReader(file))


def test_all_metrics_are_in_a_separate_table(tables, tmp_path):
    runs = [run("hiv", "GIN", seed, 0.7 + seed / 10, also={"pr_auc": 0.2 + seed / 10}) for seed in (0, 1)]
    rows, _, _ = tables([*runs, run("hiv", "RF", 0, 0.6, also={"pr_auc": None})])
    assert [row["metric"] for row in rows] == ["ROC-AUC", "ROC-AUC"], "the primary one alone"
    scores = all_scores(tmp_path)
    assert list(scores[0]) == SCORE_COLUMNS
    assert [(row["model"], row["metric"], row["primary"], row["unit"], row["mean"]) for row in scores] == [
        ("RF", "ROC-AUC", "True", "%", "60.000000"),
        ("RF", "PR-AUC", "False", "%", ""),
        ("GIN", "ROC-AUC", "True", "%", "75.000000"),
        ("GIN", "PR-AUC", "False", "%", "25.000000"),
    ]


def test_an_undefined_score_says_why_in_the_table_of_all_metrics(tables, tmp_path):
    tables([run("tox21", "RF", 0, 0.7, left_out={"NR-AR": "one class in the test set"})])
    assert all_scores(tmp_path)[0]["left_out_targets"] == "NR-AR: one class in the test set"


def test_a_benchmark_of_ones_own_has_its_name_unit_and_metric(tables, tmp_path):
    runs = [run("solubility", "RF", seed, 0.5, metric="r2", also={"rmse": 1.2}) for seed in (0, 1)]
    rows, markdown, latex = tables(runs, "regression", settings=OWN)
    assert (rows[0]["benchmark"], rows[0]["metric"], rows[0]["unit"]) == ("Solubility", "R²", "")
    assert "R² ↑" in markdown and "R$^2$" in latex and "paper" not in markdown
    assert [(row["metric"], row["unit"]) for row in all_scores(tmp_path, "regression")] == [
        ("R²", ""),
        ("RMSE", "log mol/L"),
    ]


def test_the_papers_value_is_only_shown_for_its_metric(tables):
    rows, _, _ = tables([run("bbbp", "RF", 0, 0.7, metric="pr_auc")])
    assert rows[0]["paper_mean"] == rows[0]["paper_check"] == ""


def test_a_task_without_runs_gives_headers(tables):
    rows, markdown, latex = tables([run("freesolv", "RF", 0, 2.0)], "classification")
    assert rows == []
    assert markdown == "No classification benchmark was run.\n"
    assert "No classification benchmark was run." in latex and "tabular" not in latex


def test_the_same_run_given_twice_is_an_error(tables):
    with pytest.raises(MolclrError, match="Seed 0 of RF on bbbp is given twice"):
        tables([run("bbbp", "RF", 0, 0.7), run("bbbp", "RF", 0, 0.8)])


def test_the_order_of_the_files_does_not_change_a_byte(tables):
    models, tests = ("RF", "GIN"), [0.61, 0.633, 0.647]
    runs = [run("bbbp", model, seed, tests[seed], note=f"Seed {seed}.") for model in models for seed in range(3)]
    assert tables(runs, folder="one") == tables(runs[::-1], folder="two")


def test_latex_is_balanced_and_escaped(tables):
    _, _, latex = tables([run("bbbp", "MolCLR_GIN", 0, 0.7, note="50 % of R&D_set #1")])
    assert latex.count("{") == latex.count("}")
    assert r"50 \% of R\&D\_set \#1" in latex and r"MolCLR\_GIN" in latex
    body = latex.split(r"\toprule")[1].split(r"\bottomrule")[0]
    assert {line.count(" & ") for line in body.splitlines() if line.endswith(r"\\")} == {2}
    assert r"\label{tab:classification}" in latex and r"\usepackage{booktabs}" in latex


def test_the_terminal_shows_the_tables_within_its_width(tables, tmp_path, monkeypatch):
    names = ("bbbp", "bace", "clintox", "sider", "tox21")
    tables([run(name, model, seed, 0.7) for name in names for model in ("GIN", "MolCLR_GIN") for seed in (0, 1)])
    monkeypatch.setenv("COLUMNS", "80")
    text = terminal_summary(tmp_path / "tables", ["results/figures/tsne.png"])
    assert max(map(len, text.splitlines())) <= 80 and "results/figures/tsne.png" in text
    assert text.startswith(
        "Pre-training is not significantly better or worse than the same network from\nscratch in any"
    )
    assert text.count("| Method ") > 1 and all(f" {name} |" in text for name in ("BBBP", "SIDER, paper"))
    monkeypatch.setenv("COLUMNS", "1000")
    wide = terminal_summary(tmp_path / "tables", [])
    assert wide.count("| Method ") == 1
    table = (tmp_path / "tables" / "classification.md").read_text().split("\n\n")[3]
    assert table.startswith("| Method") and table in wide, "what was read from CSV is what was written"


def test_the_papers_tables_are_whole():
    paper = published()
    assert len(paper) == 11 * 13
    assert not paper.duplicated(["method", "benchmark"]).any()
    assert set(paper["check"]) == {"verified", "std unverified", "unverified"}
    assert (paper["check"] == "unverified").sum() == 46, "as the README says"
    repeated = paper[
        paper["method"].isin(["RF", "SVM", "MGCN", "D-MPNN", "MolCLR_GIN"])
        & paper["benchmark"].isin(["BBBP", "Tox21", "ClinTox", "HIV", "BACE", "SIDER"])
    ]
    assert len(repeated) == 30 and "unverified" not in set(repeated["check"])
    ours = paper[(paper["method"] == "MolCLR_GIN") & (paper["benchmark"] == "ClinTox")].iloc[0]
    assert (ours["mean"], ours["std"], ours["check"]) == ("93.2", "1.7", "verified")


def of_target(target, seed, test, molecules=100):
    per_target = {} if test is None else {target: test}
    left_out = {target: "one class in the test set"} if test is None else {}
    return dataclasses.replace(
        run("sider", "GIN", seed, test), test_molecules=molecules, per_target=per_target, left_out=left_out
    )


def test_one_model_per_target_is_scored_like_one_of_all_targets(tables):
    runs = [of_target("a", 0, 0.6), of_target("b", 0, 0.8, 120), of_target("c", 0, None), of_target("a", 1, 0.8)]
    rows, _, _ = tables([*runs, of_target("b", 1, 0.8), of_target("c", 1, None)])
    assert len(rows) == 1
    assert rows[0]["mean"] == "75.000000" and rows[0]["seeds"] == "2"
    assert rows[0]["left_out_targets"] == "c"
    assert rows[0]["test_molecules"] == "120; 100"
    with pytest.raises(MolclrError, match="Seed 0 of GIN on sider is given twice"):
        tables([of_target("a", 0, 0.6), of_target("b", 0, 0.6), of_target("a", 0, 0.7)])


def test_a_pretrained_model_has_its_difference_to_scratch(tables):
    models = ("GIN", "MolCLR_GIN")
    rows, markdown, latex = tables([run("bbbp", model, seed, 0.5) for model in models for seed in (0, 1)])
    verdicts = {row["model"]: row["minus_scratch_verdict"] for row in rows}
    assert verdicts == {"GIN": "", "MolCLR_GIN": "not significant"}, "the predictions are the same"
    assert cells(markdown, "MolCLR_GIN minus GIN") == ["+0.0 (+0.0 to +0.0) ∘"]
    assert "∘ not significant" in markdown and "$^\\circ$ not significant" in latex and "§" not in markdown
    rows, markdown, latex = tables([run("bbbp", model, 0, 0.5) for model in models])
    assert rows[1]["minus_scratch_verdict"] == "one seed"
    assert cells(markdown, "MolCLR_GIN minus GIN") == ["+0.0 (+0.0 to +0.0) §"]
    assert "§ one seed: an interval for test molecules alone" in markdown and r"\textsuperscript{\S} one seed" in latex
    rows, markdown, _ = tables([run("bbbp", "MolCLR_GIN", 0, 0.5), run("bbbp", "GCN", 0, 0.5)])
    assert "minus" not in markdown and "Intervals" not in markdown


def test_a_pretrained_model_has_its_difference_to_the_best_baseline(tables):
    scores = {"RF": 0.9, "SVM": 0.5, "MolCLR_GIN": 0.55}
    runs = [
        dataclasses.replace(run("bbbp", model, seed, test), validation=1 - test)
        for model, test in scores.items()
        for seed in (0, 1)
    ]
    rows, markdown, latex = tables(runs)
    assert rows[2]["baseline"] == "SVM" and cells(markdown, "best baseline") == ["SVM"]
    (gain,) = cells(markdown, "MolCLR_GIN minus best baseline")
    assert gain.startswith("+5.0 (\N{MINUS SIGN}") and gain.endswith(" ∘"), "with a minus sign"
    assert "+5.0 ($-$" in latex
    headline = (
        "A model with a pre-trained encoder is not significantly better or worse than the best baseline in the only"
    )
    assert markdown.startswith(f"Classification. {headline}") and headline in latex.split(r"\label")[0]


def test_comparisons_of_both_tasks_are_adjusted_together(tables, tmp_path):
    pairs = [("GIN", 0.5), ("MolCLR_GIN", 0.8)]
    runs = [run("bbbp", model, seed, test) for model, test in pairs for seed in (0, 1)]
    alone = float(tables(runs)[0][1]["minus_scratch_p"])
    rows, _, _ = tables([*runs, *(run("freesolv", model, seed, 2.0) for model, _ in pairs for seed in (0, 1))])
    assert 0 < alone < 0.05 and float(rows[1]["minus_scratch_p"]) == pytest.approx(2 * alone, abs=2e-6)


def test_a_score_that_all_seeds_share_has_no_standard_deviation(tables):
    _, markdown, _ = tables([run("bbbp", "SVM", seed, 0.7) for seed in (0, 1)])
    assert cells(markdown, "SVM") == ["**70.0**"] and "A score without ± is the same for all seeds" in markdown
    _, markdown, _ = tables([run("bbbp", "RF", seed, 0.7 + seed / 100) for seed in (0, 1)])
    assert cells(markdown, "RF") == ["**70.5 ± 0.7**"] and "without ±" not in markdown


def test_all_that_does_not_differ_from_the_best_is_bold(tables):
    scores = {"RF": 0.9, "SVM": 0.88, "GCN": 0.5}
    _, markdown, _ = tables([run("bbbp", model, seed, test) for model, test in scores.items() for seed in (0, 1)])
    assert [cells(markdown, model) for model in scores] == [["**90.0**"], ["**88.0**"], ["50.0"]]
    assert "best of our scores, and all that were tested against it and do not differ significantly (Holm)" in markdown


def test_benchmarks_of_one_name_are_never_merged(tables):
    """The keys differ, and the second is not in the catalogue, so the paper says nothing about it."""
    rows, *_ = tables([run("BBBP", "RF", 0, 0.7)])
    assert [row["benchmark"] for row in rows] == ["BBBP"] and rows[0]["paper_mean"] == rows[0]["paper_check"] == ""
    with pytest.raises(
        MolclrError, match="The benchmarks 'BBBP' and 'bbbp' are both called BBBP in tables; rename one"
    ):
        tables([run("bbbp", "RF", 0, 0.7), run("BBBP", "RF", 0, 0.7)])
    same = Config(
        benchmarks=["a"], models=["RF"], own_benchmarks={key: SOLUBILITY | {"name": "Solubility"} for key in "ab"}
    )
    mine = Config(benchmarks=["bbbp"], models=["RF"], own_benchmarks={"bbbp": SOLUBILITY | {"name": "BBBP"}})
    with pytest.raises(MolclrError, match=r"'own_benchmarks.bbbp': the catalogue already has a data set of this name"):
        tables([run("bbbp", "RF", 0, 0.7, metric="r2")], "regression", settings=mine)
    with pytest.raises(MolclrError, match=r"'own_benchmarks.b.name': 'Solubility' is the name of 'a'"):
        tables([run("a", "RF", 0, 0.7, metric="r2")], "regression", settings=same)
