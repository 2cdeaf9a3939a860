"""What users of scikit-learn do with the estimators, on real molecules."""

import json
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from paths import FIXTURES
from rdkit import Chem
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from molclr import Encoder, MolCLRClassifier, MolCLRRegressor, MolCLRTransformer
from molclr.cli import main
from molclr.errors import MolclrError
from molclr.estimators.labels import decode_classes
from molclr.evaluation.metrics import accuracy
from molclr.qsar.explain import explain

SVM = {"encoder": "none", "model": "svm"}


pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def freesolv():
    return pd.read_csv(FIXTURES / "freesolv.csv")


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bbbp():
    table = pd.read_csv(FIXTURES / "bbbp.csv")
    return table.assign(enters=np.where(table["p_np"] == 1, "yes", "no"))


def test_an_estimator_predicts_what_the_commands_predict(freesolv, encoder, tmp_path):
    """One implementation: the same models, chosen in the same way, with the same intervals."""
    freesolv, settings = freesolv[:120], {"baselines": {"trees": 5}, "seeds": 2, "epochs": 1}
    regressor = MolCLRRegressor(encoder, **settings).fit(freesolv["smiles"], freesolv["freesolv"])
    words = ["--encoder", str(encoder), "--seeds", "2", "--epochs", "1", "--baselines", "{trees: 5}", "--refit"]
    table, folder, output = (tmp_path / name for name in ("mine.csv", "model", "out.csv"))
    freesolv.to_csv(table, index=False)
    assert main(["train", str(table), "--output", str(folder), *words]) == 0
    assert main(["predict", str(table), "--model", str(folder), "--output", str(output)]) == 0
    by_command, loaded = pd.read_csv(output), MolCLRRegressor.load(folder)
    intervals = by_command[["freesolv_low", "freesolv_high"]].to_numpy()
    for estimator in (regressor, loaded, pickle.loads(pickle.dumps(regressor))):
        np.testing.assert_allclose(estimator.predict(freesolv["smiles"]), by_command["freesolv_mean"], rtol=1e-5)
        np.testing.assert_allclose(estimator.predict_interval(freesolv["smiles"]), intervals, rtol=1e-5)
        assert estimator.metrics_ == loaded.metrics_ and estimator.chosen_ == loaded.chosen_
    table = regressor.predict_table(freesolv["smiles"])
    assert [*table.columns[1:]] == [*by_command.columns[2:-1]]
    np.testing.assert_allclose(table["similarity"], by_command["similarity"], rtol=1e-5)


def test_pytorch_is_left_as_it_was(freesolv, encoder, torch_threads):
    """A program of one's own keeps its number of threads."""
    smiles, labels = freesolv["smiles"][:60], freesolv["freesolv"][:60]
    estimator = MolCLRRegressor(encoder, model="network", seeds=1, epochs=1, refit=False)
    for call in (
        lambda: estimator.fit(smiles, labels),
        lambda: estimator.predict(smiles),
        lambda: estimator.predict_table(smiles),
        lambda: estimator.embed(smiles),
        lambda: explain(estimator.model_.model, ["CCO"]),
        lambda: Encoder.load(encoder).embed(smiles),
    ):
        call()
        assert torch.get_num_threads() == torch_threads


def test_a_fine_tuned_model_embeds(freesolv, encoder, tmp_path):
    smiles, labels = freesolv["smiles"][:60], freesolv["freesolv"][:60]
    network = MolCLRRegressor(encoder, model="network", seeds=2, epochs=1, refit=False).fit(smiles, labels)
    h = network.embed(smiles)
    assert h.shape == (60, 48) and np.abs(h[:, :24] - Encoder.load(encoder).embed(smiles)).max() > 1e-3
    assert network.predict_table(["CCO"])["freesolv_std"][0] > 0
    network.save(tmp_path / "model")
    words = ["embed", str(FIXTURES / "freesolv.csv"), "--model", str(tmp_path / "model"), "--output"]
    assert main([*words, str(tmp_path / "h.parquet")]) == 0
    np.testing.assert_allclose(np.stack(pd.read_parquet(tmp_path / "h.parquet")["embedding"])[:60], h, atol=1e-5)
    svm = MolCLRRegressor(**SVM).fit(smiles, labels)
    with pytest.raises(MolclrError, match=r"The models in the estimator \(svm\) use fingerprints"):
        svm.embed(smiles)
    frozen = MolCLRRegressor(encoder, model="representation").fit(smiles, labels)
    np.testing.assert_allclose(frozen.embed(smiles), Encoder.load(encoder).embed(smiles), atol=1e-6)


def test_a_saved_estimator_is_read_by_the_command(freesolv, tmp_path):
    regressor = MolCLRRegressor(**SVM).fit(freesolv["smiles"], freesolv["freesolv"])
    regressor.save(tmp_path / "model")
    words = ["predict", str(FIXTURES / "freesolv.csv"), "--model", str(tmp_path / "model"), "--output"]
    assert main([*words, str(tmp_path / "out.csv")]) == 0
    found = pd.read_csv(tmp_path / "out.csv")["freesolv_mean"]
    np.testing.assert_allclose(regressor.predict(freesolv["smiles"]), found, rtol=1e-5)
    with pytest.raises(MolclrError, match="exists; choose another folder"):
        regressor.save(tmp_path / "model")
    regressor.save(tmp_path / "model", force=True)
    with pytest.raises(MolclrError, match=r"is a regression; MolCLRClassifier cannot load it"):
        MolCLRClassifier.load(tmp_path / "model")
    again = clone(MolCLRRegressor.load(tmp_path / "model")).set_params(encoder="none", settings=None)
    (tmp_path / "model" / "metrics.json").unlink()
    assert MolCLRRegressor.load(tmp_path / "model").metrics_ == {}
    np.testing.assert_array_equal(
        again.fit(freesolv["smiles"], freesolv["freesolv"]).predict(["CCO"]), regressor.predict(["OCC"])
    )


@pytest.mark.slow
def test_cross_validation_in_two_processes(freesolv):
    regressor = MolCLRRegressor(**SVM, split="random")
    scores = [cross_val_score(regressor, freesolv["smiles"], freesolv["freesolv"], cv=2, n_jobs=n) for n in (1, 2)]
    np.testing.assert_allclose(*scores)
    assert scores[0].mean() > 0.4


def test_classes_keep_their_names(bbbp, tmp_path):
    classifier = MolCLRClassifier(**SVM, split="random").fit(bbbp["smiles"][::2], bbbp["enters"][::2])
    new = bbbp[1::2]
    assert classifier.classes_.tolist() == ["no", "yes"] and set(classifier.predict(new["smiles"])) == {"no", "yes"}
    probabilities = classifier.predict_proba(new["smiles"])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert roc_auc_score(new["enters"], probabilities[:, 1]) > 0.8
    assert classifier.score(new["smiles"], new["enters"]) == np.mean(classifier.predict(new["smiles"]) == new["enters"])
    classifier.save(tmp_path / "model")
    assert MolCLRClassifier.load(tmp_path / "model").predict(new["smiles"]).tolist() == [
        *classifier.predict(new["smiles"])
    ]
    scores = cross_val_score(classifier, bbbp["smiles"], bbbp["p_np"], cv=2, scoring="roc_auc")
    assert scores.mean() > 0.65


def test_several_targets_with_missing_labels(freesolv):
    labels = pd.DataFrame({"dG": freesolv["freesolv"], "doubled": 2 * freesolv["freesolv"] + 1})
    labels.loc[::3, "doubled"] = np.nan
    labels.loc[0] = None
    regressor = MolCLRRegressor(**SVM)
    with pytest.warns(UserWarning, match="1 of 300 molecules have no label; they are left out"):
        regressor.fit(freesolv["smiles"], labels)
    predictions, intervals = (method(freesolv["smiles"]) for method in (regressor.predict, regressor.predict_interval))
    assert predictions.shape == (300, 2) and intervals.shape == (300, 2, 2) and regressor.targets_ == ["dG", "doubled"]
    assert np.corrcoef(predictions.T)[0, 1] > 0.9
    assert (intervals[:, :, 0] < predictions).all() and (predictions < intervals[:, :, 1]).all()
    assert regressor.score(freesolv["smiles"], labels) > 0.6

    classes = np.array(labels < labels.median(), object)
    classes[::3, 1] = None
    classifier = MolCLRClassifier(**SVM).fit(freesolv["smiles"], classes)
    assert [found.tolist() for found in classifier.classes_] == [[False, True]] * 2
    assert [found.shape for found in classifier.predict_proba(["CCO"])] == [(1, 2)] * 2
    assert classifier.predict(["CCO", "CCCCCC"]).tolist() == [[True, True], [False, False]]
    assert 0.7 < classifier.score(freesolv["smiles"], classes) <= 1


def test_a_target_without_training_labels_is_not_predicted(freesolv):
    regressor = MolCLRRegressor(**SVM).fit(freesolv["smiles"], freesolv["freesolv"])
    split = pd.read_csv(regressor.model_.model.folder / "split.csv")
    never = freesolv["freesolv"].where(split["subset"] != "train")
    labels = np.stack([freesolv["freesolv"], never], axis=1)
    with pytest.warns(UserWarning, match="label of 'y1'") as told:
        regressor.set_params(refit=False).fit(freesolv["smiles"], labels)
    assert any("so it is not predicted" in str(each.message) for each in told)
    predictions = regressor.predict(["CCO", "C"])
    assert np.isnan(predictions).tolist() == [[False, True]] * 2
    assert np.isnan(regressor.predict_interval(["CCO"])[0]).tolist() == [[False, False], [True, True]]
    with pytest.warns(UserWarning, match="label of 'y1'") as told:
        regressor.set_params(refit=True).fit(freesolv["smiles"], labels)
    assert any("only the refitted model predicts it, without a test score" in str(each.message) for each in told)
    assert np.isfinite(regressor.predict(["CCO", "C"])).all() and np.isfinite(regressor.predict_interval(["C"])).all()
    assert list(regressor.metrics_["models"]["svm"]["test"]["rmse"]["per_target"]) == ["y0"]
    assert list(regressor.metrics_["refit"]["out_of_fold"]["rmse"]["per_target"]) == ["y0", "y1"]


def test_load_restores_parameters_and_targets(freesolv, encoder, tmp_path):
    """Also those that have no training labels, and the path of an encoder, so that a clone can be fitted."""
    given = {"split": "random", "split_seed": np.int64(7), "patience": 3, "shape": {"layers": 1}, "on_error": "nan"}
    given |= {"encoder": encoder, "model": "svm", "refit": False, "epochs": 2, "baselines": {"trees": 9}}
    smiles, labels = freesolv["smiles"][:60], np.stack([freesolv["freesolv"][:60]] * 2, axis=1)
    first = MolCLRRegressor(**given).fit(smiles, labels)
    split = pd.read_csv(first.model_.model.folder / "split.csv")
    labels[split["subset"] == "train", 0] = np.nan
    with pytest.warns(UserWarning, match="no training molecule has a label of 'y0'"):
        first.fit(smiles, labels)
    first.save(tmp_path / "model")
    again = MolCLRRegressor.load(tmp_path / "model")
    assert again.get_params() == first.get_params() | {"encoder": str(encoder)}
    assert again.targets_ == ["y0", "y1"]
    np.testing.assert_array_equal(again.predict(smiles[:3]), first.predict(smiles[:3]))
    about = json.loads((tmp_path / "model/model.json").read_text())
    about["estimator"]["parameters"] |= {"encoder_class": "evil.py", "of_a_newer_version": 1}
    (tmp_path / "model/model.json").write_text(json.dumps(about))
    assert MolCLRRegressor.load(tmp_path / "model").encoder_class is None, "a folder names no code to execute"


def test_load_restores_the_options_of_the_command(freesolv, tmp_path):
    table, folder = tmp_path / "mine.csv", tmp_path / "model"
    freesolv[:60].to_csv(table, index=False)
    words = ["--encoder", "none", "--shape", "{layers: 1, hidden_dim: 8, embedding_dim: 8}", "--epochs", "1"]
    words += ["--split", "random", "--split-seed", "7", "--patience", "3", "--seeds", "1", "--baselines", "{trees: 2}"]
    assert main(["train", str(table), "--output", str(folder), *words, "--refit"]) == 0
    found = MolCLRRegressor.load(folder)
    given = {"split": "random", "split_seed": 7, "patience": 3, "seeds": 1, "epochs": 1, "refit": True, "model": "auto"}
    assert {name: getattr(found, name) for name in given} == given
    assert (found.shape["layers"], found.baselines["trees"]) == (1, 2)
    again = clone(found).fit(freesolv["smiles"][:60], freesolv["freesolv"][:60])
    np.testing.assert_array_equal(again.predict(["CCO"]), found.predict(["CCO"]))
    about = json.loads((folder / "model.json").read_text())
    for name in ("split_seed", "patience", "shape", "model"):
        del about[name]  # as in folders of earlier versions
    (folder / "model.json").write_text(json.dumps(about))
    earlier = MolCLRRegressor.load(folder)
    assert (earlier.split_seed, earlier.patience, earlier.shape) == (0, 20, None)
    np.testing.assert_array_equal(earlier.predict(["CCO"]), found.predict(["CCO"]))


def test_rejected_molecules_are_an_error_or_a_warning(freesolv):
    smiles, labels = ["C*", *freesolv["smiles"]], [0.0, *freesolv["freesolv"]]
    with pytest.raises(ValueError, match=r"Molecule 0 of the list, 'C\*', is rejected: it has an atom without an elem"):
        MolCLRRegressor(**SVM).fit(smiles, labels)
    regressor = MolCLRRegressor(**SVM, on_error="nan")
    with pytest.warns(UserWarning, match=r"rejected 1 of 301 molecules: 1 \(molecule 0: .*; they are left out"):
        regressor.fit(smiles, labels)
    np.testing.assert_array_equal(
        regressor.predict(["CCO"]), MolCLRRegressor(**SVM).fit(smiles[1:], labels[1:]).predict(["CCO"])
    )
    with pytest.warns(UserWarning, match="rejected 2 of 3") as told:
        found = regressor.predict(["C*", Chem.MolFromSmiles("CCO"), None])
    assert np.isnan(found).tolist() == [True, False, True] and told[0].filename == __file__
    with pytest.warns(UserWarning, match="rejected 1 of 1"):
        assert np.isnan(regressor.predict_interval(["*"])).all()
    with pytest.warns(UserWarning, match="rejected 1 of 2") as told:
        assert regressor.predict_table(["*", "CCO"])["smiles"].isna().tolist() == [True, False]
    assert told[0].filename == __file__
    assert regressor.predict([]).shape == (0,)

    classifier = MolCLRClassifier(**SVM, on_error="nan").fit(smiles[1:], np.array(labels[1:]) < -4)
    with pytest.warns(UserWarning, match="rejected 1 of 2"):
        assert classifier.predict(["*", "CCO"]).tolist() == [None, True]


def test_salts_are_removed_before_training_and_prediction(freesolv):
    salts = [f"{text}.Cl" for text in freesolv["smiles"]]
    desalting = MolCLRRegressor(**SVM, desalt=True).fit(salts, freesolv["freesolv"])
    plain = MolCLRRegressor(**SVM).fit(freesolv["smiles"], freesolv["freesolv"])
    np.testing.assert_array_equal(desalting.predict(["CCO.[Na+].[Cl-]"]), plain.predict(["CCO"]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 3], "There are 4 molecules and 3 labels"),
        ([1, 2, 3, "high"], r"numbers, NaN where missing \(could not convert string to float: 'high'\)"),
        ([1, 2, 3, np.inf], "y contains infinity or a value too large for float32"),
        ([None] * 4, "'y' has no label; leave it out of y"),
        ({0: 1, 1: 2, 2: 3, 3: 4}, "y is of the type dict; give a list"),
        ({1, 2, 3, 4}, "y is of the type set"),
        (1.0, "y is of the type float"),
        (np.zeros((4, 1, 1)), r"y has the shape \(4, 1, 1\); give labels of the shape \(n,\) or"),
        (np.array([1j, 2, 3, 4]), "Complex data not supported"),
        (pd.DataFrame({"smiles": [1, 2, 3, 4]}), "'smiles' is repeated or taken"),
        (pd.Series([1.0, 2.0, 3.0, None], name="logS"), "scaffold split of the 3 molecules in the training data"),
    ],
)
@pytest.mark.filterwarnings("ignore:1 of 4 molecules have no label")
def test_labels_that_cannot_be_used(labels, message):
    with pytest.raises(ValueError, match=message) as error:
        MolCLRRegressor(**SVM).fit(["C", "CC", "CCO", "CCC"], labels)
    assert isinstance(error.value, MolclrError)


@pytest.mark.parametrize("word", ["nan", "None", "<NA>", " "])
def test_text_for_a_missing_label_is_not_a_class(word):
    """Such as numpy.where makes of NaN."""
    with pytest.raises(ValueError, match=f"The text '{word}' is a label of 'y'; use None or NaN for missing labels"):
        MolCLRClassifier(**SVM).fit(["C", "CC", "CCO", "CCC"], ["yes", word, "yes", word])


def test_masked_labels_are_missing(freesolv):
    smiles, values = freesolv["smiles"][:60], freesolv["freesolv"][:60].to_numpy()
    hidden = np.arange(60) % 5 == 0
    with pytest.warns(UserWarning, match="12 of 60 molecules have no label"):
        masked = MolCLRRegressor(**SVM).fit(smiles, np.ma.masked_array(values, mask=hidden))
    rest = MolCLRRegressor(**SVM).fit(smiles[~hidden], values[~hidden])
    np.testing.assert_array_equal(masked.predict(["CCO"]), rest.predict(["CCO"]))


def test_labels_of_arrow_may_be_missing(freesolv):
    smiles, values = freesolv["smiles"][:60], freesolv["freesolv"][:60].to_numpy()
    words = pa.array([None, *np.where(values[1:] > -3, "high", "low")])
    with pytest.warns(UserWarning, match="1 of 60 molecules have no label"):
        assert MolCLRClassifier(**SVM).fit(smiles, words).classes_.tolist() == ["high", "low"]
    with pytest.warns(UserWarning, match="1 of 60 molecules have no label"):
        assert MolCLRRegressor(**SVM).fit(smiles, pa.table({"a": [None, *values[1:]]})).targets_ == ["a"]


@pytest.mark.parametrize("labels", [[1, "", 1, ""], ["yes", 0, None, "yes"], [True, "no", True, "no"]])
def test_words_and_numbers_are_not_two_classes_of_one_target(labels):
    with pytest.raises(ValueError, match="The labels of 'y' are words and numbers, such as") as error:
        MolCLRClassifier(**SVM).fit(["C", "CC", "CCO", "CCC"], labels)
    assert all(repr(label) in str(error.value) for label in {*labels} - {None})


def test_a_tie_is_the_class_that_the_accuracy_counts():
    probabilities = np.array([0.25, 0.5, 0.75, np.nan])
    assert decode_classes(probabilities, np.array(["no", "yes"])).tolist() == ["no", "yes", "yes", None]
    assert accuracy(np.array([0.0, 1, 1]), probabilities[:3]) == 1


def test_indexes_that_differ(freesolv):
    shuffled = freesolv["freesolv"].sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="X and y have different indexes; their rows belong together by position"):
        regressor = MolCLRRegressor(**SVM, refit=False).fit(freesolv["smiles"], shuffled)
    with pytest.warns(UserWarning, match="different indexes"):
        regressor.score(freesolv["smiles"], shuffled)


def test_more_than_two_classes():
    with pytest.raises(ValueError, match=r"binary classification .* 'y' has 3 classes; make one target for each class"):
        MolCLRClassifier(**SVM).fit(["C", "CC", "CCO"], ["low", "middle", "high"])


def test_parameters_that_do_not_exist():
    with pytest.raises(MolclrError, match="settings: unknown key 'epoch'"):
        MolCLRRegressor(**SVM, settings={"epoch": 3}).fit(["C", "CC", "CCO"], [1, 2, 3])
    with pytest.raises(ValueError, match="no model 'forest'; choose one of auto, network, rf"):
        MolCLRRegressor(model="forest").fit(["C", "CC", "CCO"], [1, 2, 3])
    with pytest.raises(ValueError, match="no split 'part'; choose one of scaffold, butina, random"):
        MolCLRRegressor(**SVM, split="part").fit(["C", "CC", "CCO"], [1, 2, 3])
    for name, value in (("seeds", 0), ("seeds", 2.5), ("patience", "9"), ("split_seed", -1), ("split_seed", None)):
        with pytest.raises(ValueError, match=f"{name} is {value!r}; give a whole number of at least"):
            MolCLRRegressor(**SVM | {name: value}).fit(["C", "CC", "CCO"], [1, 2, 3])
    with pytest.raises(ValueError, match="settings is 'epochs: 3'; give a dict"):
        MolCLRRegressor(settings="epochs: 3").fit(["C", "CC", "CCO"], [1, 2, 3])
    with pytest.raises(MolclrError, match="Unknown encoder 'molclr-gat'"):
        MolCLRRegressor("molclr-gat").fit(["C", "CC", "CCO"], [1, 2, 3])
    with pytest.raises(MolclrError, match="epochs is 5 and 'epochs' in settings is 3; give one"):
        MolCLRRegressor(epochs=5, settings={"epochs": 3}).fit(["C", "CC", "CCO"], [1, 2, 3])
    with pytest.raises(NotFittedError):
        MolCLRRegressor().predict(["C"])


def test_nothing_is_printed_unless_it_is_wanted(freesolv, capsys):
    MolCLRRegressor(**SVM).fit(freesolv["smiles"], freesolv["freesolv"])
    assert capsys.readouterr() == ("", "")
    MolCLRRegressor(**SVM, verbose=True).fit(freesolv["smiles"], freesolv["freesolv"])
    told = capsys.readouterr().err
    assert "molclr: split: scaffold, 240 train" in told and "* svm" in told and "/molclr-" not in told


@pytest.mark.filterwarnings("ignore:.* molecules have features that the encoder never saw")
def test_the_representation_in_pipelines(freesolv, encoder):
    pipeline = make_pipeline(MolCLRTransformer(), StandardScaler(), Ridge(100))
    smiles, labels = freesolv["smiles"], freesolv["freesolv"]
    scores = cross_val_score(pipeline, smiles, labels, cv=2)
    assert scores.mean() > 0.5
    search = GridSearchCV(make_pipeline(MolCLRTransformer(encoder), Ridge()), {"ridge__alpha": [1, 10]}, cv=2)
    search.set_params(estimator__molclrtransformer__encoder=encoder).fit(smiles, labels)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_allclose(again.predict(smiles), search.predict(smiles))

    transformer = MolCLRTransformer(encoder, on_error="nan").set_output(transform="pandas")
    with pytest.warns(UserWarning, match="their rows are NaN"):
        table = transformer.fit_transform(["CCO", "*"])
    assert table.columns[0] == "molclrtransformer0" and table.isna().all(axis=1).tolist() == [False, True]
    np.testing.assert_array_equal(table.iloc[:1], Encoder.load(encoder).embed(["CCO"]))
    columns = make_column_transformer((MolCLRTransformer(encoder), ["smiles"]), remainder="passthrough")
    assert columns.fit_transform(freesolv).shape == (300, 25)


def test_a_notebook_shows_the_parameters():
    assert "MolCLRRegressor" in MolCLRRegressor(seeds=5)._repr_html_()
