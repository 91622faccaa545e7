"""Counting degrees of freedom: the temperature that each count gives, and how energy is kept."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thermo.laboratory.kinetic import Kinetic
from thermo.plots.style import color_of, lecture_style

__all__ = ["kinetic_picture", "plot_counts", "plot_energy_error"]

_RIGHT = color_of(1.5)  # of any β > 0: there is no other here


def kinetic_picture(found: Kinetic) -> Figure:
    """The temperatures of all counts, and the energy of the fluid left to itself.

    Parameters
    ----------
    found : Kinetic

    Returns
    -------
    matplotlib.figure.Figure
        16 × 6.5 inches.
    """
    with lecture_style():
        figure = Figure(figsize=(16, 6.5))
        counts, energy = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
        plot_counts(counts, found)
        plot_energy_error(energy, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_counts(ax: Axes, found: Kinetic) -> Axes:
    """T from kinetic energy by each count, in units of the bath's, and T from forces.

    Parameters
    ----------
    ax : Axes
    found : Kinetic

    Returns
    -------
    Axes
    """
    m = found.molecules
    right, *wrong = found.counts.items()
    by_forces = found.configurational_beta
    rows = [("forces alone", found.beta / by_forces.value,
             found.beta * by_forces.error / by_forces.value**2, True)]  # fmt: skip
    parts = [(f"f = {right[0]}", found.total, right[1], True)]
    if found.bond is not None:
        parts += [
            ("translation, f = 3M − 3", found.translation, 3 * m - 3, True),
            ("rotation, f = 2M", found.rotation, 2 * m, True),
        ]
    parts += [(f"f = {formula}", found.total, f, False) for formula, f in wrong]
    rows += [(what, part.mean / f, part.error / f, good) for what, part, f, good in parts]
    ax.axvline(1.0, color="#333333", linewidth=2.0)
    for place, (_, value, error, good) in enumerate(rows):
        ax.errorbar(
            value, place, xerr=error, fmt="o", markersize=13, capsize=7, elinewidth=3,
            markeredgewidth=2.5, color=_RIGHT if good else "#333333",
            markerfacecolor=_RIGHT if good else "none",
        )  # fmt: skip
    for place, (_, f) in enumerate(wrong, start=len(rows) - len(wrong)):
        ax.plot(
            right[1] / f, place, "|", color="#333333", markersize=34, markeredgewidth=2.5,
            label=None if place < len(rows) - 1 else "f right / f wrong",
        )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_yticks(range(len(rows)), [what for what, *_ in rows])
    ax.grid(axis="y", visible=False)
    ax.set(
        xlabel="T read / T of the bath",
        title="Only the right f tells T" if found.settled else "Not in equilibrium: no T",
        ylim=(len(rows) + 0.4, -0.6),  # a free row for the legend, whose mark is no reading
    )
    ax.legend(loc="lower center", frameon=True, edgecolor="#333333", framealpha=1.0,
              markerscale=0.6)  # fmt: skip
    return ax


def plot_energy_error(ax: Axes, found: Kinetic) -> Axes:
    """Energy of the isolated fluid over time, for three time steps.

    Parameters
    ----------
    ax : Axes
    found : Kinetic

    Returns
    -------
    Axes
    """
    shown = found.isolated_time <= min(8.0, found.isolated_time[-1])
    shades = ("#c9c9c9", "#808080", "#1a1a1a")
    for step, series, (spread, _), shade in zip(
        found.steps, found.isolated_energy, found.energy_error, shades, strict=True
    ):
        ax.plot(found.isolated_time[shown], 1e3 * series[shown], color=shade, linewidth=1.6,
                label=f"Δt = {step:g} τ:  ±{1e3 * spread:.2f}")  # fmt: skip
    part = round(2.0 ** found.order[0])
    largest = 1e3 * float(np.abs(found.isolated_energy[0, shown]).max())
    ax.set(
        xlabel="time  t / τ",
        ylabel="(E − ⟨E⟩) / M   [10⁻³ ε]",
        title=f"Half the step, {'a quarter' if part == 4 else f'1/{part}'} of the error",
        ylim=(-1.1 * largest, 1.8 * largest),
    )
    ax.legend(loc="upper right")
    return ax
