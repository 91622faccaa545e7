"""The picture of weight noise: how hot, how far from any temperature, how many ranks it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from llm_bridge.brownian.noise_sweep import place_name
from thermo.plots.style import lecture_style

if TYPE_CHECKING:
    from llm_bridge.brownian.effective_temperature import EffectiveTemperature
    from llm_bridge.brownian.noise_sweep import NoiseSweep

__all__ = ["noise_picture", "plot_divergences", "plot_rank_changes", "plot_temperatures"]

# Colours that differ for every kind of colour blindness, and markers that differ without colour.
_PLACES = (
    ("#222222", "o"), ("#2171b5", "s"), ("#c4281b", "^"), ("#e08b27", "D"), ("#7b3294", "v"),
    ("#1b9e77", "P"),
)  # fmt: skip


def noise_picture(sweep: NoiseSweep) -> Figure:
    """Three panels over σ, a colour for each place.

    Parameters
    ----------
    sweep : NoiseSweep

    Returns
    -------
    matplotlib.figure.Figure
        18 × 7.4 inches; ``figure.savefig`` writes it.
    """
    with lecture_style(0.86):
        figure = Figure(figsize=(18, 7.4))
        axes = figure.subplots(1, 3)
        plot_temperatures(axes[0], sweep)
        plot_divergences(axes[1], sweep)
        plot_rank_changes(axes[2], sweep)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
        figure.canvas.draw()  # lay out while the style is in force
    return figure


def plot_temperatures(ax: Axes, sweep: NoiseSweep) -> Axes:
    """How far the temperature of the closest softmax is from 1 against σ; open markers: T < 1.

    Parameters
    ----------
    ax : Axes
    sweep : NoiseSweep

    Returns
    -------
    Axes
    """
    for sigma, fits, colour, marker, name in _lines(sweep):
        change = np.array([fit.temperature - 1 for fit in fits])
        error = [fit.temperature_error for fit in fits]
        _line(ax, sigma, np.abs(change), error, colour, marker, label=name, open_=change < 0)
    return _axes(ax, "Closest softmax", "|T − 1|   (open: cooler)")


def plot_divergences(ax: Axes, sweep: NoiseSweep) -> Axes:
    """Disagreement (full lines) and the residual KL to the closest softmax (dashed), in nats.

    Parameters
    ----------
    ax : Axes
    sweep : NoiseSweep

    Returns
    -------
    Axes
    """
    _pairs(ax, sweep, {"disagreement": "disagreement", "residual_kl": "residual KL"})
    return _axes(ax, "What is no temperature", "nats per token")


def plot_rank_changes(ax: Axes, sweep: NoiseSweep) -> Axes:
    """Top-1 flips of single draws (full lines) and rank swaps of their mean (dashed).

    What is not above its own error is a triangle, which points down from value plus two errors.

    Parameters
    ----------
    ax : Axes
    sweep : NoiseSweep

    Returns
    -------
    Axes
    """
    names = {"top1_flips": "likeliest token, each draw", "rank_swaps": "pairs of the top ten, mean"}
    _pairs(ax, sweep, names)
    return _axes(ax, "Ranks that change", "share")


def _pairs(ax: Axes, sweep: NoiseSweep, names: dict[str, str]) -> None:
    """Two quantities of each place, full and dashed lines; the key is grey, colours are places."""
    styles = dict(zip(names, ("-", (0, (4, 2))), strict=True))
    limits = False
    for sigma, fits, colour, marker, _ in _lines(sweep):
        for quantity, style in styles.items():
            values = np.array([getattr(fit, quantity) for fit in fits])
            error = [getattr(fit, f"{quantity}_error") for fit in fits]
            limits |= _line(ax, sigma, values, error, colour, marker, style=style)
    key = [
        ax.plot([], [], color="#666666", linestyle=style, linewidth=1.8)[0]
        for style in styles.values()
    ]
    words = list(names.values())
    if limits:
        key += ax.plot([], [], "v", color="#666666", markerfacecolor="none")
        words.append("at most (two errors)")
    ax.legend(key, words, loc="upper left", handlelength=2.6)


_Line = tuple[np.ndarray, list["EffectiveTemperature"], str, str, str]


def _lines(sweep: NoiseSweep) -> list[_Line]:
    """For each place: σ rising, the fits, colour, marker, name."""
    places = list(dict.fromkeys(map(place_name, sweep.noises)))
    out: list[_Line] = []
    for number, place in enumerate(places):
        chosen = sorted(
            (noise.sigma, k)
            for k, noise in enumerate(sweep.noises)
            if place_name(noise) == place and noise.sigma > 0
        )
        colour, marker = _PLACES[number % len(_PLACES)]
        sigma = np.array([sigma for sigma, _ in chosen])
        out.append((sigma, [sweep.fits[k] for _, k in chosen], colour, marker, place))
    return out


def _line(
    ax: Axes,
    sigma: np.ndarray,
    values: np.ndarray,
    error: list[float],
    colour: str,
    marker: str,
    *,
    style: object = "-",
    label: str | None = None,
    open_: np.ndarray | None = None,
) -> bool:
    """Points with their errors, and upper limits, if any, of what is not above its error."""
    errors = np.nan_to_num(np.array(error), posinf=0.0)
    limits = np.isfinite(values) & (values <= errors) & (errors > 0)
    most = np.maximum(values, 0.0) + 2 * errors
    ax.plot(sigma[limits], most[limits], "v", color=colour, markerfacecolor="none")
    shown = np.isfinite(values) & (values > 0) & ~limits
    x, y, bars = sigma[shown], values[shown], errors[shown]
    low = np.minimum(bars, 0.9 * y)
    ax.errorbar(
        x, y, [low, bars], color=colour, marker=marker, linestyle=style, linewidth=1.8,
        capsize=3, label=label,
    )  # fmt: skip
    if open_ is not None and open_[shown].any():
        ax.plot(x[open_[shown]], y[open_[shown]], marker, color=colour, markerfacecolor="white")
    return bool(limits.any())


def _axes(ax: Axes, title: str, quantity: str) -> Axes:
    ax.set(title=title, ylabel=quantity, xscale="log", yscale="log")
    ax.set_xlabel("σ / rms of the weights")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / low) ** 0.22)  # room for the key
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    return ax
