"""Do explanations find what is known? `python benchmarks/explain.py data/molecules/lipo.parquet data/molecules/esol.parquet`.

Trains models on Crippen log P, which RDKit computes as a sum over atoms, explains test molecules, and compares what masking an
atom takes from the prediction with the atom's known contribution (a heavy atom with its hydrogens). Rank correlations are within
a molecule; Pearson correlations are over the atoms of all molecules, as they are and with the mean of each molecule subtracted.
For comparison: known contributions in random order within a molecule, and the mean known contribution of the atom's element.
Tables with SMILES are read as by `molclr train`; the molecules that are chosen do not depend on their form.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, rdMolDescriptors
from scipy.stats import spearmanr

from molclr.chem.smiles import read_molecule
from molclr.config import DEFAULT_ENCODER, Baselines, EncoderShape, Finetune
from molclr.data.canonicalize import canonicalize
from molclr.data.molecules import read_molecules
from molclr.representation import encoder_file
from molclr.seeds import derive_seed
from molclr.training.explain import explain
from molclr.training.model_folder import ModelFolder
from molclr.training.train import Training, train

TARGET = "log P"
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
    parser.add_argument("--molecules", type=int, default=1500, help="(default: 1500)")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help=f"name, file or none (default: {DEFAULT_ENCODER})")
    parser.add_argument("--epochs", type=int, default=10, help="(default: 10)")
    parser.add_argument("--seeds", type=int, default=2, help="networks (default: 2)")
    options = parser.parse_args()

    chosen = [known(smiles) for smiles in choose(options.tables, options.molecules)]
    subsets = np.random.default_rng(0).permutation(np.arange(len(chosen)) * 10 // len(chosen))
    names = ["test" if part == 0 else "valid" if part == 1 else "train" for part in subsets]
    with TemporaryDirectory() as work:
        model = trained(Path(work), chosen, names, options)
        report(model, [molecule for molecule, name in zip(chosen, names, strict=True) if name == "test"],
               [molecule for molecule, name in zip(chosen, names, strict=True) if name == "train"])  # fmt: skip


def choose(tables: list[Path], count: int) -> list[str]:
    """Choose connected molecules of the tables at random: canonical SMILES."""
    found: set[str] = set()
    with TemporaryDirectory() as work:
        for table in tables:
            canonicalize(table, Path(work, "m.parquet"), Path(work, "r.csv"), targets=[])
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
    train(
        Training(
            table=work / "table.csv",
            output=work / "model",
            start="gin" if options.encoder == "none" else encoder_file(options.encoder),
            encoder=options.encoder,
            targets=[TARGET],
            split="subset",
            seeds=options.seeds,
            settings=Finetune(epochs=options.epochs),
            shape=EncoderShape(),
            baselines=Baselines(),
        )
    )
    return ModelFolder.read(work / "model")


def report(model: ModelFolder, test: list[Known], training: list[Known]) -> None:
    """Print a line for each model and comparison."""
    truth = [molecule.atoms for molecule in test]
    print(f"{'':16} {'RMSE':>5} {'rank':>6} {'Pearson':>8} {'centred':>8} {'mean':>6} {'sum':>6}")
    for name in model.about["models"]:
        found = explain(model, [molecule.smiles for molecule in test], name)
        errors = [each.mean[0] - molecule.log_p for each, molecule in zip(found, test, strict=True)]
        atoms = [each.atoms[:, 0] for each in found]
        sums = np.corrcoef([each.sum() for each in atoms], [each.mean[0] for each in found])[0, 1]
        rmse = np.sqrt(np.mean(np.square(errors)))
        print(f"{name:16} {rmse:5.2f} {agreement(truth, atoms)} {np.concatenate(atoms).mean():6.2f} {sums:6.2f}")
    generator = np.random.default_rng(derive_seed(0, "order"))
    print(f"{'random order':16} {'':5} {agreement(truth, [generator.permutation(each) for each in truth])}")
    by_element = defaultdict[str, list[float]](list)
    for molecule in training:
        for element, value in zip(molecule.elements, molecule.atoms, strict=True):
            by_element[element].append(value)
    means = [np.array([np.mean(by_element[element] or [0.0]) for element in molecule.elements]) for molecule in test]
    print(f"{'element':16} {'':5} {agreement(truth, means)}")


def agreement(truth: list[np.ndarray], found: list[np.ndarray]) -> str:
    """Compute the median rank correlation within molecules, and Pearson correlations over all atoms."""
    ranks = [spearmanr(t, f).statistic for t, f in zip(truth, found, strict=True) if len(t) >= FEWEST_ATOMS]
    pearson = np.corrcoef(np.concatenate(truth), np.concatenate(found))[0, 1]
    t, f = (np.concatenate([each - each.mean() for each in atoms]) for atoms in (truth, found))
    return f"{np.nanmedian(ranks):6.2f} {pearson:8.2f} {np.corrcoef(t, f)[0, 1]:8.2f}"


if __name__ == "__main__":
    main()
