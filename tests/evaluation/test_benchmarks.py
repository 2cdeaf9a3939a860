"""The benchmarks and the corpus that a configuration names."""

import dataclasses

import pytest
from paths import FIXTURES

from molclr.config import Config, parse_section
from molclr.errors import MolclrError
from molclr.evaluation import benchmarks
from molclr.evaluation.benchmarks import choose_benchmarks
from molclr.evaluation.metrics import METRICS

TABLE = str(FIXTURES / "freesolv.csv")
OWN = {"table": TABLE, "task": "regression", "metric": "rmse", "targets": ["freesolv"]}


def chosen(**values):
    settings = parse_section(Config, {"benchmarks": ["bbbp"], "models": ["GIN"]} | values, "run.yaml")
    return choose_benchmarks(settings, "run.yaml")


def test_benchmarks_of_the_catalogue_and_ones_own_in_the_order_of_the_configuration():
    found = chosen(benchmarks=["mine", "qm9"], own_benchmarks={"mine": OWN, "unused": OWN})
    assert [(name, benchmark.metric) for name, benchmark in found.items()] == [("mine", "rmse"), ("qm9", "mae")]


def test_a_corpus_of_ones_own():
    assert list(chosen(corpus={"name": "mine", "table": TABLE})) == ["bbbp"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"benchmarks": ["bbpb"]}, "'benchmarks': unknown benchmark 'bbpb'; choose one of bbbp, tox21"),
        (
            {"benchmarks": ["b"], "own_benchmarks": {"a": OWN}},
            "'benchmarks': unknown benchmark 'b'; .*qm9; own_benchmarks has a",
        ),
        ({"seeds_of": {"b": [0]}}, "'seeds_of': unknown benchmark 'b'"),
        ({"finetune": {"standardize": ["qm77"]}}, "'finetune.standardize': unknown benchmark 'qm77'"),
        ({"own_benchmarks": {"bbbp": OWN}}, "'own_benchmarks.bbbp': the catalogue already has a data set of this name"),
        (
            {"own_benchmarks": {"BBBP": OWN}},
            "'own_benchmarks.BBBP.name': 'BBBP' is the name of 'bbbp' in tables and figures; choose another name",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "name": "Solubility"}, "b": {**OWN, "name": "solubility"}}},
            "'own_benchmarks.b.name': 'solubility' is the name of 'a' in tables and figures; choose another name",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "table": "none.csv"}}},
            "'own_benchmarks.a.table': the file 'none.csv' does not exist",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "metric": "banana"}}},
            "'own_benchmarks.a.metric': Unknown metric 'banana'",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "metric": "roc_auc"}}},
            "'own_benchmarks.a.metric': .*is not a metric of regression",
        ),
        ({"own_benchmarks": {"a": {**OWN, "split": "spectral"}}}, "'own_benchmarks.a.split': Unknown split scheme"),
        (
            {"own_benchmarks": {"a": {**OWN, "targets": ["freesolv", "logS"]}}},
            "'.*freesolv.csv' has no column 'logS'; .* Name yours with 'own_benchmarks.a.targets'",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "smiles_column": "Smiles"}}},
            "'.*freesolv.csv' has no column 'Smiles'; .* Name yours with 'own_benchmarks.a.smiles_column'",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "split": "given"}}},
            "'.*freesolv.csv' has no column 'subset'; .* Name yours with 'own_benchmarks.a.split_column'",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "table": "."}}},
            "'own_benchmarks.a.table': '.' is a folder; name a table in it",
        ),
        ({"corpus": {"name": "zonc"}}, "'corpus.name': unknown corpus 'zonc'; choose one of pubchem, zinc"),
        ({"corpus": {"table": TABLE}}, "'corpus.name': another data set is called 'zinc'"),
        ({"corpus": {"name": "mine", "table": "none.smi"}}, "'corpus.table': the file 'none.smi' does not exist"),
        (
            {"corpus": {"name": "a", "table": TABLE}, "own_benchmarks": {"a": OWN}},
            "'corpus.name': another data set is called 'a'",
        ),
    ],
)
def test_a_mistake_names_the_key(values, message):
    with pytest.raises(MolclrError, match=f"^run.yaml: {message}") as error:
        chosen(**values)
    assert "\n" not in str(error.value)


def test_a_split_given_by_a_column_is_for_tables_of_ones_own(tmp_path):
    (tmp_path / "mine.csv").write_text("smiles,freesolv,fold\nCCO,1,train\n")
    own = {**OWN, "table": str(tmp_path / "mine.csv"), "split": "given", "split_column": "fold"}
    assert chosen(benchmarks=["mine"], own_benchmarks={"mine": own})["mine"].split == "given"


def test_a_table_without_a_header_or_too_large_to_be_read_at_once_is_left_to_the_first_job(tmp_path, monkeypatch):
    (tmp_path / "mine.csv").write_text("CCO,1.5\nCCN,2.5\n")
    own = {**OWN, "table": str(tmp_path / "mine.csv"), "targets": ["column 2"]}
    assert chosen(benchmarks=["mine"], own_benchmarks={"mine": own})
    monkeypatch.setattr(benchmarks, "LARGEST_READ", 3)
    assert chosen(benchmarks=["mine"], own_benchmarks={"mine": own | {"targets": ["logS"]}})


def test_a_metric_whose_loss_does_not_exist_is_found_before_any_job(monkeypatch):
    wrong = dataclasses.replace(METRICS["rmse"], loss="huber")
    monkeypatch.setitem(METRICS, "concordance", wrong)
    with pytest.raises(
        MolclrError, match=r"'own_benchmarks.a.metric': it names the loss 'huber', which is not in .*supervised"
    ):
        chosen(own_benchmarks={"a": {**OWN, "metric": "concordance"}})
