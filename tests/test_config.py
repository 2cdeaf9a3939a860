from pathlib import Path

import pytest
import yaml
from paths import REPOSITORY

from molclr.config import (
    Augmentation,
    Config,
    EncoderChoice,
    EncoderShape,
    OwnBenchmarks,
    Pretrain,
    Run,
    Section,
    parse_section,
    parse_settings,
    require_unique_keys,
)
from molclr.data.catalogue import load_catalogue
from molclr.errors import MolclrError
from molclr.models.augment import augmentation_steps

SMALL = {"benchmarks": ["bbbp"], "models": ["GIN"]}
OWN = {"table": "own/solubility.csv", "task": "regression", "metric": "rmse", "targets": ["logS"]}


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_keys_that_decide_are_a_configuration(path):
    """Without defaults and without how jobs run."""
    settings = parse_section(Config, yaml.safe_load(path.read_text()), path.name)
    decisive = settings.decisive()
    assert parse_section(Config, decisive, "decisive").decisive() == decisive
    assert not {"results", "mirror", "run", "figures"} & set(decisive)
    assert settings.finetune == parse_section(Config, decisive, "decisive").finetune


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_are_valid(path):
    settings = parse_section(Config, yaml.safe_load(path.read_text()), path.name)
    for name in settings.benchmarks:
        assert load_catalogue().benchmarks[name]
    table = settings.corpus.table
    assert (REPOSITORY / table).is_file() if table else settings.corpus.name in load_catalogue().corpora


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"pretrain": {"temprature": 0.1}},
            r"run\.yaml: unknown key 'pretrain\.temprature'; the keys here are .*temperature",
        ),
        (
            {"pretrain": {"augmentation": {"maksing": 1}}},
            r"unknown key 'pretrain\.augmentation\.maksing'.*atom_masking",
        ),
        ({"seed": 3}, r"unknown key 'seed'; the keys here are .*seeds"),
        ({"pretrain": {"epochs": "many"}}, r"'pretrain\.epochs' is 'many'.*integer"),
        ({"pretrain": {"temperature": 0}}, r"'pretrain\.temperature' is 0.*greater than 0"),
        ({"pretrain": {"augmentation": {"atom_masking": 1.5}}}, r"'pretrain\.augmentation\.atom_masking' is 1\.5"),
        (
            {"models": ["GAT"]},
            r"'models' has 'GAT', which is not one of MolCLR_GIN.*; your own encoder needs encoder\.name",
        ),
        (
            {"models": ["gat"], "encoder": {"name": "my_package.gat:GAT"}},
            r"'models' has 'gat', .*; 'encoder\.name: my_package\.gat:GAT' names MolCLR_GAT and GAT",
        ),
        (
            {"models": ["MolCLR_DMPNN"], "encoder": {"name": "mine.gat:GAT"}},
            r"'models' has 'MolCLR_DMPNN'.*MolCLR_GAT, GAT, ",
        ),
        (
            {"encoder": {"name": "mine/gat.py"}},
            r"'encoder\.name' is 'mine/gat\.py': input should be gin, gcn or the path of your own class",
        ),
        (
            {"encoder": {"name": "EdgeGAT"}},
            r"'encoder\.name' is 'EdgeGAT': input should be gin, gcn or the path of your",
        ),
        (
            {"encoder": {"name": "mine.gat:RF"}},
            r"'encoder\.name' is 'mine\.gat:RF': the class RF has the name of another",
        ),
        ({"encoder": {"name": "mine.gat:Gin"}}, "the class Gin has the name of another model in tables; rename"),
        ({"encoder": {"name": "mine.gat:SVM_GAT"}}, "the class SVM_GAT has part of the name of another model"),
        (
            {"pretrain": {"augmentation": {"composition": "nodes"}}},
            r"'pretrain\.augmentation\.composition' is 'nodes': input should be node, subgraph, mix or a list",
        ),
        ({"pretrain": {"augmentation": {"composition": [{"atom_masking": 1.5}]}}}, r"input should be node, .*below 1"),
        ({"pretrain": {"augmentation": {"composition": []}}}, r"input should be node, .*below 1"),
        ({"seeds": [0, 0]}, r"'seeds' is \[0, 0\].*is repeated"),
        ({"pretrain": {"epochs": 5.0}}, r"'pretrain\.epochs' is 5\.0.*integer"),
        ({"seeds": [True]}, r"'seeds\.0' is True.*integer"),
        ({"pretrain": {"device": "banana"}}, r"'pretrain\.device' is 'banana': input should be auto, cpu"),
        ({"results": ""}, r"'results' is '': input should be results or a folder in it"),
        ({"results": "results/published/x"}, r"runs cannot write to results/published"),
        ({"benchmarks": None}, r"'benchmarks' is None"),
        (
            {"own_benchmarks": {"a": OWN | {"metrik": 1}}},
            r"unknown key 'own_benchmarks\.a\.metrik'; the keys here are .*metric",
        ),
        ({"own_benchmarks": {"a": {**OWN, "task": "ranking"}}}, r"'own_benchmarks\.a\.task' is 'ranking'"),
        ({"own_benchmarks": {"a": {**OWN, "targets": []}}}, r"'own_benchmarks\.a\.targets' is \[\]"),
        (
            {"own_benchmarks": {"a": {**OWN, "split": "random 3"}}},
            r"'own_benchmarks\.a\.split' is 'random 3': input should be the name of a",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "unit": {"b": "g"}}}},
            r"'own_benchmarks\.a\.unit': it has units of b; give .*: logS",
        ),
        (
            {"own_benchmarks": {"a": {**OWN, "split_column": "fold"}}},
            r"'own_benchmarks\.a': 'split_column' is only used with",
        ),
        ({"own_benchmarks": {"a": {"table": "a.csv"}}}, r"the key 'own_benchmarks\.a\.task' is missing"),
        ({"own_benchmarks": {"a/b": OWN}}, r"'own_benchmarks': 'a/b' is used in file names"),
        ({"own_benchmarks": {"bbbp-120": OWN}}, r"no number after the last -"),
        ({"corpus": {"name": "my corpus"}}, r"'corpus\.name' is 'my corpus'"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(values, message):
    with pytest.raises(MolclrError, match=message) as error:
        parse_section(Config, SMALL | values, "run.yaml")
    assert "\n" not in str(error.value)


def test_a_benchmark_of_ones_own_survives_the_command_line():
    settings = parse_section(
        Config, SMALL | {"own_benchmarks": {"solubility": {**OWN, "split": "random-3"}}}, "run.yaml"
    )
    own = settings.own_benchmarks["solubility"]
    assert (own.name, own.scheme, own.unit) == ("solubility", "random", "")
    text = settings.model_dump_json(include={"own_benchmarks"})
    assert parse_settings(OwnBenchmarks, text).own_benchmarks == settings.own_benchmarks


def test_numbers_as_the_command_line_writes_them():
    assert parse_section(Config, SMALL | {"pretrain": {"epochs": "12"}}, "run.yaml").pretrain.epochs == 12


def test_numbers_in_scientific_notation():
    assert (
        parse_section(Config, SMALL | {"pretrain": {"learning_rate": "1e-5"}}, "run.yaml").pretrain.learning_rate
        == 1e-5
    )


def test_settings_come_inline_or_from_a_file(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("epochs: 3\n")
    assert parse_settings(Pretrain, "{epochs: 3}") == parse_settings(Pretrain, str(path)) == Pretrain(epochs=3)
    settings = Pretrain(temperature=0.2)
    assert parse_settings(Pretrain, settings.model_dump_json()) == settings
    with pytest.raises(MolclrError, match="does not exist"):
        parse_settings(Pretrain, str(tmp_path / "other.yaml"))
    with pytest.raises(MolclrError, match="the value is not a YAML mapping"):
        parse_settings(Pretrain, "{epochs: ")
    with pytest.raises(MolclrError, match="the value is not a YAML mapping"):
        parse_settings(Pretrain, "epochs=3")


def test_settings_are_taken_out_of_a_configuration():
    path = str(REPOSITORY / "config" / "encoders.yaml")
    whole = parse_section(Config, yaml.safe_load(Path(path).read_text()), path)
    assert parse_settings(Pretrain, path) == whole.pretrain
    assert parse_settings(EncoderChoice, path, "--shape") == whole.encoder == EncoderChoice()
    assert whole.encoder.shape == EncoderShape()
    with pytest.raises(MolclrError, match=r"--settings: unknown key 'pretrain'"):
        parse_settings(Pretrain, "{pretrain: {epochs: 3}, epochs: 2}")


def test_the_shape_of_your_own_encoder_is_taken_out_of_a_configuration(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("encoder: {name: 'my_package.gat:GAT', layers: 3}\n")
    assert parse_settings(EncoderChoice, str(path), "--shape").shape == EncoderShape(layers=3)
    path.write_text("encoder: {nam: gat}\n")
    with pytest.raises(MolclrError, match=r"unknown key 'nam'; the keys here are layers, .*, gcn_normalization, name"):
        parse_settings(EncoderChoice, str(path), "--shape")


def test_a_released_encoder_by_name():
    configuration = parse_section(
        Config, SMALL | {"models": ["GCN", "MolCLR_GCN"], "encoder": "official-gcn"}, "run.yaml"
    )
    assert configuration.encoder.released == "official-gcn" and configuration.encoder.own is None
    assert parse_section(Config, configuration.decisive(), "decisive").encoder == configuration.encoder
    shape = EncoderShape(layers=5, hidden_dim=300, embedding_dim=512, gcn_normalization=False)
    assert configuration.encoder.shape == shape
    assert Config(**SMALL, encoder={"name": "official-gin"}).encoder == Config(**SMALL, encoder="official-gin").encoder
    with pytest.raises(
        MolclrError, match="the encoder official-gcn belongs to MolCLR_GCN; remove MolCLR_GIN from 'models'"
    ):
        parse_section(Config, SMALL | {"models": ["GIN", "MolCLR_GIN"], "encoder": "official-gcn"}, "run.yaml")
    with pytest.raises(
        MolclrError,
        match=r"run\.yaml: 'encoder': the shape of a released encoder is fixed: write 'encoder: official-gcn'",
    ):
        parse_section(Config, SMALL | {"encoder": {"name": "official-gcn", "layers": 3}}, "run.yaml")
    with pytest.raises(
        MolclrError, match=r"official-gcn is already trained, so 'corpus\.exclude' has no effect; remove it"
    ):
        values = {"models": ["MolCLR_GCN"], "encoder": "official-gcn", "corpus": {"exclude": "molecules"}}
        parse_section(Config, SMALL | values, "run.yaml")
    with pytest.raises(
        MolclrError, match=r"'encoder' is 'gcn': input should be the keys of a shape, or official-gin or"
    ):
        parse_section(Config, SMALL | {"encoder": "gcn"}, "run.yaml")


def test_a_missing_key_is_named():
    with pytest.raises(MolclrError, match=r"run\.yaml: the key 'models' is missing"):
        parse_section(Config, {"benchmarks": ["bbbp"]}, "run.yaml")


def test_how_jobs_run_is_a_section_of_its_own():
    """What no rule's parameters and no lock may contain."""
    assert set(Run.model_fields) == {
        *("pretrain_gpus", "finetune_gpus", "forest_threads", "checkpoint_seconds", "begin_anew"),
    }
    with pytest.raises(MolclrError, match=r"unknown key 'pretrain\.gpus'"):
        parse_section(Config, SMALL | {"pretrain": {"gpus": 1}}, "run.yaml")


def test_every_key_is_described():
    def sections(section):
        yield section
        for below in section.__subclasses__():
            yield from sections(below)

    for section in sections(Section):
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


def test_an_encoder_of_ones_own_has_models_in_the_tables():
    settings = parse_section(
        Config,
        SMALL | {"encoder": {"name": "mine.gat:GAT", "layers": 2}, "models": ["MolCLR_GAT", "GAT", "MolCLR_GIN", "RF"]},
        "run.yaml",
    )
    assert [settings.encoder_of(name) for name in ("MolCLR_GAT", "GAT", "gat")] == ["mine.gat:GAT"] * 3
    assert [settings.encoder_of(name) for name in ("MolCLR_GIN", "GCN", "gin")] == ["gin", "gcn", "gin"]
    frozen = [settings.encoder_of(name) for name in ("SVM_MolCLR_GAT", "SVM_MolCLR_GAT_ECFP", "SVM_MolCLR_GIN_ECFP")]
    assert frozen == ["mine.gat:GAT", "mine.gat:GAT", "gin"]
    assert settings.encoder.shape == EncoderShape(layers=2), "what --shape takes"
    assert settings.decisive()["encoder"] == {"name": "mine.gat:GAT", "layers": 2}
    short = parse_section(Config, SMALL | {"encoder": {"name": "gat"}, "models": ["MolCLR_GAT", "GAT"]}, "run.yaml")
    assert short.encoder_of("MolCLR_GAT") == short.encoder_of("gat") == "gat", "a new key of ENCODERS"


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("epochs: 2\nseed: 1\nepochs: 3", "epochs", 3),
        ("pretrain:\n  epochs: 2\npretrain: {seed: 1}", "pretrain", 3),
        ("{own_benchmarks: {a: 1, b: 2, a: 3}}", "a", 1),
    ],
)
def test_a_repeated_key_is_an_error(tmp_path, text, key, line):
    """YAML readers keep the last one without a word."""
    (tmp_path / "run.yaml").write_text(text)
    message = rf"run\.yaml: the key '{key}' in line {line} is already given above; remove one of them"
    with pytest.raises(MolclrError, match=message):
        require_unique_keys(tmp_path / "run.yaml")
    with pytest.raises(MolclrError, match=message):
        parse_settings(Pretrain, str(tmp_path / "run.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: {<<: *x, b: 2}",
        "b: &b {a: 1}\np:\n  q: &x\n    <<: *b\n    a: 2\nw:\n  <<: *x",
        "a: &x {c: 1}\nb: &y {d: 2}\ne:\n  <<: *x\n  <<: *y",
        "1: a\n'1': b",
        "",
        "[1, {a: 1}, {a: 2}]",
    ],
)
def test_keys_that_are_not_repeated(tmp_path, text):
    (tmp_path / "run.yaml").write_text(text)
    require_unique_keys(tmp_path / "run.yaml")


def test_augmentations_as_a_list():
    steps = [{"subgraph_removal": 0.1}, {"mine.views:swap": 0.2}]
    settings = parse_settings(Pretrain, f"{{augmentation: {{composition: {steps}}}}}")
    assert settings.augmentation.composition == steps
    assert parse_settings(Pretrain, settings.model_dump_json()) == settings


def test_numbers_may_be_text_as_on_the_command_line_of_snakemake():
    steps = [{"atom_masking": "0.25"}, {"my_package.views:swap_atoms": "0.1"}]
    found = Augmentation(composition=steps).composition
    assert found == [{"atom_masking": 0.25}, {"my_package.views:swap_atoms": 0.1}]
    with pytest.raises(ValueError, match="ratios from 0 to below 1"):
        Augmentation(composition=[{"atom_masking": "much"}])


@pytest.mark.parametrize(
    ("composition", "key", "advice"),
    [
        ("node", "subgraph_removal", "the keys that it uses are atom_masking, bond_deletion"),
        ("subgraph", "atom_masking", "the keys that it uses are subgraph_removal, subgraph_keeps_rings"),
        ("mix", "subgraph_keeps_rings", "the keys that it uses are atom_masking, bond_deletion, subgraph_removal"),
        ([{"atom_masking": 0.1}], "bond_deletion", "which has its own ratios"),
    ],
)
def test_a_key_of_augmentations_without_effect_is_an_error(composition, key, advice):
    value = False if key == "subgraph_keeps_rings" else 0.5
    with pytest.raises(
        MolclrError, match=rf"--settings: 'augmentation': '{key}' has no effect with .*{advice}; remove it"
    ):
        parse_settings(Pretrain, f"{{augmentation: {{composition: {composition}, {key}: {value}}}}}")
    default = Augmentation.model_fields[key].default
    assert Augmentation(composition=composition, **{key: default}) == Augmentation(composition=composition)


@pytest.mark.parametrize("composition", ["node", "subgraph", "mix"])
def test_every_other_key_of_augmentations_has_an_effect(composition):
    for key, value in {
        "atom_masking": 0.5,
        "bond_deletion": 0.5,
        "subgraph_removal": 0.5,
        "subgraph_keeps_rings": False,
    }.items():
        try:
            settings = Augmentation(composition=composition, **{key: value})
        except ValueError:
            settings = Augmentation.model_construct(composition=composition, **{key: value})
            assert augmentation_steps(settings) == augmentation_steps(Augmentation(composition=composition))
        else:
            assert augmentation_steps(settings) != augmentation_steps(Augmentation(composition=composition))
