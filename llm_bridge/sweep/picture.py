"""The picture of a sweep of temperature: four panels over the line from T = +0 to T = −0."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from thermo.curves import Measured
from thermo.plots.axis import position_of
from thermo.plots.style import color_of, lecture_style
from thermo.temperature import beta_from_temperature, temperature_from_beta

if TYPE_CHECKING:
    from llm_bridge.sweep.result import TemperatureSweep

__all__ = [
    "draw_panels",
    "plot_entropy",
    "plot_heat_capacity",
    "plot_perplexity",
    "plot_text_quality",
    "sweep_picture",
]

_INK, _GREY, _GREEN = "#333333", "#8c8c8c", "#2a7f3f"
_MARKS = (0.0, 0.3, 1.0, 3.0, np.inf, -3.0, -1.0, -0.3, -0.0)


def draw_panels(figure: Figure, sweep: TemperatureSweep) -> Figure:
    """Draw all four panels on a figure of about 18 × 12 inches."""
    panels = (plot_entropy, plot_heat_capacity, plot_perplexity, plot_text_quality)
    for ax, panel in zip(figure.subplots(2, 2).ravel(), panels, strict=True):
        panel(ax, sweep)
    return figure


def sweep_picture(sweep: TemperatureSweep) -> Figure:
    """All four panels.

    Parameters
    ----------
    sweep : TemperatureSweep

    Returns
    -------
    matplotlib.figure.Figure
        18 × 12.4 inches; ``figure.savefig`` writes it.
    """
    with lecture_style(0.86):
        figure = draw_panels(Figure(figsize=(18, 12.4)), sweep)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_entropy(ax: Axes, sweep: TemperatureSweep) -> Axes:
    """Entropy per token, reading and writing, with the effective vocabulary at the right.

    Parameters
    ----------
    ax : Axes
        A second vertical axis is added at its right.
    sweep : TemperatureSweep

    Returns
    -------
    Axes
    """
    _curve(ax, sweep, sweep.curve.entropy, "reading the text given")
    entropies = [text.entropy for text in sweep.texts if text.entropy is not None]
    _points(
        ax,
        sweep,
        [float(s.mean) for s in entropies],
        [[float(s.error)] * 2 for s in entropies],
        "writing",
    )
    ax.axhline(np.log(sweep.vocabulary), color=_GREY, linewidth=1.4, linestyle=(0, (5, 3)))
    ax.set(title="Entropy", ylabel="S / k per token", ylim=(0, 1.16 * np.log(sweep.vocabulary)))
    right = ax.secondary_yaxis("right", functions=(np.exp, _log))
    decades = 10 ** np.arange(int(np.log10(sweep.vocabulary)) + 1)
    right.set_yticks(decades, [f"{n:,}" for n in decades])
    right.set_ylabel("effective vocabulary  exp S")
    ax.legend(loc="upper left", ncols=2)
    return _temperatures(ax)


def plot_heat_capacity(ax: Axes, sweep: TemperatureSweep) -> Axes:
    """Heat capacity per token of the model reading, with its peaks.

    Parameters
    ----------
    ax : Axes
    sweep : TemperatureSweep

    Returns
    -------
    Axes
    """
    capacity = sweep.curve.heat_capacity
    _curve(ax, sweep, capacity)
    for peak in sweep.peaks:
        if peak is None:
            continue
        color = tuple(color_of(peak.beta * sweep.scale))
        x = float(position_of(peak.beta))
        ax.errorbar(x, peak.height, yerr=peak.height_error, fmt="o", color=color, capsize=5)
        temperature = f"{float(temperature_from_beta(peak.beta)):.2f}".replace("-", "−")
        ax.annotate(
            f"peak at T = {temperature}",
            (x, peak.height + peak.height_error),
            xytext=(0, 10),
            textcoords="offset points",
            ha="center",
            color=color,
            fontweight="bold",
        )
    ax.set(title="Heat capacity", ylabel="C / k per token")
    ax.set_ylim(0, 1.2 * float(np.max(capacity.value + capacity.error)))
    return _temperatures(ax)


def plot_perplexity(ax: Axes, sweep: TemperatureSweep) -> Axes:
    """Perplexity under the clean model of what is written at every temperature.

    Parameters
    ----------
    ax : Axes
    sweep : TemperatureSweep

    Returns
    -------
    Axes
    """
    _curve(ax, sweep, sweep.curve.cross_entropy, "in contexts of the text", shown_as=np.exp)
    mean = np.array([text.perplexity for text in sweep.texts])
    error = np.array([float(text.cross_entropy.error) for text in sweep.texts])
    bars = np.stack([mean - mean * np.exp(-error), mean * np.exp(error) - mean], axis=1)
    _points(ax, sweep, mean, bars, "in contexts of its own")
    ax.axhline(sweep.original.perplexity, color=_GREEN, linewidth=2)
    ax.annotate(
        "the text given",
        (0.99, sweep.original.perplexity),
        xycoords=("axes fraction", "data"),
        xytext=(0, 5),
        textcoords="offset points",
        ha="right",
        color=_GREEN,
    )
    ax.set_yscale("log")
    ax.set(title="Perplexity under the clean model", ylabel="perplexity")
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, 0.97))
    return _temperatures(ax)


def plot_text_quality(ax: Axes, sweep: TemperatureSweep) -> Axes:
    """Repetition, and where the text is code how much of it parses as Python.

    Parameters
    ----------
    ax : Axes
    sweep : TemperatureSweep

    Returns
    -------
    Axes
    """
    x = position_of(sweep.beta)
    for name, label, color, marker in (
        ("repeated", "repeated pairs", "#8c6d1f", "s"),
        ("loop", "longest loop", "#6a3d9a", "^"),
    ):
        found = [getattr(text, name) for text in sweep.texts]
        ax.errorbar(
            x,
            [float(one.mean) for one in found],
            yerr=[float(one.error) for one in found],
            color=color,
            marker=marker,
            linewidth=1.4,
            capsize=3,
            label=label,
        )
    intervals = [text.parsable_interval for text in sweep.texts]
    if all(intervals):
        share = np.array([(text.parsable or 0) / text.texts for text in sweep.texts])
        bars = np.abs(np.array(intervals, dtype=np.float64) - share[:, None]).T
        ax.errorbar(
            x, share, yerr=bars, color=_GREEN, marker="o", linewidth=2.2, capsize=3,
            label="parses as Python",
        )  # fmt: skip
    ax.set(title="What the texts are like", ylabel="share", ylim=(-0.03, 1.28))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    ax.legend(loc="upper center", ncols=3, columnspacing=1.2, handlelength=1.4)
    return _temperatures(ax)


def _curve(
    ax: Axes,
    sweep: TemperatureSweep,
    measured: Measured,
    label: str | None = None,
    shown_as: Callable[[NDArray[np.float64]], NDArray[np.float64]] = np.asarray,
) -> None:
    """A line with a band of one standard error."""
    x, value, error = position_of(sweep.curve.beta), measured.value, measured.error
    ax.plot(x, shown_as(value), color=_INK, linewidth=1.8, label=label)
    low, high = shown_as(value - error), shown_as(value + error)
    ax.fill_between(x, low, high, color=_INK, alpha=0.15, linewidth=0)


def _points(
    ax: Axes, sweep: TemperatureSweep, mean: ArrayLike, bars: ArrayLike, label: str
) -> None:
    """Points in the colour of their β, with error bars (B, 2)."""
    x, y, colors = position_of(sweep.beta), np.asarray(mean), color_of(sweep.beta * sweep.scale)
    for one, color in enumerate(map(tuple, colors)):
        ax.errorbar(x[one], y[one], yerr=np.asarray(bars)[one][:, None], fmt="o", color=color)
    ax.plot([], [], "o", color=tuple(color_of(np.inf)), label=label)


def _temperatures(ax: Axes) -> Axes:
    """T below, as people type it; T = +∞ and T = −∞ are one point in the middle."""
    ax.set_xlim(-1.04, 1.04)
    ax.set_xticks(position_of(beta_from_temperature(_MARKS)), [_label(t) for t in _MARKS])
    ax.set_xlabel("temperature  T   (cold → hot)")
    ax.axvline(0.0, color=_GREY, linewidth=1.2, zorder=0)
    return ax


def _label(temperature: float) -> str:
    if np.isinf(temperature):
        return "±∞"
    sign = "−" if np.signbit(temperature) else "+" if temperature == 0 else ""
    return f"{sign}{abs(temperature):g}"


def _log(value: ArrayLike) -> NDArray[np.float64]:
    # Also asked about the axis before it has limits.
    return np.log(np.maximum(value, 1e-300))
