"""Rotators with bounded kinetic energy: β over energy, and which momenta they have."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import i0e

from thermo.laboratory.rotator_equilibrium import RotatorChain
from thermo.laboratory.rotators import Rotators
from thermo.plots.coloured_line import plot_along_beta
from thermo.plots.style import color_of, lecture_style

__all__ = ["plot_momenta", "plot_readings", "rotators_picture"]

_UNSETTLED = "#9a9a9a"
_PI_TICKS = ([-np.pi, -np.pi / 2, 0.0, np.pi / 2, np.pi], ["−π", "−π/2", "0", "π/2", "π"])


def rotators_picture(found: Rotators) -> Figure:
    """β that trajectories read, and their momenta.

    Parameters
    ----------
    found : Rotators

    Returns
    -------
    matplotlib.figure.Figure
        15 × 6.5 inches.
    """
    with lecture_style():
        figure = Figure(figsize=(15, 6.5))
        readings, momenta = figure.subplots(1, 2)
        plot_readings(readings, found)
        plot_momenta(momenta, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_readings(ax: Axes, found: Rotators) -> Axes:
    """β of momenta and of bonds at each energy, on the line of equilibrium.

    Grey where the chains have not come to equilibrium.

    Parameters
    ----------
    ax : Axes
    found : Rotators

    Returns
    -------
    Axes
    """
    chain = RotatorChain(found.strength)
    farthest = max(float(np.abs(b).max()) for b in (found.beta, found.from_momenta[:, 0],
                                                    found.from_bonds[:, 0]))  # fmt: skip
    reach = 1.3 * farthest + 0.5
    beta = np.linspace(reach, -reach, 401)
    plot_along_beta(ax, chain.energy(beta), beta, beta * chain.natural_scale, width=4.0)
    ax.axhline(0.0, color="#333333", linewidth=1.4)
    for measured, what, marker, size in (
        (found.from_momenta, "momenta  ⟨cos p⟩ / ⟨sin² p⟩", "o", 15),
        (found.from_bonds, "bonds  ⟨cos φ⟩ / ε⟨sin² φ⟩", "D", 7),
    ):
        for which, shade in ((found.settled, "#1a1a1a"), (~found.settled, _UNSETTLED)):
            if which.any():
                ax.errorbar(
                    found.energy[which], measured[which, 0], yerr=measured[which, 1], fmt=marker,
                    markersize=size, markerfacecolor="none" if marker == "o" else shade,
                    markeredgecolor=shade, markeredgewidth=2.2, ecolor=shade,
                    label=what if shade != _UNSETTLED else f"{what.split()[0]}, no equilibrium",
                )  # fmt: skip
    ax.text(0.97, 0.60, "T < 0", color=color_of(-2.0), fontweight="bold", ha="right",
            transform=ax.transAxes)  # fmt: skip
    ax.text(0.03, 0.40, "T > 0", color=color_of(2.0), fontweight="bold", transform=ax.transAxes)
    ax.set(
        xlabel="energy per rotator  H / N",
        ylabel="β",
        title="Trajectories tell β with its sign",
        xlim=(0.0, chain.top),
        ylim=(-reach, reach),
    )
    ax.legend(loc="upper right")
    return ax


def plot_momenta(ax: Axes, found: Rotators) -> Axes:
    """How often each momentum occurs: measured, and e^(β cos p) in equilibrium.

    Parameters
    ----------
    ax : Axes
    found : Rotators

    Returns
    -------
    Axes
    """
    scale = RotatorChain(found.strength).natural_scale
    p = np.linspace(-np.pi, np.pi, 401)
    for energy, beta, density, settled in zip(
        found.energy, found.beta, found.density, found.settled, strict=True
    ):
        color = color_of(beta * scale)
        what = f"β = {beta:+.2f}".replace("-", "−") if settled else "no equilibrium"
        if settled:  # the exponent less its largest value
            law = np.exp(beta * np.cos(p) - abs(beta)) / (2.0 * np.pi * i0e(beta))
            ax.plot(p, law, color=color)
        ax.plot(found.momentum, density, "o", color=color, markersize=6,
                markerfacecolor=color if settled else "none",
                label=f"H/N = {energy:g}:  {what}")  # fmt: skip
    ax.set_xticks(*_PI_TICKS)
    ax.set(
        xlabel="momentum  p",
        ylabel="density  P(p)",
        title="T < 0: most rotators are at the top"
        if (found.beta[found.settled] < 0.0).any()
        else "Which momenta there are",
        xlim=(-np.pi, np.pi),
    )
    ax.set_ylim(0.0, 1.7 * float(found.density.max()))
    ax.legend(loc="upper center")
    return ax
