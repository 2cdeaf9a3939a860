"""The examples of docs/extending.md do what the text says."""

import csv
import json
import re
import sys

import numpy as np
import pytest
import torch
import workflow_runs
import yaml
from paths import FIXTURES, REPOSITORY

from molclr.cli import main
from molclr.config import Augmentation, Config, EncoderShape, Finetune, Pretrain, parse_section
from molclr.data import splits
from molclr.data.canonicalize import Selection, canonicalize
from molclr.data.featurize import featurize
from molclr.data.splits import write_split
from molclr.definitions import require_named_code
from molclr.evaluation import metrics
from molclr.evaluation.benchmarks import choose_benchmarks
from molclr.evaluation.runs import Run, write_run
from molclr.evaluation.statistics import Predictions, difference, sample
from molclr.models.augment import (
    AUGMENTATIONS,
    UNREACHABLE,
    augment,
    augmentation_steps,
    lose,
    molecule_keys,
    molecules_of,
    view_keys,
)
from molclr.models.contract import require_pure
from molclr.models.encoders import make_encoder
from molclr.models.nt_xent import find_loss
from molclr.training import supervised
from molclr.training.kept import run_identity
from molclr.training.pretrain import pretrain

TEXT = (REPOSITORY / "docs/extending.md").read_text()
NOTHING_ELSE = {"results": "results/own", "benchmarks": ["bbbp"], "models": ["GIN"]}


def blocks(section, language):
    """The code blocks of a section in one language."""
    text = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    (found,) = [part for part in text if part.startswith(f"{section}\n")]
    return re.findall(rf"^```{language}\n(.*?)^```", found, re.MULTILINE | re.DOTALL)


def run(section):
    """Run the Python of a section; return its names."""
    names = {}
    for block in blocks(section, "python"):
        exec(compile(block, f"docs/extending.md, {section}", "exec"), names)
    return names


def configuration(section):
    (block,) = blocks(section, "yaml")
    return yaml.safe_load(block)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The working directory holds my_package, with the module that an example says it is."""

    def write(section):
        (block,) = blocks(section, "python")
        name = re.match(r'"""my_package/(\w+)\.py"""', block)[1]
        (tmp_path / "my_package").mkdir(exist_ok=True)
        (tmp_path / "my_package" / f"{name}.py").write_text(block)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with the tables that the examples name, as the working directory."""
    (tmp_path / "own").mkdir()
    with (FIXTURES / "freesolv.csv").open() as file:
        rows = list(csv.reader(file))[1:81]
    with (tmp_path / "own/solubility.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "SMILES", "logS", "fold"])
        folds = ["train"] * 8 + ["valid", "test"]
        writer.writerows((f"m{i}", smiles, label, folds[i % 10]) for i, (smiles, label) in enumerate(rows))
    lines = (FIXTURES / "zinc.csv").read_text().splitlines()[1:81]
    (tmp_path / "own/corpus.smi").write_text("".join(f"{smiles} name {i}\n" for i, smiles in enumerate(lines)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def graph_store(tmp_path):
    (tmp_path / "graphs.safetensors").write_bytes(b"a corpus")
    return tmp_path / "graphs.safetensors"


def test_a_metric(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    run("A metric")
    labels, predictions = np.array([[1.0], [1.0], [0.0], [0.0]]), np.array([[0.9], [0.2], [0.1], [0.3]])
    assert metrics.score("balanced_accuracy", labels, predictions, ["toxic"]).value == 0.75
    assert metrics.score("balanced_accuracy", labels[:2], predictions[:2], ["toxic"]).left_out == {"toxic": "one class"}
    written = write_run(
        tmp_path,
        Run("mine", "RF", 0, "classification", "balanced_accuracy", ["toxic"]),
        np.arange(4),
        labels,
        predictions,
    )
    assert written.test == 0.75 and set(written.also) >= {"roc_auc", "pr_auc"}
    models = [Predictions(np.arange(4), labels, values) for values in (predictions[None], 1 - predictions[None])]
    found = difference("balanced_accuracy", *(sample("balanced_accuracy", model) for model in models))
    assert found.value == 0.5 and found.low < 0.5 < found.high


def test_a_loss_of_fine_tuning(monkeypatch):
    monkeypatch.setattr(supervised, "SUPERVISED_LOSSES", dict(supervised.SUPERVISED_LOSSES))
    run("A loss of fine-tuning")
    shape = EncoderShape(layers=1, hidden_dim=8, embedding_dim=8)
    task = Run("mine", "GIN", 0, "regression", "rmse", ["a", "b"])
    model = supervised.new_predictor(make_encoder("gin", shape), Finetune(standardize=[]), task, np.zeros((1, 2)))
    labels = torch.tensor([[0.5, torch.nan], [5.0, 0.0]])
    with torch.no_grad():
        model.head.mlp[-1].weight.zero_(), model.head.mlp[-1].bias.zero_()  # outputs of 0
        found = supervised.supervised_loss(model, torch.zeros(2, 8), labels, "huber")
    assert float(found) == pytest.approx((0.5**2 / 2 + (5 - 0.5) + 0) / 3), "the mean over the three known labels"


def test_a_split_scheme(tmp_path, monkeypatch):
    monkeypatch.setattr(splits, "SCHEMES", dict(splits.SCHEMES))
    run("A split scheme")
    canonicalize(FIXTURES / "zinc.csv", tmp_path / "zinc.parquet", tmp_path / "rejected.csv")
    sizes = write_split(tmp_path / "zinc.parquet", tmp_path / "split.csv", "weight")
    assert sum(sizes.values()) == 300 and min(sizes.values()) == 30


def test_a_corpus_and_a_loss_of_pre_training(own, package):
    package("A loss of pre-training")
    values = configuration("A corpus") | configuration("A loss of pre-training")
    settings = parse_section(Config, NOTHING_ELSE | values, "own.yaml")
    choose_benchmarks(settings, "own.yaml")
    require_named_code(settings, "own.yaml")
    counts = canonicalize(
        settings.corpus.table, "mine.parquet", "mine.rejected.csv", Selection(unique=True, targets=[])
    )
    assert counts == (80, 0)
    featurize("mine.parquet", "mine.safetensors")
    short = settings.pretrain.model_copy(update={"epochs": 1, "batch_size": 32, "projection": 8})
    shape = EncoderShape(layers=1, hidden_dim=8, embedding_dim=8)
    losses = {}
    for loss in ("nt_xent", short.loss):
        pretrain(own / "mine.safetensors", own / loss, "gin", shape, short.model_copy(update={"loss": loss}))
        with (own / loss / "history.csv").open() as file:
            losses[loss] = float(next(csv.DictReader(file))["train_loss"])
    assert losses["nt_xent"] > losses[short.loss] > 0, "half as many negatives"


def test_an_edit_to_ones_own_code_is_another_run(graph_store, package, tmp_path):
    package("A loss of pre-training")
    settings = Pretrain(**configuration("A loss of pre-training")["pretrain"])

    def code():
        return run_identity(graph_store, "gin", EncoderShape(), settings, torch.device("cpu"))["code"]

    before, module = code(), tmp_path / "my_package/losses.py"
    text = module.read_text()
    module.write_text(text + "\n# A comment.\n")
    assert code() == before
    module.write_text(text.replace(") / 2", ") / 4"))
    assert code() != before


@pytest.mark.slow
def test_a_benchmark_is_planned(own, package):
    """Snakemake plans every step, with the tables as inputs, and fetches only what the catalogue has."""
    package("A loss of pre-training")
    values = configuration("A benchmark") | configuration("A corpus") | configuration("A loss of pre-training")
    (own / "own/config.yaml").write_text(yaml.safe_dump(values | {"seeds": [0]}))
    command = ["snakemake", "--snakefile", REPOSITORY / "Snakefile", "--directory", own]
    options = ["--configfile", "own/config.yaml", "--dry-run", "--cores", "1", "all"]
    plan = workflow_runs.run(own, *command, *options)
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", plan, re.MULTILINE))
    assert (jobs["fetch"], jobs["canonicalize"], jobs["split"], jobs["finetune"]) == ("1", "4", "3", "6")
    assert "input: own/solubility.csv" in plan and "input: own/corpus.smi" in plan
    assert "data/splits/permeability.given.csv" in plan
    (own / "my_package/losses.py").unlink()
    plan = workflow_runs.run(own, *command, *options, fails=True)
    assert "own/config.yaml: 'pretrain.loss': There is no Python module 'my_package.losses'" in plan


@pytest.mark.slow
def test_a_benchmark_by_its_commands(own):
    """What the jobs of this plan do, in small."""
    settings = parse_section(Config, configuration("A benchmark"), "own.yaml")
    chosen = choose_benchmarks(settings, "own.yaml")
    (own / "settings.yaml").write_text(json.dumps(settings.decisive()))
    metrics_files = []
    for name in ("solubility", "permeability"):
        benchmark = chosen[name]
        files = [
            f"{name}.parquet",
            "--targets",
            "logS",
            "--smiles-column",
            "SMILES",
            "--rejected",
            f"{name}.rejected.csv",
        ]
        assert main(["canonicalize", benchmark.table, "--molecules", *files]) == 0
        given = (
            ["--given", benchmark.table, "--column", "fold"] if benchmark.split == "given" else ["--scheme", "scaffold"]
        )
        assert main(["split", f"{name}.parquet", *given, "--output", f"{name}.split.csv"]) == 0
        assert main(["featurize", f"{name}.parquet", "--output", f"{name}.safetensors"]) == 0
        run_options = ["--split", f"{name}.split.csv", "--benchmark", name, "--task", benchmark.task, "--seed", "0"]
        run_options += ["--metric", benchmark.metric]
        shape = ["--shape", "{layers: 1, hidden_dim: 8, embedding_dim: 8}", "--settings", "{epochs: 1}"]
        scratch = ["--graphs", f"{name}.safetensors", "--model", "GIN", "--from-scratch", "gin", *shape]
        forest = ["--model", "RF", "--settings", "{trees: 5}"]
        for command, options in (("finetune", scratch), ("baseline", forest)):
            folder = f"runs/{name}/{command}"
            assert main([command, f"{name}.parquet", *run_options, *options, "--output", folder]) == 0
            metrics_files.append(f"{folder}/metrics.json")
    assert main(["table", *metrics_files, "--settings", "settings.yaml", "--output", str(own)]) == 0
    assert main(["figure", "benchmarks", "classification.csv", "regression.csv", "--output=f"]) == 0

    with (own / "regression.csv").open() as file:
        rows = [(row["benchmark"], row["model"], row["metric"], row["unit"]) for row in csv.DictReader(file)]
    assert rows == [
        ("Solubility", "RF", "RMSE", "log mol/L"),
        ("Solubility", "GIN", "RMSE", "log mol/L"),
        ("permeability", "RF", "Spearman", ""),
        ("permeability", "GIN", "Spearman", ""),
    ]
    assert "paper" not in (own / "regression.md").read_text() and (own / "f.png").stat().st_size > 10_000
    with (own / "regression_scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4 * len(metrics.metrics_of("regression"))


def test_an_encoder(graphs, package):
    package("An encoder")
    settings = parse_section(Config, NOTHING_ELSE | configuration("An encoder"), "own.yaml")
    require_named_code(settings, "own.yaml")
    assert settings.encoder_of("MolCLR_GAT") == settings.encoder_of("GAT") == "my_package.gat:GAT"
    encoder = make_encoder(settings.encoder.name, EncoderShape(layers=2, hidden_dim=16, embedding_dim=24), dropout=0.1)
    h = encoder(*graphs)
    assert h.shape == (graphs.num_graphs, 24)
    h.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_an_augmentation(graphs, package):
    package("An augmentation")
    settings = Pretrain(**configuration("An augmentation")["pretrain"]).augmentation
    only_dropping = Augmentation(composition=settings.composition[:1])
    view = augment(graphs, only_dropping, view_keys(0, torch.arange(graphs.num_graphs)))
    masked = view.x[:, 0] == 118
    assert masked.any() and not masked[view.edge_index].any(), "a dropped atom has no bond"
    sizes = graphs.batch.bincount()
    assert torch.equal(graphs.batch[masked].bincount(minlength=len(sizes)), (sizes * 0.1).long())
    keys = view_keys(torch.tensor([[0], [1]]), torch.arange(graphs.num_graphs))
    both = lose(molecules_of(graphs), augmentation_steps(only_dropping), keys).masked
    assert torch.equal(both[0], masked) and not torch.equal(both[1], masked), "two views at once"
    fewer = augment(graphs, settings, view_keys(0, torch.arange(graphs.num_graphs)))
    assert fewer.edge_index.shape[1] < view.edge_index.shape[1] < graphs.edge_index.shape[1]
    assert all(f"`{name}`" in TEXT for name in AUGMENTATIONS)
    require_pure(graphs, settings)


def test_the_distances_of_an_augmentation(graphs):
    block, degree, _ = blocks("An augmentation", "py")
    keys, molecules = view_keys(0, torch.arange(graphs.num_graphs)), molecules_of(graphs)
    names = {"molecules": molecules, "keys": keys, "molecule_keys": molecule_keys, "ORIGIN": 100, "torch": torch}
    for each in (block, degree):
        exec(compile(each, "docs/extending.md", "exec"), names)
    assert torch.equal(names["degree"], torch.bincount(graphs.edge_index[0], minlength=len(graphs.x)))
    origin, distance, atoms = names["origin"], names["distance"], molecules.atoms
    assert torch.equal(atoms.group[origin], torch.arange(graphs.num_graphs)) and atoms.place[origin].max() > 0
    assert (distance[origin] == 0).all() and f"`UNREACHABLE` ({UNREACHABLE})" in TEXT
    assert ((distance < atoms.sizes[atoms.group]) | (distance == UNREACHABLE)).all()


def test_the_result_of_an_augmentation(package):
    package("An augmentation")
    *_, block = blocks("An augmentation", "py")
    names = {}
    exec(compile(block, "docs/extending.md", "exec"), names)
    masked, bonds = names["view"].x[:, 0] == 118, names["view"].edge_index
    assert masked[:4].sum() == 2 and masked[4:].sum() == 3 and not masked[bonds].any()


def test_a_second_name_has_other_settings(package, tmp_path):
    package("A loss of pre-training")
    package("An encoder")
    subclass, partial = re.search(r"`(class GAT8.*?)`.*?`(sharper.*?)`", TEXT, re.DOTALL).groups()
    losses, gat = tmp_path / "my_package/losses.py", tmp_path / "my_package/gat.py"
    losses.write_text(
        f"import functools\n{losses.read_text().replace('temperature: float', 'temperature: float, power=1')}{partial}"
    )
    gat.write_text(gat.read_text() + subclass)
    named = {"pretrain": {"loss": "my_package.losses:sharper"}, "encoder": {"name": "my_package.gat:GAT8"}}
    require_named_code(parse_section(Config, NOTHING_ELSE | named, "own.yaml"), "own.yaml")
    loss, accuracy = find_loss("my_package.losses:sharper")(torch.eye(4), torch.eye(4), 0.1)
    assert loss < 0.1 and accuracy == 1
    assert make_encoder("my_package.gat:GAT8", EncoderShape(layers=1, hidden_dim=8, embedding_dim=8)).heads == 8
