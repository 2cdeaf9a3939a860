"""What every run predicts for every test molecule, in one table, from which each number of the other tables can be recomputed."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import pandas as pd

from molclr.evaluation.runs import PREDICTION_COLUMNS, read_metrics, read_run
from molclr.files import replacing

COLUMNS = ["benchmark", "model", "seed", *PREDICTION_COLUMNS]


def gather_predictions(metrics_files: Iterable[str | PathLike[str]], output: str | PathLike[str]) -> None:
    """Write the predictions.csv beside each metrics.json as one table with COLUMNS (gzipped CSV), in the order given.

    The digits are those of the files; the bytes depend on nothing else. Raises MolclrError if a file is missing.
    """
    tables = [pd.DataFrame(columns=COLUMNS, dtype=str)]
    for file in map(Path, metrics_files):
        run = read_metrics(file)
        table = read_run(file.parent, dtype=str, keep_default_na=False)
        tables.append(table.assign(benchmark=run.benchmark, model=run.model, seed=str(run.seed)))
    # Neither a time stamp nor a name in the header of the archive.
    compression = {"method": "gzip", "compresslevel": 9, "mtime": 0, "filename": ""}
    with replacing(output) as temporary, temporary.open("wb") as archive:
        pd.concat(tables)[COLUMNS].to_csv(archive, index=False, lineterminator="\n", compression=compression)
