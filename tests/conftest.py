"""Molecules for the tests; the order in which they run, and whether they may skip."""

import os

import numpy as np
import pytest

FIRST = ("test_slurm.py", "test_benchmarks.py", "test_stages.py")
"""Files of long tests that begin first. The first makes the run that others share; the next ones do not need it meanwhile."""
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Run the longest tests first, and the tests of a file in one process, so that they share their fixtures.

    The tests of test_dvc.py and test_workflow.py share files instead, and may run in any process.
    """
    items.sort(key=_place)
    for item in items:
        if not item.get_closest_marker("xdist_group") and item.path.name not in ("test_dvc.py", "test_workflow.py"):
            item.add_marker(pytest.mark.xdist_group(item.path.name))


def _place(item):
    """Return the sort key of a test: the files of FIRST, then other tests of the workflow, then slow tests, then the rest."""
    file = item.path.name if item.get_closest_marker("workflow") else ""
    first = FIRST.index(file) if file in FIRST else len(FIRST)
    return first, item.get_closest_marker("workflow") is None, item.get_closest_marker("slow") is None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """In the gate a test that skips fails, if it does not want a GPU."""
    report = yield
    if report.skipped and os.environ.get("NO_SKIPS") and not item.get_closest_marker("gpu"):
        report.outcome, report.longrepr = "failed", f"It skips, as only tests of a GPU may here: {report.longrepr[2]}"
    return report
