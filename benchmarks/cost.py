"""Cost of corpora of different sizes from measured rates: `python benchmarks/cost.py` prints the table of docs/scaling.md.

Give your rates, as printed by `python benchmarks/data.py` and `python benchmarks/pretrain.py`, as options. Bytes and atoms per
molecule are those of ZINC.
"""

import argparse

SIZES = {"10 million": 1e7, "100 million": 1e8, "1 billion": 1e9}
ATOMS = 21.7
"""Mean number of atoms of a ZINC molecule."""
EPOCHS = 50
LAYERS, WIDTH = 5, 300
ACCELERATORS = {"A100, float32": 19.5e12, "A100, bfloat16": 312e12, "H100, bfloat16": 989e12}
"""Peak rate of dense matrix products according to the data sheets, operations per second."""


def operations_of_a_molecule() -> float:
    """Count the floating-point operations of a GIN per molecule and epoch, matrix products only.

    A layer maps each atom from 300 to 600 to 300 channels; a product with an n x m matrix takes 2 n m operations, the backward
    pass takes twice the forward pass, and there are two views.
    """
    return 2 * 3 * LAYERS * ATOMS * 2 * (WIDTH * 2 * WIDTH) * 2


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--canonicalize", type=float, default=10713, help="molecules/s per core")
    parser.add_argument("--featurize", type=float, default=11971, help="molecules/s per core")
    parser.add_argument("--leakage", type=float, default=4857, help="molecules/s per core")
    parser.add_argument("--bytes", type=float, default=203, help="bytes per molecule in the graph store")
    parser.add_argument("--table-bytes", type=float, default=14, help="bytes per molecule in the molecule table")
    parser.add_argument("--unique-bytes", type=float, default=39, help="memory of de-duplication, bytes per molecule")
    parser.add_argument(
        "--step", type=float, default=677, help="molecules/s of a training step of a GIN on 2 CPU cores"
    )
    parser.add_argument("--utilization", type=float, default=0.1, help="fraction of the accelerator's peak rate")
    options = parser.parse_args()

    print("| | " + " | ".join(SIZES) + " |\n|---|" + "---:|" * len(SIZES))
    row("canonicalize, CPU hours", 1 / options.canonicalize / 3600)
    row("featurize, CPU hours", 1 / options.featurize / 3600)
    row("leakage or exclude, CPU hours", 1 / options.leakage / 3600)
    row("molecule table, GB", options.table_bytes / 1e9)
    row("graph store, GB", options.bytes / 1e9)
    row("canonicalize --unique, peak memory, GB", options.unique_bytes / 1e9)
    row(f"pre-training, {EPOCHS} epochs, hours on 2 CPU cores, float32", EPOCHS / options.step / 3600)
    for name, peak in ACCELERATORS.items():
        seconds = EPOCHS * operations_of_a_molecule() / (options.utilization * peak)
        row(f"pre-training, {EPOCHS} epochs, hours on an {name}, estimated", seconds / 3600)


def row(name: str, of_a_molecule: float) -> None:
    """Print a line of the table: an amount per molecule, times each size of corpus."""
    amounts = [of_a_molecule * size for size in SIZES.values()]
    print(f"| {name} | " + " | ".join(f"{amount:,.{int(amount < 100)}f}" for amount in amounts) + " |")


if __name__ == "__main__":
    main()
