"""The paper's tables 1 and 2, with how each value was confirmed."""

from functools import cache
from pathlib import Path

import pandas as pd

DECIMALS = 3
"""Decimals of scores on a benchmark that the paper does not have."""


def published() -> pd.DataFrame:
    """Read the columns `method, benchmark, metric, mean, std, check, note`, in the paper's order.

    `mean` and `std` are text as printed, whose digits show the precision. `check`: verified (mean and standard deviation are
    confirmed by a copy of the paper's text), std unverified (only the mean is confirmed, by such a copy or by the source in
    `note`), or unverified (not confirmed; from memory of the paper, so the mean may be wrong). The paper took its baselines from
    other papers with other splits, so they are only roughly comparable.
    """
    return pd.read_csv(Path(__file__).with_name("published.csv"), dtype=str, keep_default_na=False)


@cache
def decimals_of(benchmark: str) -> int:
    """Return the decimals with which the paper prints the means of a benchmark; DECIMALS if it has none."""
    printed = published()
    means = printed.loc[printed["benchmark"] == benchmark, "mean"]
    return DECIMALS if means.empty else len(means.iloc[-1].partition(".")[2])


def confirmed(rows: pd.DataFrame) -> pd.Series:
    """Return for each row of a table of results whether the paper's mean is confirmed: bool."""
    return rows["paper_check"].isin(["verified", "std unverified"])
