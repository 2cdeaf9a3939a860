"""Supervised training of a model, epoch by epoch: its loss, the scale of its labels, its optimizer."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.batch import MASK
from molclr.config import Finetune
from molclr.errors import MolclrError
from molclr.evaluation.metrics import Score, find_metric, score
from molclr.evaluation.runs import Run
from molclr.models.encoder import ATOM_TYPES, GraphEncoder
from molclr.models.predictor import Predictor
from molclr.seeds import derive_seed
from molclr.training.device import dtype_of, flushing_subnormals, mixed_precision
from molclr.training.graphs import Graphs, SlotGraphs
from molclr.training.inference import predict_molecules
from molclr.training.step import CapturedStep, Step

SUPERVISED_LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.binary_cross_entropy_with_logits,
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
}
"""The losses that metrics name: functions of outputs and labels, both float (num_graphs, targets), and `reduction="none"`, that
return one loss per label. Missing labels are 0, and their losses are discarded."""


def supervised_loss_of(metric: str) -> str:
    """Return the key in SUPERVISED_LOSSES of a metric's loss. Raises MolclrError if there is no such loss."""
    loss = find_metric(metric).loss
    if loss not in SUPERVISED_LOSSES:
        raise MolclrError(
            f"The metric '{metric}' names the loss '{loss}', which is not in SUPERVISED_LOSSES; "
            "add it in molclr/training/supervised.py."
        )
    return loss


def new_predictor(encoder: GraphEncoder, settings: Finetune, run: Run, labels: np.ndarray) -> Predictor:
    """Make a model with a new head. labels: float64 (n, targets) of the training molecules, NaN where missing."""
    return Predictor(
        encoder,
        run.task,
        *standardization(settings, run, labels),
        head_layers=settings.head_layers,
        activation=settings.activation,
        class_outputs=settings.class_outputs,
    )


def standardization(settings: Finetune, run: Run, labels: np.ndarray) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each target, or 0 and 1 where targets are not standardized.

    labels: float64 (n, targets) of the training molecules, NaN where missing. The standard deviation is NaN for a target without
    any.
    """
    without = np.isnan(labels).all(axis=0)
    if run.task == "classification" or not (settings.standardize == "all" or run.benchmark in settings.standardize):
        return [0.0] * len(run.targets), np.where(without, np.nan, 1.0).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # A target may have no training labels.
        mean, scale = np.nan_to_num(np.nanmean(labels, axis=0)), np.nan_to_num(np.nanstd(labels, axis=0, ddof=1))
    return mean.tolist(), np.where(without, np.nan, np.where(scale > 0, scale, 1)).tolist()


def supervised_loss(model: Predictor, h: Tensor, labels: Tensor, loss: str) -> Tensor:
    """Average a loss of SUPERVISED_LOSSES over the known labels of representations h; 0 without labels.

    labels: float (num_graphs, targets), NaN where missing. Raises MolclrError if the loss does not return one value per label.
    """
    known = ~labels.isnan()
    standardized = torch.where(known, model.standardized(labels), 0)
    losses = SUPERVISED_LOSSES[loss](model(h), standardized, reduction="none")
    if losses.shape != labels.shape:
        raise MolclrError(
            f"The loss '{loss}' returned {tuple(losses.shape)} for labels {tuple(labels.shape)}; "
            "it must return one per label, so correct it."
        )
    return torch.where(known, losses, 0).sum() / known.sum().clamp(min=1)


def finetuning_optimizer(model: Predictor, settings: Finetune, pretrained: bool) -> torch.optim.Adam:
    """Make Adam with separate learning rates for the head and a pre-trained encoder.

    A new encoder is trained at the rate that `new_encoder_rate` selects.
    """
    separate = pretrained or settings.new_encoder_rate == "encoder"
    encoder_rate = settings.encoder_learning_rate if separate else settings.head_learning_rate
    groups = [
        {"params": model.encoder.parameters(), "lr": encoder_rate},
        {"params": model.head.parameters(), "lr": settings.head_learning_rate},
    ]
    capturable = model.mean.device.type == "cuda"
    return torch.optim.Adam(groups, weight_decay=settings.weight_decay, fused=True, capturable=capturable)


def mask_token(encoder: nn.Module) -> Tensor:
    """Return the embedding of masked atoms, float (1, hidden_dim), in the memory of the weights.

    It is a row of `encoder.atom_embedding`. Without an nn.Embedding of this name with a row for each atom type, which encoders of
    a user's class may lack, the result is empty.
    """
    embedding = getattr(encoder, "atom_embedding", None)
    if not isinstance(embedding, nn.Embedding) or embedding.num_embeddings != ATOM_TYPES:
        return torch.empty(0)
    return embedding.weight.detach()[MASK : MASK + 1]


class Supervision:
    """Supervised training of a model, epoch by epoch."""

    def __init__(
        self,
        model: Predictor,
        run: Run,
        graphs: Graphs,
        labels: np.ndarray,
        molecules: np.ndarray,
        settings: Finetune,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """labels: float64 (n, targets) of all `graphs`, NaN where missing. molecules: int64, places of the training molecules."""
        self.model, self.run, self.graphs, self.molecules, self.settings = model, run, graphs, molecules, settings
        self.labels, self.loss = labels, supervised_loss_of(run.metric)
        none = np.full((1, labels.shape[1]), np.nan)  # labels of the index -1, which stands for no molecule
        self.device_labels = torch.tensor(np.concatenate([labels, none]), dtype=torch.float32, device=model.mean.device)
        self.capacity = graphs.capacity(self.batches(epoch) for epoch in range(1, settings.epochs + 1))
        self.step = Step(model, optimizer, self._loss)
        captured = isinstance(graphs, SlotGraphs) and graphs.device.type == "cuda"
        self.learn = CapturedStep(self.step, model) if captured else self.step
        self.token = mask_token(model.encoder)
        self.token_before = self.token.clone()

    def batches(self, epoch: int) -> np.ndarray:
        """Return the places of the molecules in each step: int64 (steps, B); -1 stands for no molecule.

        The order depends on the seed and the epoch. Batches have at least the configured size and differ by at most one molecule,
        because batch norm cannot train on a single molecule.
        """
        order = np.random.default_rng(derive_seed(self.run.seed, "order", epoch)).permutation(self.molecules)
        parts = np.array_split(order, max(1, len(order) // self.settings.batch_size))
        return np.stack([np.pad(part, (0, len(parts[0]) - len(part)), constant_values=-1) for part in parts])

    @flushing_subnormals()
    def epoch(self, epoch: int) -> float:
        """Train for one epoch; return the mean loss, NaN if a loss or gradient was not finite.

        The mask token keeps its value: no molecule has masked atoms here, so the weight decay alone would change it.
        """
        torch.manual_seed(derive_seed(self.run.seed, "dropout", epoch))
        batches = self.batches(epoch)
        self.model.train()
        self.step.begin(0.0)
        for handle in self.graphs.handles(batches, self.capacity):
            self.learn(handle)
        self.token.copy_(self.token_before)
        return math.nan if float(self.step.failed) else float(self.step.loss_sum) / len(batches)

    def score(self, molecules: np.ndarray) -> Score:
        """Score the predictions of molecules, int64 places; those of several targets, whose units may differ, standardized."""
        scale = self.model.scale.cpu().numpy() if len(self.run.targets) > 1 else 1.0
        predictions = predict_molecules(self.model, self.graphs, molecules)
        return score(self.run.metric, self.labels[molecules] / scale, predictions / scale, self.run.targets)

    def _loss(self, handle: Any) -> Tensor:
        labels = self.device_labels[self.graphs.places(handle)]
        with mixed_precision(self.settings, labels.device):
            h = self.graphs.represent(self.model.encoder, handle, dtype_of(self.settings))
            return supervised_loss(self.model, h, labels, self.loss)
