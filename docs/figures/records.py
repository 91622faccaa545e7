"""What the largest log-probabilities bound at β > 0, and what they leave open below it."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from thermo.plots import lecture_style

SHADES = {"5": "#c6dbef", "20": "#6baed6", "100": "#2171b5"}
INK, HOT = "#222222", "#c4281b"


def plot_bounds(ax: Axes, curves: dict[str, Any], what: str, zero: Any = 0.0) -> Axes:
    """Bands between the bounds, the fewer are listed the wider, and the truth, less `zero`."""
    for k, bounds in curves["bounds"].items():
        lower, upper = np.array(bounds[what]).T - zero
        band = {"color": SHADES[k], "linewidth": 0, "label": f"{k} listed"}
        ax.fill_between(curves["beta"], lower, upper, **band)
    ax.plot(curves["beta"], np.array(curves[what]) - zero, color=INK, label="all logits")
    ax.set_xlabel("β")
    return ax


def plot_below(ax: Axes, below: dict[str, Any]) -> Axes:
    """S at β < 0 of three models that agree in every listed log-probability."""
    for name, style in (("model", "-"), ("even", (0, (6, 2))), ("lone", (0, (1.5, 1.5)))):
        colour = INK if name == "model" else HOT
        ax.plot(below["beta"], below[name], color=colour, linestyle=style)
    return ax


record = json.loads(Path("../measured/records_bounds.json").read_text(encoding="utf-8"))
curves = record["curves"]
below = curves["below"]
most = np.log(curves["vocabulary"])

with lecture_style(0.9):
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 7), width_ratios=(1.35, 1))
    plot_bounds(left, curves, "entropy")
    plot_below(left, below)
    left.axvline(0, color="#8c8c8c", linewidth=1.4, linestyle=(0, (1, 2)))
    for height, text in (
        (most + 0.15, "the rest spread evenly"),
        (0.25, "one token at p ≈ 0"),
    ):
        left.text(-1.95, height, text, color=HOT, fontsize="small", va="bottom")
    left.text(-1.95, 6.55, "the model", color=INK, fontsize="small", va="bottom")
    left.text(
        -1.95,
        3.6,
        f"the same {below['listed']} listed,\nthree answers:\nrefused",
        fontsize="small",
        va="center",
        color=HOT,
        weight="bold",
    )
    left.set(xlim=(-2, 4), ylim=(0, most + 0.9), ylabel="entropy S, nats")
    left.set_title("Entropy")
    plot_bounds(right, curves, "free_energy", np.array(curves["free_energy"]))
    right.set_yscale("symlog", linthresh=0.01)
    right.set(xlim=(0, 4), ylim=(-50, 50), ylabel="bounds of F, less the truth, nats")
    right.set_yticks([-10, -1, -0.1, -0.01, 0, 0.01, 0.1, 1, 10])
    right.set_yticklabels(["−10", "−1", "−0.1", "−0.01", "0", "0.01", "0.1", "1", "10"])
    right.set_title("Free energy")
    right.legend(loc="lower right")
