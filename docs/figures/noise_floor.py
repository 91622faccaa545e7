"""How often rounding changes the end token, against its gap: benchmarks/noise_floor.py."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from thermo.plots import lecture_style

SHOWN = {
    "bfloat16 computation": ("#c4281b", "o"),
    "bfloat16 logits": ("#e08b27", "s"),
    "8-bit weights": ("#7b3294", "^"),
    "float16 computation": ("#2171b5", "D"),
    "float32, token by token": ("#222222", "v"),
}
FEWEST = 10  # positions in a bin that is drawn


def plot_end(ax: Axes, curves: dict[str, Any], end: str) -> Axes:
    """Measured shares with Wilson's 95 %, over the distribution of the gaps."""
    first = next(iter(curves.values()))[end]
    edges = np.array(first["edges"])
    edges[0] = edges[1] ** 2 / edges[2]  # the bin of ties and everything below
    right = np.append(edges[1:], edges[-1] ** 2 / edges[-2])
    positions = np.array(first["positions"])
    share = 100 * positions / positions.sum()
    ax.bar(edges, share, right - edges, align="edge", color="#e4e4e4", label="all positions")
    ax.set_xscale("log")
    middle = np.sqrt(edges * right)
    for k, (name, (colour, marker)) in enumerate(SHOWN.items()):
        curve = curves[name][end]
        counts = np.array(curve["positions"])
        shown = counts >= FEWEST
        found = 100 * np.array(curve["changes"])[shown] / counts[shown]
        low, high = 100 * np.array(curve["interval"])[shown].T
        ax.errorbar(
            middle[shown] * 10 ** (0.06 * (k - 2)),  # side by side, not on top of each other
            found,
            [np.maximum(found - low, 0), np.maximum(high - found, 0)],
            marker=marker,
            markersize=8,
            color=colour,
            label=name,
            linewidth=1.2,
            elinewidth=2,
        )
    ax.set(ylim=(-2, 103), xlim=(5e-6, 10))
    return ax


record = json.loads(Path("../measured/noise_floor.json").read_text(encoding="utf-8"))

with lecture_style(0.9):
    figure, axes = plt.subplots(1, 2, figsize=(15, 7.2), sharey=True)
    for ax, end, title in zip(
        axes,
        ("top", "bottom"),
        ("Likeliest token, T → 0⁺", "Least likely token, T → 0⁻"),
        strict=True,
    ):
        plot_end(ax, record["curves"], end)
        ax.set(xlabel="gap to the next token, nats", title=title)
    axes[0].set_ylabel("share that changed, %")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
