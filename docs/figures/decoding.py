"""Four schedules at work on one prompt, as benchmarks/decoding.py measured them."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

from llm_bridge.decoding.picture import plot_decoding
from thermo.plots import lecture_style

record = json.loads(Path("../measured/decoding.json").read_text(encoding="utf-8"))

with lecture_style(0.8):
    figure, axes = plt.subplots(2, 2, figsize=(18, 9.6))
    for ax, (name, (beta, entropy)) in zip(axes.ravel(), record["traces"].items(), strict=True):
        plot_decoding(ax, beta, entropy, record["scale"]).set_title(name)
