"""Degrees of freedom side by side: a table that a lecture hall can read."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from thermo.estimate.autocorrelation import rounded_to_error
from thermo.laboratory.freedom import DEFINITIONS, Count, FreedomTable
from thermo.plots.style import lecture_style

__all__ = ["freedom_picture", "plot_freedom"]

_HEADINGS = ("kinetic", "2βU", "2C/k", "2λ", "bits", "exp S", "1/Σp²")
_COUNTS, _NOT = "#d6e6f4", "#eeeeee"


def freedom_picture(found: FreedomTable) -> Figure:
    """The table as a picture.

    Parameters
    ----------
    found : FreedomTable

    Returns
    -------
    matplotlib.figure.Figure
        18 × 8 inches; ``figure.savefig`` writes it.
    """
    with lecture_style(0.95):
        figure = Figure(figsize=(18, 8))
        plot_freedom(figure.subplots(), found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_freedom(ax: Axes, found: FreedomTable) -> Axes:
    """A row for each system, a column for each definition: a number, or why there is none.

    Parameters
    ----------
    ax : Axes
    found : FreedomTable

    Returns
    -------
    Axes
    """
    rows = len(found.systems)
    for row, counts in enumerate(found.systems):
        for column, count in enumerate(counts.counts):
            applies = count.value is not None
            ax.add_patch(
                Rectangle(
                    (column + 0.02, row + 0.03), 0.96, 0.94, facecolor=_COUNTS if applies else _NOT
                )
            )
            ax.text(
                column + 0.5,
                row + 0.5,
                _words(count),
                ha="center",
                va="center",
                fontsize=17 if applies else 15,
                color="#08306b" if applies else "#5a5a5a",
                fontweight="bold" if applies else "normal",
            )
    ax.set(xlim=(0, len(DEFINITIONS)), ylim=(rows, 0))
    ax.set_xticks([k + 0.5 for k in range(len(DEFINITIONS))], _HEADINGS)
    ax.set_yticks([k + 0.5 for k in range(rows)], [counts.system for counts in found.systems])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    title = f"What counts as a degree of freedom, at β = {found.beta:g}".replace("-", "−")
    ax.set_title(title, pad=16)
    return ax


def _words(count: Count) -> str:
    if count.value is None:
        return count.short
    if count.error:
        return rounded_to_error(count.value, count.error)
    if count.value == float("inf"):
        return "> 10$^{308}$"
    if count.value < 1e6:
        return f"{count.value:.5g}"
    mantissa, exponent = f"{count.value:.1e}".split("e+")
    return rf"{mantissa}·10$^{{{int(exponent)}}}$"
