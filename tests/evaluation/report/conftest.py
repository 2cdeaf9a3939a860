"""The files of a small made-up run, and its page."""

import csv

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import FIXTURES

from molclr.config import Config
from molclr.data.audit import write_audit
from molclr.data.molecules import BenchmarkFiles
from molclr.evaluation import statistics
from molclr.evaluation.maps import COLUMNS, PROJECTIONS
from molclr.evaluation.predictions import gather_predictions
from molclr.evaluation.report.page import write_run_page
from molclr.evaluation.report.results import Results
from molclr.evaluation.runs import Run, write_run
from molclr.evaluation.tables import write_tables
from molclr.files import write_rows

MOLECULES = 24
MODELS = {"RF": 0.3, "GIN": 0.6, "MolCLR_GIN": 0.5}
"""Model -> size of its errors."""
REJECTED = [
    {"row": 7, "smiles": "C(C)(C)(C)(C)C", "reason": "RDKit: valence <script>alert(1)</script>"},
    {"row": 9, "smiles": "not a molecule", "reason": "RDKit cannot parse it"},
]


def smiles_of(name, count=MOLECULES):
    return pd.read_csv(FIXTURES / f"{name}.csv")["smiles"].head(count).tolist()


def write_benchmark(folder, name, task, metric):
    """Write the data of a benchmark and the runs of all models; return the data files."""
    generator = np.random.default_rng(len(name))
    labels = np.arange(MOLECULES) % 2 if task == "classification" else generator.normal(size=MOLECULES)
    rows, data = np.arange(MOLECULES), folder / "data"
    data.mkdir(exist_ok=True)
    table = pd.DataFrame({"row": rows, "smiles": smiles_of(name), name: labels.astype(np.float64)})
    table.to_parquet(data / f"{name}.parquet", index=False)
    write_rows(data / f"{name}.rejected.csv", REJECTED)
    subsets = ["train"] * (MOLECULES - 8) + ["valid"] * 4 + ["test"] * 4
    write_rows(data / f"{name}.split.csv", [{"row": row, "subset": subset} for row, subset in enumerate(subsets)])
    for model, size in MODELS.items():
        for seed in (0, 1):
            guesses = labels + size * generator.normal(size=MOLECULES)
            guesses = 1 / (1 + np.exp(3 - 6 * guesses)) if task == "classification" else guesses
            place, run = (
                folder / f"results/runs/{name}/{model}/seed-{seed}",
                Run(name, model, seed, task, metric, [name]),
            )
            best = None if model == "RF" else 2
            write_run(
                place, run, rows, labels[:, None].astype(float), guesses[:, None], best_epoch=best, validation=0.5
            )
            if best:
                epochs = [{"epoch": 1 + k, "train_loss": 1 / (k + 1), "validation": 0.5 + k / 10} for k in range(3)]
                write_rows(place / "history.csv", epochs)
    return BenchmarkFiles(name, data / f"{name}.parquet", data / f"{name}.rejected.csv", data / f"{name}.split.csv")


def write_map(path, smiles):
    """Write made-up coordinates of molecules."""
    places = np.random.default_rng(1).normal(size=(len(smiles), 2 * len(PROJECTIONS))).round(4).tolist()
    write_rows(path, [dict(zip(COLUMNS, (row, smiles[row], *place), strict=True)) for row, place in enumerate(places)])


def write_representation(results):
    """Write embeddings, maps of the corpus and of a benchmark, and the history of pre-training."""
    smiles = smiles_of("zinc", 30)
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    columns = {"row": range(30), "smiles": smiles, "embedding": list(vectors)}
    (results / "embeddings").mkdir()
    pq.write_table(pa.table(columns), results / "embeddings/gin.parquet")
    write_map(results / "maps/gin.csv", smiles)
    write_map(results / "maps/gin/bbbp.csv", smiles_of("bbbp"))
    columns = ("train_loss", "validation_loss", "contrastive_accuracy", "learning_rate")
    write_rows(
        results / "pretrain/gin/history.csv", [{"epoch": 1 + k} | dict.fromkeys(columns, 1 / (k + 1)) for k in (0, 1)]
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The results of a run, with a benchmark of each task."""
    folder = tmp_path_factory.mktemp("run")
    tasks = {"bbbp": ("classification", "roc_auc"), "freesolv": ("regression", "rmse")}
    files = [write_benchmark(folder, name, *how) for name, how in tasks.items()]
    results = folder / "results"
    settings = Config(benchmarks=list(tasks), models=list(MODELS), seeds=[0, 1], pretrain={"temperature": 0.5})
    metrics = sorted(results.glob("runs/*/*/*/metrics.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 200)
        write_tables(metrics, results / "tables", settings)
    gather_predictions(metrics, results / "tables/predictions.csv.gz")
    leakage = {
        "benchmark": "bbbp",
        "test_molecules": 24,
        "in_corpus": 3,
        "scaffold_in_corpus": 5,
        "acyclic": 1,
        "unseen_features": 7,
    }
    write_rows(results / "tables/leakage.csv", [leakage])
    write_audit(files, results / "tables/datasets.csv")
    write_representation(results)
    for name in ("pretrain", "another/pretrain"):
        log = folder / f"logs/results/{name}/gin.tsv"
        log.parent.mkdir(parents=True)
        with log.open("w", newline="") as file:
            csv.writer(file, delimiter="\t").writerows([["s", "max_rss"], [61.5, 412.3]])
    return Results(results, files, None, folder / "logs")


@pytest.fixture(scope="session")
def page(made):
    """The page of the run."""
    path = made.folder / "report.html"
    write_run_page(made, path)
    return path
