"""Spins in a field: the arch of entropy, its slope, and two peaks of heat capacity."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermo.laboratory.paramagnet import Paramagnet
from thermo.plots.coloured_line import plot_along_beta
from thermo.plots.style import color_of, lecture_style

__all__ = ["paramagnet_picture", "plot_arch", "plot_schottky"]


def paramagnet_picture(found: Paramagnet) -> Figure:
    """The arch and the heat capacity, side by side.

    Parameters
    ----------
    found : Paramagnet

    Returns
    -------
    matplotlib.figure.Figure
        14 × 6 inches; ``figure.savefig`` writes it.
    """
    with lecture_style():
        figure = Figure(figsize=(14, 6))
        arch, peaks = figure.subplots(1, 2)
        plot_arch(arch, found)
        plot_schottky(peaks, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_arch(ax: Axes, found: Paramagnet) -> Axes:
    """S/N against E/N, coloured by its slope β: a line for many spins, points for these.

    Parameters
    ----------
    ax : Axes
    found : Paramagnet

    Returns
    -------
    Axes
    """
    e, s = found.canonical_energy / found.field, found.canonical_entropy
    plot_along_beta(ax, e, s, found.canonical_beta * found.field)
    some = slice(None, None, max(1, found.spins // 40))
    ax.plot(
        found.energy[some] / found.field, found.entropy[some], "o", color="#333333", markersize=4,
        label=f"{found.spins} spins",
    )  # fmt: skip
    for place, text in ((-0.98, "T > 0"), (0.98, "T < 0")):
        ax.text(
            place, 0.62, text, ha="left" if place < 0 else "right", fontweight="bold",
            color=color_of(-place * 2.0),
        )  # fmt: skip
    ax.annotate("T = ±∞", (0.0, np.log(2.0)), xytext=(0.0, 0.745), ha="center")
    ax.set(
        xlabel="energy per spin  E / Nh",
        ylabel="entropy per spin  S / Nk",
        title="β is the slope",
        xlim=(-1.05, 1.05),
        ylim=(0.0, 0.8),
    )
    ax.legend(loc="lower center")
    return ax


def plot_schottky(ax: Axes, found: Paramagnet) -> Axes:
    """C/N against βh, from cold at the left to hot at the right, and where it is largest.

    Parameters
    ----------
    ax : Axes
    found : Paramagnet

    Returns
    -------
    Axes
    """
    b = found.canonical_beta * found.field
    ax.plot(-b, found.heat_capacity, color="#333333")
    for kt, c in found.peaks:
        at = 0.5 / kt  # βh of kT/Δ
        ax.plot(-at, c, "o", color=color_of(at), markersize=12)
        ax.annotate(
            f"kT = {kt:+.3f} Δ".replace("-", "−"), (-at, c), xytext=(0, 12),
            textcoords="offset points", ha="right" if kt > 0 else "left",
        )  # fmt: skip
    ax.set(
        xlabel="hotness  −βh",
        ylabel="heat capacity per spin  C / Nk",
        title="The same at T and −T",
        xlim=(-5.0, 5.0),
        ylim=(0.0, 0.52),
    )
    return ax
