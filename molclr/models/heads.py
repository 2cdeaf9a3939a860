"""Networks on top of the representation h: the projection head of pre-training and the prediction head of fine-tuning."""

from typing import Literal

from torch import Tensor, nn

ACTIVATIONS = {"softplus": nn.Softplus, "relu": nn.ReLU}


class ProjectionHead(nn.Sequential):
    """Map h, float (num_graphs, embedding_dim), to z, float (num_graphs, projection), the input of the loss (paper, eq. 3)."""

    def __init__(self, embedding_dim: int, projection: int) -> None:
        super().__init__(
            nn.Linear(embedding_dim, embedding_dim), nn.ReLU(inplace=True), nn.Linear(embedding_dim, projection)
        )


class PredictionHead(nn.Module):
    """Map h, float (num_graphs, embedding_dim), to one output per target, float (num_graphs, targets)."""

    def __init__(self, embedding_dim: int, targets: int, layers: int, activation: Literal["softplus", "relu"]) -> None:
        super().__init__()
        hidden = embedding_dim // 2
        modules: list[nn.Module] = []
        for i in range(layers):
            modules += [nn.Linear(hidden if i else embedding_dim, hidden), ACTIVATIONS[activation]()]
        self.mlp = nn.Sequential(*modules, nn.Linear(hidden, targets))

    def forward(self, h: Tensor) -> Tensor:
        """Return logits (classification) or standardized values (regression)."""
        return self.mlp(h)
