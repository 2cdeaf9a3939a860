"""The network of fine-tuning: an encoder and a prediction head with outputs in the units of the targets."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from molclr.config import Task
from molclr.models.encoder import GraphEncoder
from molclr.models.heads import PredictionHead


class Predictor(nn.Module):
    """Encoder and prediction head with one output per target.

    Outputs are logits of class 1, or standardized values that `mean` and `scale`, float (targets,), convert to the target's unit.
    """

    mean: Tensor
    scale: Tensor
    """NaN for targets that had no training labels, which are not predicted."""

    def __init__(
        self,
        encoder: GraphEncoder,
        task: Task,
        mean: Sequence[float],
        scale: Sequence[float],
        head_layers: int = 2,
        activation: Literal["softplus", "relu"] = "softplus",
        class_outputs: int = 1,
    ) -> None:
        """mean, scale: those of each target's labels; 0 and 1 for classes. class_outputs: 1, a sigmoid, or 2, a softmax."""
        super().__init__()
        self.encoder, self.task = encoder, task
        self.class_outputs = class_outputs if task == "classification" else 1
        outputs = len(mean) * self.class_outputs
        self.head = PredictionHead(encoder.shape.embedding_dim, outputs, head_layers, activation)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def forward(self, h: Tensor) -> Tensor:
        """Return logits of class 1 or standardized values, float (num_graphs, targets), for representations h."""
        output = self.head(h).float()
        if self.class_outputs == 2:  # A softmax over two logits is the sigmoid of their difference.
            return output[:, 1::2] - output[:, 0::2]
        return output

    def standardized(self, labels: Tensor) -> Tensor:
        """Convert labels, float (num_graphs, targets), to the scale of the outputs: standardize values, keep classes."""
        return (labels - self.mean) / self.scale

    def predict(self, h: Tensor) -> Tensor:
        """Return probabilities of class 1, or values in the target's unit, float (num_graphs, targets); NaN if `scale` is."""
        output = self(h)
        values = output.sigmoid() if self.task == "classification" else output * self.scale + self.mean
        return torch.where(self.scale.isnan(), torch.nan, values)
