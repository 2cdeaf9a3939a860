"""The graph store that tests on GPUs read is made of the molecules beside it."""

import csv

from paths import FIXTURES

from molclr.chem.smiles import RejectedMolecule, canonicalize_all
from molclr.data.featurize import featurize_part
from molclr.data.store import write_store


def test_the_fixture_equals_the_result_of_featurizing(tmp_path):
    smiles = []
    for name in ("zinc", "hiv", "bbbp", "freesolv"):
        with (FIXTURES / f"{name}.csv").open() as file:
            smiles += [row["smiles"] for row in csv.DictReader(file)]
    canonical = [text for text in canonicalize_all(smiles) if not isinstance(text, RejectedMolecule)]
    write_store(tmp_path / "graphs.safetensors", [featurize_part(list(dict.fromkeys(canonical)))])
    assert (tmp_path / "graphs.safetensors").read_bytes() == (FIXTURES / "graphs.safetensors").read_bytes()
