import csv
import dataclasses

import numpy as np
import pytest
import yaml

from molclr.config import EncoderShape, Finetune, parse_settings
from molclr.errors import MolclrError
from molclr.evaluation.runs import Run
from molclr.training.finetune import finetune
from molclr.training.random_search import RANGES, choose, propose


def test_trials_are_all_points_of_the_ranges_without_repetition():
    base = Finetune(epochs=7, weight_decay=0.5)
    trials = [propose(base, trial) for trial in range(192)]
    assert len({trial.model_dump_json() for trial in trials}) == 192
    for name, values in RANGES.items():
        assert {getattr(trial, name) for trial in trials} == set(values)
    assert all(trial.new_encoder_rate == "encoder" for trial in trials), "192 different ones for a new encoder too"
    assert all(trial.epochs == 7 and trial.weight_decay == 0.5 for trial in trials)
    assert trials[:10] == [propose(base, trial) for trial in range(10)]
    firsts = [trial.dropout for trial in trials[:48]]
    assert len(set(firsts)) == 4, "in random order"
    with pytest.raises(MolclrError, match="Trial 192 does not exist: there are 192 settings to try"):
        propose(base, 192)


@pytest.fixture
def trials(bbbp, tmp_path):
    data, graphs = bbbp
    shape, run = (
        EncoderShape(layers=1, hidden_dim=8, embedding_dim=8),
        Run("bbbp", "GIN", 0, "classification", "roc_auc", ["p_np"]),
    )
    for trial in range(4):
        finetune(data, graphs, tmp_path / f"trial-{trial}", run, "gin", propose(Finetune(epochs=2), trial), shape)
    return data, graphs, [tmp_path / f"trial-{trial}" for trial in range(4)]


def test_the_best_on_validation_is_chosen_and_every_trial_recorded(trials, tmp_path):
    folders = trials[2]
    choose(folders, tmp_path / "chosen.yaml", tmp_path / "trials.csv")
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert not [name for name in rows[0] if "test" in name]
    best = int(np.argmax([float(row["validation"]) for row in rows]))
    chosen = parse_settings(Finetune, str(tmp_path / "chosen.yaml"))
    assert chosen == propose(Finetune(epochs=2), best)
    assert yaml.safe_load((tmp_path / "chosen.yaml").read_text())["dropout"] == float(rows[best]["dropout"])


def test_test_scores_are_not_used(trials, tmp_path):
    """The same trials on shuffled test labels lead to the same choice."""
    data, graphs, folders = trials
    choose(folders, tmp_path / "a.yaml", tmp_path / "a.csv")
    labels = data.labels.copy()
    labels[data.subsets["test"]] = 1 - labels[data.subsets["test"]]
    shape, run = (
        EncoderShape(layers=1, hidden_dim=8, embedding_dim=8),
        Run("bbbp", "GIN", 0, "classification", "roc_auc", ["p_np"]),
    )
    for trial, folder in enumerate(folders):
        flipped = dataclasses.replace(data, labels=labels)
        finetune(flipped, graphs, folder, run, "gin", propose(Finetune(epochs=2), trial), shape)
    choose(folders, tmp_path / "b.yaml", tmp_path / "b.csv")
    assert (tmp_path / "a.yaml").read_bytes() == (tmp_path / "b.yaml").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_without_a_validation_score_nothing_is_chosen(trials, tmp_path):
    folders = trials[2]
    for folder in folders:
        text = (folder / "metrics.json").read_text().splitlines(keepends=True)
        (folder / "metrics.json").write_text(
            "".join('  "validation": null,\n' if '"validation"' in line else line for line in text)
        )
    with pytest.raises(MolclrError, match="has a validation score"):
        choose(folders, tmp_path / "chosen.yaml", tmp_path / "trials.csv")
    assert not (tmp_path / "chosen.yaml").exists() and not (tmp_path / "trials.csv").exists()
