"""The learning rate of pre-training."""

import math

from molclr.config import Pretrain


def learning_rate(settings: Pretrain, epoch: int) -> float:
    """Return the learning rate in `epoch` (from 0): warm-up, then cosine decay towards zero."""
    if epoch < settings.warmup_epochs:
        return settings.learning_rate * (1 if settings.warmup == "flat" else (epoch + 1) / settings.warmup_epochs)
    progress = (epoch - settings.warmup_epochs) / max(1, settings.epochs - settings.warmup_epochs)
    return settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2
