"""The optimizer of pre-training: Adam, and which of the weights decay how."""

import torch
from torch import nn

from molclr.config import Pretrain


def adam(model: nn.Module, settings: Pretrain) -> torch.optim.Optimizer:
    """Adam with the weight decay of the settings; `set_learning_rate` sets the rate.

    l2: the penalty is added to the gradient of every parameter, as in the official code (torch.optim.Adam).
    decoupled: in each step the weight matrices of linear layers shrink by the fraction `learning rate x weight_decay`, and
    nothing else decays (AdamW; Loshchilov & Hutter, 2019). A row of an embedding that gets no gradient keeps its initial value
    exactly.
    """
    if settings.decay == "l2":
        optimizer = torch.optim.Adam(model.parameters(), weight_decay=settings.weight_decay, **_form(model))
    else:
        matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
        known = set(matrices)
        groups = [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": [weight for weight in model.parameters() if weight not in known], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, **_form(model))
    set_learning_rate(optimizer, settings.learning_rate)
    return optimizer


def _form(model: nn.Module) -> dict:
    """One kernel for all parameters; on a GPU one that a CUDA graph can capture, which reads the rate from the device."""
    device = next(model.parameters()).device
    if device.type == "cpu":
        return {"fused": True}
    return {"fused": True, "capturable": True, "lr": torch.zeros((), device=device)}


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let all groups of parameters learn at `rate`.

    On a GPU the rate is a tensor there, and stays the same one; only one that came from a checkpoint on the CPU is replaced.
    """
    for group in optimizer.param_groups:
        device = group["params"][0].device
        if device.type == "cpu":
            group["lr"] = rate
        elif isinstance(group["lr"], torch.Tensor) and group["lr"].device == device:
            group["lr"].fill_(rate)
        else:
            group["lr"] = torch.tensor(rate, device=device)
