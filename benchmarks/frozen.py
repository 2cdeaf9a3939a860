"""Benchmark scores of frozen representations: `python benchmarks/frozen.py [ENCODER ...] --benchmarks bbbp bace`.

Fits support vector machines per target, as `molclr train` does: on the logarithms of ECFP4 counts (Gaussian kernel), on ECFP4
counts (Tanimoto kernel), on each standardized representation h (Gaussian kernel), and on both (mean of a Gaussian kernel on h and
a Tanimoto kernel on counts). The penalty C is selected on the validation molecules, which are not in training.
The result is deterministic. Prints validation and test scores with a 95 % bootstrap interval over the test molecules. Needs the
files of the benchmarks (`snakemake all_data`); splits are those of the catalogue.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from molclr.chem.fingerprints import ecfp4_counts
from molclr.data.catalogue import Benchmark, load_catalogue
from molclr.data.labelled import LabelledMolecules, read_labelled
from molclr.evaluation.metrics import score
from molclr.evaluation.statistics import score_interval
from molclr.representation import Encoder
from molclr.training.kernels import Features, log_counts, standardized
from molclr.training.svm import fit_svm, predict_svm

COSTS = (0.1, 1.0, 10.0, 100.0)
"""Candidates for C, which is selected on the validation molecules."""
ECFP = "ECFP4 counts"


def main() -> None:
    """Print a line for each benchmark and kind of features."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("encoders", nargs="*", default=["molclr-gin"], help="files or names (default: molclr-gin)")
    names = ["bbbp", "bace", "clintox", "freesolv", "esol", "lipo"]
    parser.add_argument("--benchmarks", nargs="+", default=names, help=f"(default: {' '.join(names)})")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of their files (default: data)")
    options = parser.parse_args()

    warnings.filterwarnings("ignore", message=".*never saw in pre-training")
    encoders = {Path(name).stem: Encoder.load(name) for name in options.encoders}
    width = max(len(f"{who} and {ECFP}") for who in encoders)
    print(f"{'benchmark':10} {'metric':8} {'features':{width}} {'validation':>10} {'test':>8}   95 % interval")
    for name in options.benchmarks:
        benchmark = load_catalogue().benchmarks[name]
        data = read(options.data, name, benchmark.split)
        counts = csr_matrix(ecfp4_counts(data.smiles))
        rows = {ECFP: Features(log_counts(counts)), f"{ECFP}, Tanimoto": Features(None, counts)}
        for who, encoder in encoders.items():
            h = encoder.embed(data.smiles)
            x = standardized(h, h[data.subsets["train"]])
            rows |= {who: Features(x), f"{who} and {ECFP}": Features(x, counts)}
        for who, features in rows.items():
            valid, test, (low, high) = probe(features, data, benchmark)
            line = f"{name:10} {benchmark.metric:8} {who:{width}} {valid:>10.3f} {test:>8.3f}"
            print(f"{line}   {low:.3f} to {high:.3f}", flush=True)


def read(folder: Path, name: str, scheme: str) -> LabelledMolecules:
    """Read the molecules, labels and split of a benchmark."""
    split = folder / "splits" / f"{name}.{'random-0' if scheme == 'random' else scheme}.csv"
    return read_labelled(folder / "molecules" / f"{name}.parquet", split)


def probe(
    features: Features, data: LabelledMolecules, benchmark: Benchmark
) -> tuple[float, float, tuple[float, float]]:
    """Compute the validation and test scores, and the interval of the latter. features: those of all molecules."""
    train, valid, test = (data.subsets[name] for name in ("train", "valid", "test"))
    predictions = np.zeros_like(data.labels)
    for target, labels in enumerate(data.labels.T):
        known = train[~np.isnan(labels[train])]
        given = features[known], labels[known], benchmark.task, COSTS
        machine = fit_svm(*given, (features[valid], labels[valid]), benchmark.metric)
        predictions[:, target] = predict_svm(machine, features[known[machine["support"]]], features, benchmark.task)
    values = [score(benchmark.metric, data.labels[rows], predictions[rows], data.targets) for rows in (valid, test)]
    interval = score_interval(benchmark.metric, data.labels[test], predictions[test])
    return values[0].value, values[1].value, interval


if __name__ == "__main__":
    main()
