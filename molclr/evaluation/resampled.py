"""Metrics of all resamples of a bootstrap at once: the molecules of a resample have whole numbers as weights."""

from collections.abc import Callable

import numpy as np

from molclr.evaluation.metrics import HALF


def weighted_rmse(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the RMSE of (n,) labels and predictions with `weights`, float64 (resamples, n): float64 (resamples,)."""
    return np.sqrt(weights @ np.square(guess - truth) / weights.sum(axis=1))


def weighted_mae(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the MAE of (n,) labels and predictions with `weights`, float64 (resamples, n): float64 (resamples,)."""
    return weights @ np.abs(guess - truth) / weights.sum(axis=1)


def weighted_roc_auc(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute ROC-AUC with `weights`, float64 (resamples, n), of the molecules: float64 (resamples,).

    truth: (n,) 0 or 1; guess: (n,). Ties count one half. The molecules are sorted once for all resamples.
    """
    levels, place = np.unique(guess, return_inverse=True)
    positives, negatives = (_sum_at(weights[:, truth == c], place[truth == c], len(levels)) for c in (1, 0))
    below = negatives.cumsum(axis=1) - negatives / 2
    return (positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1))


def _sum_at(weights: np.ndarray, place: np.ndarray, places: int) -> np.ndarray:
    """Sum the columns of `weights` that have the same place: float64 (resamples, places)."""
    total = np.zeros((len(weights), places))
    order = np.argsort(place, kind="stable")
    present, first = np.unique(place[order], return_index=True)
    if len(present):
        total[:, present] = np.add.reduceat(weights[:, order], first, axis=1)
    return total


def weighted_pr_auc(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute average precision: float64 (resamples,), NaN with one class. truth, guess, weights: see `weighted_roc_auc`."""
    levels, place = np.unique(-guess, return_inverse=True)
    every, positives = (_sum_at(weights[:, chosen], place[chosen], len(levels)) for chosen in (truth >= 0, truth == 1))
    total, known = positives.sum(axis=1), every.cumsum(axis=1)
    precision = np.divide(positives.cumsum(axis=1), known, out=np.zeros_like(known), where=known > 0)
    return np.where(total < weights.sum(axis=1), (positives * precision).sum(axis=1) / total, np.nan)


def weighted_accuracy(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the fraction of correct classes: float64 (resamples,). truth, guess, weights: see `weighted_roc_auc`."""
    return weights @ ((guess >= HALF) == (truth == 1)) / weights.sum(axis=1)


def weighted_r2(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute R²: float64 (resamples,), NaN for equal labels. truth, guess: (n,); weights: float64 (resamples, n)."""
    middle = (weights @ truth / weights.sum(axis=1))[:, None]
    spread = (weights * np.square(truth - middle)).sum(axis=1)
    found = 1 - weights @ np.square(truth - guess) / spread
    return np.where(_vary(truth, weights), found, np.nan)


def weighted_spearman(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the rank correlation: float64 (resamples,), NaN without ranks. truth, guess: (n,); weights: (resamples, n)."""
    ranks = []
    for values in (truth, guess):
        levels, place = np.unique(values, return_inverse=True)
        counts = _sum_at(weights, place, len(levels))
        rank = (counts.cumsum(axis=1) - (counts - 1) / 2)[:, place]
        ranks.append(rank - ((weights * rank).sum(axis=1) / weights.sum(axis=1))[:, None])
    first, second = ranks
    scale = np.sqrt((weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1))
    found = (weights * first * second).sum(axis=1) / scale
    return np.where(_vary(truth, weights) & _vary(guess, weights), found, np.nan)


def _vary(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return in which resamples the values, (n,), are not all equal: bool (resamples,)."""
    drawn = weights > 0
    lowest = np.where(drawn, values, np.inf).min(axis=1, initial=np.inf)
    return lowest < np.where(drawn, values, -np.inf).max(axis=1, initial=-np.inf)


WEIGHTED: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "roc_auc": weighted_roc_auc,
    "pr_auc": weighted_pr_auc,
    "accuracy": weighted_accuracy,
    "rmse": weighted_rmse,
    "mae": weighted_mae,
    "r2": weighted_r2,
    "spearman": weighted_spearman,
}
"""Faster implementations of metrics for all resamples at once, with the same values as `statistics.one_by_one`."""
