"""Train and predict, on real tables."""

import csv
import json
import re
import shutil
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
from paths import FIXTURES
from scipy.sparse import csr_matrix
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.svm import SVC, SVR

from molclr import MolCLRClassifier, MolCLRRegressor
from molclr.chem.fingerprints import ecfp4_counts, packed_bits
from molclr.cli import main
from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.evaluation.conformal import coverage, half_widths
from molclr.evaluation.metrics import metrics_of
from molclr.model_names import TRAIN_MODELS
from molclr.models.encoders import make_encoder
from molclr.qsar.domain import similarity_to
from molclr.qsar.model_folder import ModelFolder
from molclr.qsar.predict import prediction_columns
from molclr.qsar.summary import shown
from molclr.training.checkpoint import copy_weights, save_encoder
from molclr.training.forest import fit_forest, predict_trees
from molclr.training.kernels import Features, log_counts
from molclr.training.svm import fit_svm, predict_svm

QUICK = ["--epochs", "2", "--seeds", "2", "--settings", "{threads: 1}", "--baselines", "{trees: 10}"]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The file of a small encoder with random weights."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    network = make_encoder("gin", EncoderShape(layers=2, hidden_dim=16, embedding_dim=24), 0.0)
    save_encoder(path, network, copy_weights(network), None)
    return path


@pytest.fixture(scope="module")
def two_targets(tmp_path_factory):
    """FreeSolv with a second target that a third of the molecules lacks, and one that no training molecule has."""
    path = tmp_path_factory.mktemp("tables") / "two.csv"
    lines = rows_of(FIXTURES / "freesolv.csv")
    with path.open("w") as file:
        file.write("Compound,Structure,dG,doubled,never\n")
        for place, line in enumerate(lines):
            value = float(line["freesolv"])
            doubled = "" if place % 3 == 0 else str(2 * value + 1)
            file.write(f"CMP-{place:03},{line['smiles']},{value},{doubled},\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, encoder, two_targets):
    """The folders of models on three tables."""
    folder = tmp_path_factory.mktemp("models")
    for name, table, more in (
        ("freesolv", FIXTURES / "freesolv.csv", []),
        ("bbbp", FIXTURES / "bbbp.csv", ["--split", "random"]),
        ("two", two_targets, ["--targets", "dG", "doubled", "--model", "rf"]),
    ):
        words = ["train", str(table), "--output", str(folder / name), "--encoder", str(encoder), *QUICK, *more]
        assert main(words) == 0
    return folder


def predicted_by(folder, table, output, *more):
    assert main(["predict", str(table), "--model", str(folder), "--output", str(output), *more]) == 0
    return rows_of(output)


@pytest.mark.parametrize("name", ["freesolv", "bbbp"])
@pytest.mark.parametrize("model", TRAIN_MODELS)
def test_a_saved_model_predicts_what_it_did_right_after_training(trained, tmp_path, name, model):
    target = {"freesolv": "freesolv", "bbbp": "p_np"}[name]
    found = predicted_by(trained / name, FIXTURES / f"{name}.csv", tmp_path / "out.csv", "--use", model)
    known = [row for row in rows_of(trained / name / "predictions.csv") if row["model"] == model]
    assert {row["subset"] for row in known} == {"valid", "test"} and len(known) > 50
    for row in known:
        again = found[int(row["row"])]
        for column in ("mean", "std"):
            if row[column]:
                assert float(again[f"{target}_{column}"]) == pytest.approx(float(row[column]), rel=2e-5, abs=1e-6)
            else:
                assert again[f"{target}_{column}"] == ""


def test_the_test_molecules_alone_give_the_same_bytes(trained, tmp_path):
    known = [row for row in rows_of(trained / "freesolv" / "predictions.csv") if row["subset"] == "test"]
    given = rows_of(FIXTURES / "freesolv.csv")
    rows = [row for row in known if row["model"] == "network"]
    (tmp_path / "test.csv").write_text("smiles\n" + "".join(f"{given[int(row['row'])]['smiles']}\n" for row in rows))
    for model in TRAIN_MODELS:
        found = predicted_by(trained / "freesolv", tmp_path / "test.csv", tmp_path / f"{model}.csv", "--use", model)
        expected = [row for row in known if row["model"] == model]
        for column in ("mean", "std", "low", "high"):
            assert [row[f"freesolv_{column}"] for row in found] == [row[column] for row in expected]


def test_the_folder_says_what_the_models_are_worth(trained):
    folder = trained / "freesolv"
    metrics, about = (json.loads((folder / name).read_text()) for name in ("metrics.json", "model.json"))
    values = {name: found["validation"]["rmse"]["value"] for name, found in metrics["models"].items()}
    assert list(values) == list(TRAIN_MODELS)
    assert metrics["chosen"] == about["chosen"] == min(values, key=values.get)
    assert about["targets"][0] == {
        "name": "freesolv",
        "labels": 240,
        "lowest": -23.62,
        "highest": pytest.approx(3.12, abs=0.4),
    }
    for name, found in metrics["models"].items():
        test = [row for row in rows_of(folder / "predictions.csv") if row["model"] == name and row["subset"] == "test"]
        labels, means = (np.array([float(row[key]) for row in test]) for key in ("label", "mean"))
        assert found["test"]["rmse"]["value"] == pytest.approx(np.sqrt(np.mean((labels - means) ** 2)), rel=1e-4)
        low, high = found["test"]["rmse"]["interval"]
        assert low < found["test"]["rmse"]["value"] < high
        inside = [float(row["low"]) <= float(row["label"]) <= float(row["high"]) for row in test]
        assert found["prediction_interval"]["freesolv"]["coverage_of_test"] == pytest.approx(np.mean(inside))
    assert set(metrics["models"]["rf"]["test"]) == {*metrics_of("regression")}
    bbbp = json.loads((trained / "bbbp" / "metrics.json").read_text())
    assert bbbp["task"] == "classification" and "prediction_interval" not in bbbp["models"]["rf"]
    assert not {"work"} & {path.name for path in folder.iterdir()}


def test_no_file_of_the_folder_is_a_pickle_or_has_structures(trained):
    for path in (trained / "freesolv").iterdir():
        assert path.suffix in {".json", ".csv", ".safetensors"} or path.name == "report.html"
    for name in ("model.json", "metrics.json", "predictions.csv", "split.csv"):
        text = (trained / "freesolv" / name).read_text()
        assert "c1ccccc1" not in text and str(trained.parent) not in text


def test_columns_order_and_rejected_rows_are_kept(trained, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("id,smiles,reason,note\nA,OCC,mine,\nB,C*,,x\nC,,,\nD,c1ccccc1O,,\nE,CC\n")
    found = predicted_by(trained / "freesolv", tmp_path / "new.csv", tmp_path / "out.csv")
    assert (
        [row["id"] for row in found] == list("ABCDE") and found[0]["smiles"] == "OCC" and found[0]["reason"] == "mine"
    )
    assert list(found[0])[4:] == [
        *(f"freesolv_{part}" for part in ("mean", "std", "low", "high")), "similarity", "outside_domain", "_reason"
    ]  # fmt: skip
    assert [bool(row["freesolv_mean"]) for row in found] == [True, False, False, True, False]
    assert [bool(row["_reason"]) for row in found] == [False, True, True, False, True]
    assert (
        main(
            [
                "predict",
                str(tmp_path / "new.csv"),
                "--model",
                str(trained / "freesolv"),
                "--output",
                str(tmp_path / "out.csv"),
            ]
        )
        == 1
    )
    assert "--force" in capsys.readouterr().err
    words = ["predict", str(tmp_path / "new.csv"), "--model", str(trained / "freesolv"), "--output"]
    assert main([*words, str(tmp_path / "out.parquet")]) == 0
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert table[0]["id"] == "A" and table[1]["freesolv_mean"] is None
    assert table[0]["freesolv_mean"] == pytest.approx(float(found[0]["freesolv_mean"]), rel=1e-5)


def test_the_similarity_needs_no_dense_fingerprints(trained):
    """Those of 4000 molecules would take 33 MB."""
    training = ModelFolder.read(trained / "freesolv").training.counts[:20]
    smiles = ["C" * length for length in range(1, 41)]
    tracemalloc.start()
    found = similarity_to(packed_bits(training), smiles * 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6
    own, known = (np.asarray(counts > 0, float) for counts in (ecfp4_counts(smiles), training.toarray()))
    both = own @ known.T
    expected = (both / (own.sum(axis=1)[:, None] + known.sum(axis=1) - both)).max(axis=1)
    np.testing.assert_allclose(found, np.tile(expected, 100))


def test_training_molecules_are_in_the_domain_and_an_odd_one_is_not(trained, tmp_path):
    model = ModelFolder.read(trained / "freesolv")
    split = {row["row"]: row["subset"] for row in rows_of(trained / "freesolv" / "split.csv")}
    given = rows_of(FIXTURES / "freesolv.csv")
    training = [given[int(row)]["smiles"] for row, subset in split.items() if subset == "train"][:20]
    (tmp_path / "new.csv").write_text("smiles\n" + "\n".join(training) + "\nO=S(=O)(c1nn[nH]n1)N1CC2(COC2)C1C#CBr\n")
    found = predicted_by(trained / "freesolv", tmp_path / "new.csv", tmp_path / "out.csv")
    assert all(row["similarity"] == "1" and row["outside_domain"] == "0" for row in found[:-1])
    assert 0 < float(found[-1]["similarity"]) < model.about["domain"]["similarity"] < 1
    assert found[-1]["outside_domain"] == "1"


def test_two_targets_and_missing_labels(trained, tmp_path, two_targets):
    found = predicted_by(trained / "two", two_targets, tmp_path / "out.csv")
    assert len(found) == 300 and found[7]["Compound"] == "CMP-007" and found[7]["doubled_mean"] and found[7]["dG_high"]
    about = json.loads((trained / "two" / "model.json").read_text())
    assert [target["name"] for target in about["targets"]] == ["dG", "doubled"] and about[
        "smiles_column"
    ] == "Structure"
    assert about["targets"][1]["labels"] < about["targets"][0]["labels"] and about["models"] == ["rf"]
    doubled, single = (np.array([float(row[f"{name}_mean"]) for row in found]) for name in ("doubled", "dG"))
    assert np.corrcoef(doubled, single)[0, 1] > 0.8


@pytest.mark.parametrize("name", ["2024", "NA"])
def test_a_target_whose_name_is_no_word(tmp_path, name):
    (tmp_path / "mine.csv").write_text((FIXTURES / "freesolv.csv").read_text().replace("freesolv", name, 1))
    words = ["train", str(tmp_path / "mine.csv"), "--encoder", "none", "--model", "svm"]
    assert main([*words, "--output", str(tmp_path / "model")]) == 0
    assert f"Model of {name}" in (tmp_path / "model" / "report.html").read_text()


def test_a_damaged_or_newer_folder_is_a_mistake(trained, tmp_path, capsys):
    complete = json.loads((trained / "freesolv" / "model.json").read_text())
    for text, trouble in (
        ("", "damaged"),
        ('{"format": 99}', "of format 99"),
        ('{"format": 1}', "earlier format 1"),
        ('{"format": 2, "files": {}}', "damaged"),
        ("[]", "damaged"),
        ('{"format": "2"}', "damaged"),
        (complete | {"files": {}}, "damaged"),
        (complete | {"files": []}, "damaged"),
        (complete | {"targets": ["freesolv"]}, "damaged"),
        (None, "has no model.json"),
    ):
        folder = tmp_path / trouble
        folder.mkdir(exist_ok=True)
        if text is not None:
            (folder / "model.json").write_text(text if isinstance(text, str) else json.dumps(text))
        words = [
            "predict",
            str(FIXTURES / "freesolv.csv"),
            "--model",
            str(folder),
            "--output",
            str(tmp_path / "out.csv"),
        ]
        assert main(words) == 1 and trouble in capsys.readouterr().err


def test_a_programming_error_is_not_a_damaged_folder(trained, monkeypatch):
    def wrong(path):
        raise KeyError("a typing error")

    monkeypatch.setattr("molclr.qsar.model_folder.sha256_of", wrong)
    with pytest.raises(KeyError, match="a typing error"):
        ModelFolder.read(trained / "freesolv")


def test_a_folder_works_elsewhere_but_not_with_files_of_another_model(trained, two_targets, tmp_path, capsys):
    folder, words = tmp_path / "moved", ["predict", str(two_targets), "--output", str(tmp_path / "out.csv"), "--force"]
    words += ["--model", str(folder)]
    shutil.copytree(trained / "two", folder)
    about = (folder / "model.json").read_text()
    assert main(words) == 0
    (folder / "model.json").write_text(about.replace("dG", "x").replace("doubled", "dG").replace('"x"', '"doubled"'))
    capsys.readouterr()
    assert main(words) == 1
    assert "names the targets doubled, dG, but the model was trained on dG, doubled" in capsys.readouterr().err
    (folder / "model.json").write_text(about)
    shutil.copyfile(trained / "bbbp" / "fixed.safetensors", folder / "fixed.safetensors")
    assert main(words) == 1 and "fixed.safetensors' does not belong to this model" in capsys.readouterr().err
    with pytest.raises(MolclrError, match="does not belong to this model"):
        MolCLRRegressor.load(folder)
    (folder / "fixed.safetensors").unlink()
    assert main(words) == 1 and "is incomplete, it has no fixed.safetensors; copy" in capsys.readouterr().err


def test_nothing_is_replaced_without_force_or_that_is_no_model(trained, tmp_path, encoder, capsys):
    words = ["train", str(FIXTURES / "freesolv.csv"), "--encoder", str(encoder), "--model", "svm", "--output"]
    before = (trained / "two" / "model.json").read_bytes()
    assert main([*words, str(trained / "two")]) == 1 and "--force" in capsys.readouterr().err
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("years of work")
    assert main([*words, str(tmp_path / "papers"), "--force"]) == 1
    assert (trained / "two" / "model.json").read_bytes() == before
    assert [path.name for path in (tmp_path / "papers").iterdir()] == ["thesis.tex"]
    assert main([*words, str(tmp_path / "svm")]) == 0 and main([*words, str(tmp_path / "svm"), "--force"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["papers", "svm"]
    (tmp_path / "svm" / "mine.csv").write_text("years of measurements")
    capsys.readouterr()
    assert main([*words, str(tmp_path / "svm"), "--force"]) == 1
    assert "also has other files, such as 'mine.csv', so it is not replaced" in capsys.readouterr().err
    assert (tmp_path / "svm" / "mine.csv").read_text() == "years of measurements"


def test_an_interruption_leaves_nothing(tmp_path, encoder, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("molclr.qsar.fit.finetune", interrupted)
    words = ["train", str(FIXTURES / "freesolv.csv"), "--encoder", str(encoder), *QUICK, "--model", "network"]
    assert main([*words, "--output", str(tmp_path / "model")]) == 130
    assert list(tmp_path.iterdir()) == []


def test_what_was_guessed_is_said_and_json_is_alone_on_stdout(tmp_path, capsys):
    words = [
        "train",
        str(FIXTURES / "bbbp.csv"),
        "--encoder",
        "none",
        "--model",
        "rf",
        "--baselines",
        "{trees: 5}",
        "--json",
    ]
    assert main([*words, "--output", str(tmp_path / "model")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert "task: classification, because all labels are 0 or 1" in err and "SMILES in 'smiles'" in err


@pytest.mark.parametrize("command", ["predict", "explain", "embed"])
def test_a_table_without_molecules_is_an_error(trained, tmp_path, capsys, command):
    (tmp_path / "bad.csv").write_text("smiles\nC*\n")
    words = [command, str(tmp_path / "bad.csv"), "--model", str(trained / "freesolv"), "--output"]
    assert main([*words, str(tmp_path / "out.csv")]) == 1
    assert "bad.csv' are rejected, for example row 0: it has an atom without" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_the_words_of_classes_are_kept(tmp_path, capsys):
    lines = [f"{row['smiles']},{'Yes' if float(row['p_np']) else 'No'}\n" for row in rows_of(FIXTURES / "bbbp.csv")]
    (tmp_path / "mine.csv").write_text("smiles,enters\n" + "".join(lines[:120]))
    words = ["train", str(tmp_path / "mine.csv"), "--split", "random", "--encoder", "none", "--model", "svm"]
    assert main([*words, "--output", str(tmp_path / "model")]) == 0
    found = predicted_by(tmp_path / "model", tmp_path / "mine.csv", tmp_path / "out.csv")
    assert "'enters_mean' is the probability of 'Yes'" in capsys.readouterr().err
    classifier = MolCLRClassifier.load(tmp_path / "model")
    assert classifier.classes_.tolist() == ["No", "Yes"]
    expected = ["Yes" if float(row["enters_mean"]) > 0.5 else "No" for row in found]
    assert classifier.predict([row["smiles"] for row in found]).tolist() == expected


def test_two_values_that_may_be_classes_are_told(tmp_path, capsys):
    lines = [f"{row['smiles']},{1 + place % 2}\n" for place, row in enumerate(rows_of(FIXTURES / "freesolv.csv")[:40])]
    (tmp_path / "mine.csv").write_text("smiles,y\n" + "".join(lines))
    words = ["train", str(tmp_path / "mine.csv"), "--split", "random", "--encoder", "none", "--model", "svm"]
    assert main([*words, "--output", str(tmp_path / "model")]) == 0
    assert "warning: 'y' has only 1 and 2; if they are classes, write 0 and 1" in capsys.readouterr().err


def test_a_column_may_say_the_split(tmp_path, capsys):
    given = rows_of(FIXTURES / "freesolv.csv")
    subsets = ["test", "valid", "train", "train"]
    lines = [f"{row['smiles']},{row['freesolv']},{subsets[place % 4]}\n" for place, row in enumerate(given)]
    (tmp_path / "mine.csv").write_text("smiles,y,part\n" + "".join(lines))
    words = ["train", str(tmp_path / "mine.csv"), "--split", "part", "--encoder", "none", "--model", "svm"]
    assert main([*words, "--output", str(tmp_path / "model")]) == 0
    split = rows_of(tmp_path / "model" / "split.csv")
    assert all(row["subset"] == subsets[int(row["row"]) % 4] for row in split)
    assert main([*words, "--targets", "y", "part", "--output", str(tmp_path / "other")]) == 1
    assert "'part' has the split of" in capsys.readouterr().err


def test_molecules_in_several_subsets_are_counted(tmp_path, capsys):
    """Molecules are compared as canonical SMILES, after --desalt."""
    given = [(row["smiles"], row["freesolv"]) for row in rows_of(FIXTURES / "freesolv.csv")[:40]]
    lines = [
        f"{text},{label},{('train', 'train', 'valid', 'test')[place % 4]}" for place, (text, label) in enumerate(given)
    ]
    more = ["C1CCCCC1Br,1,train", "BrC1CCCCC1,1,test", "BrC1CCCCC1,1,test", "NCCCN,1,train", "NCCCN.Cl,2,valid"]
    (tmp_path / "mine.csv").write_text("\n".join(["smiles,y,part", *lines, *more]))
    words = ["train", str(tmp_path / "mine.csv"), "--split", "part", "--encoder", "none", "--model", "svm", "--output"]
    for folder, options, count in (("plain", [], 1), ("desalted", ["--desalt"], 2)):
        assert main([*words, str(tmp_path / folder), *options]) == 0
        molecules = (
            "1 molecule, such as BrC1CCCCC1, has" if count == 1 else f"{count} molecules, such as BrC1CCCCC1, have"
        )
        told = f"warning: {molecules} rows in more than one of"
        assert told in capsys.readouterr().err
        metrics = json.loads((tmp_path / folder / "metrics.json").read_text())
        assert metrics["molecules_in_several_subsets"] == count
        page = (tmp_path / folder / "report.html").read_text()
        assert f"Caution: {count} molecule" in page and "so test labels are partly known" in page
        assert metrics["molecules_with_conflicting_labels"] == count - 1


def test_conflicting_labels_are_counted(tmp_path, capsys):
    given = rows_of(FIXTURES / "freesolv.csv")[:40]
    lines = [f"{row['smiles']},{row['freesolv']}\n" for row in given]
    again = [f"{row['smiles']},{float(row['freesolv']) + 3 * (place < 5)}\n" for place, row in enumerate(given[:9])]
    (tmp_path / "mine.csv").write_text("smiles,y\n" + "".join(lines + again))
    words = ["train", str(tmp_path / "mine.csv"), "--split", "random", "--encoder", "none", "--model", "svm"]
    assert main([*words, "--output", str(tmp_path / "model")]) == 0
    assert "warning: 5 molecules have conflicting labels: " in capsys.readouterr().err


def test_a_target_that_only_test_molecules_have_is_not_predicted(tmp_path, capsys):
    given = rows_of(FIXTURES / "freesolv.csv")
    subsets = ["test", "valid", "train", "train"]
    lines = [
        f"{row['smiles']},{row['freesolv']},{row['freesolv'] if place % 4 < 2 else ''},{subsets[place % 4]}\n"
        for place, row in enumerate(given)
    ]
    (tmp_path / "mine.csv").write_text("smiles,y,z,part\n" + "".join(lines))
    words = ["train", str(tmp_path / "mine.csv"), "--split", "part", "--encoder", "none", "--model", "svm"]
    assert main([*words, "--baselines", "{svm_training_limit: 50}", "--output", str(tmp_path / "model")]) == 0
    told = capsys.readouterr().err
    assert "no training molecule has a label of 'z', so it is not predicted" in told
    assert told.count("no training molecule has a label") == 1
    assert "SMILES in 'smiles', split in 'part'" in told and "ignored" not in told
    assert ModelFolder.read(tmp_path / "model").targets == ["y"]
    assert len(ModelFolder.read(tmp_path / "model").fixed["svm.0.support"]) <= 50


def test_salts_are_treated_as_in_training(tmp_path, capsys):
    given = rows_of(FIXTURES / "freesolv.csv")
    lines = [f"{row['smiles']}.Cl,{row['freesolv']}\n" for row in given[:40]]
    (tmp_path / "mine.csv").write_text("smiles,y\n" + "".join(lines) + "[Na+].CC(=O)[O-],-3\n")
    words = ["train", str(tmp_path / "mine.csv"), "--split", "butina", "--encoder", "none", "--model", "svm"]
    assert main([*words, "--output", str(tmp_path / "salts")]) == 0
    told = "41 of 41 molecules have several parts (salts, mixtures)"
    assert f"{told}; --desalt keeps the largest organic part of each; 1 has a metal" in capsys.readouterr().err
    assert main([*words, "--desalt", "--output", str(tmp_path / "model")]) == 0
    assert f"{told}, of which the largest organic one is kept; 0 have a metal" in capsys.readouterr().err
    (tmp_path / "new.csv").write_text(f"smiles\n{given[0]['smiles']}\n{given[0]['smiles']}.Cl\n")
    bare, salt = predicted_by(tmp_path / "model", tmp_path / "new.csv", tmp_path / "out.csv")
    assert bare["y_mean"] == salt["y_mean"]
    bare, salt = predicted_by(tmp_path / "salts", tmp_path / "new.csv", tmp_path / "salts.csv")
    assert bare["y_mean"] != salt["y_mean"]


def test_a_model_that_is_not_there(trained, tmp_path, capsys):
    words = ["predict", str(FIXTURES / "bbbp.csv"), "--output", str(tmp_path / "out.csv"), "--model"]
    assert main([*words, str(tmp_path / "nowhere")]) == 1
    assert f"There is no model '{tmp_path / 'nowhere'}'; name the folder" in capsys.readouterr().err
    assert main([*words, str(trained / "bbbp"), "--use", "representation", "--processes", "2"]) == 0
    assert main([*words, str(trained / "two"), "--use", "svm", "--force"]) == 1
    assert "has no model 'svm'; choose one of rf" in capsys.readouterr().err


def test_no_molecules_are_no_predictions(trained):
    columns = prediction_columns(ModelFolder.read(trained / "two"), [])
    assert {len(column) for column in columns.values()} == {0} and "doubled_high" in columns


def test_predict_says_what_it_did_as_json(trained, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("smiles\nCCO\nC*\nO=S(=O)(c1nn[nH]n1)N1CC2(COC2)C1C#CBr\n")
    words = ["predict", str(tmp_path / "new.csv"), "--model", str(trained / "freesolv"), "--json", "--use", "rf"]
    assert main([*words, "--output", str(tmp_path / "out.csv")]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": "rf",
        "molecules": 2,
        "rejected": 1,
        "outside_domain": 1,
        "output": str(tmp_path / "out.csv"),
    }
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--output", str(tmp_path / "out.xlsx")])
    assert "must end in .csv or .parquet" in capsys.readouterr().err


def test_too_few_molecules(tmp_path, capsys):
    lines = (FIXTURES / "freesolv.csv").read_text().splitlines()
    words = ["--encoder", "none", "--output", str(tmp_path / "model")]
    assert main(["train", "mine.csv", *words, "--epochs", "5", "--settings", "{epochs: 3}"]) == 1
    assert "--epochs is 5 and 'epochs' in --settings is 3; give one of them." in capsys.readouterr().err
    assert main(["train", "mine.csv", "--output", str(tmp_path / "model"), "--shape", "{layers: 2}"]) == 1
    assert "--shape is that of a new encoder, and 'molclr-gin' has its own; leave it" in capsys.readouterr().err
    (tmp_path / "mine.csv").write_text("\n".join(lines[:3]))
    assert main(["train", str(tmp_path / "mine.csv"), *words]) == 1
    assert f"'{tmp_path / 'mine.csv'}' has 2 molecules" in capsys.readouterr().err
    (tmp_path / "mine.csv").write_text("\n".join(lines[:31]))
    assert main(["train", str(tmp_path / "mine.csv"), *words, "--split", "random", "--model", "svm"]) == 0
    out = capsys.readouterr().out
    assert "there are fewer than 9 validation labels of 'freesolv', too few for prediction intervals" in out
    assert "test scores are unreliable: there are fewer than 10 test labels of 'freesolv' (3)" in out
    found = predicted_by(tmp_path / "model", tmp_path / "mine.csv", tmp_path / "out.csv")
    assert found[0]["freesolv_mean"] and found[0]["freesolv_low"] == found[0]["freesolv_std"] == ""


def test_without_a_validation_score_no_model_is_praised(tmp_path, capsys):
    """Validation and test molecules, three each, have one class, with which ROC-AUC is undefined."""
    smiles = ["CC", "CCC", "CCO", "CCN", "CCCl", "CCBr", "CCI", "CCCC", "CCCO", "CCCN", "CCF", "CCCF"]
    subsets = ["train"] * 6 + ["valid"] * 3 + ["test"] * 3
    labels = [1, 1, 0, 1, 0, 1, *[1] * 6]
    lines = [f"{text},{label},{subset}\n" for text, label, subset in zip(smiles, labels, subsets, strict=True)]
    (tmp_path / "mine.csv").write_text("smiles,a,set\n" + "".join(lines))
    shape = ["--encoder", "none", "--shape", "{layers: 1, hidden_dim: 8, embedding_dim: 8}", *QUICK]
    words = ["train", str(tmp_path / "mine.csv"), "--split", "set", *shape, "--output", str(tmp_path / "model")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "give no score to choose by" in out and "test score of 'a' undefined: one class" in out and "None" not in out
    assert "fewer than 10 test labels of the rarer class of 'a' (0)" in out
    page = (tmp_path / "model" / "report.html").read_text()
    (said,) = re.findall(r'<p class="headline">(.*?)</p>', page)
    assert said == (
        "The validation molecules give no score to choose a model by. The first model, network, has no test ROC-AUC. The "
        "test molecules do not allow a comparison with rf, svm and tanimoto."
    )
    table = page.split('id="results-table"')[1].split("</table>")[0]
    assert table.count(">undefined<") == 3 and "nan" not in table.lower()


def test_a_table_without_labels_is_a_mistake(tmp_path, capsys):
    assert main(["train", str(FIXTURES / "zinc.csv"), "--encoder", "none", "--output", str(tmp_path / "model")]) == 1
    assert "has no column with labels" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def molecules():
    """Counts and labels, first values and then classes, of the molecules of FreeSolv."""
    rows = rows_of(FIXTURES / "freesolv.csv")
    values = np.array([float(row["freesolv"]) for row in rows])
    return ecfp4_counts([row["smiles"] for row in rows]), {
        "regression": values,
        "classification": (values > np.median(values)).astype(float),
    }


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_arrays_predict_as_scikit_learn(molecules, task):
    counts, labels = molecules[0], molecules[1][task]
    known, new = slice(0, 200), slice(200, 300)
    x = log_counts(csr_matrix(counts))
    kinds = {"regression": (RandomForestRegressor, 1 / 3, SVR), "classification": (RandomForestClassifier, "sqrt", SVC)}
    forest, fraction, machine = kinds[task]
    reference = forest(20, max_features=fraction, random_state=3).fit(counts[known], labels[known])
    expected = (
        reference.predict_proba(counts[new])[:, 1] if task == "classification" else reference.predict(counts[new])
    )
    trees = predict_trees(fit_forest(counts[known], labels[known], task, 20, 3, 2), counts[new])
    mean, std = trees.mean(axis=0), trees.std(axis=0)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
    assert (std > 0).any()
    features = Features(x)
    arrays = fit_svm(features[known], labels[known], task, [10.0])
    found = predict_svm(arrays, features[known][arrays["support"]], features[new], task)
    mean, scale = (0, 1) if task == "classification" else (labels[known].mean(), labels[known].std())
    fitted = machine(C=10.0).fit(x[known], (labels[known] - mean) / scale)
    expected = (
        1 / (1 + np.exp(-fitted.decision_function(x[new])))
        if task == "classification"
        else fitted.predict(x[new]) * scale + mean
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_equal_labels_are_predicted(molecules, task):
    counts, labels = molecules[0][:30], np.ones(30)
    assert (predict_trees(fit_forest(counts, labels, task, 5, 0, 1), counts) == 1).all()
    features = Features(log_counts(csr_matrix(counts)))
    machine = fit_svm(features, labels, task, [1.0])
    assert (predict_svm(machine, features, features, task) == 1).all()


def test_labels_without_an_interval_are_not_covered_by_it():
    assert np.isnan(coverage(np.zeros((3, 1)), np.ones((3, 1)), [np.inf])).all()


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (2.5, "2.500"), (0.045, "0.045"), (2.7e-9, "2.7e-09"), (0.0, "0.000")]
)
def test_a_small_score_is_not_shown_as_zero(value, text):
    assert shown(value) == text


def test_a_conformal_interval_covers_what_it_says():
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        valid, test = generator.normal(size=(40, 1)), generator.normal(size=(100, 1))
        covered += coverage(test, np.zeros_like(test), half_widths(valid, np.zeros_like(valid)))
    assert 0.89 < np.mean(covered) < 0.93  # between 0.9 and 0.9 + 1 / 41, and noise
    assert half_widths(np.zeros((8, 1)), np.ones((8, 1))) == [np.inf] and half_widths(
        np.zeros((9, 1)), np.ones((9, 1))
    ) == [1.0]
