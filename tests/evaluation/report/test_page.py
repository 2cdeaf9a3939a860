"""The page of a run: what is in it, and what it is worth without some of the files."""

import base64
import gzip
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from molclr.config import Config, Corpus, OwnBenchmark
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import Embeddings
from molclr.evaluation.report.data import data_part, without_rejected
from molclr.evaluation.report.making import steps
from molclr.evaluation.report.maps import MOST_MAPPED, benchmark_map, label_colours
from molclr.evaluation.report.overview import limits, meanings, result_rows, what_was_done
from molclr.evaluation.report.page import write_run_page
from molclr.evaluation.report.predictions import curves
from molclr.evaluation.report.render import MOST_BYTES
from molclr.evaluation.report.representation import representation_part, retrieve
from molclr.evaluation.report.results import Results
from molclr.evaluation.report.structures import Structures, drawings

SECTIONS = ["verdict", "results", "benchmarks", "representation", "data", "making"]


@pytest.fixture(scope="module")
def text(page):
    """The page without Plotly."""
    return re.sub(r"<script>/\*\*\n\* plotly.*?</script>", "", page.read_text(), flags=re.DOTALL)


def test_the_answer_comes_first_and_the_versions_last(text):
    assert re.findall(r'<section id="(\w+)"', text) == SECTIONS
    assert re.findall(r'<a href="#(\w+)">', text.split("</nav>")[0]) == SECTIONS
    first = text[text.index('id="verdict"') : text.index('id="results"')]
    assert "Pre-training" in first and "the best baseline" in first
    assert "3 of 24 test molecules are in the corpus" in first and "7 of 24 test molecules have an element, a" in first


def test_it_is_one_file_that_asks_for_nothing(page, text):
    assert page.stat().st_size < MOST_BYTES
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", text) and "@import" not in text


def test_what_the_data_say_is_text_and_not_code(text):
    assert "<script>alert" not in text and "valence &lt;script&gt;alert(1)" in text


def test_the_best_and_what_cannot_be_distinguished_from_it_are_marked(made):
    rows = {(row.benchmark, row.model): row for row in result_rows(made.table)}
    alike = "not distinguishable"
    assert {key: row.best for key, row in rows.items()} == {
        ("BBBP", "RF"): "best",
        ("BBBP", "GIN"): alike,
        ("BBBP", "MolCLR_GIN"): alike,
        ("FreeSolv", "RF"): "best",
        ("FreeSolv", "GIN"): "",
        ("FreeSolv", "MolCLR_GIN"): alike,
    }
    ours = rows["FreeSolv", "MolCLR_GIN"]
    assert ours.baseline.note.startswith("against RF: ") and ours.scratch.interval.count("to") == 1
    assert "-" not in ours.scratch.text + ours.scratch.interval, "a minus sign, not a hyphen"
    assert not rows["FreeSolv", "RF"].scratch.text and rows["FreeSolv", "RF"].paper.text == "2.03 ± 0.22"


def test_curves_of_a_model_with_one_seed_are_shown_for_every_seed(made):
    results = made.benchmarks[0]
    once = results.predictions.query("model != 'RF' or seed == 0")
    roc = curves(replace(results, predictions=once))[0]
    options = {(trace.name, trace.meta["options"].get("Seed")) for trace in roc.figure.data}
    assert options == {
        ("RF", None),
        ("chance", None),
        *((name, seed) for name in ("GIN", "MolCLR_GIN") for seed in "01"),
    }
    assert roc.choices == {"Seed": ["0", "1"]}
    assert [trace.name for trace in roc.figure.data if trace.visible] == ["RF", "GIN", "MolCLR_GIN", "chance"]


def test_a_score_that_all_seeds_share_has_no_spread(made):
    table = made.table.assign(std=0.0)
    assert not any("±" in row.score.text for row in result_rows(table))


def test_it_says_what_was_done_and_how_far_to_trust_it(made):
    assert (
        "pre-trained without labels on all molecules of zinc, of which 5 % were held out, for 50 epochs"
        in what_was_done(made)
    )
    assert "RF, GIN and MolCLR_GIN were trained on BBBP and FreeSolv with 2 seeds each" in what_was_done(made)
    assert limits(made)[0].startswith("2 seeds of one split")


def test_the_corpus_of_the_paper_was_larger_unless_the_number_of_molecules_says_otherwise(made, tmp_path):
    """It is that of the table of the corpus, or else that of the configuration or the catalogue; unknown counts as smaller."""

    def cautions(corpus, rejected=None):
        results = replace(made, corpus_rejected=rejected)
        results.__dict__["settings"] = made.settings.model_copy(update={"corpus": Corpus(**corpus)})
        return results.corpus_molecules, any("The paper pre-trained on 10 million" in each for each in limits(results))

    assert cautions({"name": "zinc"}) == (1_936_962, True)
    assert cautions({"name": "pubchem"}) == (None, True) and cautions({"name": "mine", "table": "a.smi"}) == (
        None,
        True,
    )
    assert cautions({"name": "pubchem", "molecules": 10**7}) == (10**7, False)
    table = made.files[0].molecules
    assert cautions({"name": "pubchem", "molecules": 10**7}, table.with_name("bbbp.rejected.csv")) == (24, True)
    assert cautions({"name": "zinc"}, tmp_path / "none.rejected.csv") == (1_936_962, True)


def test_test_molecules_in_the_corpus_are_counted_for_each_target_if_each_has_a_split(made):
    results = replace(made)
    results.__dict__["settings"] = made.settings.model_copy(update={"single_task": True})
    assert any("3 of 24 test molecules, counted once for each target of which" in limit for limit in limits(results))


def test_splits_augmentations_and_losses_of_ones_own_are_in_the_sentences(made):
    assert what_was_done(made).startswith(
        "GIN was pre-trained without labels on all molecules of zinc, of which 5 % were held out, for 50 epochs. RF,"
    )
    assert what_was_done(made).endswith("Split: scaffold.")
    own = {"table": "mine.csv", "task": "regression", "metric": "rmse", "targets": ["y"], "name": "FreeSolv"}
    views = [{"my_package.views:swap": 0.1}, {"atom_masking": 0.25}]
    pretrain = {"loss": "my_package.losses:cross_view", "augmentation": {"composition": views}}
    for split, shown in (("random-3", "random with seed 3"), ("given", "given by the column 'subset'")):
        settings = Config(benchmarks=["bbbp"], models=["RF", "GIN", "MolCLR_GIN"], pretrain=pretrain)
        known = made.known | {"freesolv": OwnBenchmark(**own, split=split)}
        results = replace(made)
        results.__dict__.update(settings=settings, known=known)
        sentence = what_was_done(results)
        assert (
            "for 50 epochs, with the loss my_package.losses:cross_view and with views by my_package.views:swap (0.1), then "
            "atom_masking (0.25). RF" in sentence
        )
        assert sentence.endswith(f"Splits: scaffold (BBBP); {shown} (FreeSolv).")


def test_it_says_which_tables_of_rejected_rows_are_missing(made, text):
    assert "Rejected rows of bbbp" in text and "rejected rows of" not in text.replace("Rejected rows of", "")
    assert without_rejected(["a"], [], []) == ["The tables of rejected rows are missing here."]
    assert without_rejected(["a", "b"], ["a", "b"], ["b"]) == ["No row of a was rejected."]
    assert without_rejected(["a", "b", "c"], ["a", "b"], []) == [
        "No row of a and b was rejected.",
        "The tables of rejected rows of c are missing here.",
    ]


def test_the_audit_has_one_column_of_labels_and_one_of_subsets(made):
    shown = data_part(made, Structures()).audit
    assert "RDKit cannot parse it: 1" in data_part(made, Structures()).reasons[0]
    assert shown["labels"].tolist()[0] == "50.0 % positive" and "std\u00a01.0" in shown["labels"].tolist()[1]
    assert shown["training / validation / test"].tolist() == ["16\u202f/\u202f4\u202f/\u202f4"] * 2
    assert shown["split"].tolist() == ["split", "split"], "of bbbp.split.csv"


def test_verdicts_are_explained_where_they_occur(made):
    table = made.table.assign(minus_scratch_verdict="", minus_baseline_verdict="")
    assert not any("significant" in meaning for meaning in meanings(result_rows(table)))
    (found,) = (
        one for one in meanings(result_rows(table.assign(minus_scratch_verdict="not significant"))) if "Holm" in one
    )
    assert found.startswith("not significant: p ≥ 0.05") and "Intervals are not adjusted" in found


def test_the_configuration_that_differs_and_the_cost_of_steps_are_shown(made, text):
    assert re.search(r"<td>pretrain.temperature</td><td>0.5</td><td>0.1</td>", text)
    assert "<td>pretrain.epochs</td>" not in text
    assert steps(made.logs, made.folder).to_dict("records")[0] | {"largest memory, MB": 412.0} == {
        **{"step": "pre-train", "jobs": 1, "seconds of all jobs": 62, "seconds of the longest": 62},
        "largest memory, MB": 412.0,
    }
    assert steps(None, made.folder) is None


def test_jobs_of_all_baselines_are_counted_as_such(tmp_path):
    models = ["MolCLR_GIN", "GIN", "RFNet", "RF", "SVM", "SVM_Tanimoto", "SVM_MolCLR_GIN_ECFP"]
    for model in models:
        record = tmp_path / f"logs/results/runs/bbbp/{model}/seed-0.tsv"
        record.parent.mkdir(parents=True)
        record.write_text("s\tmax_rss\n1.0\t2.0\n")
    found = steps(tmp_path / "logs", tmp_path / "results")
    assert dict(zip(found["step"], found["jobs"], strict=True)) == {"fine-tune": 3, "baselines": 4}


def test_a_run_without_data_logs_and_embeddings_shows_what_it_has(made, tmp_path):
    """As after a restoration in part."""
    (tmp_path / "tables").symlink_to(made.folder / "tables")
    write_run_page(Results(tmp_path), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert 'id="representation"' not in text and "ROC curves" in text and "Learning curves" not in text
    assert "Not known here" in text and "Largest errors" not in text


def test_without_values_of_the_paper_there_is_no_column_for_them(made, text, tmp_path):
    assert '<button type="button">Paper</button>' in text
    (tmp_path / "tables").symlink_to(made.folder / "tables")
    results = Results(tmp_path)
    results.__dict__["table"] = made.table.assign(paper_mean="", paper_std="", paper_check="")
    write_run_page(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert '<button type="button">Paper</button>' not in page and "values are of other settings" not in page


def map_of(made, name="bbbp", of=1):
    benchmark = next(one for one in made.benchmarks if one.key == name)
    return benchmark_map(benchmark, made, made.folder / "maps/gin/bbbp.csv", Structures(), of)


def test_a_map_offers_projections_data_labels_and_properties(made):
    part = representation_part("GIN", made, Structures())
    assert part.map.choices["Data"] == ["Corpus, held out", "BBBP"]
    assert part.map.choices["Projection"] == ["t-SNE", "UMAP", "PCA"] and len(part.map.choices["Colour"]) == 4
    (missing,) = part.missing
    assert re.fullmatch(r"FreeSolv cannot be chosen, without '.*results/maps/gin/freesolv\.csv'\.", missing)
    shown = map_of(made)
    assert next(iter(shown.colours)) == "bbbp" and len(shown.colours) == 5
    assert shown.colours["bbbp"].values == [0.0, 1.0] * 12 and shown.colours["bbbp"].classes
    assert not shown.colours["Number of rings"].classes
    assert shown.titles[0] == "row 0, training" and shown.titles[-1] == "row 23, test"
    assert shown.symbols == ["circle"] * 16 + ["square"] * 4 + ["diamond"] * 4
    assert shown.note == "24 molecules. Circles: training, squares: validation, diamonds: test."


def test_the_map_is_as_large_as_the_page_can_be(made, monkeypatch):
    monkeypatch.setattr("molclr.evaluation.report.maps.MOST_MAPPED", 24)
    shown = map_of(made, of=4)
    assert MOST_MAPPED == 4000 and len(shown.structures) == 6 and shown.titles[1].startswith("row 4,")
    assert shown.note.startswith("6 of 24 molecules, evenly spaced in the table.")


def test_a_map_without_molecule_tables_has_properties_alone(made):
    shown = map_of(replace(made, files=()))
    assert len(shown.colours) == 4 and shown.titles[0] == "row 0" and set(shown.symbols) == {"circle"}
    assert shown.note == "24 molecules. Labels are not shown, because the molecule table is missing."


def test_of_many_targets_the_first_are_offered_and_the_others_are_counted(made, monkeypatch):
    labels = pd.DataFrame({f"t{number}": [0.5, np.nan] * 12 for number in range(15)}).assign(t3=np.nan)
    monkeypatch.setattr(Results, "labels", lambda *_: labels)
    shown = map_of(made)
    assert [*shown.colours][:11] == [f"t{number}" for number in range(12) if number != 3], "t3 has no label at all"
    assert "The first 12 of 15 targets can be chosen, 3 are left out." in shown.note
    assert label_colours(labels, pd.Series([1, 2]), False)["t0"].values == [None, 0.5]


def test_with_a_model_for_each_target_the_labels_are_joined(made, tmp_path):
    """Each target has its own table, of the molecules that have its label."""
    rows = {"t1": [0, 2, 4], "t2": [4, 5], "t10": [0]}
    files = []
    for number, (target, own) in enumerate(rows.items()):
        path = tmp_path / f"{target}.parquet"
        pd.DataFrame({"row": own, "smiles": "C", target: [float(number)] * len(own)}).to_parquet(path, index=False)
        part = f"bbbp.target-{target[1:]}"
        files.append(replace(made.files[0], name=part, molecules=path, split=tmp_path / "none.csv"))
    settings = made.settings.model_copy(update={"single_task": True})
    results = replace(made, files=[*files, made.files[1]])
    results.__dict__["settings"] = settings
    labels = results.labels("bbbp").sort_index()
    assert [*labels] == ["t1", "t2", "t10"] and labels.index.tolist() == [0, 2, 4, 5]
    assert labels["t2"].isna().tolist() == [True, True, False, False]
    assert results.subsets("bbbp") == {} and [*results.labels("freesolv")] == ["freesolv"]
    assert "Labels are not shown" not in map_of(results).note


def test_without_maps_the_corpus_has_principal_components(made, tmp_path):
    for name in ("tables", "embeddings"):
        (tmp_path / name).symlink_to(made.folder / name)
    part = representation_part("GIN", replace(made, folder=tmp_path), Structures())
    assert part.map.choices["Data"] == ["Corpus, held out"] and part.map.choices["Projection"] == ["PCA"]
    assert "t-SNE and UMAP of the corpus cannot be chosen" in part.missing[0] and part.retrieval
    assert "BBBP and FreeSolv cannot be chosen" in part.missing[1]


def test_without_embeddings_the_benchmarks_have_maps(made, tmp_path):
    """As with an encoder that was not pre-trained here."""
    for name in ("tables", "maps"):
        (tmp_path / name).symlink_to(made.folder / name)
    results = replace(made, folder=tmp_path)
    part = representation_part("GIN", results, Structures())
    assert part.map.choices["Data"] == ["BBBP"] and part.map.choices["Colour"][0] == "bbbp" and not part.retrieval
    write_run_page(results, tmp_path / "report.html")
    assert "Are neighbours alike?" not in (tmp_path / "report.html").read_text()


def test_a_folder_without_results_is_an_error(made, tmp_path):
    with pytest.raises(MolclrError, match=r"classification\.csv' does not exist; run 'make all' first"):
        write_run_page(replace(made, folder=tmp_path), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_retrieval_is_compared_with_chance_and_with_the_best_possible():
    """Where vectors are like fingerprints, the neighbours are the most similar ones."""
    smiles = ["CCO", "CCCO", "c1ccccc1", "c1ccccc1C"]
    vectors = np.array([[1, 0.1], [1, 0], [0, 1], [0.1, 1]], np.float32)
    found = retrieve(Embeddings(np.arange(4), smiles, vectors), range(4), 1)
    assert found.found == [[1], [0], [3], [2]]
    assert found.random < found.neighbours == found.best
    worst = retrieve(Embeddings(np.arange(4), smiles, vectors[[0, 2, 1, 3]]), range(4), 1)
    assert worst.neighbours < worst.random < worst.best == found.best


def test_molecules_are_drawn_once_and_as_far_as_possible():
    possible, impossible, none, salt = drawings(["CCO", "C(C)(C)(C)(C)C", "not a molecule", "CC(=O)[O-].[Na+]"])
    assert all(drawn.startswith("<svg") and drawn.endswith("</svg>") for drawn in (possible, impossible, salt))
    assert none == "" and drawings(["C |$name$|"]) == [""]
    structures = Structures()
    assert [structures.number(text) for text in ("CCO", "CC", "CCO")] == [0, 1, 0]
    unpacked = json.loads(gzip.decompress(base64.b64decode(structures.packed())))
    assert unpacked == [[svg, text] for svg, text in zip(drawings(["CCO", "CC"]), ["CCO", "CC"], strict=True)]
