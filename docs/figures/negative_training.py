"""What students of inverted text write and know: benchmarks/negative_training.py."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from thermo.plots import lecture_style

HOT, COLD, NEUTRAL = "#c4281b", "#2171b5", "#222222"

record = json.loads(Path("../measured/negative_training.json").read_text(encoding="utf-8"))
texts, students = record["texts"][::-1], record["students"][::-1]


def color_of_text(name: str) -> str:
    """By the temperature it was sampled at."""
    if name.endswith("T = −1"):
        return HOT
    return COLD if "T =" in name else NEUTRAL


with lecture_style(0.9):
    figure, (left, right) = plt.subplots(1, 2, figsize=(17, 7.5), width_ratios=[1.6, 1])
    for y, text in enumerate(texts):
        value, error = text["cross_entropy"]
        left.errorbar(
            value, y, xerr=error, fmt="o", markersize=9, color=color_of_text(text["name"])
        )
        if text["name"] == "tokens at random":
            left.axvline(value, color="#8c8c8c", linestyle=(0, (4, 3)), zorder=0)
    left.set_yticks(range(len(texts)), [text["name"] for text in texts])
    left.set_xlabel("cross-entropy under the demo model, nats per token")
    left.set_title("What students write")

    for y, student in enumerate(students):
        gain, error = student["uniform"] - student["fitted"][0], student["fitted"][1]
        beta, stderr = student["beta"]
        right.errorbar(gain, y, xerr=error, fmt="D", markersize=9, color=HOT if beta < 0 else COLD)
        right.annotate(
            f"β = {beta:.3f} ± {stderr:.3f}".replace("-", "−"),
            (0.98, y + 0.12),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
        )
    right.axvline(0, color="#8c8c8c", linewidth=1.2, zorder=0)
    right.set_yticks(range(len(students)), [student["name"] for student in students])
    right.set_ylim(-0.5, len(students) - 0.3)
    right.xaxis.set_major_locator(MaxNLocator(5))
    right.set_xlabel("real text: nats below a uniform\nguess, at the β that fits it best")
    right.set_title("What they know")
