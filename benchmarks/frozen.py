"""Benchmark scores of frozen representations: `python benchmarks/frozen.py [ENCODER ...] --benchmarks bbbp bace`.

Fits a support vector machine with a Gaussian kernel per target on each standardized representation h and, for comparison, on the
logarithms of ECFP4 counts. The penalty C is selected on the validation molecules. The result is deterministic. Prints validation
and test scores. Needs the files of the benchmarks (`snakemake all_data`); splits are those of the catalogue.
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from molclr.chem.fingerprints import ecfp4_counts
from molclr.data.catalogue import Benchmark, load_catalogue
from molclr.data.labelled import LabelledMolecules, read_labelled
from molclr.evaluation.metrics import better, score
from molclr.representation import Encoder

COSTS = (0.1, 1.0, 10.0, 100.0)
"""Candidates for C, which is selected on the validation molecules."""
ECFP = "ECFP4 counts"
Features: TypeAlias = np.ndarray | csr_matrix
"""One row per molecule."""


def main() -> None:
    """Print a line for each representation and benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("encoders", nargs="*", default=["molclr-gin"], help="files or names (default: molclr-gin)")
    names = ["bbbp", "bace", "clintox", "freesolv", "esol", "lipo"]
    parser.add_argument("--benchmarks", nargs="+", default=names, help=f"(default: {' '.join(names)})")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of their files (default: data)")
    options = parser.parse_args()

    warnings.filterwarnings("ignore", message=".*never saw in pre-training")
    representations = {name: Encoder.load(name) for name in options.encoders}
    width = max(map(len, (*representations, ECFP, "representation")))
    print(f"{'benchmark':10} {'metric':8} {'representation':{width}} {'validation':>10} {'test':>8}")
    for name in options.benchmarks:
        benchmark = load_catalogue().benchmarks[name]
        data = read(options.data, name, benchmark.split)
        features = {who: encoder.embed(data.smiles) for who, encoder in representations.items()}
        features[ECFP] = csr_matrix(np.log1p(ecfp4_counts(data.smiles)))
        for who, x in features.items():
            valid, test = probe(x, data, benchmark)
            print(f"{name:10} {benchmark.metric:8} {who:{width}} {valid:>10.3f} {test:>8.3f}", flush=True)


def read(folder: Path, name: str, scheme: str) -> LabelledMolecules:
    """Read the molecules, labels and split of a benchmark."""
    split = folder / "splits" / f"{name}.{'random-0' if scheme == 'random' else scheme}.csv"
    return read_labelled(folder / "molecules" / f"{name}.parquet", split)


def probe(x: Features, data: LabelledMolecules, benchmark: Benchmark) -> tuple[float, float]:
    """Compute the validation and test scores. x: float (n, features) of all molecules."""
    train, valid, test = (data.subsets[name] for name in ("train", "valid", "test"))
    predictions = np.zeros_like(data.labels)
    for target in range(len(data.targets)):
        labels = data.labels[:, target]
        known = train[~np.isnan(labels[train])]
        best = np.nan
        for cost in COSTS:
            guess = fitted(x[known], labels[known], benchmark.task, cost)(x)
            value = score(benchmark.metric, labels[valid, None], guess[valid, None], ["target"]).value
            if better(benchmark.metric, value, best) or np.isnan(best):
                best, predictions[:, target] = value, guess
    values = [
        score(benchmark.metric, data.labels[rows], predictions[rows], data.targets).value for rows in (valid, test)
    ]
    return values[0], values[1]


def fitted(x: Features, labels: np.ndarray, task: str, cost: float) -> Callable[[Features], np.ndarray]:
    """Fit a support vector machine; return its function from features to margins, or to values in the target's unit."""
    scaler = "passthrough" if issparse(x) else StandardScaler()  # All counts have the same scale.
    if task == "classification":
        return make_pipeline(scaler, SVC(C=cost, cache_size=500)).fit(x, labels).decision_function
    machine = TransformedTargetRegressor(SVR(C=cost, cache_size=500), transformer=StandardScaler())
    return make_pipeline(scaler, machine).fit(x, labels).predict


if __name__ == "__main__":
    main()
