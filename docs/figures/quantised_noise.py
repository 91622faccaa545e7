"""What rounding leaves of noise on quantised weights: benchmarks/quantised_noise.py."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from llm_bridge.brownian.rounding_law import nearest_threshold, variance_kept
from thermo.plots import lecture_style

STYLES = {"nearest": "#c4281b", "stochastic": "#2171b5", "ternary": "#222222"}
# The three agree: each marker fits into the one before.
MARKERS = {
    "attention output, 4 bits": ("s", 14.0),
    "MLP up, 4 bits": ("D", 9.0),
    "head, 8 bits": ("o", 4.0),
}
CASES = ("attention, σ = 0.03 std", "attention, σ = 0.1 std", "head, σ = 0.03 std",
         "head, σ = 0.1 std")  # fmt: skip
FLOOR = 3e-3  # what is below lies on the edge of the picture


def plot_variance(ax: Axes, curves: dict[str, Any]) -> Axes:
    """Variance kept against the size of the noise: closed forms, and points of three layers."""
    grid = np.geomspace(0.04, 1.0, 200)
    for rounding, colour in STYLES.items():
        ax.plot(grid, variance_kept(grid, rounding), color=colour)
        for layer, (marker, size) in MARKERS.items():
            kept = np.array(curves[layer][rounding])[:, 1]
            shown = kept > FLOOR
            ratios = np.array(curves["ratios"])
            ax.plot(ratios[shown], kept[shown], marker, color=colour, markersize=size, mfc="none")
    for rounding, where, height in (("nearest", 0.15, 0.02), ("stochastic", 0.1, 11),
                                    ("ternary", 0.045, 1.35)):  # fmt: skip
        ax.text(where, height, rounding, color=STYLES[rounding])
    threshold = nearest_threshold()
    ax.axvline(threshold, color="#8c8c8c", linestyle=":")
    ax.text(1.05 * threshold, 1.4 * FLOOR, f"σ = {threshold:.2f} Δ", color="#5c5c5c")
    for layer, (marker, size) in MARKERS.items():
        ax.plot([], [], marker, color="#5c5c5c", markersize=size, mfc="none", label=layer)
    ax.set(xscale="log", yscale="log", ylim=(FLOOR, 30), title="In the weights",
           xlabel="noise / grid step, σ/Δ", ylabel="variance left / σ²")  # fmt: skip
    ax.xaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(plt.NullFormatter())
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.1))
    return ax


def plot_logits(ax: Axes, curves: dict[str, Any]) -> Axes:
    """Mean square change of the logits over that of noise that knows no grid, and predictions."""
    for k, case in enumerate(CASES):
        found = curves[f"logits, {case}"]
        for place, (rounding, colour) in enumerate(STYLES.items()):
            x, (predicted, value, error) = k + 0.25 * (place - 1), found[rounding]
            if value < FLOOR:
                ax.plot(x, 1.15 * FLOOR, "v", color=colour, markersize=11)
                continue
            ax.plot([x - 0.1, x + 0.1], [predicted, predicted], color=colour)
            ax.errorbar(x, value, error, fmt="o", color=colour, capsize=3)
    ax.axhline(1.0, color="#8c8c8c", linestyle=":")
    ax.set(yscale="log", ylim=(FLOOR, 30), title="In the logits, 4 bits",
           ylabel="⟨Δz²⟩ / that of Gaussian noise")  # fmt: skip
    ax.set_xticks(range(len(CASES)), [case.replace(", ", "\n") for case in CASES], fontsize="small")
    ax.yaxis.set_major_formatter("{x:g}")
    return ax


record = json.loads(Path("../measured/quantised_noise.json").read_text(encoding="utf-8"))

with lecture_style(0.86):
    figure, axes = plt.subplots(1, 2, figsize=(16, 7))
    plot_variance(axes[0], record["curves"])
    plot_logits(axes[1], record["curves"])
