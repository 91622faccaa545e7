"""Heat engines between baths of any sign: their cycles, where energy goes, two efficiencies."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermo.canonical import canonical
from thermo.laboratory.engine import Engine
from thermo.laboratory.engine_cycles import Cycle
from thermo.plots.style import color_of, lecture_style

__all__ = ["engine_picture", "plot_cycle", "plot_efficiencies", "plot_energy_flows"]

_INK = "#333333"
_HATCH = "//"
_GREY = (0.45, 0.45, 0.45, 1.0)
_STEPS = 200


def engine_picture(found: Engine) -> Figure:
    """Both cycles, the energy of every engine, and efficiency over the ratio of the baths' β.

    Parameters
    ----------
    found : Engine

    Returns
    -------
    matplotlib.figure.Figure
        15 × 11 inches; ``figure.savefig`` writes it.
    """
    with lecture_style():
        figure = Figure(figsize=(15, 11))
        (carnot, otto), (flows, efficiencies) = figure.subplots(2, 2)
        plot_cycle(carnot, found, found.carnot)
        plot_cycle(otto, found, found.otto)
        plot_energy_flows(flows, found)
        plot_efficiencies(efficiencies, found)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_cycle(ax: Axes, found: Engine, cycle: Cycle) -> Axes:
    """A cycle in the plane of field h and magnetization −U/h, in which work is area.

    Contact with a bath has the colour of its β, as a full line with the hot bath and a hollow one
    with the cold bath; grey strokes are adiabats, and broken ones reverse the field.

    Parameters
    ----------
    ax : Axes
    found : Engine
    cycle : Cycle

    Returns
    -------
    Axes
    """
    reach = 1.25 * max(abs(h) for stroke in cycle.strokes for h in stroke.field)
    low = -reach if any(h < 0.0 for stroke in cycle.strokes for h in stroke.field) else 0.0
    everywhere = np.linspace(low, reach, 2 * _STEPS)
    for beta in cycle.baths:
        ax.plot(everywhere, _magnetization(found, beta * everywhere), linewidth=1.4,
                color=color_of(beta), linestyle=(0, (2, 2)))  # fmt: skip
    for stroke in cycle.strokes:
        h = np.linspace(stroke.field[0], stroke.field[1], _STEPS)
        color = np.asarray(_GREY) if stroke.bath is None else color_of(stroke.bath)
        if stroke.bath is not None and stroke.kind == "isotherm":
            m = _magnetization(found, stroke.bath * h)
        else:  # a straight line
            ends = _magnetization(found, np.asarray(stroke.reduced))
            m = np.linspace(ends[0], ends[1], _STEPS)
        ax.plot(h, m, color=color, linewidth=4.5, solid_capstyle="round",
                linestyle=(0, (4, 1.5)) if stroke.reverses_field else "-")  # fmt: skip
        if stroke.bath == cycle.baths[-1]:
            ax.plot(h, m, color="white", linewidth=1.6)
        _arrow(ax, h, m, color)
    sign = "delivers" if cycle.delivered > 0.0 else "takes"
    ax.set(
        xlabel="field  $h$",
        ylabel="magnetization  $-U/h$",
        title=f"{cycle.name} {sign} the area: {abs(cycle.delivered):.3g}",
        xlim=(low, reach),
    )
    ax.margins(y=0.2)
    names = ("hot (full)", "cold (hollow)")
    for beta, name, y in zip(cycle.baths, names, (0.02, 0.98), strict=True):
        ax.text(
            0.98, y, rf"{name}: $\beta = {beta:g}$", transform=ax.transAxes, ha="right",
            va="bottom" if y < 0.5 else "top", color=color_of(beta), fontweight="bold",
        )  # fmt: skip
    return ax


def plot_energy_flows(ax: Axes, found: Engine) -> Axes:
    """Heat from each bath and work delivered, of every cycle, by all energy that goes in.

    Bars of the cold bath are hatched.

    Parameters
    ----------
    ax : Axes
    found : Engine

    Returns
    -------
    Axes
    """
    cycles = (found.carnot, found.otto, *found.single)
    for place, cycle in enumerate(cycles):
        flows = [*cycle.heats, -cycle.delivered]
        total = sum(max(flow, 0.0) for flow in flows) or 1.0
        colors = [*(color_of(beta) for beta in cycle.baths), _INK]
        hatches = [*(_HATCH if beta == found.cold else "" for beta in cycle.baths), ""]
        left = place - 0.27 * (len(flows) - 1) / 2.0
        for k, (flow, color, hatch) in enumerate(zip(flows, colors, hatches, strict=True)):
            height = -flow / total if k == len(flows) - 1 else flow / total
            ax.bar(left + 0.27 * k, height, width=0.25, color=color, hatch=hatch, edgecolor="white")
    names = ["Carnot", "Otto", "hot bath\nalone", "cold bath\nalone"]
    ax.set_xticks(range(4), names)
    ax.axhline(0.0, color=_INK, linewidth=1.2)
    ax.bar(0.0, 0.0, color=color_of(found.hot), label="heat of the hot bath")
    ax.bar(0.0, 0.0, color=color_of(found.cold), hatch=_HATCH, edgecolor="white",
           label="heat of the cold bath")  # fmt: skip
    ax.bar(0.0, 0.0, color=_INK, label="work delivered")
    ax.legend(loc="lower left")  # below −1, which no bar passes
    ax.set(ylabel="energy / energy put in", title="Where it comes from", ylim=(-2.1, 1.1))
    ax.set_yticks([-1.0, -0.5, 0.0, 0.5, 1.0])
    return ax


def plot_efficiencies(ax: Axes, found: Engine) -> Axes:
    """Both efficiencies of Carnot cycles against β_h/β_c, with a point for the baths asked for.

    Parameters
    ----------
    ax : Axes
    found : Engine

    Returns
    -------
    Axes
    """
    ax.plot(found.ratio, found.formal_efficiency, color=_INK, linestyle=(0, (4, 1.5)),
            label="work / heat of the hot bath")  # fmt: skip
    ax.plot(found.ratio, found.efficiency, color="#1b7837", linewidth=5.0, alpha=0.9,
            label="work / all heat taken in")  # fmt: skip
    here = found.hot / found.cold
    if found.ratio[0] <= here <= found.ratio[-1]:
        ax.plot(here, found.carnot.formal_efficiency, "o", color=_INK, markersize=12)
        ax.plot(here, found.carnot.efficiency, "o", color="#1b7837", markersize=12)
    for edge in (0.0, 1.0):
        ax.axvline(edge, color="#999999", linewidth=1.2, zorder=0)
    ax.axhline(0.0, color=_INK, linewidth=1.2)
    for place, text in ((-1.0, "$T_h < 0 < T_c$"), (0.5, "both\n$T > 0$"), (2.0, "both $T < 0$")):
        ax.text(place, -1.9, text, ha="center", va="bottom")
    ax.set(
        xlabel=r"$\beta_h/\beta_c = T_c/T_h$",
        ylabel="Carnot efficiency",
        title="More than 1, or just 1?",
        xlim=(found.ratio[0], found.ratio[-1]),
        ylim=(-2.1, 3.1),
    )
    ax.legend(loc="upper right")
    return ax


def _magnetization(found: Engine, reduced: np.ndarray) -> np.ndarray:
    return -canonical(found.levels, reduced).internal_energy


def _arrow(ax: Axes, h: np.ndarray, m: np.ndarray, color: np.ndarray) -> None:
    middle = _STEPS // 2
    ax.annotate(
        "", (h[middle + 4], m[middle + 4]), xytext=(h[middle - 4], m[middle - 4]),
        arrowprops={"arrowstyle": "-|>", "color": color, "mutation_scale": 34, "linewidth": 0},
    )  # fmt: skip
