"""Style and output of all figures. The same input gives the same bytes."""

from os import PathLike

import matplotlib
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from molclr.errors import MolclrError
from molclr.files import replacing

AnyPath = str | PathLike[str]

PALETTE = seaborn.color_palette("colorblind")
"""Colour-blind safe colours (seaborn, after Wong, 2011)."""

_BLUE, _ORANGE, _GREEN, _PINK = PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[4]
# Each encoder has one hue, which is saturated for the pre-trained model and light for the model from scratch.
COLOURS = {
    "RF": _GREEN,
    "SVM": _PINK,
    "GCN": seaborn.light_palette(_ORANGE, 5)[2],
    "GIN": seaborn.light_palette(_BLUE, 5)[2],
    "MolCLR_GCN": _ORANGE,
    "MolCLR_GIN": _BLUE,
    "SVM_MolCLR_GCN": seaborn.dark_palette(_ORANGE, 5)[3],
    "SVM_MolCLR_GIN": seaborn.dark_palette(_BLUE, 5)[3],
    "SVM_MolCLR_GCN_ECFP": seaborn.dark_palette(_ORANGE, 5)[2],
    "SVM_MolCLR_GIN_ECFP": seaborn.dark_palette(_BLUE, 5)[2],
}

INK = "0.15"

DOTS_PER_INCH = 200
"""Resolution of the PNG, and of images in the SVG."""

# A Figure made without pyplot has no window and always draws with Agg.
styled = matplotlib.rc_context(
    {
        **seaborn.axes_style("ticks"),
        **seaborn.plotting_context("paper"),
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "text.color": INK,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "molclr",
    }
)
"""Decorator for functions that draw and save a figure."""


def save(figure: Figure, png: AnyPath, svg: AnyPath) -> None:
    """Write `figure` as PNG and SVG, without date and version, so that equal figures give equal files."""
    with replacing(png) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    with replacing(svg) as temporary:
        figure.savefig(temporary, format="svg", dpi=DOTS_PER_INCH, metadata={"Date": None, "Creator": None})


def read_csv(path: AnyPath, columns: list[str]) -> pd.DataFrame:
    """Read a table for a figure. Raises MolclrError if it is missing or lacks one of `columns`."""
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise MolclrError(f"'{path}' does not exist; give a table to draw.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        table = pd.DataFrame()
    if not {*columns} <= {*table.columns}:
        raise MolclrError(
            f"'{path}' is not a table with the columns {', '.join(columns)}; give the output of a molclr command."
        )
    return table
