"""Prediction intervals from the residuals of molecules that a model was not fitted to (split conformal prediction)."""

import math

import numpy as np

LEVEL = 0.9
"""The fraction of new molecules that an interval should contain, if they resemble the validation molecules."""


def half_widths(labels: np.ndarray, predictions: np.ndarray) -> list[float]:
    """Compute half the width of the interval of each target: the ⌈LEVEL (n + 1)⌉-th smallest of n absolute residuals.

    labels: float64 (n, targets), NaN where missing; predictions: (n, targets). Infinite where there are too few labels (below 9).
    Source: Vovk et al., Algorithmic Learning in a Random World (2005).
    """
    widths = []
    for residuals in np.abs(labels - predictions).T:
        known = np.sort(residuals[~np.isnan(residuals)])
        rank = math.ceil(LEVEL * (len(known) + 1))
        widths.append(float(known[rank - 1]) if rank <= len(known) else math.inf)
    return widths


def coverage(labels: np.ndarray, predictions: np.ndarray, widths: list[float]) -> list[float]:
    """Compute the fraction of labels that lie in the interval of each target; NaN without labels or an interval.

    Shapes: see `half_widths`.
    """
    fractions = []
    for residuals, width in zip(np.abs(labels - predictions).T, widths, strict=True):
        known = residuals[~np.isnan(residuals)]
        fractions.append(float(np.mean(known <= width)) if len(known) and math.isfinite(width) else math.nan)
    return fractions
