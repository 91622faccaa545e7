"""β found in texts generated at known β, from the record of benchmarks/text_temperature.py."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from thermo.plots.style import color_of, lecture_style

record = json.loads(Path("../measured/text_temperature.json").read_text(encoding="utf-8"))
scale = record["texts"][0]["scale"]  # σ₀ of the model on code: only the colours need it

with lecture_style(0.8):
    figure, ax = plt.subplots(figsize=(10, 4.6))
    ax.axhspan(-2, 2, color="#8c8c8c", alpha=0.2, linewidth=0)
    ax.axhline(0.0, color="#8c8c8c", linewidth=1.4)
    for known in record["known"]:
        found, error = np.array(known["found"]), np.array(known["error"])
        place = known["beta"] + 0.3 * (np.arange(found.size) + 0.5 - found.size / 2) / found.size
        z = (found - known["beta"]) / error
        ax.plot(place, z, "o", markersize=7, color=color_of(known["beta"] * scale))
    ax.set(
        xlabel="β at which the texts were generated",
        ylabel="(found − true) / error",
        ylim=(-4, 4),
    )
    ax.set_xticks([known["beta"] for known in record["known"]])
