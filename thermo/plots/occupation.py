"""The Boltzmann plot: ln(p/g) against energy, a straight line of slope −β."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from thermo.occupation import Occupation
from thermo.plots.style import STYLES, color_of

__all__ = ["plot_occupation"]


def plot_occupation(ax: Axes, lines: Sequence[Occupation], key: str, *, label: bool = True) -> Axes:
    """Draw Boltzmann lines with the slope fitted to them.

    Parameters
    ----------
    ax : Axes
    lines : sequence of Occupation
    key : str
        System kind, a key of ``STYLES``.
    label : bool
        Write each line's name where it is highest; those too level to tell apart stay unnamed.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from thermo.levels import EnergyLevels
    >>> from thermo.occupation import occupation
    >>> from thermo.populations import Populations
    >>> levels = EnergyLevels([-1.0, 1.0])
    >>> line = occupation("inverted", Populations(levels, [0.2, 0.8]), levels, beta=float("nan"),
    ...                   origin=0.0, scale=1.0)
    >>> plot_occupation(Figure().subplots(), [line], "paramagnet").get_xlabel()
    'energy  (E − U₀) / σ₀   per unit'
    """
    style = STYLES[key]
    for line in lines:
        color = tuple(color_of(line.fitted_b))
        if np.isfinite(line.fitted_b):
            ends = np.array([min(line.u.min(), 0.0), max(line.u.max(), 0.0)])
            ax.plot(ends, -line.fitted_b * ends, color=color, linewidth=2.2)
        if line.spread is not None:
            ax.fill_between(line.u, *line.spread, color=color, alpha=0.18, linewidth=0)
        ax.errorbar(
            line.u,
            line.y,
            yerr=line.error if line.error.any() else None,
            marker=style.marker,
            markersize=style.size,
            color=color,
            markeredgecolor="white",
            markeredgewidth=0.8,
            capsize=3,
            linestyle="none",
            zorder=3,
        )
        if label and not abs(line.fitted_b) < 0.6:
            end = int(np.argmax(line.y))
            left = line.u[end] < 0
            ax.annotate(
                line.name,
                (line.u[end], line.y[end]),
                textcoords="offset points",
                xytext=(-12 if left else 12, 0),
                ha="right" if left else "left",
                va="center",
                color=color,
                fontweight="bold",
            )
    ax.margins(x=0.4, y=0.08)  # room for the names
    ax.axhline(0.0, color="#8c8c8c", linewidth=1.2, zorder=0)
    ax.set_xlabel("energy  (E − U₀) / σ₀   per unit")
    ax.set_ylabel("occupation  ln(p/g) + ln Z   per unit")
    return ax
