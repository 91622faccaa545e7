"""A band of one particle's energies: who sits where, cold and hot."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from thermo.laboratory.band import Band
from thermo.plots.style import color_of, lecture_style

__all__ = ["band_picture", "plot_band_entropy", "plot_level_occupation", "plot_momenta"]

_TITLES = ("cold, T > 0", "T = ±∞", "hot, T < 0")
_CONTRAST = 1e4  # of the brightest momentum to what is drawn black
_ROWS = {"fermions": (0, (0, (6, 2))), "bosons": (1, "-")}  # row of the arrays, line


def band_picture(found: Band) -> Figure:
    """Momenta of the bosons above; occupation of the levels and entropy below.

    Parameters
    ----------
    found : Band

    Returns
    -------
    matplotlib.figure.Figure
        16 × 11 inches.
    """
    with lecture_style():
        figure = Figure(figsize=(16, 11))
        panels = figure.subplot_mosaic([[*"aabbcc"], [*"dddeee"]], height_ratios=(1.0, 1.05))
        for shown, name in enumerate("abc"):
            plot_momenta(panels[name], found, shown)
        bar = figure.colorbar(panels["c"].images[0], ax=panels["c"], aspect=15)
        bar.set_label("bosons in it")
        plot_level_occupation(panels["d"], found)
        plot_band_entropy(panels["e"], found)
        figure.canvas.draw()
    return figure


def plot_momenta(ax: Axes, found: Band, shown: int) -> Axes:
    """n(k_x, k_y) of the bosons, as an image of atoms set free shows it.

    Parameters
    ----------
    ax : Axes
    found : Band
    shown : int
        0 cold, 1 β = 0, 2 hot.

    Returns
    -------
    Axes
    """
    # A momentum at −π is one at +π: repeated there, so that all four corners are alike.
    n = np.pad(found.momentum_distribution[1, shown], (0, 1), mode="wrap")
    edge = 1.0 + 1.0 / found.size  # in units of π
    most = found.momentum_distribution[1].max()
    ax.imshow(
        n.T, origin="lower", extent=(-edge, edge, -edge, edge), cmap="cividis",
        norm=LogNorm(most / _CONTRAST, most, clip=True),
    )  # fmt: skip
    beta = found.shown_beta[shown] * found.hopping
    ax.set_title(f"{_TITLES[shown]}:  βJ = {beta:+.3g}".replace("-", "−").replace("+0", "0"),
                 color=color_of(2.0 * beta))  # fmt: skip
    ax.set(xlabel=r"$k_x$ / π", ylabel=r"$k_y$ / π" if shown == 0 else "")
    ax.set_xticks([-1, 0, 1], ["−1", "0", "1"])
    ax.set_yticks([-1, 0, 1], ["−1", "0", "1"])
    ax.grid(visible=False)
    return ax


def plot_level_occupation(ax: Axes, found: Band) -> Axes:
    """Particles in each momentum against its energy, for both statistics, coloured by β.

    Parameters
    ----------
    ax : Axes
    found : Band

    Returns
    -------
    Axes
    """
    e = found.level_energy / found.hopping
    for name, (row, line) in _ROWS.items():
        for beta, n in zip(found.shown_beta * found.hopping, found.occupation[row], strict=True):
            label = name if beta == 0.0 else None
            ax.plot(e, n, ls=line, color=color_of(2.0 * beta), label=label)
    ax.set_yscale("log")
    top = found.occupation.max()
    ax.set(
        xlabel="energy of a momentum  E / J",
        ylabel="atoms in it",
        title="From the bottom edge to the top",
        xlim=(-4.3, 4.3),
        ylim=(max(1e-4, 0.5 * found.occupation[found.occupation > 0.0].min()), 3.0 * top),
    )
    ax.set_xticks([-4, -2, 0, 2, 4], ["−4", "−2", "0", "2", "4"])
    for x, beta in ((-4.1, found.shown_beta[0]), (4.1, found.shown_beta[2])):
        ax.text(x, 1.6 * top, "T > 0" if beta > 0 else "T < 0", fontweight="bold",
                ha="left" if x < 0 else "right", va="center",
                color=color_of(2.0 * beta * found.hopping))  # fmt: skip
    ax.legend(loc="lower center")
    return ax


def plot_band_entropy(ax: Axes, found: Band) -> Axes:
    """S per site against U per site: an arch for both, with β as its slope.

    Parameters
    ----------
    ax : Axes
    found : Band

    Returns
    -------
    Axes
    """
    at = np.searchsorted(found.beta, found.shown_beta)
    colors = color_of(2.0 * found.shown_beta * found.hopping)  # σ₀ = 2J
    for name, (row, line) in _ROWS.items():
        u, s = found.energy[row] / found.hopping, found.entropy[row]
        ax.plot(u, s, ls=line, color="#333333", label=name)
        ax.scatter(u[at], s[at], s=160, c=colors, zorder=3)
    ax.set(
        xlabel="energy per site  U / J",
        ylabel="entropy per site  S / k",
        title="The slope is β: through 0 at the top",
        ylim=(0.0, 1.12 * found.entropy.max()),
    )
    ax.legend(loc="lower center")
    return ax
