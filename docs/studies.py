"""Make the tables and the figure of the published studies again, from their predictions: `python docs/studies.py`."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from molclr.data.catalogue import load_catalogue
from molclr.evaluation.figures.benchmarks import benchmark_bars
from molclr.evaluation.metrics import TASKS
from molclr.evaluation.runs import KEEPING_NAMES, METRICS_FILE, Run, write_run
from molclr.evaluation.tables import write_tables

PUBLISHED = Path(__file__).resolve().parent.parent / "results/published"
STUDIES = sorted(path.parent for path in PUBLISHED.glob("*/predictions.csv.gz"))


def write_tables_of(study: Path, folder: Path) -> None:
    """Write the tables of a study to `folder`, from predictions.csv.gz.

    Predictions contain neither validation scores nor whether a model is deterministic; both come from the published tables.
    """
    every = pd.read_csv(study / "predictions.csv.gz", **KEEPING_NAMES)
    files = [study / f"{task}.csv" for task in TASKS if (study / f"{task}.csv").is_file()]
    published = pd.concat(map(pd.read_csv, files)).set_index(["benchmark", "model"])
    benchmarks, metrics = load_catalogue().benchmarks, []
    for (key, model, seed), rows in every.groupby(["benchmark", "model", "seed"]):
        benchmark = benchmarks[key]
        run = Run(key, model, int(seed), benchmark.task, benchmark.metric, benchmark.targets)
        wide = rows.pivot(index="row", columns="target")
        labels, predictions = (wide[name][[*run.targets]].to_numpy(np.float64) for name in ("label", "prediction"))
        known = published.loc[(benchmark.name, model)]
        validation = None if pd.isna(known["validation"]) else float(known["validation"])
        deterministic = bool(known["deterministic"] == "yes")
        path = folder / "runs" / key / model / f"seed-{seed}"
        write_run(
            path, run, wide.index.to_numpy(), labels, predictions, validation=validation, deterministic=deterministic
        )
        metrics.append(path / METRICS_FILE)
    write_tables(metrics, folder)


def renew(study: Path) -> None:
    """Replace the published files of a study by those that the present code makes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables_of(study, folder)
        benchmark_bars(folder / "classification.csv", folder / "regression.csv", folder / "benchmarks")
        for path in study.iterdir():
            if path.name != "predictions.csv.gz":
                path.write_bytes((folder / path.name).read_bytes())


if __name__ == "__main__":
    for each in STUDIES:
        renew(each)
