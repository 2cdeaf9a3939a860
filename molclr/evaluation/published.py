"""The paper's tables 1 and 2, with how each value was confirmed."""

from pathlib import Path

import pandas as pd


def published() -> pd.DataFrame:
    """Read the columns `method, benchmark, metric, mean, std, check, note`, in the paper's order.

    `mean` and `std` are text as printed, whose digits show the precision. `check`: verified (mean and standard deviation are
    confirmed by a copy of the paper's text), std unverified (only the mean is confirmed, by such a copy or by the source in
    `note`), or unverified (not confirmed; from memory of the paper, so the mean may be wrong). The paper took its baselines from
    other papers with other splits, so they are only roughly comparable.
    """
    return pd.read_csv(Path(__file__).with_name("published.csv"), dtype=str, keep_default_na=False)
