"""Molecules for the tests."""

import numpy as np
import pytest

MOLECULES = [
    "C",  # one atom
    "[Na+].[Cl-]",  # a salt without bonds
    "CC(=O)[O-].[Na+]",  # a salt
    "O=C(C)Oc1ccccc1C(=O)O",  # aspirin
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",  # caffeine, fused rings
    "C1CC2CCC1CC2",  # bridged rings
    "N[C@@H](C)C(=O)O",  # chirality
    "N[C@H](C)C(=O)O",
    "F/C=C/F",  # bond directions
    "F/C=C\\F",
    "[2H]C([2H])([2H])O",  # isotopes
    "CC#N",
    "CCCCCCCCCCCCCCCC",
    "C[Si](C)(C)c1ccc(Br)cc1",
]


@pytest.fixture(scope="session")
def smiles() -> list[str]:
    """Molecules of every kind that matters to a graph: one atom, salts, rings, stereochemistry, chains."""
    return MOLECULES


@pytest.fixture
def graphs(smiles, tmp_path):
    """The same molecules as one batch, out of a graph store."""
    from molclr.data.featurize import featurize_part
    from molclr.data.store import GraphStore, write_store

    write_store(tmp_path / "graphs.safetensors", [featurize_part(smiles)])
    return GraphStore(tmp_path / "graphs.safetensors").batch(np.arange(len(smiles)))
