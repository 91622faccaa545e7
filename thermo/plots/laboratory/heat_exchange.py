"""Heat between blocks: energies that meet, β that become one, entropy that grows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermo.laboratory.heat_flow import HeatExchange
from thermo.models.ising import Ising
from thermo.plots.coloured_line import plot_along_beta
from thermo.plots.style import color_of, lecture_style

__all__ = ["heat_exchange_picture", "plot_blocks", "plot_entropy", "plot_slopes"]

_LINES = ("-", "--", ":")  # of the blocks, where they have no colour of their own
_DARK = "#333333"
_LEGEND = 0.2  # of the height of a panel is left to it, at the bottom


def heat_exchange_picture(found: HeatExchange) -> Figure:
    """Energies, β and total entropy in time, side by side.

    Parameters
    ----------
    found : HeatExchange

    Returns
    -------
    matplotlib.figure.Figure
        20 × 6.5 inches; ``figure.savefig`` writes it.
    """
    with lecture_style(1.15):
        figure = Figure(figsize=(20, 6.5))
        energies, slopes, entropy = figure.subplots(1, 3)
        plot_blocks(energies, found)
        plot_slopes(slopes, found)
        plot_entropy(entropy, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_blocks(ax: Axes, found: HeatExchange) -> Axes:
    """E/N of each block in time, coloured by its β, and what the numbers of states predict.

    Parameters
    ----------
    ax : Axes
    found : HeatExchange

    Returns
    -------
    Axes
    """
    sites = np.array(found.sites)[:, None]
    _bands(ax, found, found.energy.value / sites, found.energy.error / sites)
    for k, shared in enumerate(found.shared_energy / sites[:, 0]):
        first = "predicted by g(E)" if k == 0 else None
        ax.axhline(float(shared), color=_DARK, linestyle=(0, (2, 2)), linewidth=1.8, label=first)
    _in_time(ax, found)
    ax.set(ylabel="energy per spin  E / N  (J)", title="Energy: given and taken")
    ax.legend(loc="lower right")
    return ax


def plot_slopes(ax: Axes, found: HeatExchange) -> Axes:
    """β = dS/dE of each block in time, the hot ones at the top.

    One that was prepared at β = ±inf begins beyond the axis: its line sets in after a sweep.

    Parameters
    ----------
    ax : Axes
    found : HeatExchange

    Returns
    -------
    Axes
    """
    value, error = -found.slope.value, found.slope.error
    value[np.isinf(found.beta), 0] = np.nan
    _bands(ax, found, value, error)
    low, high = ax.get_ylim()
    for sign, end, place in ((-1.0, high, "top"), (1.0, low, "bottom")):
        if sign * end < 0.0:  # there is some of it to be seen
            ax.axhspan(0.0, end, color=color_of(sign), alpha=0.07, linewidth=0)
            ax.text(0.6, 0.95 if sign < 0 else 0.05, "T < 0" if sign < 0 else "T > 0",
                    transform=ax.transAxes, ha="center", va=place, fontweight="bold",
                    color=color_of(sign))  # fmt: skip
    ax.set_ylim(low, high)
    _in_time(ax, found)
    ax.set(ylabel="hotness  −β  (1/J)", title="From smaller β to larger β")
    return ax


def plot_entropy(ax: Axes, found: HeatExchange) -> Axes:
    """What the total entropy has gained, in time.

    Parameters
    ----------
    ax : Axes
    found : HeatExchange

    Returns
    -------
    Axes
    """
    entropy = found.entropy
    ax.fill_between(
        _times(found), entropy.value - 2 * entropy.error,
        entropy.value + 2 * entropy.error, color=_DARK, alpha=0.25, linewidth=0,
    )  # fmt: skip
    ax.plot(_times(found), entropy.value, color=_DARK, label="Σ S(E),  ± 2 errors")
    ax.axhline(
        found.entropy_gain_expected, color=_DARK, linestyle=(0, (2, 2)), linewidth=1.8,
        label="predicted by g(E)",
    )  # fmt: skip
    _in_time(ax, found)
    ax.set(ylabel="total entropy gained  ΔS / k", title="Entropy grows")
    ax.legend(loc="lower right")
    return ax


def _times(found: HeatExchange) -> np.ndarray:
    return found.time + 1.0  # for an axis of logarithms


def _bands(ax: Axes, found: HeatExchange, values: np.ndarray, errors: np.ndarray) -> None:
    """Lines that take the colour of their β from moment to moment, with bands of two errors."""
    times = _times(found)
    for k, (value, error) in enumerate(zip(values, errors, strict=True)):
        b = found.slope.value[k] * _scale(found, k)
        ax.fill_between(times, value - 2 * error, value + 2 * error,
                        color=color_of(b[-1]), alpha=0.25, linewidth=0)  # fmt: skip
        plot_along_beta(ax, times, value, b)
        first = int(np.isnan(value[0]))
        below = value[first] < value[-1]  # a line that rises leaves the room under it free
        ax.annotate(
            f"β = {found.beta[k]:+g}".replace("-", "−").replace("inf", "∞"),
            (times[first], value[first]),
            xytext=(8, -8 if below else 8), textcoords="offset points",
            va="top" if below else "bottom", color=color_of(b[0]), fontweight="bold",
        )  # fmt: skip
    ax.autoscale_view()
    ax.margins(y=0.16)


def _scale(found: HeatExchange, k: int) -> float:
    """σ₀ per spin of a block: the standard deviation of its energy at β = 0, over √N."""
    block = found.blocks[k]
    if not isinstance(block, Ising):
        return 0.5 * block.gap
    square = (block.couplings**2).sum() + (block.fields**2).sum()
    return float(np.sqrt(square / block.lattice.n_sites))


def _in_time(ax: Axes, found: HeatExchange) -> None:
    ax.set_xscale("log")
    ax.set_xlim(0.9, float(_times(found)[-1]))
    ax.set_xlabel("sweeps since contact + 1")
    if found.parted is not None:
        ax.axvline(found.parted + 1.0, ymin=_LEGEND, color=_DARK, linewidth=1.8)
        ax.annotate(
            "1 meets 3 ", (found.parted + 1.0, 0.86), xycoords=("data", "axes fraction"),
            ha="right", va="top", fontsize="small",
        )  # fmt: skip
