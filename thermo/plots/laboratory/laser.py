"""Lasers: inversion and its temperature over the pump, threshold, and what follows the switch."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thermo.laboratory.laser import Laser
from thermo.plots.coloured_line import plot_along_beta
from thermo.plots.style import color_of, lecture_style

__all__ = [
    "laser_picture",
    "plot_line_temperature",
    "plot_output",
    "plot_small_signal",
    "plot_switch_on",
]

FloatArray = NDArray[np.float64]

_DASHES: dict[int, object] = {2: (0, (1.2, 1.2)), 3: (0, (5, 1.6)), 4: "-"}  # by number of levels
_INK = "#333333"
_PUMP = "pump  $W\\tau$"


def laser_picture(found: Laser) -> Figure:
    """Inversion, temperature of the line, output, and the laser that is switched on.

    Parameters
    ----------
    found : Laser

    Returns
    -------
    matplotlib.figure.Figure
        15 × 11 inches; ``figure.savefig`` writes it.
    """
    with lecture_style():
        figure = Figure(figsize=(15, 11))
        (inversion, temperature), (output, spikes) = figure.subplots(2, 2)
        plot_small_signal(inversion, found)
        plot_line_temperature(temperature, found)
        plot_output(output, found)
        plot_switch_on(spikes, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_small_signal(ax: Axes, found: Laser) -> Axes:
    """Inversion against pump: thin without mirrors, thick with them, where it clamps.

    Parameters
    ----------
    ax : Axes
    found : Laser

    Returns
    -------
    Axes
    """
    for row in range(3):
        plot_along_beta(ax, found.scan, found.dark_inversion[row], found.dark_beta[row], width=2.0)
        plot_along_beta(ax, found.scan, found.inversion[row], found.lit_beta[row], width=5.5)
    ax.axhline(0.0, color=_INK, linewidth=1.0)
    for text, place, align in (
        ("4 levels", (0.7, 0.55), "right"),
        ("3 levels", (4.0, 0.4), "left"),
        ("2 levels", (1.3, -0.42), "left"),
    ):
        ax.text(*place, text, ha=align, color=_INK)
    ax.annotate(
        "with mirrors: clamped", (85.0, found.threshold_inversion), xytext=(0, 10),
        textcoords="offset points", ha="right", fontsize=16,
    )  # fmt: skip
    ax.set(
        xscale="log",
        xlabel=_PUMP,
        ylabel=r"inversion  $\Delta N/N$",
        title="Two levels never invert",
        xlim=found.scan[[0, -1]],
        ylim=(-1.05, 1.05),
    )
    return ax


def plot_line_temperature(ax: Axes, found: Laser) -> Axes:
    """Hotness −βhν of the laser line against pump: zero is T = ±∞, where absorption becomes gain.

    Parameters
    ----------
    ax : Axes
    found : Laser

    Returns
    -------
    Axes
    """
    for row in range(3):
        plot_along_beta(ax, found.scan, -found.dark_beta[row], found.dark_beta[row])
    ax.axhline(0.0, color=_INK, linewidth=1.0)
    for y, text, beta in ((0.8, "gain: T < 0", -2.0), (0.04, "absorption: T > 0", 2.0)):
        ax.text(
            0.97, y, text, transform=ax.transAxes, ha="right", va="top" if y > 0.5 else "bottom",
            fontweight="bold", color=color_of(beta),
        )  # fmt: skip
    top = float(np.nanmax(-found.dark_beta))
    ax.text(0.013, top - 0.5, "4 levels", va="top", color=_INK)
    ax.text(0.1, 1.0 - found.dark_beta[1][np.searchsorted(found.scan, 0.1)], "3 and 2", ha="right",
            color=_INK)  # fmt: skip
    ax.set(
        xscale="log",
        xlabel=_PUMP,
        ylabel=r"hotness of the line  $-\beta h\nu$",
        title="Gain is a negative temperature",
        xlim=found.scan[[0, -1]],
        ylim=(-5.5, top + 1.5),
    )
    return ax


def plot_output(ax: Axes, found: Laser) -> Axes:
    """Photons in the mode against pump: a threshold, where a laser begins.

    Parameters
    ----------
    ax : Axes
    found : Laser

    Returns
    -------
    Axes
    """
    for row, levels in enumerate(_DASHES):
        ax.plot(found.scan, found.photons[row], linestyle=_DASHES[levels], color=_INK,
                label=f"{levels} levels")  # fmt: skip
        if math.isfinite(found.threshold_pump[row]):
            ax.axvline(found.threshold_pump[row], color="#999999", linewidth=1.5, zorder=0)
    if found.pump > 0.0:
        ax.plot(found.pump, found.steady.photons, "o", markersize=12, color=color_of(-2.0))
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=_PUMP,
        ylabel="photons in the mode",
        title="Threshold",
        xlim=found.scan[[0, -1]],
    )
    ax.legend(loc="center right", handlelength=3.0)
    return ax


def plot_switch_on(ax: Axes, found: Laser) -> Axes:
    """Light and inversion after the pump is switched on, each over its steady value.

    Parameters
    ----------
    ax : Axes
    found : Laser

    Returns
    -------
    Axes
    """
    run = found.transient
    time, inversion = run.time / found.lifetime, run.inversion / found.threshold_inversion
    top = max(float(run.photons.max()), 1e-300)
    ax.fill_between(time, run.photons / top, color=color_of(-2.0), alpha=0.25, linewidth=0)
    ax.plot(
        time, run.photons / top, color=color_of(-2.0), linewidth=2.0, label="photons  $q/q_{max}$"
    )
    ax.plot(
        time, inversion, color=_INK, linewidth=2.0, label=r"inversion  $\Delta/\Delta_{th}$"
    )  # fmt: skip
    # Up to where a few spikes have shown themselves; all of it where there are none.
    last = time[-1]
    if run.extrema.shape[1] > 24:
        last = run.extrema[0, 24] / found.lifetime
    threshold = found.threshold_pump[found.levels - 2]
    title = f"Switched on: {found.levels} levels"
    if math.isfinite(threshold):
        title += f", {found.pump / threshold:.3g} × threshold"
    low = max(float(inversion.min()), min(-1.0, 1.3 * float(inversion[-1])))
    if inversion[0] < low:
        rises = time[np.argmax(inversion >= low)]
        ax.annotate(
            f"← from {inversion[0]:.3g}".replace("-", "−"), (rises, low), xytext=(14, 6),
            textcoords="offset points", color=_INK, fontsize=16,
        )  # fmt: skip
    low = min(low, 0.0)
    ax.set(
        xlabel=r"time  $t/\tau$",
        title=title,
        xlim=(0.0, last),
        ylim=(low, max(1.75, 1.0 + 0.35 * (1.0 - low))),  # the legend above the light
    )
    ax.legend(loc="upper right")
    return ax
