"""The results table of README.md, made from the published CSV tables: `python docs/results.py` renews it."""

from pathlib import Path

import pandas as pd

from molclr.data.catalogue import load_catalogue
from molclr.evaluation.comparisons import predictions_of
from molclr.evaluation.metrics import find_label
from molclr.evaluation.statistics import Difference, adjusted, difference, sample
from molclr.evaluation.text import MINUS

REPOSITORY = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
DIGITS = {"ROC-AUC": 1, "MAE": 1, "RMSE": 2}
MODEL, SCRATCH, BASELINES = "MolCLR_GCN", "GCN", ["RF", "SVM"]


def read(study: str) -> pd.DataFrame:
    """Read all published scores of a study, one row per benchmark and model."""
    folder = REPOSITORY / "results/published" / study
    return pd.concat([pd.read_csv(folder / f"{task}.csv") for task in ("classification", "regression")])


def table() -> str:
    """Return Markdown: the table of the released GCN, and sentences that count its results and those of the default run."""
    scores, best = read("official-gcn"), {}
    lines = [
        "| benchmark | score | MolCLR_GCN | paper | GCN from scratch | difference (95 % interval) | better of RF, SVM |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for benchmark, rows in scores.groupby("benchmark", sort=False):
        row, scratch = (rows[rows["model"] == model].iloc[0] for model in (MODEL, SCRATCH))
        baselines = (rows[rows["model"] == model].iloc[0] for model in BASELINES)
        best[str(benchmark)] = max(baselines, key=lambda one: _sign(one) * one["mean"])
        lines.append(_row(str(benchmark), row, scratch, best[str(benchmark)]))
    return "\n".join([*lines, "", *_about_the_study(scores, best), *_about_the_default(read("default"))])


def _about_the_study(scores: pd.DataFrame, best: dict[str, pd.Series]) -> list[str]:
    """Count the benchmarks on which the released GCN is better than others. best: benchmark -> row of the better baseline."""
    ours = scores[scores["model"] == MODEL]
    tested = ours[ours["minus_scratch_verdict"] != "one seed"]
    reached = sum(_sign(row) * row["mean"] >= _sign(row) * row["paper_mean"] for _, row in ours.iterrows())
    behind = sum(_sign(row) * row["mean"] < _sign(row) * best[row["benchmark"]]["mean"] for _, row in ours.iterrows())
    verdicts = over_baseline({name: best[name]["model"] for name in tested["benchmark"]})
    significant = {side: sum(each.verdict == side for each in verdicts.values()) for side in ("better", "worse")}
    return [
        f"- MolCLR_GCN reaches the paper's mean on {reached} of {len(ours)} benchmarks.",
        f"- Pre-training significantly improves the score on {_better(tested)} of the {len(tested)} benchmarks with several "
        f"seeds. The other {len(ours) - len(tested)} have one seed, with which significance cannot be tested.",
        f"- The better of RF and SVM has a better mean than MolCLR_GCN on {behind} of {len(ours)} benchmarks. Of the "
        f"{len(verdicts)} with several seeds, it is significantly better on {significant['worse']} and significantly worse on "
        f"{significant['better']} (adjusted by Holm's method).",
    ]


def over_baseline(best: dict[str, str]) -> dict[str, Difference]:
    """Return the differences of the released GCN to baselines, adjusted for their number. best: benchmark -> baseline."""
    every = pd.read_csv(REPOSITORY / "results/published/official-gcn/predictions.csv.gz")
    found = {}
    for key, benchmark in load_catalogue().benchmarks.items():
        if benchmark.name in best:
            of_models = every[every["benchmark"] == key].groupby("model")
            first, second = (
                sample(benchmark.metric, predictions_of(of_models.get_group(model), model))
                for model in (MODEL, best[benchmark.name])
            )
            found[benchmark.name] = difference(benchmark.metric, first, second)
    return adjusted(found)


def _about_the_default(default: pd.DataFrame) -> list[str]:
    """Count the comparisons of the default run in which pre-trained models are better than others."""
    compared = default[default["minus_scratch"].notna()]
    return [
        f"- In the default run (`make all`), pre-training is significantly better in {_better(compared)} of "
        f"{len(compared)} comparisons ({compared['benchmark'].nunique()} benchmarks, GIN and GCN each).",
        *_over_baselines(default),
    ]


def _sign(row: pd.Series) -> int:
    """Return 1 if a higher score is better, otherwise -1."""
    return 1 if find_label(row["metric"]).higher_is_better else -1


def _over_baselines(default: pd.DataFrame) -> list[str]:
    """Count the comparisons with the best baseline, if the published tables have them."""
    if "minus_baseline_verdict" not in default:
        return []
    verdicts = default["minus_baseline_verdict"].dropna()
    counts = " and ".join(f"significantly {side} in {(verdicts == side).sum()}" for side in ("better", "worse"))
    return [
        f"- There, a model with a pre-trained encoder is {counts} of {len(verdicts)} comparisons with the best baseline."
    ]


def _better(differences: pd.DataFrame) -> int:
    return int((differences["minus_scratch_verdict"] == "better").sum())


def _row(benchmark: str, row: pd.Series, scratch: pd.Series, best: pd.Series) -> str:
    digits = DIGITS[row["metric"]]
    difference, low, high = (
        f"{row[f'minus_scratch{end}']:+z.{digits}f}".replace("-", MINUS) for end in ("", "_low", "_high")
    )
    mark = {"not significant": " ∘", "one seed": " §"}.get(row["minus_scratch_verdict"], "")
    unit = f"{row['metric']} ({row['unit']}) {'↑' if _sign(row) > 0 else '↓'}"
    return (
        f"| {benchmark} | {unit} | {_score(row, digits)} | {_paper(row, digits)} | {_score(scratch, digits)} "
        f"| {difference} ({low} to {high}){mark} | {_score(best, digits)} ({best['model']}) |"
    )


def _score(row: pd.Series, digits: int) -> str:
    """Format the mean, with the standard deviation unless all seeds have the same score."""
    deviation = f" ± {row['std']:.{digits}f}" if row["seeds"] > 1 and row["std"] > 0 else ""
    return f"{row['mean']:.{digits}f}{deviation}"


def _paper(row: pd.Series, digits: int) -> str:
    """Format the paper's mean, if it is confirmed; its standard deviation is not, for any of these."""
    return "not confirmed" if row["paper_check"] == "unverified" else f"{row['paper_mean']:.{digits}f}"


def renewed(readme: str) -> str:
    """Return README.md with the present table between its marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    path = REPOSITORY / "README.md"
    path.write_text(renewed(path.read_text()))
