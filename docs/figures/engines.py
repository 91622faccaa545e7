"""Where each adapter stands in its engine, and what it hands on where the engine's own T fails."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import FancyBboxPatch

from llm_bridge import sample
from llm_bridge.decoding import signed_log_probabilities
from thermo.plots import color_of, lecture_style

OURS, THEIRS, OFF = color_of(-1.0), "#e9e9e9", "#ffffff"

# What acts before the adapter, and after it; what its settings switch off stands in brackets.
ENGINES = [
    ("transformers", "penalties, bans, guidance", "[temperature, top-k, top-p, min-p, …]"),
    ("llama-cpp-python", "", "[penalties]   grammar   [top-k, …, temperature]"),
    ("mlx-lm", "processors listed before", "[sampler's temperature, filters]"),
    (
        "vLLM, V1 runner",
        "allowed tokens, bad words, bias",
        "[temperature, penalties, …], else refused",
    ),
    ("vLLM, V2 runner", "penalties, bias, bad words", "[temperature, top-k, …], else refused"),
    ("SGLang", "penalties, bias, grammar", "[temperature, top-k, top-p, min-p]"),
]


def box(ax, left, right, y, text, face, ink="black", line="-"):
    """A box of the pipeline with its text."""
    ax.add_patch(
        FancyBboxPatch(
            (left, y - 0.3),
            right - left,
            0.6,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=face,
            edgecolor="#8c8c8c",
            linestyle=line,
            mutation_aspect=1.0,
        )
    )
    ax.text((left + right) / 2, y, text, color=ink, ha="center", va="center")


def pipelines(ax):
    """A row for every engine: from the logits, through the adapter, to the token."""
    for row, (engine, before, after) in enumerate(ENGINES):
        y = -row
        ax.plot([2.6, 19.2], [y, y], color="#8c8c8c", zorder=0)
        ax.text(2.4, y, engine, ha="right", va="center", weight="bold")
        if before:
            box(ax, 3.1, 7.6, y, before, THEIRS)
        box(ax, 8.1, 11.0, y, "β, filters, mask", OURS, "white")
        box(ax, 11.5, 18.2, y, after, OFF, "#555555", (0, (3, 2)))
        ax.annotate("", (19.3, y), (18.2, y), arrowprops={"arrowstyle": "-|>", "color": "#8c8c8c"})
    for x, text in ((2.6, "logits z"), (9.55, "adapter: ln p"), (19.4, "token")):
        ax.text(x, 0.62, text, ha="center", va="bottom")
    ax.text(5.35, 0.62, "before", ha="center", va="bottom", color="#555555")
    ax.text(14.85, 0.62, "after; [switched off]", ha="center", va="bottom", color="#555555")
    ax.set(xlim=(-1.2, 20.2), ylim=(-5.5, 1.15))
    ax.set_axis_off()


def probabilities(ax, p, title):
    """Bars of probability over the tokens."""
    ax.bar(names, p, color=[OURS if banned != i else "black" for i in range(len(p))])
    ax.set(title=title, ylim=(0, 1.05), ylabel="probability")


z = torch.tensor([3.0, 2.0, 1.0, 0.0, -1.0, -math.inf])
names, banned = ["a", "b", "c", "d", "e", "banned"], 5

with lecture_style(0.85):
    figure = plt.figure(figsize=(18, 11.2))
    grid = figure.add_gridspec(2, 3, height_ratios=(1.35, 1))
    pipelines(figure.add_subplot(grid[0, :]))

    left, middle, right = (figure.add_subplot(grid[1, k]) for k in range(3))
    left.bar(names[:5], z[:5], color="#8c8c8c")
    left.axhline(0, color="black", linewidth=1)
    left.bar(names[5], -1.6, color="black")
    left.text(banned, -1.7, "−∞", ha="center", va="top")
    left.set(title="Logits, one token banned", ylabel="z, nats", ylim=(-2.3, 3.3))

    divided = z / -1.0  # the ban becomes +∞, beside which nothing else has any weight
    probabilities(middle, (divided == divided.max()).double(), "Divided by T = −1")

    count = 2000
    drawn = sample(z.expand(count, -1), -1.0, generator=np.random.default_rng(1))
    share = np.bincount(drawn, minlength=6) / count
    probabilities(right, signed_log_probabilities(z, -1.0).exp(), "Through the adapter, β = −1")
    error = np.sqrt(share * (1 - share) / count)
    right.errorbar(names[:5], share[:5], 2 * error[:5], fmt="o", color="black", capsize=4)
    right.text(0.03, 0.93, f"dots: {count} draws, ±2σ", transform=right.transAxes, va="top")
