"""How far the means of a run differ from those of a published run with the same configuration."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from molclr.config import Config, parse_section
from molclr.errors import MolclrError
from molclr.evaluation.metrics import TASKS

PUBLISHED = Path("results/published/default")
CONFIGURATION = "configuration.yaml"
"""File next to the tables of a run: the keys of its configuration that decide them."""


def compared_with_published(tables: Path, published: Path = PUBLISHED) -> str:
    """Return how far the means of the tables in one folder differ from those in another, in a few sentences.

    The text is empty unless both folders have the same configuration, in CONFIGURATION, and tables of it. The models may differ;
    those of both are compared.
    """
    here, there = (configuration_of_scores(folder / CONFIGURATION) for folder in (tables, published))
    if here is None or here != there:
        return ""
    found = _means(tables).join(_means(published)[["mean", "std"]].add_suffix("_there"), how="inner")
    if found.empty:
        return ""
    found["moved"] = (found["mean"] - found["mean_there"]).abs()
    other = found[found["moved"] > 1e-6]
    if other.empty:
        return f"All {len(found)} means equal those of {published}, a run with the same configuration."
    largest = [rows.loc[rows["moved"].idxmax()] for _, rows in other.groupby("metric", sort=False)]
    return (
        f"{len(other)} of {len(found)} means differ from those of {published}, a run with the same configuration on another "
        f"machine or with another version of the code. The largest differences: {'; '.join(map(_described, largest))}. Neither "
        "standard deviations nor intervals cover this."
    )


def configuration_of_scores(path: Path) -> dict[str, Any] | None:
    """Return the keys of a configuration that decide the score of a model, without defaults; None if they are not known."""
    if not path.is_file():
        return None
    try:
        decisive = parse_section(Config, yaml.safe_load(path.read_text()), str(path)).decisive()
    except (MolclrError, yaml.YAMLError):
        return None  # of a version with other keys
    return {key: value for key, value in decisive.items() if key != "models"}


def _means(folder: Path) -> pd.DataFrame:
    """Read benchmark, model -> metric, mean and standard deviation of both tasks; tables of earlier versions, too."""
    tables = [pd.read_csv(folder / f"{task}.csv") for task in TASKS if (folder / f"{task}.csv").is_file()]
    columns = ["metric", "mean", "std"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables).set_index(["benchmark", "model"])[columns].dropna(subset="mean")


def _described(row: pd.Series) -> str:
    benchmark, model = row.name
    here, there = (_score(row[f"mean{end}"], row[f"std{end}"]) for end in ("", "_there"))
    return f"{row['moved']:.3g} in {row['metric']}, {model} on {benchmark}, {here} here, {there} there"


def _score(mean: float, std: float) -> str:
    return f"{mean:.4g} ± {std:.2g}" if std > 0 else f"{mean:.4g}"
