"""Kin of weight noise in one plane, heat against disagreement: benchmarks/kin.py."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from thermo.plots import lecture_style

# Colours that differ for every kind of colour blindness, and markers that differ without colour.
STYLES = {
    "NoisyNet, factorised, as published": ("#8c8c8c", "s"),
    "NoisyNet, factorised": ("#222222", "o"),
    "dropout": ("#c4281b", "^"),
    "Bayes by Backprop": ("#2171b5", "D"),
    "Laplace, full": ("#7b3294", "P"),
    "students of drawn tokens": ("#e08b27", "X"),
}
STUDENTS = {"student, wide": ("#1b9e77", "v"), "student, narrow": ("#66c2a5", ">")}


def plot_plane(ax: Axes, points: dict[str, Any]) -> Axes:
    """T − 1 against disagreement: measured points, predicted lines."""
    for name, (colour, marker) in STYLES.items():
        if name not in points:  # laplace-torch is not everywhere
            continue
        heat, heat_error, disagreement, error, *foretold = np.array(points[name], dtype=float).T
        ax.errorbar(
            disagreement, heat, 2 * heat_error, 2 * error, fmt=marker, color=colour, markersize=10,
            label=name,
        )  # fmt: skip
        if len(heat) > 1:
            ax.plot(foretold[1], foretold[0], color=colour, linewidth=1.6)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="disagreement, nats per token",
        ylabel="T − 1 of the closest softmax",
        title="Random weights",
    )
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(loc="lower right")
    return ax


def plot_students(ax: Axes, points: dict[str, Any]) -> Axes:
    """T of students at no disagreement against the T that they were taught at."""
    taught = np.array([0.7, 1.5, 3.0])
    ax.plot([0, 3.2], [0, 3.2], color="#222222", linewidth=1.6, label="the teacher's")
    for name, (colour, marker) in STUDENTS.items():
        heat = np.array(points[name], dtype=float)[:, 0]
        ax.plot(taught, 1 + heat, marker, color=colour, markersize=11, label=name)
    ax.set(
        xlabel="T of the teacher",
        ylabel="T of the student, read as it is",
        title="Students",
        xlim=(0, 3.3),
        ylim=(0, None),
    )
    ax.legend(loc="upper left")
    return ax


record = json.loads(Path("../measured/kin.json").read_text(encoding="utf-8"))

with lecture_style(0.85):
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 7), width_ratios=[1.5, 1.0])
    plot_plane(left, record["points"])
    plot_students(right, record["points"])
