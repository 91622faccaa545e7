"""Who finds the never-met tokens of the demo model, where they lie, and what T → 0⁻ does."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from llm_bridge.tokens.pictures import plot_auroc, plot_columns, plot_states
from thermo.plots import lecture_style

record, texts = (
    json.loads(Path(f"../measured/{name}.json").read_text(encoding="utf-8"))
    for name in ("anomalous_tokens", "anomalous_texts")
)
scatter = record["scatter"]
known = np.zeros(len(scatter["mean_z"]), dtype=bool)
known[record["known"]] = True

with lecture_style(0.85):
    figure = plt.figure(figsize=(15, 12.5))
    grid = figure.add_gridspec(2, 2)
    ax = plot_auroc(figure.add_subplot(grid[:, 0]), {name: pair for name, *pair in record["auroc"]})
    ax.set_title("Which indicator finds them?", pad=14)
    ax = plot_columns(
        figure.add_subplot(grid[0, 1]),
        scatter["input_centroid_distance"],
        scatter["output_centroid_distance"],
        known,
        ("input embedding: distance to its centroid", "head: distance to its centroid"),
    )
    ax.set_title("Near one centroid, far from the other", pad=14)
    states = texts["states"]
    ax = plot_states(
        figure.add_subplot(grid[1, 1]),
        states["temperature"],
        states["states"],
        states["error"],
        states["normal"],
        [
            (entry["T"], entry["exp_entropy"], entry["exp_entropy_error"])
            for entry in texts["texts"]
            if -100 < entry["T"] < 0
        ],
        int(known.sum()),
    )
    ax.set_title("Below zero: T = −0.001 is not T = −1", pad=14)
