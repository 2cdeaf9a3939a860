"""The paper's tables 1 and 2, with how far each value could be confirmed."""

from pathlib import Path

import pandas as pd


def published() -> pd.DataFrame:
    """Rows `method, benchmark, metric, mean, std, check, note`, in the paper's order.

    `mean` and `std` are text as printed, because its digits say how exact it is. `check`: verified (mean and standard
    deviation, by a copy of the paper's text), std unverified (the mean alone, by such a copy or by the source that `note` names),
    or unverified (nobody could confirm it; written from memory of the paper, so the mean may be off). The paper took its
    baselines from other papers with other splits, so that they compare only roughly.
    """
    return pd.read_csv(Path(__file__).with_name("published.csv"), dtype=str, keep_default_na=False)
