"""Style and output of all figures. The same input gives the same bytes."""

import textwrap
from collections.abc import Sequence
from os import PathLike
from typing import Any

import matplotlib
import pandas as pd
import seaborn
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from molclr.errors import MolclrError
from molclr.evaluation.runs import KEEPING_NAMES
from molclr.files import replacing
from molclr.model_names import AND_ECFP, SVM, pretrained_of

AnyPath = str | PathLike[str]

PALETTE = seaborn.color_palette("colorblind")
"""Colour-blind safe colours (seaborn, after Wong, 2011)."""

_BLUE, _ORANGE, _GREEN, _PINK = PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[4]
_OLIVE = seaborn.dark_palette(PALETTE[8], 5)[2]  # the yellow of the palette, dark enough for lines on white
# Each encoder has one hue, which is saturated for the pre-trained model and light for the model from scratch.
COLOURS = {
    "RF": _GREEN,
    "SVM": _PINK,
    "SVM_Tanimoto": seaborn.dark_palette(_PINK, 5)[3],
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

DOTS_PER_INCH = 300
"""Resolution of the PNG, and of images in the SVG and PDF."""

WIDTH = 7.2
"""Largest width of a figure, inches: two columns of a journal."""

# Without date and version, so that equal figures give equal files.
FORMATS = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""File formats of a figure, and the metadata that is left out."""

# A Figure made without pyplot has no window and always draws with Agg.
styled = matplotlib.rc_context(
    {
        **seaborn.axes_style("ticks"),
        **seaborn.plotting_context("paper"),
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "axes.linewidth": 0.8,
        "xtick.major.width": 0.8,
        "ytick.major.width": 0.8,
        "legend.frameon": False,
        "text.color": INK,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "molclr",
        "svg.fonttype": "none",  # text stays text, which a drawing program can edit
        "pdf.fonttype": 42,  # likewise: TrueType
    }
)
"""Decorator for functions that draw and save a figure."""


def save(figure: Figure, output: AnyPath, caption: str) -> None:
    """Write `figure` in all FORMATS and its caption: OUTPUT.png, OUTPUT.svg, OUTPUT.pdf, OUTPUT.txt."""
    for form, metadata in FORMATS.items():
        with replacing(f"{output}.{form}") as temporary:
            figure.savefig(temporary, format=form, dpi=DOTS_PER_INCH, metadata=metadata)
    with replacing(f"{output}.txt") as temporary:
        temporary.write_text(textwrap.fill(caption, 100) + "\n", encoding="utf-8")


def colour_of(model: str) -> Any:
    """Return the colour of a model, by its name in tables; encoders outside this package share one hue."""
    if model in COLOURS:
        return COLOURS[model]
    if model.startswith(SVM):
        return seaborn.dark_palette(_OLIVE, 5)[2 if model.endswith(AND_ECFP) else 3]
    return _OLIVE if pretrained_of(model) else seaborn.light_palette(_OLIVE, 5)[2]


def legend_below(figure: Figure, handles: Sequence[Artist], most_columns: int, **options: Any) -> None:
    """Draw a legend below the panels, with at most `most_columns` columns, and fewer if it would be wider than the figure."""
    for columns in range(min(most_columns, len(handles)), 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, **options)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def read_csv(path: AnyPath, columns: list[str]) -> pd.DataFrame:
    """Read a table for a figure. Raises MolclrError if it is missing or lacks one of `columns`."""
    try:
        table = pd.read_csv(path, **KEEPING_NAMES)
    except FileNotFoundError:
        raise MolclrError(f"'{path}' does not exist; give a table to draw.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        table = pd.DataFrame()
    if not {*columns} <= {*table.columns}:
        raise MolclrError(
            f"'{path}' is not a table with the columns {', '.join(columns)}; give the output of a molclr command."
        )
    return table
