"""Rendering of a page: one HTML file with its styles, scripts, charts and drawings."""

import datetime
from importlib.resources import files
from os import PathLike
from typing import Any

import pandas as pd
import plotly.offline
from jinja2 import Environment, PackageLoader, StrictUndefined

from molclr import __version__
from molclr.evaluation.report.charts import Chart
from molclr.evaluation.report.structures import Structures
from molclr.evaluation.text import MINUS
from molclr.files import replacing
from molclr.progress import say

MOST_BYTES = 15_000_000
"""Size of a page above which a warning is printed, because browsers open it slowly."""


def write_page(output: str | PathLike[str], template: str, content: dict[str, Any], structures: Structures) -> None:
    """Render a template with `content`, the drawings of `structures` and the scripts to an HTML file."""
    environment = Environment(
        loader=PackageLoader("molclr.evaluation.report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["shown"] = shown
    folder = files("molclr.evaluation.report") / "templates"
    charts: list[Chart] = []
    page = environment.get_template(template).render(
        content,
        charts=charts,
        version=__version__,
        date=datetime.date.today().isoformat(),
        structures=structures.packed(),
        style=(folder / "style.css").read_text(encoding="utf-8"),
        script=(folder / "script.js").read_text(encoding="utf-8"),
        plotly=plotly.offline.get_plotlyjs(),
    )
    if len(page.encode()) > MOST_BYTES:
        say(f"warning: '{output}' has {len(page.encode()) / 1e6:.0f} MB, so browsers open it slowly")
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def shown(value: object) -> str:
    """Format a cell of a table."""
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:,.4g}".replace("-", MINUS)
    return f"{value:,}" if isinstance(value, int) else str(value)
