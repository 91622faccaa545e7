"""Thermodynamic curves of several systems on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from thermo.curves import Curve, Measured
from thermo.plots.axis import mark_temperature_axis, position_of
from thermo.plots.style import STYLES, color_of

__all__ = ["plot_arch", "plot_effective_states", "plot_heat_capacity"]

Drawn = tuple[str, Curve, Curve | None]  # key into STYLES, the curve, its exact companion

_INK = "#333333"


def plot_arch(ax: Axes, systems: Sequence[Drawn], *, tangents: Sequence[float] = ()) -> Axes:
    """Entropy against energy: the arch, whose slope is β.

    Parameters
    ----------
    ax : Axes
    systems : sequence of (style key, curve, exact curve or None)
        Points are drawn from the curve, the line from its exact companion if there is one.
    tangents : sequence of float
        Natural β at which a short tangent of that slope is drawn on the first system.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from thermo.canonical import canonical
    >>> from thermo.curves import exact_curve
    >>> from thermo.levels import EnergyLevels
    >>> levels = EnergyLevels([-1.0, 1.0])
    >>> curve = exact_curve("paramagnet", canonical(levels, np.linspace(3, -3, 31)), unit="spin",
    ...                     origin=0.0, scale=1.0, log_states=levels.log_states)
    >>> ax = plot_arch(Figure().subplots(), [("paramagnet", curve, None)], tangents=[0.0])
    >>> ax.get_ylabel()
    'entropy  (S − S₀) / k   per unit'
    """
    for key, curve, exact in systems:
        line = exact if exact is not None else curve
        top = _reference_entropy(line)
        order = np.argsort(-line.b)
        ax.plot(
            line.energy.value[order],
            (line.entropy.value - top)[order],
            linestyle=STYLES[key].line,
            color=_INK,
            linewidth=1.8,
        )
        _points(ax, key, curve.energy.value, curve.entropy.value - top, curve, curve.entropy.error)
    if systems:
        first = systems[0][2] or systems[0][1]
        for b in tangents:
            u = float(np.interp(-b, -first.b, first.energy.value))
            s = float(np.interp(-b, -first.b, first.entropy.value)) - _reference_entropy(first)
            half = 0.3 / np.hypot(1.0, b)
            color = tuple(color_of(b))
            ax.plot(
                [u - half, u + half],
                [s - b * half, s + b * half],
                color=color,
                linewidth=5,
                solid_capstyle="round",
                zorder=4,
            )
            name = "β = 0" if b == 0 else ("β > 0" if b > 0 else "β < 0")
            ax.annotate(
                name,
                (u, s),
                xytext=(0, 12) if b == 0 else (-14 if b > 0 else 14, 6),
                textcoords="offset points",
                ha="center" if b == 0 else ("right" if b > 0 else "left"),
                color=color,
                fontweight="bold",
                zorder=5,
            )
    ax.set_xlabel("energy  (U − U₀) / σ₀   per unit")
    ax.set_ylabel("entropy  (S − S₀) / k   per unit")
    return ax


def plot_heat_capacity(ax: Axes, systems: Sequence[Drawn]) -> Axes:
    """Heat capacity along the axis of hotness.

    Parameters
    ----------
    ax : Axes
    systems : sequence of (style key, curve, exact curve or None)

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from thermo.canonical import canonical
    >>> from thermo.curves import exact_curve
    >>> from thermo.levels import EnergyLevels
    >>> levels = EnergyLevels([-1.0, 1.0])
    >>> curve = exact_curve("paramagnet", canonical(levels, np.linspace(3, -3, 31)), unit="spin",
    ...                     origin=0.0, scale=1.0, log_states=levels.log_states)
    >>> ax = plot_heat_capacity(Figure().subplots(), [("paramagnet", curve, None)])
    >>> ax.get_ylabel()
    'heat capacity  C / k   per unit'
    """
    for key, curve, exact in systems:
        _along_hotness(ax, (key, curve, exact), "heat_capacity")
        if curve.ends:
            hottest = int(np.argmin(curve.b))
            ax.annotate(
                "no upper bound:\nends at β = 0",
                (position_of(curve.b[hottest]), curve.heat_capacity.value[hottest]),
                xytext=(14, 62),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-|>", "color": _INK},
                color=_INK,
                fontsize="small",
            )
    mark_temperature_axis(ax)
    ax.set_yscale("log")  # from one spin to a vocabulary; C = 0 at β = 0 and ±∞ is off the scale
    highest = max(np.max(curve.heat_capacity.value) for _, curve, _ in systems)
    ax.set_ylim(0.01, 6.0 * highest)
    ax.set_ylabel("heat capacity  C / k   per unit")
    return ax


def plot_effective_states(ax: Axes, systems: Sequence[Drawn]) -> Axes:
    """Share of the states in use, S/S₀ = ln W_eff / ln W, along the axis of hotness.

    A system whose number of states has no end has no such share and is left out.

    Parameters
    ----------
    ax : Axes
    systems : sequence of (style key, curve, exact curve or None)

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from thermo.canonical import canonical
    >>> from thermo.curves import exact_curve
    >>> from thermo.levels import EnergyLevels
    >>> levels = EnergyLevels([-1.0, 1.0])
    >>> curve = exact_curve("paramagnet", canonical(levels, np.linspace(3, -3, 31)), unit="spin",
    ...                     origin=0.0, scale=1.0, log_states=levels.log_states)
    >>> ax = plot_effective_states(Figure().subplots(), [("paramagnet", curve, None)])
    >>> ax.get_ylabel()
    'effective states  ln W$_{eff}$ / ln W'
    """
    for key, curve, exact in systems:
        if np.isfinite(curve.log_states):
            _along_hotness(ax, (key, curve, exact), "entropy", unit=curve.log_states)
    mark_temperature_axis(ax)
    ax.set_ylim(-0.03, 1.27)  # the legend above the curves
    ax.set_yticks(np.linspace(0.0, 1.0, 6))
    ax.set_ylabel("effective states  ln W$_{eff}$ / ln W")
    return ax


def legend_handle(key: str, label: str) -> Line2D:
    """A legend entry in the style of a system, in neutral colour."""
    style = STYLES[key]
    return Line2D(
        [],
        [],
        linestyle=style.line,
        color=_INK,
        marker=style.marker,
        markersize=style.size,
        markerfacecolor="white",
        markeredgecolor=_INK,
        linewidth=1.8,
        label=label.replace("$", r"\$"),  # a name is no formula
    )


def _reference_entropy(curve: Curve) -> float:
    """S₀, or for a system without one ln 2: that of two levels with its own lowest gap."""
    return curve.log_states if np.isfinite(curve.log_states) else float(np.log(2.0))


def _along_hotness(ax: Axes, system: Drawn, quantity: str, unit: float = 1.0) -> None:
    """A quantity of one system along the axis: line, spread between realisations, points."""
    key, curve, exact = system
    line = exact if exact is not None else curve
    order = np.argsort(-line.b)
    ax.plot(
        position_of(line.b)[order],
        (getattr(line, quantity).value / unit)[order],
        linestyle=STYLES[key].line,
        color=_INK,
        linewidth=1.8,
    )
    measured: Measured = getattr(curve, quantity)
    _band(ax, curve, quantity, unit)
    _points(ax, key, position_of(curve.b), measured.value / unit, curve, measured.error / unit)


def _points(
    ax: Axes, key: str, x: np.ndarray, y: np.ndarray, curve: Curve, error: np.ndarray
) -> None:
    style = STYLES[key]
    finite = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    # Sampled points are all drawn; markers at every point of a dense curve would hide its line.
    some = finite if finite.size <= 60 else finite[:: finite.size // 24]
    colors: Any = color_of(curve.b[some])  # one per point; the stubs know a single colour only
    if error.any():
        x_error = curve.energy.error[some] if x is curve.energy.value else None
        ax.errorbar(
            x[some],
            y[some],
            xerr=x_error,
            yerr=error[some],
            fmt="none",
            ecolor=colors,
            elinewidth=2.2,
            zorder=2.9,
        )
    ax.scatter(
        x[some],
        y[some],
        s=style.size**2,
        marker=style.marker,
        c=colors,
        edgecolors="white",
        linewidths=0.8,
        zorder=3,
    )


def _band(ax: Axes, curve: Curve, quantity: str, unit: float) -> None:
    """Spread between disorder realisations, 10 % to 90 %."""
    if quantity in curve.spread:
        low, high = curve.spread[quantity] / unit
        order = np.argsort(-curve.b)
        ax.fill_between(
            position_of(curve.b)[order], low[order], high[order], color="#9a9a9a", alpha=0.25, lw=0
        )
