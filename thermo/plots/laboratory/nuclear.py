"""Nuclear spins: two kinds of order from one Hamiltonian, on the scale of silver."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure

from thermo.laboratory.nuclear import Nuclear
from thermo.plots.style import color_of, lecture_style

__all__ = ["nuclear_picture", "plot_absorption", "plot_orders", "plot_plane"]

_TITLES = ("cold: antiferromagnet", "β = 0: no order", "hot: ferromagnet")
_SIGMA = np.sqrt(6.0)  # σ₀ / |J| per spin of a lattice with twelve neighbours
_NANOKELVIN = (0.3, 0.5, 1.0, -2.0, -1.0)  # marked on the axis of silver


def nuclear_picture(found: Nuclear) -> Figure:
    """Three planes of spins above; order and susceptibility against hotness below.

    Parameters
    ----------
    found : Nuclear

    Returns
    -------
    matplotlib.figure.Figure
        16 × 11 inches.
    """
    with lecture_style():
        figure = Figure(figsize=(16, 11.5))
        panels = figure.subplot_mosaic([[*"aabbcc"], [*"dddeee"]], height_ratios=(0.8, 1.0))
        for shown, name in enumerate("abc"):
            plot_plane(panels[name], found, shown)
        plot_orders(panels["d"], found)
        plot_absorption(panels["e"], found)
        figure.canvas.draw()
    return figure


def plot_plane(ax: Axes, found: Nuclear, shown: int) -> Axes:
    """Spins in a plane of the fcc lattice, up dark and down light.

    Parameters
    ----------
    ax : Axes
    found : Nuclear
    shown : int
        0 antiferromagnetic, 1 at β = 0, 2 ferromagnetic.

    Returns
    -------
    Axes
    """
    color = tuple(color_of(_SIGMA * found.planes_beta[shown]))
    ax.imshow(found.planes[shown], cmap=ListedColormap(["#f2f2f2", to_hex(color)]), vmin=-1, vmax=1)
    beta = f"{found.planes_beta[shown]:+.2g}".replace("-", "−")
    ax.set_title(_TITLES[shown], color=color)
    ax.set(xticks=[], yticks=[], xlabel="" if shown == 1 else f"β|J| = {beta}")
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def plot_orders(ax: Axes, found: Nuclear) -> Axes:
    """Both orders against hotness; the temperatures of silver along the top.

    Parameters
    ----------
    ax : Axes
    found : Nuclear

    Returns
    -------
    Axes
    """
    fcc, cubic = found.fcc, found.cubic
    cold, hot = color_of([2.0, -2.0])
    for value, error, color in (
        (fcc.pattern, fcc.pattern_error, cold),
        (fcc.uniform, fcc.uniform_error, hot),
    ):
        ax.errorbar(-fcc.beta, value, error, fmt="o-", markersize=6, color=color)
    for value, color in ((cubic.pattern, cold), (cubic.uniform, hot)):
        ax.plot(-cubic.beta, value, ls=(0, (2, 1.5)), lw=2.0, color=color, alpha=0.6)
    for x, y, text, color in (
        (-0.54, 0.6, "fcc:\nantiferro-\nmagnet", cold),
        (-0.07, 0.6, "fcc:\nferro-\nmagnet", hot),
        (0.29, 0.35, "simple\ncubic", "#555555"),
    ):
        ax.text(x, y, text, color=color, va="center", fontsize="small")
    for transition, color in ((found.neel, cold), (found.curie, hot)):
        ax.axvspan(-transition.beta - transition.error, -transition.beta + transition.error,
                   color=color, alpha=0.25, lw=1.0)  # fmt: skip
    ax.set(
        xlabel="hotness  −β|J|",
        ylabel="order (root mean square)",
        ylim=(0.0, 1.05),
        xlim=(-0.85, 0.5),
    )
    top = ax.secondary_xaxis("top")
    at = -found.unit.beta(1e-9 * np.array(_NANOKELVIN))
    names = [f"{t:g}".replace("-", "−") for t in _NANOKELVIN]
    top.set_xticks([*at, 0.0], [*names, "±∞"])
    top.set_xlabel("temperature of silver / nK, if $T_c$ = −1.9 nK")
    return ax


def plot_absorption(ax: Axes, found: Nuclear) -> Axes:
    """χ per spin against hotness: what a slow alternating field loses to the spins, or gains.

    In the ferromagnet it is that of spins within one ordered state, without its moment.

    Parameters
    ----------
    ax : Axes
    found : Nuclear

    Returns
    -------
    Axes
    """
    fcc = found.fcc
    x = -fcc.beta
    ax.axhspan(0.0, 10.0, color=color_of(2.0), alpha=0.08, lw=0)
    ax.axhspan(-100.0, 0.0, color=color_of(-2.0), alpha=0.08, lw=0)
    ax.plot(x, fcc.susceptibility, color="#333333", zorder=2)
    ax.errorbar(x, fcc.susceptibility, fcc.susceptibility_error, fmt="none", ecolor="#333333")
    ax.scatter(x, fcc.susceptibility, s=60, c=color_of(_SIGMA * fcc.beta), zorder=3)
    ax.set_yscale("symlog", linthresh=0.1, linscale=1.2)
    ax.set(
        xlabel="hotness  −β|J|",
        ylabel="susceptibility per spin  χ|J|",
        title="Absorbs at T > 0, emits at T < 0",
        ylim=(-30.0, 0.4),
        xlim=(-0.85, 0.25),
    )
    ax.set_yticks([0.1, 0.0, -0.1, -1.0, -10.0], ["0.1", "0", "−0.1", "−1", "−10"])
    return ax
