"""The discrete nonlinear Schrödinger chain: its phase diagram, its densities, its breathers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from thermo.laboratory.dnls import ChainAverages, Dnls
from thermo.laboratory.dnls_equilibrium import ground_energy, infinite_temperature_energy
from thermo.plots.style import color_of, lecture_style

__all__ = ["dnls_picture", "plot_breathers", "plot_densities", "plot_phase_diagram"]


def dnls_picture(found: Dnls) -> Figure:
    """The phase diagram, the distribution of the density, and the coldest and hottest chain.

    The hottest alone, over the whole width, if there is but one energy.

    Parameters
    ----------
    found : Dnls

    Returns
    -------
    matplotlib.figure.Figure
        16 × 12 inches; ``figure.savefig`` writes it.
    """
    by_energy = sorted(found.points, key=lambda point: point.energy)
    with lecture_style():
        figure = Figure(figsize=(16, 12))
        below = ["coldest", "hottest"] if len(by_energy) > 1 else ["hottest", "hottest"]
        panels: dict[str, Axes] = figure.subplot_mosaic([["diagram", "densities"], [*below]])
        plot_phase_diagram(panels["diagram"], found)
        plot_densities(panels["densities"], found)
        if len(by_energy) > 1:
            plot_breathers(panels["coldest"], found, by_energy[0])
        plot_breathers(panels["hottest"], found, by_energy[-1])
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_phase_diagram(ax: Axes, found: Dnls) -> Axes:
    """Energy against density: the lines T = +0 and β = 0, lines of equal β, and these chains.

    Parameters
    ----------
    ax : Axes
    found : Dnls

    Returns
    -------
    Axes
    """
    top = max(point.energy for point in found.points)
    top = 1.35 * max(top, infinite_temperature_energy(found.density))
    a = np.linspace(0.0, 1.8 * found.density, 200)
    cold, hot = (
        np.array([line(x) for x in a]) for line in (ground_energy, infinite_temperature_energy)
    )
    floor = 1.5 * float(cold.min())
    top = max(top, -0.6 * floor)  # where a ≪ 1, all of β < 0 is a thin wedge
    ax.fill_between(a, hot, 10.0 * top, color=color_of(-1.0), alpha=0.12, linewidth=0)
    ax.fill_between(a, 10.0 * floor, cold, color="#555555", alpha=0.25, linewidth=0)
    for beta, line in zip(found.isotherm_beta, found.isotherms, strict=True):
        color = color_of(_natural(beta, found))
        ax.plot(*line.T, color=color, linewidth=1.5)
        inside = (line[:, 0] < 0.97 * a[-1]) & (line[:, 1] < 0.97 * top)
        ax.annotate(
            f"{beta:.3g}", line[inside][line[inside, 0].argmax()], color=color, fontsize=15,
            ha="right", va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    ax.plot(a, hot, color=color_of(0.0), linewidth=4.0, label="β = 0:  h = 2a²")
    ax.plot(a, cold, color=color_of(np.inf), linewidth=4.0, label="T = +0:  h = a² − 2a")
    ax.plot([], [], color=color_of(1.0), linewidth=1.5, label="β as written")
    for point in found.points:
        ax.plot(
            found.density, point.energy, "o", markersize=15, markeredgecolor="white",
            color=color_of(_natural(float(point.beta.value), found)),
        )  # fmt: skip
    ax.text(0.3 * a[-1], 0.5 * top, "β < 0", color=color_of(-3.0), fontweight="bold", ha="center")
    ax.text(0.25 * a[-1], 0.9 * floor, "no state", color="#333333", ha="center")
    ax.locator_params(axis="x", nbins=5)
    ax.set(
        xlabel="norm per site  a",
        ylabel="energy per site  h",
        title="Two conserved quantities",
        xlim=(0.0, a[-1]),
        ylim=(floor, 1.5 * top),
    )
    ax.legend(loc="upper left")
    return ax


def plot_densities(ax: Axes, found: Dnls) -> Axes:
    """How often a site holds how much: counted on the chains, and by the transfer integral.

    Parameters
    ----------
    ax : Axes
    found : Dnls

    Returns
    -------
    Axes
    """
    middle = 0.5 * (found.bins[1:] + found.bins[:-1])
    largest = 0.0
    for point in sorted(found.points, key=lambda point: point.energy):
        color = color_of(_natural(float(point.beta.value), found))
        seen = point.histogram.value > 0.0
        largest = max(largest, float(middle[seen].max()))
        ax.errorbar(
            middle[seen], point.histogram.value[seen], point.histogram.error[seen], fmt="o",
            markersize=5, color=color, elinewidth=1.5,
            label=f"h = {point.energy:.15g}".replace("-", "−"),
        )  # fmt: skip
        if point.equilibrium is not None:
            law = point.equilibrium
            ax.plot(law.nodes / found.density, law.probabilities * found.density, color=color)
    ax.set(
        xlabel="density of a site  ρ / a",
        ylabel="probability density",
        title="How often a site holds how much",
        yscale="log",
        xlim=(0.0, 1.05 * largest),
        ylim=(1e-5, 3.0),
    )
    ax.legend(loc="upper right", title="lines: transfer integral")
    return ax


def plot_breathers(ax: Axes, found: Dnls, point: ChainAverages) -> Axes:
    """Densities of all sites against time.

    Parameters
    ----------
    ax : Axes
    found : Dnls
    point : ChainAverages
        One of ``found.points``.

    Returns
    -------
    Axes
    """
    end = float(found.times[-1])
    image = ax.imshow(
        point.densities.T / found.density, aspect="auto", origin="lower", cmap="magma",
        norm=PowerNorm(0.6, 0.0, 10.0), extent=(0.0, end, 0.0, found.sites),
        interpolation="nearest",
    )  # fmt: skip
    assert ax.figure is not None
    bar = ax.figure.colorbar(image, ax=ax, extend="max", ticks=[0, 1, 3, 6, 10])
    bar.set_label("ρ / a")
    ax.grid(visible=False)
    sign = "β > 0" if point.beta.value > 0.0 else "β < 0"
    ax.set(
        xlabel="time",
        ylabel="site",
        title=f"h = {point.energy:.15g}, {sign}: ".replace("-", "−")
        + f"up to ρ = {float(point.densities.max()) / found.density:.0f} a",
    )
    return ax


def _natural(beta: float, found: Dnls) -> float:
    """βσ₀ per site: σ₀² = 2a² + 4a⁴ of the bonds and of ρ² at a given norm, at β = 0."""
    return beta * float(np.sqrt(2.0 * found.density**2 + 4.0 * found.density**4))
