"""Curves of pre-training: losses, contrastive accuracy, learning rate."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from molclr.errors import MolclrError
from molclr.evaluation.figures.style import INK, WIDTH, AnyPath, colour_of, legend_below, read_csv, save, styled
from molclr.model_names import model_name

MOST_MARKERS = 25
"""Largest number of epochs for which each is marked by a dot."""

CAPTION = (
    "Contrastive pre-training by epoch: the {loss} on training molecules (dashed) and on held-out molecules (solid); "
    "the contrastive accuracy, which is how often the most similar view is the other view of the same held-out molecule; and the "
    "learning rate. Batch normalization uses the statistics of the batch for the training loss and running statistics for the "
    "held-out loss, so their difference is not that of generalization alone. Loss and accuracy depend on the number of molecules "
    "in a batch, so compare them only between runs with the same batch size. One run for each encoder."
)


@styled
def pretraining_curves(
    histories: Sequence[Path], output: AnyPath, names: Sequence[str] | None = None, loss: str = "contrastive loss"
) -> None:
    """Draw history.csv files.

    names: models in the legend, one for each file; None for those of the encoders after which the folders are called. loss: its
    name on the axis. Raises MolclrError for another file, for a history without epochs, and if there are more or fewer names than
    files.
    """
    names = names or [model_name(path.parent.name, pretrained=True) for path in histories]
    if len(names) != len(histories):
        raise MolclrError(f"There are {len(names)} names for {len(histories)} histories; give one for each.")
    figure = Figure(figsize=(WIDTH, 2.4))
    panels = figure.subplots(1, 3)
    for place, (path, name) in enumerate(zip(histories, names, strict=True)):
        # Encoders often have the same schedule, so later lines of it are narrower and all stay visible.
        _draw(panels, path, colour_of(name), 1.4 * (len(histories) - place))
    _label(panels, loss)
    handles = [Line2D([], [], color=colour_of(name), label=name) for name in names]
    handles.append(Line2D([], [], color=INK, linestyle="--", label="training molecules"))
    handles.append(Line2D([], [], color=INK, linestyle="-", label="held-out molecules"))
    legend_below(figure, handles, len(handles))
    save(figure, output, CAPTION.format(loss=loss))


def _draw(panels: Sequence[Axes], path: Path, colour: Any, width: float) -> None:
    """Draw a history into the panels of loss, accuracy and learning rate. width: of the line of the learning rate, points."""
    history = read_csv(path, ["epoch", "train_loss", "validation_loss", "contrastive_accuracy", "learning_rate"])
    if history.empty:
        raise MolclrError(f"'{path}' has no epochs to draw; pre-train first.")
    losses, accuracy, rate = panels
    epoch, marker = history["epoch"], "o" if len(history) <= MOST_MARKERS else ""
    look: dict[str, Any] = {"color": colour, "linewidth": 1.4, "marker": marker, "markersize": 3}
    losses.plot(epoch, history["train_loss"], **look, linestyle="--")
    losses.plot(epoch, history["validation_loss"], **look)
    accuracy.plot(epoch, 100 * history["contrastive_accuracy"], **look)
    rate.plot(epoch, history["learning_rate"], color=colour, linewidth=width)


def _label(panels: Sequence[Axes], loss: str) -> None:
    """Write the labels of the axes."""
    losses, accuracy, rate = panels
    losses.set_ylabel(textwrap.fill(loss[0].upper() + loss[1:], 28))
    accuracy.set_ylabel("Contrastive accuracy,\nheld-out molecules (%)")
    rate.set_ylabel("Learning rate")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)
    for axes in panels:
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (accuracy, rate):
        axes.set_ylim(0, 1.05 * axes.dataLim.ymax or 1)
