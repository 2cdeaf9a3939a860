"""Formatting of numbers, names and scores in tables, on pages and in figures."""

import numpy as np

from molclr.evaluation.metrics import find_label

MINUS = "\N{MINUS SIGN}"


def listed(names: list[str]) -> str:
    """Join names with commas, the last two with 'and'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def fixed(value: float, decimals: int, sign: str = "") -> str:
    """Format a number with the minus sign of typography; what rounds to 0 has no minus. sign: "+" to show a plus sign, too."""
    return f"{value:{sign}z.{decimals}f}".replace("-", MINUS)


def with_std(mean: float, std: float) -> str:
    """Format a prediction with its standard deviation, if it is known."""
    return (f"{mean:.3g}" if np.isnan(std) else f"{mean:.3g} ± {std:.2g}").replace("-", MINUS)


def with_unit(metric: str, unit: str) -> str:
    """Format the label of a metric with its unit, if it has one."""
    return f"{metric} ({unit})" if unit else metric


def metric_heading(metric: str, unit: str) -> str:
    """Format the label of a metric with its unit and an arrow that points to better scores."""
    return f"{with_unit(metric, unit)} {'↑' if find_label(metric).higher_is_better else '↓'}"
