"""The results table of README.md, made from the published CSV tables: `python docs/results.py` renews it."""

from pathlib import Path

import pandas as pd

from molclr.evaluation.wide import MINUS

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
    scores, default = read("official-gcn"), read("default")
    lines = [
        "| benchmark | score | MolCLR_GCN | paper | GCN from scratch | difference (95 % interval) | better of RF, SVM |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    better_than_paper, baseline_wins = 0, 0
    for benchmark, rows in scores.groupby("benchmark", sort=False):
        row, scratch = (rows[rows["model"] == model].iloc[0] for model in (MODEL, SCRATCH))
        sign = 1 if row["metric"].endswith("AUC") else -1
        best = max((rows[rows["model"] == model].iloc[0] for model in BASELINES), key=lambda one: sign * one["mean"])
        better_than_paper += bool(sign * row["mean"] >= sign * row["paper_mean"])
        baseline_wins += bool(sign * best["mean"] > sign * row["mean"])
        lines.append(_row(str(benchmark), row, scratch, best))
    differences = scores[scores["minus_scratch"].notna()]
    tested = differences[differences["minus_scratch_verdict"] != "one seed"]
    in_default = default[default["minus_scratch"].notna()]
    return "\n".join(
        [
            *lines,
            "",
            f"- MolCLR_GCN reaches the paper's mean on {better_than_paper} of {len(differences)} benchmarks.",
            f"- Pre-training significantly improves the score on {_better(tested)} of the {len(tested)} benchmarks with several "
            f"seeds. The other {len(differences) - len(tested)} have one seed, with which significance cannot be tested.",
            f"- A random forest or a support vector machine is better than MolCLR_GCN on {baseline_wins} of "
            f"{len(differences)} benchmarks.",
            f"- In the default run (`make all`), pre-training is significantly better in {_better(in_default)} of "
            f"{len(in_default)} comparisons ({in_default['benchmark'].nunique()} benchmarks, GIN and GCN each).",
            *_over_baselines(default),
        ]
    )


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
    unit = f"{row['metric']} ({row['unit']}) {'↑' if row['metric'].endswith('AUC') else '↓'}"
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
