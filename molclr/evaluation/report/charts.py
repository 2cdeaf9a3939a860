"""Charts of a page: figures of Plotly with one style, and choices between groups of their traces."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from molclr.model_names import PRETRAINED

Trace = dict[str, Any]
"""A trace of Plotly. `meta` maps a choice to the option that shows the trace; without an entry, all options show it."""

BLUE, ORANGE, GREEN, PINK, OLIVE, GREY = "#1a80c4", "#d55e00", "#009e73", "#cc79a7", "#8a842b", "#8a8a8a"
"""Colour-blind safe colours (after Wong, 2011) that are legible on white and on black."""
COLOURS = {"NETWORK": BLUE, "GIN": BLUE, "GCN": ORANGE, "REPRESENTATION": ORANGE, "COMBINED": ORANGE, "RF": GREEN}
"""Part of the name of a model -> its colour."""
LOOKS = {
    PRETRAINED.upper(): ("circle", "solid"),
    "NETWORK": ("circle", "solid"),
    "RF": ("diamond", "dash"),
    "_ECFP": ("cross", "longdashdot"),
    "COMBINED": ("cross", "longdashdot"),
    "TANIMOTO": ("square-open", "longdash"),
    "SVM": ("square", "dashdot"),
    "REPRESENTATION": ("square", "dashdot"),
    "": ("circle-open", "dot"),
}
"""Beginning or end of the name of a model -> symbol and dash; the first that fits."""
MACHINES = ("SVM", "TANIMOTO", "SVM_TANIMOTO")
"""Support vector machines on counts, in capitals."""
CLEAR = "rgba(0,0,0,0)"
HEIGHT = 340
AXIS: dict[str, Any] = {"gridcolor": "#ddd", "linecolor": "#999", "zeroline": False, "automargin": True}


@dataclass(frozen=True)
class Chart:
    """A figure with its title, a note for readers, and what they can choose.

    choices: name -> options, of which the first is shown at first.
    """

    title: str
    note: str
    figure: go.Figure
    choices: dict[str, list[str]] = field(default_factory=dict)

    @property
    def json(self) -> str:
        """Return the figure as JSON for a script element."""
        return self.figure.to_json().replace("</", "<\\/")


def chart(
    title: str,
    note: str,
    traces: Sequence[Trace],
    x: dict[str, Any],
    y: dict[str, Any],
    **layout: Any,
) -> Chart:
    """Make a chart; x, y: properties of the axes, in addition to AXIS. Its choices are those in `meta` of the traces."""
    choices: dict[str, list[str]] = {}
    for trace in traces:
        for name, option in trace.get("meta", {}).items():
            if option not in choices.setdefault(name, []):
                choices[name].append(option)
    first = {name: options[0] for name, options in choices.items()}
    for trace in traces:
        options = trace.get("meta", {})
        trace["meta"] = {"options": options, "visible": trace.get("visible", True)}
        trace["visible"] = trace["meta"]["visible"] if options.items() <= first.items() else False
    style = {
        "template": "none",
        "height": HEIGHT,
        "margin": {"l": 8, "r": 8, "t": 28, "b": 40},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "modebar": {"bgcolor": CLEAR},
        "hovermode": "closest",
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1, "x": 0, "bgcolor": CLEAR},
        "xaxis": _axis(x),
        "yaxis": _axis(y),
    }
    return Chart(title, note, go.Figure(list(traces), style | layout), choices)


def _axis(properties: dict[str, Any]) -> dict[str, Any]:
    title = {"text": properties.get("title", ""), "standoff": 6, "font": {"size": 13}}
    return AXIS | properties | {"title": title}


def colour_of(model: str) -> str:
    """Return the colour of a model: that of its network, whether pre-trained, from scratch or frozen; OLIVE for others."""
    if model.upper() in MACHINES:
        return PINK
    return next((colour for name, colour in COLOURS.items() if name in model.upper().split("_")), OLIVE)


def marker_of(model: str) -> dict[str, Any]:
    """Return the marker of a model: a filled circle if pre-trained, an open one from scratch, another shape for others."""
    colour = colour_of(model)
    return {"color": colour, "symbol": _look(model)[0], "size": 9, "line": {"width": 1.5, "color": colour}}


def line_of(model: str) -> dict[str, Any]:
    """Return the line of a model: solid if pre-trained, dotted from scratch, dashed for others."""
    return {"color": colour_of(model), "width": 2, "dash": _look(model)[1]}


def _look(model: str) -> tuple[str, str]:
    """Return symbol and dash."""
    name = model.upper()
    return next((look for end, look in LOOKS.items() if name.startswith(end) or name.endswith(end)), LOOKS[""])
