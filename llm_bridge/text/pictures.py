"""Pictures of the temperature of texts: β along each, and the ranks of the tokens that came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from llm_bridge.text.windows import BetaAlongText
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.plots.style import color_of, lecture_style
from thermo.printable import printable

__all__ = ["TextPanel", "plot_beta_along", "plot_ranks", "text_overview"]

_INK = "#333333"
_GREY = "#8c8c8c"


@dataclass(frozen=True, eq=False)
class TextPanel:
    """What is drawn of one text.

    Attributes
    ----------
    name : str
        Any text; made harmless where it is drawn.
    beta, stderr, scale : float
        Of the whole text, as `llm_bridge.text.temperature.TextTemperature` has them.
    positions : int
    histogram : ndarray, shape (bins,)
        `llm_bridge.text.misfit.Misfit.histogram`.
    along : BetaAlongText
    """

    name: str
    beta: float
    stderr: float
    scale: float
    positions: int
    histogram: NDArray[np.float64]
    along: BetaAlongText


def plot_beta_along(ax: Axes, panel: TextPanel, limits: tuple[float, float] | None = None) -> Axes:
    """β of windows along a text with their errors; the whole text as a line, β = 1 dotted.

    Parameters
    ----------
    ax : Axes
    panel : TextPanel
    limits : (float, float), optional
        Of the β axis. Windows beyond, ±∞ among them, are triangles at its edge.

    Returns
    -------
    Axes
    """
    along = panel.along
    low, high = _limits([panel]) if limits is None else limits
    inside = (along.beta >= low) & (along.beta <= high)
    for level, style in ((0.0, (0, (1, 2))), (1.0, (0, (4, 2)))):
        if low < level < high:
            ax.axhline(level, color=_GREY, linewidth=1.4, linestyle=style, zorder=1)
    if np.isfinite(panel.beta):
        ax.axhline(panel.beta, color=_INK, linewidth=1.6, zorder=2)
    ax.errorbar(
        along.middle[inside],
        along.beta[inside],
        yerr=along.stderr[inside],
        linestyle="none",
        ecolor=_GREY,
        elinewidth=1.6,
        zorder=3,
    )
    colours = color_of(along.beta * panel.scale)
    ax.scatter(along.middle[inside], along.beta[inside], c=colours[inside], s=42, zorder=4)
    for beyond, edge, marker in ((along.beta > high, high, "^"), (along.beta < low, low, "v")):
        ax.scatter(
            along.middle[beyond],
            np.full(int(beyond.sum()), edge),
            c=colours[beyond],
            marker=marker,
            s=60,
            clip_on=False,
            zorder=4,
        )
    ax.set(ylim=(low, high), ylabel="β", xlim=(0, panel.positions))
    return ax


def plot_ranks(ax: Axes, panel: TextPanel) -> Axes:
    """Density of the rank in energy of the tokens that came: level for a text at constant β.

    Parameters
    ----------
    ax : Axes
    panel : TextPanel

    Returns
    -------
    Axes
    """
    bins = panel.histogram.size
    edges = np.linspace(0.0, 1.0, bins + 1)
    error = np.sqrt(bins / panel.positions)
    ax.axhspan(1 - 2 * error, 1 + 2 * error, color=_GREY, alpha=0.25, linewidth=0)
    ax.axhline(1.0, color=_GREY, linewidth=1.4, linestyle=(0, (4, 2)))
    low, high = 0.6, 1.4
    if np.isfinite(panel.histogram).all():
        ax.stairs(panel.histogram, edges, baseline=None, color=_INK, linewidth=2.2)
        low = min(low, 0.9 * float(panel.histogram.min()))
        high = max(high, 1.1 * float(panel.histogram.max()))
    ax.set(xlim=(0, 1), ylim=(low, high), xticks=[0, 0.5, 1])
    return ax


def text_overview(panels: Sequence[TextPanel], figure: Figure | None = None) -> Figure:
    """A row for each text: β along it at the left, the ranks of its tokens at the right.

    Parameters
    ----------
    panels : sequence of TextPanel
    figure : matplotlib.figure.Figure, optional
        An empty one to draw on, of pyplot for example. Default: a new one.

    Returns
    -------
    matplotlib.figure.Figure
        14 inches wide.
    """
    limits = _limits(panels)
    with lecture_style(0.82):
        figure = Figure() if figure is None else figure
        figure.set_size_inches(14, 1.5 + 2.15 * len(panels))
        figure.set_layout_engine("constrained")
        axes = figure.subplots(len(panels), 2, squeeze=False, width_ratios=(3.4, 1))
        for (left, right), panel in zip(axes, panels, strict=True):
            plot_beta_along(left, panel, limits)
            left.set_title(f"{_short(panel.name)}:  β = {_words(panel.beta, panel.stderr)}")
            plot_ranks(right, panel)
        axes[0, 1].set_title("rank in energy")
        axes[0, 0].annotate(
            "the model itself: β = 1",
            (0.995, 1.0),
            xytext=(0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize="x-small",
            color="#666666",
        )
        axes[-1, 0].set_xlabel("position in the text, tokens")
        axes[-1, 1].set_xlabel("likely  →  unlikely")
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def _limits(panels: Sequence[TextPanel]) -> tuple[float, float]:
    """An axis of β for all texts that has β = 1 and nearly all windows on it."""
    finite: ArrayLike = np.concatenate([p.along.beta[np.isfinite(p.along.beta)] for p in panels])
    low, high = np.quantile(np.append(finite, 1.0), [0.005, 0.995])
    room = max(0.15 * (high - low), 0.05)
    return float(low - room), float(high + room)


def _short(name: str) -> str:
    shown = printable(name).replace("$", r"\$")  # dollars would be read as mathematics
    return shown if len(shown) <= 48 else "…" + shown[-47:]


def _words(beta: float, stderr: float) -> str:
    if np.isinf(beta):
        return "∞" if beta > 0 else "−∞"
    return rounded_to_error(beta, stderr).replace("-", "−")
