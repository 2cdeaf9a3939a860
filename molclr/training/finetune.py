"""Supervised training on one benchmark, from a pre-trained encoder or from scratch (the paper's supervised GIN and GCN)."""

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from molclr.chem.seen import Seen
from molclr.config import EncoderShape, Finetune
from molclr.data.labelled import LabelledMolecules
from molclr.data.store import open_store_of
from molclr.data.subsets import SUBSETS
from molclr.errors import MolclrError
from molclr.evaluation.metrics import NOT_PREDICTED, Score, better, check_all_labels
from molclr.evaluation.runs import HISTORY_FILE, WEIGHTS_FILE, Run, RunMetrics, write_run
from molclr.files import write_rows
from molclr.model_names import EncoderName, ModelName, class_name_problem, model_name
from molclr.models.encoder import GraphEncoder
from molclr.models.encoders import make_encoder
from molclr.models.predictor import Predictor
from molclr.progress import progress
from molclr.seeds import derive_seed
from molclr.training.checkpoint import (
    copy_weights,
    load_encoder,
    load_state,
    load_weights,
    read_seen,
    save_weights,
    stored_encoder,
)
from molclr.training.device import flushing_subnormals, prepare, unchanged_torch
from molclr.training.graphs import graphs_on
from molclr.training.inference import predict_molecules
from molclr.training.supervised import Supervision, finetuning_optimizer, mask_token, new_predictor


def starting_encoder(
    start: Path | EncoderName, seed: int, settings: Finetune, shape: EncoderShape, encoder_class: str | None = None
) -> tuple[GraphEncoder, Seen | None]:
    """Make the encoder with which a run begins, and what its corpus contained; see `finetune`. Sets the seed of new weights."""
    torch.manual_seed(derive_seed(seed, "weights"))
    if isinstance(start, Path):
        encoder, about = load_encoder(start, settings.dropout, encoder_class)
        return encoder, about["seen"]
    encoder = make_encoder(start, shape, settings.dropout)
    mask_token(encoder).zero_()  # It is never trained, so its random value would have no meaning.
    return encoder, None


def begin(
    data: LabelledMolecules,
    graphs: Path,
    run: Run,
    start: Path | EncoderName,
    settings: Finetune,
    shape: EncoderShape,
    molecules: np.ndarray,
    encoder_class: str | None = None,
) -> tuple[Supervision, dict[str, Any]]:
    """Make the model with which a run begins, ready to learn from `molecules`, int64; and what its file says of it.

    See `finetune`.
    """
    device = prepare(settings)
    store = open_store_of(graphs, len(data.smiles), data.smiles, np.arange(len(data.smiles)))
    encoder, seen = starting_encoder(start, run.seed, settings, shape, encoder_class)
    pretrained = isinstance(start, Path)
    _check_name(run.model, encoder.name, pretrained)
    model = new_predictor(encoder, settings, run, data.labels[molecules]).to(device)
    graphs_here = graphs_on(device, store, np.arange(len(store)), encoder)
    optimizer = finetuning_optimizer(model, settings, pretrained)
    about = {
        "encoder": encoder.name,
        "shape": encoder.shape.model_dump(),
        "finetune": settings.model_dump(),
        "run": dataclasses.asdict(run),
        "explicit_hydrogens": store.explicit_hydrogens,
        "seen": seen and seen._asdict(),
    }
    return Supervision(model, run, graphs_here, data.labels, molecules, settings, optimizer), about


@unchanged_torch()
@flushing_subnormals()
def finetune(
    data: LabelledMolecules,
    graphs: Path,
    folder: Path,
    run: Run,
    start: Path | EncoderName,
    settings: Finetune,
    shape: EncoderShape,
    encoder_class: str | None = None,
    patience: int | None = None,
) -> RunMetrics:
    """Train an encoder and a new head, select the epoch with the best validation score, and predict the test molecules.

    start: the file of a pre-trained encoder, which is trained at `encoder_learning_rate`, or the name of an encoder, which is
    trained from scratch with this `shape` at the rate that `new_encoder_rate` selects. encoder_class: the path of the class if
    `start` holds an encoder of a user's class. patience: stop after this many epochs without a better validation score; None
    trains for all epochs. Writes predictions.csv, metrics.json, history.csv and model.safetensors to
    `folder`. If the validation score is undefined (one class only), the last epoch is used, which a note says.
    Raises MolclrError for labels or a model name that do not fit the run, and if the loss is not finite.
    """
    check_all_labels(run.task, data.labels, run.targets)
    train, valid, test = (data.subsets[name] for name in SUBSETS)
    if len(train) < 2:
        raise MolclrError(
            f"There is {len(train)} training molecule; fine-tuning needs at least 2, so use a larger table or another split."
        )
    learn, about = begin(data, graphs, run, start, settings, shape, train, encoder_class)
    best = _train(learn, valid, folder, patience)
    learn.model.load_state_dict(best.weights)
    save_weights(folder / WEIGHTS_FILE, best.weights, about)
    write_rows(folder / HISTORY_FILE, best.history)
    return write_run(
        folder,
        run,
        data.rows[test],
        data.labels[test],
        predict_molecules(learn.model, learn.graphs, test),
        best_epoch=best.epoch,
        validation=best.score,
        note=best.note,
    )


class Best(NamedTuple):
    """The epoch with the best validation score, or the last one if the score is undefined."""

    epoch: int
    score: float
    weights: dict[str, Tensor]
    history: list[dict[str, float]]
    """The training loss and validation score of all epochs."""
    note: str


def _train(learn: Supervision, valid: np.ndarray, folder: Path, patience: int | None) -> Best:
    """Train and find the best epoch. valid: int64, places of the validation molecules. The others: see `finetune`."""
    run, epochs = learn.run, learn.settings.epochs
    best_epoch, best_score, best_weights = 0, math.nan, copy_weights(learn.model)
    history: list[dict[str, float]] = []
    label = f"{run.benchmark}, {run.model}, seed {run.seed}"
    for epoch in progress(range(1, epochs + 1), label=label, unit="epoch"):
        loss = learn.epoch(epoch)
        if not math.isfinite(loss):
            raise MolclrError(
                f"The loss or its gradient is not finite in epoch {epoch} of {folder}; lower the learning rates in 'finetune'."
            )
        scored = learn.score(valid)
        if better(run.metric, scored.value, best_score) or math.isnan(best_score):
            best_epoch, best_score, best_weights = epoch, scored.value, copy_weights(learn.model)
        history.append({"epoch": epoch, "train_loss": loss, "validation": scored.value})
        if patience is not None and epoch - best_epoch >= patience:
            break
    return Best(best_epoch, best_score, best_weights, history, _note(scored, math.isnan(best_score)))


def _note(validation: Score, is_undefined: bool) -> str:
    """Make the note of a run: why its validation score is undefined, and which targets are not predicted."""
    notes = [f"no validation score ({validation.why_undefined}): the last epoch is taken"] if is_undefined else []
    left_out = validation.left_out.items()
    return "; ".join(notes + [f"{target}: {why}, no prediction" for target, why in left_out if why == NOT_PREDICTED])


@flushing_subnormals()
def train_for(epochs: int, learn: Supervision) -> None:
    """Train a model for a number of epochs, without validation. Raises MolclrError if the loss is not finite."""
    for epoch in progress(range(1, epochs + 1), label=f"{learn.run.benchmark}, refit", unit="epoch"):
        if not math.isfinite(learn.epoch(epoch)):
            raise MolclrError(f"The loss or its gradient is not finite in epoch {epoch}; lower the learning rates.")


class FinetunedModel(NamedTuple):
    """The content of a model.safetensors."""

    predictor: Predictor
    run: Run
    explicit_hydrogens: bool
    """Whether the model was trained on graphs with explicit hydrogens."""
    seen: Seen | None
    """The features that occurred in the pre-training corpus of the encoder; None if unknown."""


def load_model(path: Path, encoder_class: str | None = None) -> FinetunedModel:
    """Read a fine-tuned model.

    encoder_class: see `molclr.training.checkpoint.stored_encoder`. Raises MolclrError like `load_weights`, and if the file does
    not hold a fine-tuned model.
    """
    weights, about = load_weights(path)
    if about.keys() != {"encoder", "shape", "finetune", "run", "explicit_hydrogens", "seen"}:
        raise MolclrError(f"'{path}' is not a fine-tuned model; give a model.safetensors made by 'molclr finetune'.")
    run = Run(**about["run"])
    encoder = stored_encoder(about, path, 0.0, encoder_class)
    model = new_predictor(encoder, Finetune(**about["finetune"]), run, np.zeros((1, len(run.targets))))
    load_state(model, weights, path, about, encoder_class)
    return FinetunedModel(model, run, about["explicit_hydrogens"], read_seen(about))


def _check_name(model: str, kind: EncoderName, pretrained: bool) -> None:
    """Raise MolclrError if a model has the name that the tables use for another model. Other names are free."""
    if problem := class_name_problem(kind):
        raise MolclrError(f"'{kind}': {problem}.")
    expected = model_name(kind, pretrained)
    if model in get_args(ModelName) and model != expected:
        start = "a pre-trained" if pretrained else "a new"
        raise MolclrError(
            f"The model is called {model}, but it starts from {start} {model_name(kind, False)}; call it {expected}."
        )
