"""Powers of σ, predicted and measured: benchmarks/weight_noise_theory.py."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from thermo.plots import lecture_style

QUANTITIES = {  # name: colour, marker, power of σ
    "disagreement": ("#2171b5", "s", 2),
    "T − 1": ("#c4281b", "o", 2),
    "residual KL": ("#222222", "^", 4),
}


def plot_powers(ax: Axes, curves: dict[str, Any], title: str) -> Axes:
    """Measured points, and lines of the predicted power and prefactor."""
    sigma = np.array(curves["sigma"])
    for name, (colour, marker, power) in QUANTITIES.items():
        predicted = curves["coefficients"][name][0] * sigma**power
        ax.plot(sigma, predicted, color=colour, linewidth=1.6)
        ax.errorbar(
            sigma, curves["measured"][name], curves["errors"][name], fmt=marker, color=colour,
            capsize=3, label=f"{name}  ∝ σ{'⁴' if power == 4 else '²'}",
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", title=title, xlabel="σ / rms of the weights")
    ax.xaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(plt.NullFormatter())
    return ax


record = json.loads(Path("../measured/weight_noise_theory.json").read_text(encoding="utf-8"))

with lecture_style(0.86):
    figure, axes = plt.subplots(1, 2, figsize=(15, 7), sharey=True)
    plot_powers(axes[0], record["head"], "Noise on the head")
    plot_powers(axes[1], record["all"], "Noise on all weights")
    axes[0].set_ylabel("T − 1, and nats per token")
    axes[0].legend(loc="upper left")
