"""Point vortices in a disk: the arch of entropy, where like signs gather, and how they move."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from thermo.laboratory.measured import Measured
from thermo.laboratory.vortices import Vortices
from thermo.plots.coloured_line import plot_along_beta
from thermo.plots.style import color_of, lecture_style

__all__ = [
    "plot_arch",
    "plot_energy",
    "plot_neighbours",
    "plot_paths",
    "plot_places",
    "vortices_picture",
]

_SIGNS = {1.0: "#d95f02", -1.0: "#1b7837"}  # neither cold blue nor hot red: those are β


def vortices_picture(found: Vortices) -> Figure:
    """Entropy, like neighbours, and the disk: coldest, hottest, and the hottest in motion.

    One disk fewer if there is but one β; energies where neighbours are always alike, or never.

    Parameters
    ----------
    found : Vortices

    Returns
    -------
    matplotlib.figure.Figure
        17 × 12 inches; ``figure.savefig`` writes it.
    """
    with lecture_style():
        figure = Figure(figsize=(17, 12))
        halves = figure.subfigures(2, 1, height_ratios=[1.0, 1.05], squeeze=False)
        above, below = halves[:, 0]
        arch, share = above.subplots(1, 2)
        plot_arch(arch, found)
        (plot_neighbours if found.gas.neighbours_differ else plot_energy)(share, found)
        several = len(found.points) > 1
        *still, moving = below.subplots(1, 3 if several else 2)
        for ax, which in zip(still, (-1, 0) if several else (0,), strict=True):
            plot_places(ax, found, which)
        plot_paths(moving, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_arch(ax: Axes, found: Vortices) -> Axes:
    """S(E), coloured by its slope β, with its top and the mean energies of the canonical runs.

    Parameters
    ----------
    ax : Axes
    found : Vortices

    Returns
    -------
    Axes
    """
    known = found.entropy.error < 0.2
    e, s, error = found.shell_energy[known], found.entropy.value[known], found.entropy.error[known]
    s = s - s.max()
    ax.fill_between(e, s - error, s + error, color="#cccccc", linewidth=0)
    plot_along_beta(ax, e, s, np.gradient(s, e) * found.energy_scale)
    for point in found.points:
        ax.errorbar(
            point.energy.value, np.interp(point.energy.value, e, s), xerr=point.energy.error,
            fmt="o", markersize=12, markeredgecolor="white", zorder=4,
            color=color_of(point.beta * found.energy_scale),
        )  # fmt: skip
    ax.annotate(
        "β = 0",
        (float(found.most_probable.value), 0.0),
        xytext=(0, 14),
        textcoords="offset points",
        ha="center",
    )
    for text, side, beta in (("β > 0", "left", 3.0), ("β < 0", "right", -3.0)):
        ax.text(
            0.02 if beta > 0 else 0.98, 0.92, text, ha=side, color=color_of(beta),
            fontweight="bold", transform=ax.transAxes,
        )  # fmt: skip
    ax.set(
        xlabel="energy  E / (ρΓ²/4π)",
        ylabel="entropy  S / k  below its top",
        title="Entropy has a top: β is the slope",
        ylim=(1.05 * float(s.min()), -0.14 * float(s.min())),
    )
    return ax


def plot_neighbours(ax: Axes, found: Vortices) -> Axes:
    """Share of vortices whose nearest neighbour has their sign, cold at the left, with errors.

    Parameters
    ----------
    ax : Axes
    found : Vortices

    Returns
    -------
    Axes
    """
    _along_hotness(
        ax, found, [point.like for point in found.points], found.gas.like_neighbours_at_random
    )
    ax.set(ylabel="neighbours of like sign", title="Hot: like signs gather")
    return ax


def plot_energy(ax: Axes, found: Vortices) -> Axes:
    """Mean energy, cold at the left, with errors.

    Parameters
    ----------
    ax : Axes
    found : Vortices

    Returns
    -------
    Axes
    """
    _along_hotness(
        ax, found, [point.energy for point in found.points], found.gas.mean_energy_at_random
    )
    ax.set(ylabel="mean energy / (ρΓ²/4π)", title="Hot: more energy than at random")
    return ax


def _along_hotness(ax: Axes, found: Vortices, seen: list[Measured], at_random: float) -> None:
    ax.axhline(at_random, color="#333333", linestyle=(0, (6, 2)), linewidth=2.0)
    ax.axvline(0.0, color="#333333", linewidth=1.0)
    left = max(0.0, *(point.beta for point in found.points)) * found.energy_scale
    ax.annotate(
        "places at random", (-left, at_random), xytext=(0, 8), textcoords="offset points", ha="left"
    )
    for point, measured in zip(found.points, seen, strict=True):
        b = point.beta * found.energy_scale
        ax.errorbar(
            -b, measured.value, measured.error, fmt="o", markersize=12, color=color_of(b), capsize=4
        )
    ax.set(xlabel="hotness  −βσ₀")


def plot_places(ax: Axes, found: Vortices, which: int) -> Axes:
    """One configuration in the disk.

    Parameters
    ----------
    ax : Axes
    found : Vortices
    which : int
        Index of ``found.points``.

    Returns
    -------
    Axes
    """
    point = found.points[which]
    _disk(ax, color_of(point.beta * found.energy_scale))
    _vortices(ax, found, point.places)
    ax.set_title(f"β = {point.beta:.2g}".replace("-", "−"))
    return ax


def plot_paths(ax: Axes, found: Vortices) -> Axes:
    """The paths of the vortices at constant energy; a dot where each ends.

    Parameters
    ----------
    ax : Axes
    found : Vortices

    Returns
    -------
    Axes
    """
    _disk(ax, color_of(found.points[0].beta * found.energy_scale))
    for i, sign in enumerate(found.gas.signs):
        ax.plot(*found.paths[:, :, i].T, color=_SIGNS[sign], linewidth=1.5, alpha=0.6)
    _vortices(ax, found, found.paths[-1])
    ax.set_title(f"moving, t = {found.time:g} · 4πR²/Γ")
    return ax


def _disk(ax: Axes, color: np.ndarray) -> None:
    ax.add_patch(Circle((0.0, 0.0), 1.0, fill=False, edgecolor=tuple(color), linewidth=5.0))
    ax.set(xlim=(-1.06, 1.06), ylim=(-1.06, 1.06), aspect="equal")
    ax.set_axis_off()


def _vortices(ax: Axes, found: Vortices, places: np.ndarray) -> None:
    for sign, mark in ((1.0, "$+$"), (-1.0, "$-$")):
        own = found.gas.signs == sign
        ax.plot(*places[:, own], "o", color=_SIGNS[sign], markersize=20)
        ax.plot(*places[:, own], linestyle="", marker=mark, color="white", markersize=11)
