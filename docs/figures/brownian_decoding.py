"""Greedy decoding under noise, and what the noise remembers: benchmarks/brownian_decoding.py."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from thermo.plots import lecture_style

INK, BLUE, RED, ORANGE = "#222222", "#2171b5", "#c4281b", "#e08b27"


def plot_odds(ax: Axes, curves: dict[str, list[float]]) -> Axes:
    """Odds of a token against the likeliest one, over the gap between their logits."""
    gap = np.array(curves["gap"])
    counted, error = np.array(curves["counted"]), np.array(curves["relative_error"])
    seen = error < 0.25
    ax.plot(gap, curves["softmax"], color=RED, linestyle=(0, (5, 2)), label="softmax, linear")
    ax.plot(gap, curves["probit"], color=BLUE, label="exact probit, quadratic")
    ax.errorbar(
        gap[seen], counted[seen], (counted * error)[seen], fmt="o", color=INK, capsize=3,
        label="tokens counted",
    )  # fmt: skip
    ax.set_ylim(0.3 * counted[seen].min(), 1)
    ax.set(yscale="log", xlabel="gap Δ / s", ylabel="odds against the likeliest token")
    ax.set_title("Greedy, noise on the head")
    ax.legend(loc="lower left")
    return ax


def plot_correlations(ax: Axes, curves: dict[str, Any], place: str, title: str) -> Axes:
    """Covariance of the logits s tokens apart, wandering weights over frozen ones, beside ρˢ."""
    for path, colour, marker in (("τ = 16", BLUE, "s"), ("τ = 4", RED, "^"), ("fresh", INK, "o")):
        curve = curves[f"{place}, {path}"]
        lag = np.array(curve["lag"])
        shown = np.linspace(0, lag[-1], 200)
        if path == "fresh":
            ax.axhline(0.0, color=colour, linewidth=1.6)
        else:
            ax.plot(shown, np.exp(-shown / float(path[4:])), color=colour, linewidth=1.6)
        ax.errorbar(
            lag, curve["measured"], curve["error"], fmt=marker, color=colour, capsize=3, label=path
        )
    ax.set(xlabel="tokens apart, s", ylabel="covariance / that of frozen weights")
    ax.set(title=title, ylim=(-0.25, 1.2))
    ax.legend(loc="upper right")
    return ax


record = json.loads(Path("../measured/brownian_decoding.json").read_text(encoding="utf-8"))

with lecture_style(0.86):
    figure, axes = plt.subplots(1, 3, figsize=(18, 6.6))
    plot_odds(axes[0], record["curves"]["head"])
    plot_correlations(axes[1], record["curves"]["along"], "head", "Noise on the head: ρˢ")
    plot_correlations(axes[2], record["curves"]["along"], "attention", "Noise on attention: not ρˢ")
