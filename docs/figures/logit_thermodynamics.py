"""Time against the number of β, and the error of ln Z: benchmarks/logit_thermodynamics.py."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from thermo.plots import lecture_style

record = json.loads(Path("../measured/logit_thermodynamics.json").read_text(encoding="utf-8"))

with lecture_style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 6.2))
    growth = record["growth"]
    counts = np.array(growth["betas"])
    softmax = growth["softmax_ms"]
    left.loglog(counts, growth["one_pass_ms"], "o-", color="#222222", label="one pass")
    loop = growth["loop_ms_per_beta"] * counts
    left.loglog(counts, loop, "--", color="#8c8c8c", label="loop over β")
    left.axhline(softmax, color="#2a7f3f", linewidth=2)
    left.text(counts[-1], softmax * 0.85, "one softmax", color="#2a7f3f", ha="right", va="top")
    left.set_ylim(bottom=softmax / 3)
    left.set(xlabel="number of β", ylabel="processor time, ms", title="One pass serves all β")
    left.legend(loc="upper left")

    beta = np.array(record["betas"])
    colours = plt.get_cmap("viridis")(np.linspace(0.15, 0.8, len(record["errors"])))
    for (tolerance, error, bound), colour in zip(record["errors"], colours, strict=True):
        right.semilogy(beta, bound, color=colour, linestyle=(0, (2, 1.5)))
        right.semilogy(beta, np.maximum(error, 1e-16), color=colour)
        exponent = round(np.log10(tolerance))
        right.annotate(
            f"$10^{{{exponent}}}$",
            (1.02, tolerance),
            xycoords=("axes fraction", "data"),
            color=colour,
            va="center",
        )
    right.annotate("tolerance", (1.02, 1.0), xycoords="axes fraction", va="bottom", ha="center")
    bounds, errors = right.lines[-2:]
    right.legend([bounds, errors], ["bound", "error"], loc="lower center", ncols=2)
    right.set(xlabel="β, 1/nat", ylabel="|Δ ln Z|", title="The error of ln Z")
    right.set_ylim(1e-16, 1e-3)
    right.set_xticks([-10, -5, 0, 5, 10])
