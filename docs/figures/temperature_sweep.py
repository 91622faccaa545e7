"""The demo model along the line of temperatures, as benchmarks/temperature_sweep.py measured it."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

from llm_bridge.sweep.picture import draw_panels
from llm_bridge.sweep.result import TemperatureSweep
from thermo.plots import lecture_style

record = json.loads(Path("../measured/temperature_sweep.json").read_text(encoding="utf-8"))

with lecture_style(0.86):
    draw_panels(plt.figure(figsize=(18, 12.4)), TemperatureSweep.from_dict(record["sweep"]))
