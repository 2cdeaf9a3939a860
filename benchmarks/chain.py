"""Time and memory of each workflow step, from Snakemake's benchmark files in logs/: `python benchmarks/chain.py [NAME]`."""

import argparse
import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

STEPS = {
    "fetch": r"data/raw/",
    "canonicalize": r"data/molecules/",
    "split": r"data/splits/",
    "featurize": r"data/graphs/",
    "pretrain": r"/pretrain/",
    "embed": r"/embeddings/|/maps/.*\.embed\.tsv",
    "finetune": r"/runs/[^/]+/(MolCLR_)?G[A-Z]+/",
    "baseline": r"/runs/[^/]+/(RF|SVM|SVM_Tanimoto)/",
    "frozen": r"/runs/[^/]+/SVM_MolCLR_",
    "table": r"/tables/(classification|regression|predictions)",
    "audit": r"/tables/datasets",
    "leakage": r"/tables/leakage",
    "maps": r"/maps/",
    "figure": r"/figures/",
}


def main() -> None:
    """Print a Markdown table: jobs, total seconds, seconds of the longest job, and largest memory of a job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "name", nargs="?", default="*", help="only the data jobs of this data set, such as hiv (default: all)"
    )
    name = parser.parse_args().name
    found = defaultdict(list)
    for path in sorted({*Path("logs").rglob(f"{name}.tsv"), *Path("logs").rglob(f"{name}.*.tsv")}):
        step = next((name for name, pattern in STEPS.items() if re.search(pattern, path.as_posix())), None)
        with path.open() as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        if step:
            memory = 0.0 if row["max_rss"] in ("-", "NA") else float(row["max_rss"])
            found[step].append((float(row["s"]), memory))
    if not found:
        sys.exit("There are no logs of a run in this folder; run 'make all' first.")
    print("| step | jobs | seconds, all jobs | seconds, longest job | memory of a job, MB |\n|---|---:|---:|---:|---:|")
    for step in STEPS:
        if step in found:
            seconds, memory = zip(*found[step], strict=True)
            print(f"| {step} | {len(seconds)} | {sum(seconds):.0f} | {max(seconds):.0f} | {max(memory):.0f} |")


if __name__ == "__main__":
    main()
