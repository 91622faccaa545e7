r"""A field reversed: M, E, β, T and S on their way, and spins that agree on one temperature.

Energies are in units of the field \|h\|, temperatures in \|h\|/k.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thermo.laboratory.measured import Measured
from thermo.laboratory.reversal_findings import SpinReversal
from thermo.plots.coloured_line import plot_along_beta
from thermo.plots.style import color_of, lecture_style
from thermo.temperature import temperature_from_beta

__all__ = [
    "plot_agreement",
    "plot_beta",
    "plot_energy",
    "plot_entropy",
    "plot_entropy_against_energy",
    "plot_magnetization",
    "plot_populations",
    "plot_temperature",
    "spin_reversal_picture",
]

_INK, _PALE = "#333333", "#8c8c8c"


def spin_reversal_picture(found: SpinReversal) -> Figure:
    """What one sees (M, E, β, T) above what is behind it (agreement, populations, entropy).

    Parameters
    ----------
    found : SpinReversal

    Returns
    -------
    matplotlib.figure.Figure
        26 × 12 inches.
    """
    with lecture_style():
        figure = Figure(figsize=(26, 12))
        axes = figure.subplots(2, 4)
        panels = (
            plot_magnetization,
            plot_energy,
            plot_beta,
            plot_temperature,
            plot_agreement,
            plot_populations,
            plot_entropy,
            plot_entropy_against_energy,
        )
        for ax, panel in zip(axes.flat, panels, strict=True):
            panel(ax, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_magnetization(ax: Axes, found: SpinReversal) -> Axes:
    """M/M₀ against time, beside spins without couplings and, if there is one, the master equation.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    t, start = _times(found), abs(found.magnetization.value[0])
    ax.plot(t, found.independent_spins, "--", color=_PALE, label="without couplings")
    if found.master is not None:
        exact = found.master.magnetization
        ax.plot(t, exact / abs(exact[0]), color=_INK, label="master equation")
    _points(ax, found, found.magnetization * (1.0 / start), "Monte Carlo")
    _mark_zero(ax, found)
    ax.set(
        xlabel="time  t / T₁",
        ylabel="magnetisation  M / M₀",
        title="The field is reversed at t = 0",
    )
    ax.legend(loc="lower right")
    return ax


def plot_energy(ax: Axes, found: SpinReversal) -> Axes:
    """E/N against time: the heat that goes to the bath, and at first a little to the demon.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    t, per_field = _times(found), 1.0 / abs(found.model.field)
    if found.master is not None:
        ax.plot(t, found.master.energy * per_field, color=_INK, label="master equation")
    _points(ax, found, found.energy * per_field, "Monte Carlo")
    _mark_zero(ax, found)
    ax.set(
        xlabel="time  t / T₁",
        ylabel="energy per spin  E / N|h|",
        title="Energy goes to the bath",
    )
    ax.legend(loc="upper right")
    return ax


def plot_beta(ax: Axes, found: SpinReversal) -> Axes:
    """β against time by both thermometers: it passes through 0.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    t, field = _times(found), abs(found.model.field)
    after = t > 0.0  # at t = 0 the demon still has what it had before
    b, error = field * found.beta_populations.value, field * found.beta_populations.error
    ax.plot(t, b, color=_INK, label="from the populations")
    ax.fill_between(t, b - error, b + error, color=_INK, alpha=0.3, linewidth=0)
    _points(ax, found, found.beta_demon * field, "a demon", after)
    if found.master is not None:
        ax.plot(
            t, field * found.master.beta_demon, ":", color=_INK, label="master equation (demon)"
        )
    _mark_zero(ax, found)
    ax.set(
        xlabel="time  t / T₁",
        ylabel="inverse temperature  β |h|",
        title=_title(found, "β passes through 0 …", "Thermometers disagree"),
    )
    ax.legend(loc="lower right")
    return ax


def plot_temperature(ax: Axes, found: SpinReversal) -> Axes:
    """T against time: it leaves to −∞ and comes back from +∞.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    t, b = _times(found), _unit(found) * found.beta_populations.value
    temperature = temperature_from_beta(abs(found.model.field) * found.beta_populations.value)
    most = 12.0
    for side in (b < 0.0, b > 0.0):
        plot_along_beta(ax, t[side], temperature[side], b[side])
    ax.axhline(0.0, color=_INK, linewidth=1.2)
    _mark_zero(ax, found)
    when = float(found.zero_of_beta.value) / found.relaxation_time
    if np.isfinite(when):
        ax.text(when + 0.03 * t[-1], -0.9 * most, "−∞", color=color_of(-0.5), fontsize=26,
                va="center")  # fmt: skip
        ax.text(when + 0.13 * t[-1], 0.9 * most, "+∞", color=color_of(0.5), fontsize=26,
                va="center")  # fmt: skip
    ax.set(
        xlabel="time  t / T₁",
        ylabel="temperature  kT / |h|",
        title=_title(found, "… and T through ∞, never 0", "T of the populations alone"),
        ylim=(-most, most),
        xlim=(-0.05 * t[-1], 1.05 * t[-1]),
    )
    return ax


def plot_agreement(ax: Axes, found: SpinReversal) -> Axes:
    """The temperatures in the field, of the couplings and of the demon, becoming one.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    t, unit, field = _times(found), _unit(found), abs(found.model.field)
    internal = float(found.internal_time.value) / found.relaxation_time
    end = min(8.0 * internal, t[-1]) if np.isfinite(internal) else t[-1]
    early = t <= max(end, t[8])
    for course, marker, label in (
        (found.beta_couplings, "s", "of the couplings"),
        (found.beta_demon, "o", "of the demon"),
        (found.beta_field, "D", "in the field"),
        *([(found.beta_populations, "^", "of the spins")] * (found.model.coupling == 0.0)),
    ):
        if np.isfinite(course.value).all():
            shown = course[early]
            ax.errorbar(t[early], field * shown.value, field * shown.error, color=_PALE, fmt="none",
                        elinewidth=1.5)  # fmt: skip
            ax.plot(t[early], field * shown.value, color=_PALE, linewidth=1.2, zorder=1)
            ax.scatter(t[early], field * shown.value, c=color_of(unit * shown.value),
                       marker=marker, s=80, zorder=3)  # fmt: skip
            ax.plot([], [], marker, color=_INK, markersize=9, label=label)
    ax.axhline(0.0, color=_INK, linewidth=1.2)
    ax.set(
        xlabel="time  t / T₁",
        ylabel="inverse temperature  β |h|",
        title=_title(found, "First, one temperature within T₂", "Not one temperature"),
    )
    ax.locator_params(axis="x", nbins=5)
    ax.legend(loc="best")
    return ax


def plot_populations(ax: Axes, found: SpinReversal) -> Axes:
    """ln(n↑/n↓) of every class of spins against its energy: a line through 0 has a temperature.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    t, unit = _times(found), _unit(found)
    fields = found.local_field / abs(found.model.field)
    lowest, highest = min(0.0, 2.0 * fields.min()), max(0.0, 2.0 * fields.max())
    span = highest - lowest
    for when, marker in ((0.0, "o"), (0.15, "s"), (0.5 * t[-1], "D")):
        k = int(np.argmin(np.abs(t - when)))
        colour = color_of(unit * found.beta_populations.value[k])
        ratio, error = found.log_ratio.value[k], found.log_ratio.error[k]
        several = k == 0 and found.model.coupling != 0.0
        label = f"t = {t[k]:.2g} T₁" if k else "t = 0" + ": no temperature" * several
        ax.errorbar(2.0 * fields, ratio, error, color=colour, fmt=marker, markersize=10,
                    capsize=4, label=label)  # fmt: skip
        slope = abs(found.model.field) * found.beta_populations.value[k]
        if not several and np.isfinite(slope):
            through = np.array([lowest, highest])
            ax.plot(through, through * slope, color=colour, linewidth=2.0)
    ax.axhline(0.0, color=_INK, linewidth=1.2)
    ax.set(
        xlabel="energy to turn a spin down  2ε / |h|",
        ylabel="ln (spins up / spins down)",
        title=_title(found, "A line through 0, of slope β", "The best line through 0"),
        xlim=(lowest - 0.05 * (lowest < 0.0) * span, highest + 0.05 * (highest > 0.0) * span),
    )
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.35 * (high - low))  # for the legend
    ax.legend(loc="upper left")
    return ax


def plot_entropy(ax: Axes, found: SpinReversal) -> Axes:
    """S/N against time, largest where β passes through 0.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    if found.master is not None:
        ax.plot(_times(found), found.master.entropy, color=_INK, label="Gibbs, master equation")
    if np.isfinite(found.entropy.value).any():
        _points(ax, found, found.entropy, "ln 2 + ∫ β dE")
    ax.axhline(np.log(2.0), color=_PALE, linewidth=1.6, linestyle=(0, (4, 3)), zorder=0)
    _mark_zero(ax, found)
    ax.set(
        xlabel="time  t / T₁",
        ylabel="entropy per spin  S / Nk",
        title=_entropy_title(found, "Entropy is largest on the way"),
        ylim=(0.0, 0.8),
    )
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower center")
    return ax


def plot_entropy_against_energy(ax: Axes, found: SpinReversal) -> Axes:
    """S/N against E/N: over the top of the arch from the hot side to the cold one.

    Parameters
    ----------
    ax : Axes
    found : SpinReversal

    Returns
    -------
    Axes
    """
    per_field = 1.0 / abs(found.model.field)
    e, s = per_field * found.energy.value, found.entropy.value
    known = np.isfinite(s)
    if known.any():
        b = _unit(found) * found.beta_populations.value
        plot_along_beta(ax, e[known], s[known], b[known], width=6.0)
        ax.fill_between(e, s - found.entropy.error, s + found.entropy.error, color=_PALE, alpha=0.4)
        for k in np.flatnonzero(known)[[0, -1]]:
            inwards = 12 if e[k] < 0.0 else -12
            label = f"t = {_times(found)[k]:.1g} T₁" if k else "t = 0"
            ax.annotate(label, (e[k], s[k]), (inwards, 0),
                        textcoords="offset points", va="center",
                        ha="left" if inwards > 0 else "right")  # fmt: skip
        ends = (e[0] * 0.85, e[0] * 0.35)
        ax.annotate("", (ends[1], 0.73), (ends[0], 0.73),
                    arrowprops={"arrowstyle": "->", "color": _INK, "linewidth": 2.0})  # fmt: skip
        ax.text(sum(ends) / 2.0, 0.745, "heat to the bath", ha="center", fontsize=15)
    if found.master is not None:
        exact = found.master
        ax.plot(per_field * exact.energy, exact.entropy, color=_INK, label="Gibbs (exact)")
        ax.legend(loc="center")
    ax.set(
        xlabel="energy per spin  E / N|h|",
        ylabel="entropy per spin  S / Nk",
        title=_entropy_title(found, "… over the top of the arch"),
        ylim=(0.0, 0.8),
    )
    ax.margins(x=0.12)
    return ax


def _entropy_title(found: SpinReversal, known: str) -> str:
    return known if np.isfinite(found.entropy.value).any() else "No temperature, no ∫ β dE"


def _title(found: SpinReversal, one: str, several: str) -> str:
    """What a panel shows where the spins had one temperature, and where they had not."""
    return one if found.has_temperature else several


def _times(found: SpinReversal) -> NDArray[np.float64]:
    return np.asarray(found.time / found.relaxation_time)


def _unit(found: SpinReversal) -> float:
    """σ₀ per spin, of which colours are made: the energy varies by h² and J² for each bond."""
    model = found.model
    bonds = model.lattice.n_edges / model.lattice.n_sites
    return float(np.hypot(model.field, model.coupling * np.sqrt(bonds)))


def _points(
    ax: Axes,
    found: SpinReversal,
    course: Measured,
    label: str,
    shown: slice | NDArray = slice(None),
) -> None:
    """Points with error bars, coloured by the β of the populations."""
    t = _times(found)[shown]
    colours = color_of(_unit(found) * found.beta_populations.value[shown])
    value, error = course.value[shown], course.error[shown]
    ax.errorbar(t, value, error, fmt="none", ecolor=colours, elinewidth=2.0)  # type: ignore[arg-type]
    ax.scatter(t, value, c=colours, s=45, zorder=3)
    ax.plot([], [], "o", color=color_of(-1.0), markersize=8, label=label)


def _mark_zero(ax: Axes, found: SpinReversal) -> None:
    """Where β = 0."""
    ax.axhline(0.0, color=_INK, linewidth=1.2)
    when = float(found.zero_of_beta.value) / found.relaxation_time
    if np.isfinite(when):
        ax.axvline(when, color=_PALE, linewidth=1.6, linestyle=(0, (4, 3)), zorder=0)
