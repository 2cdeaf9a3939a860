"""The optimizer of pre-training: Adam with two forms of weight decay."""

from typing import Any

import torch
from torch import Tensor, nn

from molclr.config import Pretrain


def pretraining_optimizer(model: nn.Module, settings: Pretrain) -> torch.optim.Optimizer:
    """Make Adam with the weight decay that `settings.decay` selects.

    l2: the penalty is added to the gradient of every parameter, as in the official code (torch.optim.Adam).
    decoupled: in each step the weight matrices of linear layers shrink by the fraction `learning rate x weight_decay`, and
    nothing else decays (AdamW; Loshchilov & Hutter, 2019). A row of an embedding that gets no gradient keeps its initial value
    exactly.
    """
    # Fused: one kernel for all parameters. Capturable: usable in a CUDA graph.
    form: dict[str, Any] = {
        "fused": True,
        "capturable": next(model.parameters()).device.type == "cuda",
        "lr": settings.learning_rate,
    }
    if settings.decay == "l2":
        optimizer = torch.optim.Adam(model.parameters(), weight_decay=settings.weight_decay, **form)
    else:
        matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
        known = set(matrices)
        groups = [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": [weight for weight in model.parameters() if weight not in known], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, **form)
    return optimizer


def rate_of(optimizer: torch.optim.Optimizer) -> Tensor:
    """Replace the learning rates of all groups by one tensor, float32 (). Fill it to set the rate, also in captured steps."""
    rate = torch.zeros((), device=optimizer.param_groups[0]["params"][0].device)
    for group in optimizer.param_groups:  # After a checkpoint was read, which may be of another device.
        group["lr"], group["capturable"] = rate, rate.device.type == "cuda"
    return rate
