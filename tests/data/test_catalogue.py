"""The catalogue says what the paper says, and rejects what it cannot mean."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import molclr.evaluation
from molclr.data.catalogue import CATALOGUE, load_catalogue
from molclr.errors import MolclrError
from molclr.evaluation.summary import unit_of

BENCHMARKS = load_catalogue().benchmarks
KEYS = "bbbp tox21 clintox hiv bace sider muv freesolv esol lipo qm7 qm8 qm9"


def test_the_benchmarks_are_the_papers():
    assert " ".join(BENCHMARKS) == KEYS
    published = Path(molclr.evaluation.__file__).with_name("published.csv")
    with published.open(newline="") as text:
        metrics = {row["benchmark"]: row["metric"] for row in csv.DictReader(text)}
    words = {"roc_auc": "ROC-AUC %", "rmse": "RMSE", "mae": "MAE"}
    assert {benchmark.name: words[benchmark.metric] for benchmark in BENCHMARKS.values()} == metrics


def test_numbers_of_targets_are_the_papers():
    counts = [1, 12, 2, 1, 1, 27, 17, 1, 1, 1, 1, 12, 8]
    assert [len(benchmark.targets) for benchmark in BENCHMARKS.values()] == counts
    assert load_catalogue()["zinc"].targets == ()


def test_only_qm9_is_split_at_random():
    assert {key: b.split for key, b in BENCHMARKS.items() if b.split != "scaffold"} == {"qm9": "random-0"}


def test_units():
    assert unit_of(BENCHMARKS["freesolv"], "freesolv") == "kcal/mol"
    assert unit_of(BENCHMARKS["qm9"], "gap") == "eV"
    assert unit_of(BENCHMARKS["qm8"], "E1-CC2") == "hartree"
    assert unit_of(BENCHMARKS["hiv"], "HIV_active") == ""


@pytest.mark.parametrize("key", BENCHMARKS)
def test_benchmarks_have_digests(key):
    benchmark = BENCHMARKS[key]
    assert benchmark.rows and benchmark.fingerprint
    for source in benchmark.sources:
        assert source.sha256 or source.git_blob_sha1, f"{source.address} has no digest"
        if source.url:
            assert re.search(r"/[0-9a-f]{40}/", source.url), f"{source.url} may change"


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(MolclrError, match=r"has no 'bbb'.*bbbp, tox21.*pubchem, zinc"):
        load_catalogue()["bbb"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrik": "mae"}, r"'benchmarks.qm9.metrik': Extra inputs are not permitted"),
        ({"split": "Random"}, "'benchmarks.qm9.split': input should be the name of a scheme"),
        ({"unit": {"mu": "D"}}, "'benchmarks.qm9.unit': it has units of mu; give one for each target: mu, alpha, "),
        ({"sources": []}, "'benchmarks.qm9.sources'"),
        ({"fingerprint": "abc"}, "'benchmarks.qm9.fingerprint'"),
        ({"sources": [{"url": "http://host/qm9.csv"}]}, r"sources.0.url': String should match pattern '\^https://'"),
        (
            {"sources": [{"url": "https://host/qm9.csv", "mirror": "qm9.csv"}]},
            "exactly one of 'mirror', 'url' and 'wheel'",
        ),
        ({"sources": [{"wheel": "qm9pack==1.0.3"}]}, "the wheel qm9pack==1.0.3 needs 'members'"),
        ({"sources": [{"wheel": "qm9pack", "members": ["qm9.csv"]}]}, "sources.0.wheel'"),
        ({"sources": [{"mirror": "qm9.csv", "factors": {"humo": 27.2}}]}, r"names \['humo'\], which are not targets"),
        (
            {"sources": [{"mirror": "qm9.csv", "sha256": "0" * 64, "git_blob_sha1": "0" * 40}]},
            "a source has one digest",
        ),
    ],
)
def test_a_mistake_is_one_sentence_that_names_its_place(tmp_path, change, message):
    values = yaml.safe_load(CATALOGUE.read_text())
    values["benchmarks"]["qm9"].update(change)
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(MolclrError, match=message) as error:
        load_catalogue(path)
    assert "\n" not in str(error.value) and str(error.value).startswith("catalogue.yaml: 'benchmarks.qm9")


def test_importing_it_is_cheap():
    heavy = "{'torch', 'rdkit', 'pandas', 'numpy', 'pyarrow'}"
    code = f"import sys, molclr.data.catalogue as c; c.load_catalogue(); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
