"""The tables of published results in README.md and docs/fidelity.md: `python docs/results.py` renews them."""

from pathlib import Path

import pandas as pd

from molclr.data.catalogue import load_catalogue
from molclr.evaluation.comparisons import predictions_of
from molclr.evaluation.metrics import TASKS, find_label
from molclr.evaluation.statistics import Difference, Sample, adjusted, difference, sample
from molclr.evaluation.text import MINUS
from molclr.evaluation.wide import VERDICT_MARKS

REPOSITORY = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
DIGITS = {"ROC-AUC": 1, "MAE": 1, "RMSE": 2}
MODEL, SCRATCH = "MolCLR_GCN", "GCN"
FIRST, DEEPER = "official-gcn", "official-gcn-two-hidden-layers"
OTHERS = {"official-gcn-without-hydrogens": "implicit hydrogens", DEEPER: "two hidden layers"}


def read(study: str) -> pd.DataFrame:
    """Read all published scores of a study, one row per benchmark and model."""
    files = [REPOSITORY / "results/published" / study / f"{task}.csv" for task in TASKS]
    return pd.concat([pd.read_csv(file) for file in files if file.is_file()])


def results() -> str:
    """Return Markdown for README.md: the table of the released GCN, and sentences that count its results and others."""
    scores = _by_model(read(FIRST))
    heads = [
        "benchmark",
        "score",
        MODEL,
        "paper",
        f"{SCRATCH} from scratch",
        "difference (95 % interval)",
        "best baseline",
    ]
    lines = [heads, ["---"] * 2 + ["---:"] * 5]
    for benchmark, row in scores[MODEL].iterrows():
        unit = f"{row['metric']} ({row['unit']}) {'↑' if _sign(row) > 0 else '↓'}"
        baseline = f"{_score(scores[row['baseline']].loc[benchmark])} ({row['baseline']})"
        scratch = _score(scores[SCRATCH].loc[benchmark])
        lines.append([str(benchmark), unit, _score(row), _paper(row), scratch, _gain(row), baseline])
    return "\n".join([*map(_line, lines), "", *_about_the_study(scores[MODEL]), *_about_the_default(read("default"))])


def studies() -> str:
    """Return Markdown for docs/fidelity.md: scores of the released GCN in three studies, and differences from scratch."""
    names = ["first study", *OTHERS.values()]
    ours = {study: _by_model(read(study))[MODEL] for study in (FIRST, *OTHERS)}
    marks = {study: {name: VERDICT_MARKS[each.verdict] for name, each in changes(study).items()} for study in OTHERS}
    scores = [[MODEL, "paper", *names], ["---", *["---:"] * (len(names) + 1)]]
    gains = [[f"{MODEL} minus {SCRATCH}", *names], ["---", *["---:"] * len(names)]]
    for benchmark, row in ours[FIRST].iterrows():
        name = f"{benchmark}, {row['metric']}"
        found = {study: rows.loc[benchmark] for study, rows in ours.items() if benchmark in rows.index}
        marked = {study: f"{_score(one)} {marks.get(study, {}).get(benchmark, '')}" for study, one in found.items()}
        scores.append([name, _paper(row), *(marked.get(study, "").rstrip() for study in ours)])
        gains.append([name, *(_gain(found[study]) if study in found else "" for study in ours)])
    return "\n".join([*map(_line, scores), "", *map(_line, gains)])


def changes(study: str) -> dict[str, Difference]:
    """Return the differences of the released GCN between a study and the first one, adjusted for their number, by benchmark."""
    first, second = _samples(FIRST), _samples(study)
    metrics = {benchmark.name: benchmark.metric for benchmark in load_catalogue().benchmarks.values()}
    return adjusted({name: difference(metrics[name], second[name], first[name]) for name in second})


def _samples(study: str) -> dict[str, Sample]:
    """Return the scores of the released GCN on the resampled test molecules, by benchmark."""
    every = pd.read_csv(REPOSITORY / "results/published" / study / "predictions.csv.gz")
    of_benchmark = dict(list(every[every["model"] == MODEL].groupby("benchmark")))
    return {
        benchmark.name: sample(benchmark.metric, predictions_of(of_benchmark[key], key))
        for key, benchmark in load_catalogue().benchmarks.items()
        if key in of_benchmark
    }


def _by_model(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return model -> its rows, by benchmark."""
    return {str(model): rows.set_index("benchmark") for model, rows in scores.groupby("model")}


def _about_the_study(ours: pd.DataFrame) -> list[str]:
    """Count the benchmarks on which the released GCN is better than others; ours: its rows, by benchmark."""
    alone = ours["minus_scratch_verdict"] == "one seed"
    reached = sum(_sign(row) * row["mean"] >= _sign(row) * row["paper_mean"] for _, row in ours.iterrows())
    return [
        f"- {MODEL} reaches the paper's mean on {reached} of {len(ours)} benchmarks.",
        f"- With several seeds, {MODEL} is {_counted(ours[~alone], 'scratch')} {SCRATCH} from "
        f"scratch, and {_counted(ours[~alone], 'baseline')} the best baseline (p < 0.05 after Holm's adjustment).",
        _about_more_seeds(list(ours.index[alone])),
    ]


def _about_more_seeds(benchmarks: list[str]) -> str:
    """Describe the results on `benchmarks` that have several seeds in the study with two hidden layers."""
    deeper = _by_model(read(DEEPER))
    rows = deeper[MODEL].loc[benchmarks]
    found = [
        f"{row['seeds']} seeds of {benchmark} give {_score(deeper[SCRATCH].loc[benchmark])} from scratch and a difference of "
        f"{_gain(row)}"
        for benchmark, row in rows[rows["seeds"] > 1].iterrows()
    ]
    return f"- In a study with two hidden layers in the head, {'; '.join(found)}."


def _about_the_default(default: pd.DataFrame) -> list[str]:
    """Count the comparisons of the default run in which pre-trained models are better or worse than others."""
    scratch, baseline = (default[default[f"minus_{other}_verdict"].notna()] for other in ("scratch", "baseline"))
    return [
        f"- In the default run (`make all`), pre-trained models are {_counted(scratch, 'scratch')} the same network from "
        f"scratch, and {_counted(baseline, 'baseline')} the best baseline.",
    ]


def _counted(rows: pd.DataFrame, other: str) -> str:
    """Return how many differences to `other`, scratch or baseline, are significant."""
    better, worse = ((rows[f"minus_{other}_verdict"] == side).sum() for side in ("better", "worse"))
    return f"significantly better in {better} and worse in {worse} of {len(rows)} comparisons with"


def _line(cells: list[str]) -> str:
    return f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|"


def _sign(row: pd.Series) -> int:
    """Return 1 if a higher score is better, otherwise -1."""
    return 1 if find_label(row["metric"]).higher_is_better else -1


def _score(row: pd.Series) -> str:
    """Format the mean, with the standard deviation unless all seeds have the same score."""
    digits = DIGITS[row["metric"]]
    deviation = f" ± {row['std']:.{digits}f}" if row["seeds"] > 1 and row["std"] > 0 else ""
    return f"{row['mean']:.{digits}f}{deviation}"


def _gain(row: pd.Series) -> str:
    """Format the difference from the network from scratch, its interval and the mark of its verdict."""
    names = [f"minus_scratch{end}" for end in ("", "_low", "_high")]
    value, low, high = (f"{row[name]:+z.{DIGITS[row['metric']]}f}".replace("-", MINUS) for name in names)
    return f"{value} ({low} to {high}) {VERDICT_MARKS[row['minus_scratch_verdict']]}".rstrip()


def _paper(row: pd.Series) -> str:
    """Format the paper's mean, if it is confirmed; its standard deviation is not, for any of these."""
    return "not confirmed" if row["paper_check"] == "unverified" else f"{row['paper_mean']:.{DIGITS[row['metric']]}f}"


PAGES = {REPOSITORY / "README.md": results, REPOSITORY / "docs/fidelity.md": studies}
"""Page -> what is between its marks."""


def renewed(page: Path) -> str:
    """Return a page with the present tables between its marks."""
    before, rest = page.read_text().split(BEGIN)
    return f"{before}{BEGIN}\n{PAGES[page]()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(renewed(path))
