"""S(E), two definitions of β, and the zeroth law that tells them apart."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermo.laboratory.microcanonical import TwoTemperatures
from thermo.plots.coloured_line import plot_along_beta
from thermo.plots.style import color_of, lecture_style

__all__ = ["microcanonical_picture", "plot_definitions", "plot_entropy", "plot_zeroth_law"]

_DARK, _GIBBS = "#333333", "#b8860b"
_SCALE = math.sqrt(2.0)  # σ₀ per spin of the square lattice, in J
_DIGITS = 1.0 / math.log(10.0)


def microcanonical_picture(found: TwoTemperatures) -> Figure:
    """The entropy, both β with a demon's readings, and two blocks in contact.

    Parameters
    ----------
    found : TwoTemperatures

    Returns
    -------
    matplotlib.figure.Figure
        20 × 6.5 inches; ``figure.savefig`` writes it.
    """
    with lecture_style(1.15):
        figure = Figure(figsize=(20, 6.5))
        entropy, definitions, law = figure.subplots(1, 3)
        plot_entropy(entropy, found)
        plot_definitions(definitions, found)
        plot_zeroth_law(law, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_entropy(ax: Axes, found: TwoTemperatures) -> Axes:
    """S/N against E/N: exact, coloured by its slope, and sampled.

    Parameters
    ----------
    ax : Axes
    found : TwoTemperatures

    Returns
    -------
    Axes
    """
    plot_along_beta(ax, found.energy, found.entropy, found.beta_boltzmann * _SCALE)
    ax.errorbar(
        found.sampled_energy, found.sampled_entropy, 2 * found.sampled_entropy_error, fmt="o",
        color=_DARK, markersize=7, label="sampled",
    )  # fmt: skip
    for place, text in ((-1.9, "T > 0"), (1.9, "T < 0")):
        ax.text(place, 0.62, text, ha="left" if place < 0 else "right", fontweight="bold",
                color=color_of(-place))  # fmt: skip
    ax.set(
        xlabel="energy per spin  E / N  (J)",
        ylabel="entropy per spin  S / Nk",
        title=f"S = ln g(E), {found.size} × {found.size}",
        xlim=(-2.1, 2.1),
        ylim=(0.0, 0.78),
        xticks=range(-2, 3),
    )
    ax.legend(loc="lower center")
    return ax


def plot_definitions(ax: Axes, found: TwoTemperatures) -> Axes:
    """Boltzmann's and Gibbs' β against E/N, with sampled ones and a demon's readings.

    Parameters
    ----------
    ax : Axes
    found : TwoTemperatures

    Returns
    -------
    Axes
    """
    shown = np.abs(found.energy) < 1.7
    ax.axhline(0.0, color="#8c8c8c", linewidth=1.8)
    gibbs = np.exp(found.log_beta_gibbs)
    ax.plot(found.energy[shown], gibbs[shown], color=_GIBBS, linewidth=5.0, label="Gibbs")
    ax.plot(found.energy[shown], found.beta_boltzmann[shown], color=_DARK, label="Boltzmann")
    ax.errorbar(
        found.sampled_energy, found.sampled_boltzmann, 2 * found.sampled_boltzmann_error, fmt="o",
        color=_DARK, markersize=7, label="sampled",
    )  # fmt: skip
    sampled = np.exp(found.sampled_log_gibbs)
    ax.errorbar(found.sampled_energy, sampled, 2 * sampled * found.sampled_log_gibbs_error,
                fmt="o", color=_GIBBS, markersize=7)  # fmt: skip
    ax.errorbar(
        found.demon_energy, found.demon_beta, 2 * found.demon_error, fmt="D", color="#ffffff",
        ecolor=_DARK, markeredgecolor=_DARK, markeredgewidth=2.5, markersize=12, label="demon",
    )  # fmt: skip
    ax.set(
        xlabel="energy per spin  E / N  (J)",
        ylabel="β  (1/J)",
        title="A demon reads one of them",
    )
    ax.legend(loc="lower left")
    return ax


def plot_zeroth_law(ax: Axes, found: TwoTemperatures) -> Axes:
    """What two blocks in equilibrium agree in: the ratio of their β, Boltzmann's and Gibbs'.

    Without the tenth of the energies at either end: see `thermo.laboratory.zeroth_law.ZerothLaw`.

    Parameters
    ----------
    ax : Axes
    found : TwoTemperatures

    Returns
    -------
    Axes
    """
    law, n = found.zeroth_law, found.size**2
    total = law.total / n
    away = np.abs(law.boltzmann[1]) > 0.02  # at β = 0 there is no ratio
    ratio = np.where(away, law.boltzmann[0] / np.where(away, law.boltzmann[1], 1.0), np.nan)
    ax.plot(total, _DIGITS * (law.log_gibbs[0] - law.log_gibbs[1]), color=_GIBBS, linewidth=5.0,
            label="Gibbs")  # fmt: skip
    ax.plot(total, np.log10(ratio), color=_DARK, label="Boltzmann")
    place = law.contact_total / n
    ax.errorbar(
        place, _DIGITS * law.log_gibbs_difference, 2 * _DIGITS * law.log_gibbs_error, fmt="o",
        color=_GIBBS, markersize=9, capsize=4, label="sampled in contact",
    )  # fmt: skip
    beta = np.interp(place, total, law.boltzmann[1])
    far = np.abs(beta) > 0.02
    ax.errorbar(
        place[far], np.log10(1.0 + (law.boltzmann_difference / beta)[far]),
        2 * _DIGITS * np.abs(law.boltzmann_error / beta)[far], fmt="o", color=_DARK, markersize=9,
        capsize=4,
    )  # fmt: skip
    ax.set(
        xlabel="energy of both blocks / N  (J)",
        ylabel="log₁₀ ( β of lattice / β of spins )",
        title="The zeroth law keeps one",
    )
    ax.legend(loc="lower left")
    return ax
