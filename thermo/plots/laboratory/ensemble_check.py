"""Two distributions of energy, and the line that their ratio must be."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermo.estimate.autocorrelation import rounded_to_error
from thermo.laboratory.ensemble_check import EnsembleCheck
from thermo.plots.style import color_of, lecture_style

__all__ = ["ensemble_check_picture", "plot_distributions", "plot_log_ratio"]

_DARK = "#333333"


def ensemble_check_picture(found: EnsembleCheck) -> Figure:
    """Both distributions, and the logarithm of their ratio.

    Parameters
    ----------
    found : EnsembleCheck

    Returns
    -------
    matplotlib.figure.Figure
        14 × 6 inches; ``figure.savefig`` writes it.
    """
    with lecture_style():
        figure = Figure(figsize=(14, 6))
        distributions, ratio = figure.subplots(1, 2)
        plot_distributions(distributions, found)
        plot_log_ratio(ratio, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_distributions(ax: Axes, found: EnsembleCheck) -> Axes:
    """Histograms of the energy at both β.

    Parameters
    ----------
    ax : Axes
    found : EnsembleCheck

    Returns
    -------
    Axes
    """
    for p, beta, color in zip(found.histogram, found.beta, _colors(found), strict=True):
        ax.fill_between(found.histogram_energy, p, color=color, alpha=0.3, step="mid", linewidth=0)
        ax.plot(found.histogram_energy, p, color=color, drawstyle="steps-mid",
                label=f"β = {beta:+g}".replace("-", "−"))  # fmt: skip
    ax.set(
        xlabel="energy  E  (J)",
        ylabel="probability density  (1/J)",
        title="Two runs",
        ylim=(0.0, 1.25 * float(found.histogram.max())),
    )
    ax.legend(loc="upper right", ncols=2)
    return ax


def plot_log_ratio(ax: Axes, found: EnsembleCheck) -> Axes:
    """ln P₂/P₁ with errors, the fitted line, and one of the slope that theory says.

    Parameters
    ----------
    ax : Axes
    found : EnsembleCheck

    Returns
    -------
    Axes
    """
    ax.errorbar(
        found.energy, found.log_ratio, 2 * found.log_ratio_error, fmt="o", color=_DARK,
        capsize=4, label="sampled, ± 2 errors",
    )  # fmt: skip
    ends = np.array([found.energy[0], found.energy[-1]])
    line = found.intercept + found.slope * ends
    middle, expected = ends.mean(), found.findings[0].expected or 0.0
    theory = found.intercept + found.slope * middle + expected * (ends - middle)
    ax.plot(ends, theory, color="#8c8c8c", linewidth=7, alpha=0.6,
            label=f"slope β₁ − β₂ = {expected:+.4g}".replace("-", "−"))  # fmt: skip
    fit = f"fit: {rounded_to_error(found.slope, found.slope_error)}".replace("-", "−")
    ax.plot(ends, line, color=_DARK, linewidth=1.8, label=fit)
    names = [f"P(β = {b:+g})".replace("-", "−") for b in found.beta]
    ax.set(
        xlabel="energy  E  (J)",
        ylabel=f"ln  {names[1]} / {names[0]}",
        title="Their ratio is a line",
    )
    ax.legend(loc="best")
    return ax


def _colors(found: EnsembleCheck) -> list[np.ndarray]:
    """By β in units of the spread of E; far enough apart to be told apart."""
    p = found.histogram / found.histogram.sum(axis=1, keepdims=True)
    spread = float(
        np.sqrt(p @ found.histogram_energy**2 - (p @ found.histogram_energy) ** 2).mean()
    )
    return [color_of(b * spread) for b in found.beta]
