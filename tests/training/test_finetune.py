import csv
import dataclasses
import json
import math
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from paths import FIXTURES

from molclr.batch import MASK, GraphBatch
from molclr.chem.seen import Seen, elements_of
from molclr.config import Compute, EncoderShape, Finetune, Pretrain
from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.corpus import split_corpus
from molclr.data.labelled import read_labelled
from molclr.data.store import GraphStore
from molclr.errors import MolclrError
from molclr.evaluation.metrics import score
from molclr.evaluation.runs import Run
from molclr.models.encoders import make_encoder
from molclr.qsar.predict import predict
from molclr.training import supervised as module
from molclr.training.checkpoint import load_encoder, load_weights, save_encoder
from molclr.training.embed import write_embeddings
from molclr.training.finetune import finetune
from molclr.training.graphs import PlainGraphs
from molclr.training.inference import predict_molecules
from molclr.training.pretrain import pretrain
from molclr.training.supervised import finetuning_optimizer, mask_token, new_predictor, supervised_loss

SHAPE = EncoderShape(layers=2, hidden_dim=16, embedding_dim=24)
SETTINGS = Finetune(epochs=3, batch_size=32, head_learning_rate=2e-3)
ONE_EPOCH = {"epochs": 1, "batch_size": 32, "projection": 8, "warmup_epochs": 0}
FILES = ("predictions.csv", "metrics.json", "history.csv", "model.safetensors")


def classification(data, seed=0):
    return Run("bbbp", "mine", seed, "classification", "roc_auc", data.targets)


def regression(data, metric="rmse"):
    return Run("freesolv", "mine", 0, "regression", metric, data.targets)


def test_it_learns_from_scratch(bbbp, tmp_path):
    data, graphs = bbbp
    settings = SETTINGS.model_copy(update={"epochs": 10, "dropout": 0.0})
    metrics = finetune(data, graphs, tmp_path, classification(data), "gin", settings, SHAPE)
    with (tmp_path / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert float(history[-1]["train_loss"]) < 0.8 * float(history[0]["train_loss"])
    scores = [float(row["validation"]) for row in history]
    assert metrics.validation == max(scores)
    assert metrics.best_epoch == 1 + scores.index(max(scores))


def test_predictions_are_of_the_test_molecules_with_their_raw_rows(bbbp, tmp_path):
    data, graphs = bbbp
    metrics = finetune(data, graphs, tmp_path, classification(data), "gcn", SETTINGS, SHAPE)
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    test = data.subsets["test"]
    assert [int(row["row"]) for row in rows] == data.rows[test].tolist()
    assert [float(row["label"]) for row in rows] == data.labels[test, 0].tolist()
    predictions = np.array([[float(row["prediction"])] for row in rows])
    assert ((predictions > 0) & (predictions < 1)).all()
    assert metrics.test == score("roc_auc", data.labels[test], predictions, data.targets).value
    assert json.loads((tmp_path / "metrics.json").read_text())["test"] == metrics.test


def test_the_seed_determines_a_run(bbbp, tmp_path):
    data, graphs = bbbp
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        finetune(data, graphs, tmp_path / name, classification(data, seed), "gin", SETTINGS, SHAPE)
    a, b, c = ([(tmp_path / folder / file).read_bytes() for file in FILES] for folder in "abc")
    assert a == b
    assert a[0] != c[0]


def weights_of(folder):
    """The weights of the encoder of a model."""
    weights, _ = load_weights(folder / "model.safetensors")
    return {name.removeprefix("encoder."): weight for name, weight in weights.items() if name.startswith("encoder.")}


@pytest.mark.parametrize(("pretrained", "precision"), [(True, "float32"), (True, "bfloat16"), (False, "float32")])
def test_the_mask_token_stays_that_of_pre_training(freesolv, tmp_path, monkeypatch, pretrained, precision):
    """Only the weight decay would change it, which no prediction sees; a token that was never trained is zero."""
    data, graphs = freesolv
    encoder = make_encoder("gin", SHAPE)
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), None)
    start = tmp_path / "encoder.safetensors" if pretrained else "gin"
    decaying = SETTINGS.model_copy(update={"weight_decay": 0.1, "precision": precision})
    finetune(data, graphs, tmp_path / "kept", regression(data), start, decaying, SHAPE)
    monkeypatch.setattr("molclr.training.supervised.mask_token", lambda encoder: torch.empty(0))
    finetune(data, graphs, tmp_path / "decayed", regression(data), start, decaying, SHAPE)
    kept, decayed = (weights_of(tmp_path / name) for name in ("kept", "decayed"))
    token = encoder.atom_embedding.weight[MASK].detach()
    assert torch.equal(kept["atom_embedding.weight"][MASK], token if pretrained else torch.zeros_like(token))
    assert torch.equal(decayed["atom_embedding.weight"][MASK], kept["atom_embedding.weight"][MASK]) != pretrained
    for weights in (kept, decayed):
        weights["atom_embedding.weight"][MASK] = 0
    assert all(torch.equal(weight, decayed[name]) for name, weight in kept.items())
    for file in ("predictions.csv", "metrics.json", "history.csv"):
        assert (tmp_path / "kept" / file).read_bytes() == (tmp_path / "decayed" / file).read_bytes()


def test_an_embedding_of_other_things_than_atom_types_has_no_mask_token():
    encoder = make_encoder("gin", SHAPE)
    assert mask_token(encoder).shape == (1, SHAPE.hidden_dim)
    encoder.atom_embedding = torch.nn.Embedding(357, SHAPE.hidden_dim)
    assert mask_token(encoder).shape == (0,)


def relabelled(data, subset, seed=0):
    """The same molecules, the labels of one subset shuffled."""
    labels = data.labels.copy()
    places = data.subsets[subset]
    labels[places] = np.random.default_rng(seed).permutation(labels[places])
    assert not np.array_equal(labels, data.labels)
    return dataclasses.replace(data, labels=labels)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_test_labels_do_not_affect_the_model(bbbp, freesolv, tmp_path, task):
    data, graphs = bbbp if task == "classification" else freesolv
    run = classification(data) if task == "classification" else regression(data)
    for name, labelled in (("a", data), ("b", relabelled(data, "test"))):
        finetune(labelled, graphs, tmp_path / name, run, "gin", SETTINGS.model_copy(update={"epochs": 6}), SHAPE)
    a, b = (
        [(tmp_path / folder / file).read_bytes() for file in ("model.safetensors", "history.csv")] for folder in "ab"
    )
    assert a == b


def test_validation_labels_only_select_the_epoch(freesolv, tmp_path):
    data, graphs = freesolv
    other = dataclasses.replace(data, labels=data.labels.copy())
    other.labels[data.subsets["valid"]] += 100.0
    losses = []
    for name, labelled in (("a", data), ("b", other)):
        finetune(labelled, graphs, tmp_path / name, regression(data), "gin", SETTINGS, SHAPE)
        with (tmp_path / name / "history.csv").open() as file:
            losses.append([row["train_loss"] for row in csv.DictReader(file)])
    assert losses[0] == losses[1]
    weights = [load_weights(tmp_path / name / "model.safetensors")[0] for name in "ab"]
    for statistic in ("mean", "scale"):
        assert torch.equal(weights[0][statistic], weights[1][statistic])


def test_the_best_epoch_makes_the_predictions(bbbp, tmp_path, monkeypatch):
    """Where no later epoch is better than the first, the run ends as one of one epoch does."""
    data, graphs = bbbp
    one = SETTINGS.model_copy(update={"epochs": 1})
    expected = finetune(data, graphs, tmp_path / "one", classification(data), "gin", one, SHAPE)
    monkeypatch.setattr("molclr.training.finetune.better", lambda metric, value, than: False)
    metrics = finetune(data, graphs, tmp_path / "three", classification(data), "gin", SETTINGS, SHAPE)
    assert metrics == expected and metrics.best_epoch == 1
    one, three = ((tmp_path / name / "predictions.csv").read_bytes() for name in ("one", "three"))
    assert one == three
    weights = [load_weights(tmp_path / name / "model.safetensors")[0] for name in ("one", "three")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_several_targets_are_scored_in_the_scale_of_the_loss(bbbp, tmp_path, monkeypatch):
    """A target of large numbers does not decide alone."""
    data, graphs = bbbp
    values = np.random.default_rng(0).normal(size=(len(data.rows), 2)) * [1.0, 1000.0]
    data = dataclasses.replace(data, labels=values, targets=["small", "large"])
    seen = []
    monkeypatch.setattr("molclr.training.finetune.better", lambda metric, value, than: seen.append(value) or False)
    run = Run("two", "GIN", 0, "regression", "mae", data.targets)
    metrics = finetune(data, graphs, tmp_path, run, "gin", SETTINGS, SHAPE)
    assert all(0.3 < value < 3 for value in seen), "standardized"
    assert metrics.validation == seen[0], "a random search compares the same numbers"


def test_two_outputs_per_target_are_a_softmax(bbbp):
    """The loss is the cross-entropy on both outputs, the prediction the softmax of the second."""
    _data, graphs = bbbp
    run = Run("x", "GIN", 0, "classification", "roc_auc", ["a", "b"])
    two = SETTINGS.model_copy(update={"class_outputs": 2})
    model = new_predictor(make_encoder("gin", SHAPE), two, run, np.zeros((4, 2))).eval()
    batch = GraphStore(graphs).batch(np.arange(4))
    labels = torch.tensor([[0.0, 1.0], [1.0, torch.nan], [torch.nan, 0.0], [1.0, 1.0]])
    with torch.no_grad():
        outputs = model.head(model.encoder(*batch)).view(4, 2, 2)
        known = ~labels.isnan()
        expected = torch.nn.functional.cross_entropy(outputs[known], labels[known].long())
        torch.testing.assert_close(supervised_loss(model, model.encoder(*batch), labels, "cross_entropy"), expected)
        probabilities = outputs.softmax(dim=2)[..., 1].numpy()
    here = PlainGraphs(GraphStore(graphs), np.arange(4), torch.device("cpu"))
    np.testing.assert_allclose(predict_molecules(model, here, np.arange(4)), probabilities, rtol=1e-5)


@pytest.mark.parametrize(("standardize", "mean"), [("all", 4.0), (["freesolv"], 4.0), (["qm7", "qm9"], 0.0), ([], 0.0)])
def test_targets_are_standardized_where_the_settings_say_so(standardize, mean):
    run = Run("freesolv", "GIN", 0, "regression", "rmse", ["a"])
    settings = SETTINGS.model_copy(update={"standardize": standardize})
    model = new_predictor(make_encoder("gin", SHAPE), settings, run, np.array([[3.0], [5.0]]))
    assert model.mean.tolist() == [mean]
    assert model.scale.tolist() == pytest.approx([math.sqrt(2) if mean else 1.0])


def test_a_class_that_is_neither_0_nor_1_is_an_error(bbbp, tmp_path):
    data, graphs = bbbp
    other = dataclasses.replace(data, labels=data.labels * 2)
    with pytest.raises(MolclrError, match="A label of 'p_np' is 2, but classes must be 0 and 1"):
        finetune(other, graphs, tmp_path, classification(data), "gin", SETTINGS, SHAPE)


def test_regression_is_in_the_unit_of_the_target(freesolv, tmp_path):
    data, graphs = freesolv
    settings = SETTINGS.model_copy(update={"epochs": 20, "dropout": 0.0})
    metrics = finetune(data, graphs, tmp_path, regression(data), "gin", settings, SHAPE)
    train, test = data.labels[data.subsets["train"]], data.labels[data.subsets["test"]]
    assert metrics.test < 1.5 * math.sqrt(((test - train.mean()) ** 2).mean())
    assert train.std() > 2


def test_a_pretrained_encoder_is_where_training_starts(bbbp, corpus, tmp_path):
    data, graphs = bbbp
    pretrain(corpus[1], tmp_path / "pre", "gin", SHAPE, Pretrain(**ONE_EPOCH))
    encoder = tmp_path / "pre" / "encoder.safetensors"
    still = SETTINGS.model_copy(update={"epochs": 1, "encoder_learning_rate": 1e-12, "dropout": 0.0, "weight_decay": 0})
    finetune(data, graphs, tmp_path / "run", classification(data), encoder, still, EncoderShape())
    before, after = load_weights(encoder)[0], load_weights(tmp_path / "run" / "model.safetensors")[0]
    torch.testing.assert_close(after["encoder.readout.weight"], before["readout.weight"])
    torch.testing.assert_close(after["encoder.atom_embedding.weight"], before["atom_embedding.weight"])


@pytest.mark.parametrize(
    ("pretrained", "whose", "rate"), [(True, "head", 1e-4), (False, "head", 2e-3), (False, "encoder", 1e-4)]
)
def test_the_rate_of_the_encoder(pretrained, whose, rate):
    settings = SETTINGS.model_copy(update={"new_encoder_rate": whose, "encoder_learning_rate": 1e-4})
    run = Run("x", "mine", 0, "regression", "rmse", ["a"])
    optimizer = finetuning_optimizer(
        new_predictor(make_encoder("gin", SHAPE), settings, run, np.zeros((1, 1))), settings, pretrained
    )
    assert [group["lr"] for group in optimizer.param_groups] == [rate, 2e-3]


def test_a_missing_encoder_is_an_error_and_not_training_from_scratch(bbbp, tmp_path):
    data, graphs = bbbp
    with pytest.raises(MolclrError, match=r"The checkpoint '.*none\.safetensors'"):
        finetune(data, graphs, tmp_path, classification(data), tmp_path / "none.safetensors", SETTINGS, SHAPE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "pretrained", "expected"),
    [("MolCLR_GCN", True, "MolCLR_GIN"), ("GIN", True, "MolCLR_GIN"), ("GCN", False, "GIN"), ("RF", False, "GIN")],
)
def test_a_model_cannot_have_the_name_of_another(bbbp, tmp_path, model, pretrained, expected):
    data, graphs = bbbp
    encoder = make_encoder("gin", SHAPE)
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), None)
    start = tmp_path / "encoder.safetensors" if pretrained else "gin"
    run = Run("bbbp", model, 0, "classification", "roc_auc", data.targets)
    with pytest.raises(MolclrError, match=f"is called {model}, but it starts from .* GIN; call it {expected}"):
        finetune(data, graphs, tmp_path / "run", run, start, SETTINGS, SHAPE)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("subsets", "message"),
    [("train", "no molecules in valid"), ("valid,train,test", "No training molecule of .* has a label")],
)
def test_a_split_without_training_labels_is_an_error(tmp_path, subsets, message):
    (tmp_path / "raw.csv").write_text("smiles,y\nC,1\nCC,\nCCC,2\n")
    canonicalize(tmp_path / "raw.csv", tmp_path / "m.parquet", tmp_path / "rejected.csv")
    names = (subsets.split(",") * 3)[:3]
    (tmp_path / "split.csv").write_text("row,subset\n" + "".join(f"{row},{name}\n" for row, name in enumerate(names)))
    with pytest.raises(MolclrError, match=message):
        read_labelled(tmp_path / "m.parquet", tmp_path / "split.csv")


def test_graphs_of_other_molecules_are_an_error(bbbp, tmp_path):
    data, graphs = bbbp
    fewer = dataclasses.replace(data, smiles=data.smiles[:-1])
    turned = dataclasses.replace(data, smiles=[*data.smiles[:5], *data.smiles[:4:-1]])
    for other, complaint in (
        (fewer, "graphs, but the molecule table"),
        (turned, f"other molecules: position 5 .*{re.escape(data.smiles[-1])}"),
    ):
        with pytest.raises(MolclrError, match=f"{complaint}.*featurize it again"):
            finetune(other, graphs, tmp_path / "run", classification(data), "gin", SETTINGS, SHAPE)
    assert not (tmp_path / "run").exists()


def test_graphs_of_other_molecules_are_not_embedded(corpus, bbbp, tmp_path):
    """The same holds for the same molecules in another order, even if only one is embedded."""
    encoder = make_encoder("gin", SHAPE)
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), None)
    table = pq.read_table(corpus[0])
    pq.write_table(table[::-1], tmp_path / "turned.parquet")
    for graphs in (bbbp[1], corpus[1]):
        with pytest.raises(MolclrError, match=r"other molecules: position 0 .*featurize it again"):
            write_embeddings(
                tmp_path / "turned.parquet",
                graphs,
                tmp_path / "h.parquet",
                tmp_path / "encoder.safetensors",
                Compute(),
                limit=1,
            )
    assert not (tmp_path / "h.parquet").exists()


def several_targets(tmp_path, benchmark_files, name, change):
    """BBBP with labels changed row by row: `change(i, label)` gives the labels of row i."""
    with (FIXTURES / "bbbp.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = len(change(0, "0"))
    with (tmp_path / "raw.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["smiles", *(f"t{k}" for k in range(columns))])
        writer.writerows([row["smiles"], *change(i, row["p_np"])] for i, row in enumerate(rows))
    molecules, split, graphs = benchmark_files(tmp_path / "raw.csv", name)
    return read_labelled(molecules, split), graphs


def test_several_targets_with_missing_labels(tmp_path, benchmark_files):
    data, graphs = several_targets(
        tmp_path, benchmark_files, "sparse", lambda i, label: [label if i % 3 else "", label if i % 2 else ""]
    )
    assert np.isnan(data.labels).any(axis=0).all()
    for folder, run in (("class", classification(data)), ("value", regression(data))):
        assert set(finetune(data, graphs, tmp_path / folder, run, "gin", SETTINGS, SHAPE).per_target) == {"t0", "t1"}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_target_without_training_labels_is_not_predicted(bbbp, tmp_path, task):
    """Neither after training nor by the saved model; its labels elsewhere make no score."""
    data, graphs = bbbp
    unlearned = data.labels[:, 0].copy()
    unlearned[data.subsets["train"]] = np.nan
    data = dataclasses.replace(data, labels=np.column_stack([data.labels, unlearned]), targets=["p_np", "empty"])
    run = {"classification": classification, "regression": regression}[task](data)
    metrics = finetune(data, graphs, tmp_path, run, "gin", SETTINGS, SHAPE)
    assert set(metrics.per_target) == {"p_np"} and metrics.left_out == {"empty": "no label in the training set"}
    assert "empty: no label in the training set, no prediction" in metrics.note
    with (tmp_path / "predictions.csv").open() as file:
        assert all((row["prediction"] == "") == (row["target"] == "empty") for row in csv.DictReader(file))
    predict(FIXTURES / "bbbp.csv", tmp_path / "model.safetensors", tmp_path / "new.csv", Compute())
    with (tmp_path / "new.csv").open() as file:
        assert all(row["p_np_mean"] and not row["empty_mean"] for row in csv.DictReader(file))


def test_targets_without_different_labels_give_a_warning(tmp_path, capsys):
    rows = "".join(f"{'C' * n},{n % 2},{n if n > 8 else ''},1\n" for n in range(1, 11))
    (tmp_path / "raw.csv").write_text(f"smiles,y,late,equal\n{rows}")
    targets = ["y", "late", "equal"]
    canonicalize(tmp_path / "raw.csv", tmp_path / "m.parquet", tmp_path / "rejected.csv", Selection(targets=targets))
    subsets = ["train"] * 8 + ["valid", "test"]
    (tmp_path / "s.csv").write_text("row,subset\n" + "".join(f"{row},{name}\n" for row, name in enumerate(subsets)))
    capsys.readouterr()
    read_labelled(tmp_path / "m.parquet", tmp_path / "s.csv")
    told = capsys.readouterr().err
    assert "no training molecule has a label of 'late', so models fitted to these do not predict it" in told
    assert "all training molecules have the same label of 'equal', from which nothing can be learned" in told


def test_a_single_training_molecule_is_an_error(bbbp, tmp_path):
    data, graphs = bbbp
    few = dataclasses.replace(data, subsets={**data.subsets, "train": data.subsets["train"][:1]})
    with pytest.raises(MolclrError, match="There is 1 training molecule; fine-tuning needs at least 2"):
        finetune(few, graphs, tmp_path, classification(data), "gin", SETTINGS, SHAPE)


def test_missing_labels_do_not_affect_the_loss(bbbp):
    _data, graphs = bbbp
    run = Run("x", "GIN", 0, "regression", "rmse", ["a", "b"])
    labels = np.array([[1.0, 5.0], [3.0, np.nan], [5.0, np.nan], [7.0, 9.0]])
    model = new_predictor(make_encoder("gin", SHAPE), SETTINGS, run, labels).eval()
    assert model.mean.tolist() == [4.0, 7.0]
    assert model.scale.tolist() == pytest.approx([math.sqrt(20 / 3), math.sqrt(8)])
    batch: GraphBatch = GraphStore(graphs).batch(np.arange(4))
    with torch.no_grad():
        h = model.encoder(*batch)
        output = model(h)
        expected = (
            ((output[:, 0] - (torch.tensor(labels[:, 0]) - 4) / math.sqrt(20 / 3)) ** 2).sum()
            + (output[0, 1] + math.sqrt(0.5)) ** 2
            + (output[3, 1] - math.sqrt(0.5)) ** 2
        ) / 6
        found = supervised_loss(model, h, torch.tensor(labels).float(), "squared_error")
        assert float(found) == pytest.approx(float(expected), rel=1e-5)
        assert supervised_loss(model, h, torch.full((4, 2), torch.nan), "squared_error") == 0


def test_a_loss_that_does_not_fit_is_an_error(bbbp, tmp_path, monkeypatch):
    data, graphs = bbbp
    monkeypatch.setattr(module, "SUPERVISED_LOSSES", dict(module.SUPERVISED_LOSSES))  # whose order stays
    names = ["a", "b"]
    model = new_predictor(
        make_encoder("gin", SHAPE), SETTINGS, Run("x", "GIN", 0, "regression", "mae", names), np.eye(2)
    )
    for loss in (lambda output, label, reduction: (output - label).abs().sum(), lambda *_, reduction: torch.zeros(4)):
        monkeypatch.setitem(module.SUPERVISED_LOSSES, "absolute_error", loss)
        with pytest.raises(
            MolclrError, match=r"'absolute_error' returned \(4?,?\) for labels \(4, 2\); it must return one"
        ):
            supervised_loss(model, torch.zeros(4, SHAPE.embedding_dim), torch.zeros(4, 2), "absolute_error")
    monkeypatch.delitem(module.SUPERVISED_LOSSES, "cross_entropy")
    with pytest.raises(
        MolclrError, match="metric 'roc_auc' names the loss 'cross_entropy', which is not in SUPERVISED_LOSSES"
    ):
        finetune(data, graphs, tmp_path / "run", classification(data), "gin", SETTINGS, SHAPE)
    assert not (tmp_path / "run").exists()


def test_a_benchmark_without_a_positive(tmp_path, benchmark_files):
    """The score is undefined: the last epoch is used, the note names the target, and the score is missing."""
    data, graphs = several_targets(tmp_path, benchmark_files, "negative", lambda i, label: ["0"])
    metrics = finetune(data, graphs, tmp_path / "run", classification(data), "gin", SETTINGS, SHAPE)
    assert metrics.test is None and metrics.validation is None
    assert metrics.left_out == {"t0": "one class in the test set"}
    assert metrics.best_epoch == SETTINGS.epochs
    assert "last epoch" in metrics.note and "one class" in metrics.note


def test_unknown_held_out_molecules_are_an_error(corpus, tmp_path):
    encoder = make_encoder("gin", SHAPE)
    save_encoder(tmp_path / "encoder.safetensors", encoder, encoder.state_dict(), {"fraction": 0.1, "seed": 3})
    arguments = *corpus, tmp_path / "h.parquet", tmp_path / "encoder.safetensors", Compute()
    with pytest.raises(MolclrError, match="does not record which molecules its pre-training held out"):
        write_embeddings(*arguments, held_out=True)
    assert not (tmp_path / "h.parquet").exists()
    write_embeddings(*arguments)


def test_the_encoder_file_describes_the_corpus(corpus, bbbp, tmp_path):
    pretrain(corpus[1], tmp_path, "gcn", SHAPE, Pretrain(**ONE_EPOCH, validation_fraction=0.1))
    _, about = load_encoder(tmp_path / "encoder.safetensors")
    assert about["held_out"]["corpus"] == GraphStore(corpus[1]).identity()
    assert about["held_out"]["corpus"] != GraphStore(bbbp[1]).identity()
    smiles = pq.read_table(corpus[0])["smiles"].to_pylist()
    has_directions = any("/" in text or "\\" in text for text in smiles)
    elements = sorted(set.union(*map(elements_of, smiles)))
    assert about["seen"] == Seen(elements, any("@" in text for text in smiles), has_directions, charges=None)


def test_held_out_molecules_of_another_corpus_are_an_error(corpus, benchmark_files, tmp_path):
    pretrain(corpus[1], tmp_path, "gcn", SHAPE, Pretrain(**ONE_EPOCH, validation_fraction=0.1))
    molecules, _, graphs = benchmark_files(FIXTURES / "bbbp.csv", "bbbp")
    arguments = molecules, graphs, tmp_path / "h.parquet", tmp_path / "encoder.safetensors", Compute()
    with pytest.raises(MolclrError, match=r"bbbp\.safetensors' is not the corpus of .*embed without --held-out"):
        write_embeddings(*arguments, held_out=True)
    assert not (tmp_path / "h.parquet").exists()


def test_embeddings_of_held_out_molecules(corpus, tmp_path):
    pretrain(corpus[1], tmp_path, "gcn", SHAPE, Pretrain(**ONE_EPOCH, validation_fraction=0.1, seed=3))
    encoder = tmp_path / "encoder.safetensors"
    write_embeddings(*corpus, tmp_path / "all.parquet", encoder, Compute())
    write_embeddings(*corpus, tmp_path / "some.parquet", encoder, Compute(), held_out=True)
    write_embeddings(*corpus, tmp_path / "few.parquet", encoder, Compute(), held_out=True, limit=10)
    every, some = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("all", "some"))
    assert every["embedding"].type.list_size == 24
    assert len(every) == pq.read_metadata(corpus[0]).num_rows
    held_out = np.sort(split_corpus(len(every), 0.1, 3).held_out)
    assert some["row"].to_pylist() == every["row"].take(held_out).to_pylist()
    assert len(pq.read_table(tmp_path / "few.parquet")) == 10
    rows = every["row"].to_pylist()
    for row, smiles, vector in zip(*(some[column].to_pylist() for column in some.column_names), strict=True):
        place = rows.index(row)
        assert every["smiles"][place].as_py() == smiles
        np.testing.assert_allclose(vector, every["embedding"][place].as_py(), atol=1e-5)
