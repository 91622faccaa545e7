"""Degrees of freedom by Langevin dynamics: benchmarks/learning_coefficient.py."""

import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from thermo.plots import lecture_style

STYLES = {
    "5 → 4 → 5": ("#c4281b", "o"),
    "5 → 3 → 5": ("#e08b27", "s"),
    "4 → 3 → 8": ("#7b3294", "^"),
    "4 → 2 → 4 → 6": ("#2171b5", "D"),
    "1 → 1 → 1": ("#222222", "v"),
}


def plot_cooling(ax: Axes, curves: dict[str, Any]) -> Axes:
    """Exact f = 2nβ⟨L⟩ of linear networks while they cool, measured, and the limit 2λ."""
    for name, (colour, marker) in STYLES.items():
        curve = curves[name]
        grid = np.array(curve["grid"])
        ax.plot(grid, 2 * np.array(curve["energy"]), color=colour)
        nbeta, value, error = np.array(curve["points"])[:, :3].T
        widths = [int(width) for width in name.split(" → ")]
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        label = f"{name} ({weights} weights)"
        ax.errorbar(
            nbeta, 2 * value, 2 * error, fmt=marker, color=colour, markersize=9, label=label
        )
        limit = 2 * curve["coefficient"]
        ax.plot([grid[-1], 8 * grid[-1]], [limit, limit], color=colour, linewidth=6)
    ax.set_xscale("log")
    ax.set(
        xlabel="nβ, inverse temperature of the loss",
        ylabel="degrees of freedom, 2nβ(⟨L⟩ − L₀)",
        title="Linear networks on cooling",
        ylim=(0, None),
    )
    ax.legend(title="widths", ncols=1, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_prior(ax: Axes, curve: dict[str, Any]) -> Axes:
    """Half of MacKay's number, and what the heat capacity makes of the same prior."""
    h = np.array(curve["curvatures"])
    alpha = np.geomspace(1e-3, 2.0, 100)
    share = h / (h + alpha[:, None])
    points = np.array(curve["points"])
    points = points[points[:, 0] > 0]
    for k, (power, colour, marker, label) in enumerate(
        ((1, "#2171b5", "o", "2nβ(⟨L⟩ − L₀)"), (2, "#c4281b", "s", "2(nβ)² Var L"))
    ):
        ax.plot(alpha, (share**power).sum(axis=1), color=colour)
        ax.errorbar(
            points[:, 0],
            2 * points[:, 1 + 2 * k],
            2 * points[:, 2 + 2 * k],
            fmt=marker,
            color=colour,
            markersize=9,
            label=label,
        )
    ax.set_xscale("log")
    ax.set(
        xlabel="prior against data, γ/nβ",
        ylabel="degrees of freedom",
        title="20 weights and a prior",
        ylim=(0, 20.5),
    )
    ax.legend(loc="lower left")
    return ax


def plot_steps(ax: Axes, points: list[list[float]]) -> Axes:
    """The error of SGLD's step."""
    stiffness = np.linspace(0, 3.2, 100)
    ax.plot(stiffness, 1 / (1 - stiffness / 4), color="#222222", label="1/(1 − εκ/4)")
    x, value, error = np.array(points).T
    ax.errorbar(x, value, error, fmt="o", color="#c4281b", markersize=9, label="measured")
    ax.set(xlabel="step times curvature, εκ", ylabel="λ̂/λ", title="SGLD's step", ylim=(0, None))
    ax.legend(loc="upper left")
    return ax


record = json.loads(Path("../measured/learning_coefficient.json").read_text(encoding="utf-8"))
curves = record["curves"]

with lecture_style(0.9):
    figure = plt.figure(figsize=(15, 12))
    above, below = figure.subfigures(2, 1, height_ratios=[1.1, 1.0])
    plot_cooling(above.subplots(), curves)
    left, right = below.subplots(1, 2)
    plot_prior(left, curves["prior"])
    plot_steps(right, curves["step"])
