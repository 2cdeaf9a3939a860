"""All test predictions of all runs in one table, from which the other tables can be recomputed."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import pandas as pd

from molclr.evaluation.runs import PREDICTION_COLUMNS, read_metrics, read_run
from molclr.files import replacing

COLUMNS = ["benchmark", "model", "seed", *PREDICTION_COLUMNS]


def gather_predictions(metrics_files: Iterable[str | PathLike[str]], output: str | PathLike[str]) -> None:
    """Concatenate the predictions.csv next to each metrics.json, in the order given, as gzipped CSV with COLUMNS.

    Digits are copied, and the output is the same to the byte for the same files. Raises MolclrError if a file is missing.
    """
    tables = [pd.DataFrame(columns=COLUMNS, dtype=str)]
    for file in map(Path, metrics_files):
        run = read_metrics(file)
        table = read_run(file.parent, dtype=str, keep_default_na=False)
        tables.append(table.assign(benchmark=run.benchmark, model=run.model, seed=str(run.seed)))
    # No time stamp and no file name in the gzip header.
    compression = {"method": "gzip", "compresslevel": 9, "mtime": 0, "filename": ""}
    with replacing(output) as temporary, temporary.open("wb") as archive:
        pd.concat(tables)[COLUMNS].to_csv(archive, index=False, lineterminator="\n", compression=compression)
