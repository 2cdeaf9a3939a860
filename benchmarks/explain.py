"""Comparison of explanations with known contributions of atoms: `python benchmarks/explain.py TABLE ...`.

Trains models on Crippen log P, which RDKit computes as a sum over atoms, explains test molecules, and compares the contribution
of each atom with its known one (a heavy atom with its hydrogens). Rank correlations are within a molecule; Pearson correlations
are over the atoms of all molecules: of the contributions, of the contributions minus the mean of their molecule, and of those of
carbon atoms alone.
For comparison: known contributions in random order within a molecule, and the mean known contribution of the atom's element.
Tables with SMILES are read as by `molclr train`; the molecules that are chosen do not depend on their form.
"""

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, rdMolDescriptors
from scipy.stats import spearmanr

from molclr.chem.smiles import read_molecule
from molclr.cli import main as molclr
from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.molecules import read_molecules
from molclr.qsar.explain import explain
from molclr.qsar.model_folder import ModelFolder

TARGET = "log P"
AGREEMENT = f"{'rank':>6} {'Pearson':>8} {'centred':>8} {'carbon':>7}"
FEWEST_ATOMS = 6
"""Smaller molecules have no meaningful rank correlation."""


class Known(NamedTuple):
    """A molecule with its log P and the contributions of its atoms, float64 (num_atoms,)."""

    smiles: str
    log_p: float
    atoms: np.ndarray
    elements: list[str]


def main() -> None:
    """Train, explain and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tables", nargs="+", type=Path, help="tables with SMILES")
    parser.add_argument("--molecules", type=int, default=1000, help="(default: 1000)")
    parser.add_argument("--encoder", default="molclr-gin", help="as for 'molclr train' (default: molclr-gin)")
    parser.add_argument("--epochs", type=int, default=30, help="(default: 30)")
    parser.add_argument("--seeds", type=int, default=2, help="networks (default: 2)")
    options = parser.parse_args()

    molecules = [known(smiles) for smiles in choose(options.tables, options.molecules)]
    tenths = np.random.default_rng(0).permutation(np.arange(len(molecules)) * 10 // len(molecules))
    subsets = np.array(["test", "valid", *["train"] * 8])[tenths].tolist()
    with TemporaryDirectory() as work:
        model = trained(Path(work), molecules, subsets, options)
        report(
            model,
            *([m for m, name in zip(molecules, subsets, strict=True) if name == one] for one in ("test", "train")),
        )


def choose(tables: list[Path], count: int) -> list[str]:
    """Choose connected molecules of the tables at random: canonical SMILES."""
    found: set[str] = set()
    with TemporaryDirectory() as work:
        for table in tables:
            canonicalize(table, Path(work, "m.parquet"), Path(work, "r.csv"), Selection(targets=[]))
            found |= {smiles for smiles in read_molecules(Path(work, "m.parquet"))["smiles"] if "." not in smiles}
    return np.random.default_rng(0).permutation(sorted(found))[:count].tolist()


def known(smiles: str) -> Known:
    """Compute log P and the contributions of heavy atoms with their hydrogens (Wildman & Crippen, 1999)."""
    molecule = read_molecule(smiles)
    complete = Chem.AddHs(molecule)
    atoms = np.zeros(molecule.GetNumAtoms())
    for atom, (log_p, _) in zip(complete.GetAtoms(), rdMolDescriptors._CalcCrippenContribs(complete), strict=True):
        is_added = atom.GetIdx() >= len(atoms)
        atoms[atom.GetNeighbors()[0].GetIdx() if is_added else atom.GetIdx()] += log_p
    total = Crippen.MolLogP(molecule)
    assert np.isclose(atoms.sum(), total)
    return Known(smiles, total, atoms, [atom.GetSymbol() for atom in molecule.GetAtoms()])


def trained(work: Path, molecules: list[Known], subsets: list[str], options: argparse.Namespace) -> ModelFolder:
    """Train all models on log P."""
    with (work / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["smiles", TARGET, "subset"])
        writer.writerows((*molecule[:2], name) for molecule, name in zip(molecules, subsets, strict=True))
    words = [
        "train",
        str(work / "table.csv"),
        "--output",
        str(work / "model"),
        "--targets",
        TARGET,
        "--split",
        "subset",
    ]
    words += ["--encoder", options.encoder, "--epochs", str(options.epochs), "--seeds", str(options.seeds)]
    if molclr(words):
        sys.exit(1)
    return ModelFolder.read(work / "model")


def report(model: ModelFolder, test: list[Known], training: list[Known]) -> None:
    """Print a line for each model and comparison.

    mean: contribution of an atom. sum: of the contributions of a molecule. predicted: mean prediction. r: correlation of the sum
    with the prediction.
    """
    truth, log_p = [molecule.atoms for molecule in test], np.array([molecule.log_p for molecule in test])
    print(f"{'':16} {'RMSE':>5} {AGREEMENT} {'mean':>6} {'sum':>6} {'predicted':>10} {'r':>5}")
    for name in model.about["models"]:
        found = explain(model, [molecule.smiles for molecule in test], name)
        atoms, mean = [each.atoms[:, 0] for each in found], np.array([each.mean[0] for each in found])
        error = np.sqrt(np.mean((mean - log_p) ** 2))
        print(f"{name:16} {error:5.2f} {agreement(test, atoms)} {additivity(atoms, mean)}")
    print(f"{'known':16} {'':5} {agreement(test, truth)} {additivity(truth, log_p)}")
    print(f"{'mean of element':16} {'':5} {agreement(test, means_of_elements(test, training))}")
    generator = np.random.default_rng(0)
    print(f"{'random order':16} {'':5} {agreement(test, [generator.permutation(each) for each in truth])}")


def means_of_elements(test: list[Known], training: list[Known]) -> list[np.ndarray]:
    """Return for each atom the mean known contribution of its element in the training molecules."""
    values = defaultdict[str, list[float]](list)
    for molecule in training:
        for element, value in zip(molecule.elements, molecule.atoms, strict=True):
            values[element].append(value)
    return [np.array([np.mean(values[element] or [0.0]) for element in molecule.elements]) for molecule in test]


def additivity(atoms: list[np.ndarray], prediction: np.ndarray) -> str:
    """Compare the sums of contributions with the predictions, float64 (n,)."""
    sums = np.array([each.sum() for each in atoms])
    mean, r = np.concatenate(atoms).mean(), np.corrcoef(sums, prediction)[0, 1]
    return f"{mean:6.2f} {sums.mean():6.2f} {prediction.mean():10.2f} {r:5.2f}"


def agreement(test: list[Known], found: list[np.ndarray]) -> str:
    """Compute the median rank correlation within molecules, and Pearson correlations over atoms."""
    truth = [molecule.atoms for molecule in test]
    ranks = [spearmanr(t, f).statistic for t, f in zip(truth, found, strict=True) if len(t) >= FEWEST_ATOMS]
    is_carbon = np.concatenate([np.array(molecule.elements) == "C" for molecule in test])
    every, centred = (
        [np.concatenate([each - subtract * each.mean() for each in atoms]) for atoms in (truth, found)]
        for subtract in (0, 1)
    )
    carbon = [atoms[is_carbon] for atoms in every]
    return f"{np.nanmedian(ranks):6.2f} {pearson(*every):>8} {pearson(*centred):>8} {pearson(*carbon):>7}"


def pearson(x: np.ndarray, y: np.ndarray) -> str:
    """Compute Pearson's correlation; - if one is constant."""
    return f"{np.corrcoef(x, y)[0, 1]:.2f}" if np.ptp(x) and np.ptp(y) else "-"


if __name__ == "__main__":
    main()
