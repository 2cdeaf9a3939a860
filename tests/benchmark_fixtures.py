"""Fixtures: small graph stores and benchmarks, from real molecules."""

import pytest
from paths import FIXTURES

from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.featurize import featurize
from molclr.data.labelled import read_labelled
from molclr.data.splits import write_split


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Molecule table and graph store of a few hundred ZINC molecules."""
    folder = tmp_path_factory.mktemp("corpus")
    canonicalize(FIXTURES / "zinc.csv", folder / "zinc.parquet", folder / "zinc.rejected.csv", Selection(unique=True))
    featurize(folder / "zinc.parquet", folder / "zinc.safetensors")
    return folder / "zinc.parquet", folder / "zinc.safetensors"


@pytest.fixture(scope="session")
def benchmark_files(tmp_path_factory):
    """Make a benchmark of a raw table: molecule table, split and graph store."""
    folder = tmp_path_factory.mktemp("benchmarks")

    def files(raw, name):
        molecules, split, graphs = (folder / f"{name}.{kind}" for kind in ("parquet", "csv", "safetensors"))
        if not graphs.exists():
            canonicalize(raw, molecules, folder / f"{name}.rejected.csv")
            write_split(molecules, split, "scaffold")
            featurize(molecules, graphs)
        return molecules, split, graphs

    return files


@pytest.fixture
def bbbp(benchmark_files):
    """Labelled molecules and graph store of a part of BBBP."""
    molecules, split, graphs = benchmark_files(FIXTURES / "bbbp.csv", "bbbp")
    return read_labelled(molecules, split), graphs


@pytest.fixture
def freesolv(benchmark_files):
    """Labelled molecules and graph store of a part of FreeSolv."""
    molecules, split, graphs = benchmark_files(FIXTURES / "freesolv.csv", "freesolv")
    return read_labelled(molecules, split), graphs
