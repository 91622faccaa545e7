"""The pictures of the comparison: six panels, together and each alone for a lecture hall."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from llm_bridge.model_side import NoiseRow
from thermo.plots import (
    STYLES,
    lecture_style,
    plot_arch,
    plot_effective_states,
    plot_heat_capacity,
    plot_occupation,
    position_of,
)
from thermo.plots.curves import legend_handle

if TYPE_CHECKING:
    from llm_bridge.compare import Comparison
    from llm_bridge.system import System

__all__ = ["PANELS", "overview", "panel_png", "plot_noise"]

_INK = "#333333"
_LEFT_OUT = {"spins": ("logits",), "effective_states": ("unbounded",)}  # kinds a panel lacks


def overview(comparison: Comparison) -> Figure:
    """All six panels in one picture.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        22 × 12.5 inches; ``figure.savefig`` writes it.
    """
    with lecture_style(0.86):
        figure = Figure(figsize=(22, 13.2))
        axes = figure.subplots(2, 3)
        for ax, (title, draw) in zip(axes.ravel(), PANELS.values(), strict=True):
            draw(ax, comparison)
            ax.set_title(title, pad=14)
        figure.legend(
            handles=_handles(comparison.systems), loc="outside lower center", ncols=4, fontsize=17
        )
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def panel_png(comparison: Comparison, name: str) -> bytes:
    """One panel alone, 12.5 inches wide, as PNG.

    Parameters
    ----------
    comparison : Comparison
    name : str
        A key of ``PANELS``.

    Returns
    -------
    bytes
    """
    title, draw = PANELS[name]
    with lecture_style():
        figure = Figure(figsize=(12.5, 8.6))
        ax = figure.subplots()
        draw(ax, comparison)
        ax.set_title(title, pad=16)
        if name not in ("tokens", "noise"):
            drawn = [s for s in comparison.systems if s.kind not in _LEFT_OUT.get(name, ())]
            figure.legend(handles=_handles(drawn), loc="outside lower center", ncols=2)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def plot_noise(ax: Axes, rows: Sequence[NoiseRow]) -> Axes:
    """Fitted temperature of weight noise, and how much the noise draws disagree.

    Parameters
    ----------
    ax : Axes
        A second vertical axis is added at its right.
    rows : sequence of NoiseRow

    Returns
    -------
    Axes
    """
    sigma = np.array([row.sigma for row in rows])
    style = STYLES["weight noise"]
    temperature = ax.errorbar(
        sigma,
        [row.effective.temperature for row in rows],
        yerr=[row.effective.temperature_error for row in rows],
        color="#7f0000",
        marker=style.marker,
        markersize=style.size,
        capsize=5,
        label="fitted T (softmax closest to the mean)",
    )
    ax.axhline(1.0, color="#8c8c8c", linewidth=1.2, zorder=0)
    ax.set_xlabel("weight noise  σ / rms of each tensor")
    ax.set_ylabel("effective temperature  T", color="#7f0000")
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    right.grid(False)
    disagreement = right.errorbar(
        sigma,
        [row.effective.disagreement for row in rows],
        yerr=[row.effective.disagreement_error for row in rows],
        color="#08306b",
        linestyle="--",
        marker="o",
        markersize=9,
        capsize=5,
        label="disagreement between draws",
    )
    residual = right.errorbar(
        sigma,
        [row.effective.residual_kl for row in rows],
        yerr=[row.effective.residual_kl_error for row in rows],
        color="#4d4d4d",
        linestyle=":",
        marker="s",
        markersize=8,
        capsize=5,
        label="residual: not a temperature",
    )
    right.set_ylabel("nats per position", color="#08306b")
    ax.legend(handles=[temperature, disagreement, residual], loc="upper left")
    # Room for the legend above the curves on both axes.
    for axis in (ax, right):
        low, high = axis.get_ylim()
        axis.set_ylim(low, low + 1.45 * (high - low))
    return ax


def _arch(ax: Axes, comparison: Comparison) -> None:
    drawn = [(s.kind, s.curve, s.exact) for s in comparison.systems]
    plot_arch(ax, drawn, tangents=(0.62, 0.0, -0.62))
    ax.set_xlim(-1.62, 1.62)
    ax.set_ylim(-0.92, 0.42)
    u = np.linspace(-1.25, 1.25, 101)
    ax.plot(u, -(u**2) / 2, color="#bdbdbd", linewidth=7, alpha=0.6, zorder=0.5)
    ax.annotate(
        "grey: −u²/2, the parabola\ncommon to bounded\nsystems near β = 0",
        (0.0, 0.0),
        (-1.58, 0.24),
        ha="left",
        fontsize="small",
        color="#555555",
    )
    ax.annotate(
        "no upper bound:\nrises for ever, β > 0",
        (0.45, 0.33),
        (0.45, 0.30),
        ha="left",
        fontsize="small",
        color=_INK,
    )
    inset = ax.inset_axes((0.36, 0.07, 0.30, 0.33))
    logits = comparison.model_system
    plot_arch(inset, [(logits.kind, logits.curve, None)])
    for row in comparison.noise:
        inset.plot(
            row.energy.value,
            row.entropy.value - logits.curve.log_states,
            STYLES["weight noise"].marker,
            markersize=9,
            color="#111111",
            zorder=5,
        )
    inset.set(xlabel="", ylabel="")
    inset.tick_params(labelsize="xx-small")
    inset.set_title(
        "language model, whole arch" + (" (★ noise)" if comparison.noise else ""),
        fontsize="xx-small",
        fontweight="normal",
        loc="center",
    )


def _boltzmann_spins(ax: Axes, comparison: Comparison) -> None:
    for system in comparison.systems[:-1]:
        plot_occupation(ax, system.occupations, system.kind, label=system.kind == "ising")
    ax.set_xlim(-3.3, 3.3)  # room for the names beside the lines


def _boltzmann_tokens(ax: Axes, comparison: Comparison) -> None:
    plot_occupation(ax, comparison.model_system.occupations, "logits")
    shown = comparison.noise[len(comparison.noise) // 2 :: 2]
    plot_occupation(ax, [row.occupation for row in shown], "weight noise")
    if shown:
        ax.legend(handles=[_noise_handle("weight noise, mean of draws")], loc="lower right")
    ax.set_ylabel("occupation  ln p + ln Z   per position")


def _heat_capacity(ax: Axes, comparison: Comparison) -> None:
    plot_heat_capacity(ax, [(s.kind, s.curve, s.exact) for s in comparison.systems])
    _noise_stars(ax, comparison, [float(row.heat_capacity.value) for row in comparison.noise])


def _effective_states(ax: Axes, comparison: Comparison) -> None:
    plot_effective_states(ax, [(s.kind, s.curve, s.exact) for s in comparison.systems])
    most = comparison.model_system.curve.log_states
    _noise_stars(ax, comparison, [float(row.entropy.value) / most for row in comparison.noise])


def _noise_stars(ax: Axes, comparison: Comparison, ordinate: Sequence[float]) -> None:
    """Mean distributions under weight noise, each at the β fitted to it; what the band is."""
    handles: list[Artist] = [Patch(color="#9a9a9a", alpha=0.4, label="80 % of contexts")]
    if ordinate:
        scale = comparison.model_system.curve.scale
        x = position_of([row.effective.beta * scale for row in comparison.noise])
        style = STYLES["weight noise"]
        ax.plot(x, ordinate, style.marker, markersize=style.size, color="#111111", zorder=5)
        handles.append(_noise_handle("weight noise"))
    ax.legend(handles=handles, loc="upper right")


def _noise_handle(label: str) -> Line2D:
    style = STYLES["weight noise"]
    return Line2D(
        [],
        [],
        marker=style.marker,
        markersize=style.size,
        color="#111111",
        linestyle="none",
        label=label,
    )


def _noise(ax: Axes, comparison: Comparison) -> None:
    if comparison.noise:
        plot_noise(ax, comparison.noise)
    else:
        ax.set_axis_off()
        ax.text(0.5, 0.5, comparison.no_noise_reason, ha="center", va="center", wrap=True)


def _handles(systems: Sequence[System]) -> list[Line2D]:
    return [legend_handle(s.kind, f"{s.curve.name} (per {s.curve.unit})") for s in systems]


PANELS: dict[str, tuple[str, Callable[[Axes, Comparison], None]]] = {
    "arch": ("Entropy against energy: the slope is β", _arch),
    "spins": ("Boltzmann plot: the slope is −β", _boltzmann_spins),
    "tokens": ("Boltzmann plot, tokens", _boltzmann_tokens),
    "heat_capacity": ("Heat capacity", _heat_capacity),
    "effective_states": ("Effective states", _effective_states),
    "noise": ("Noise on the weights: a temperature?", _noise),
}
