"""β along held-out texts and shuffled ones, from the record of benchmarks/text_temperature.py."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from llm_bridge.text.pictures import TextPanel, text_overview
from llm_bridge.text.windows import BetaAlongText

record = json.loads(Path("../measured/text_temperature.json").read_text(encoding="utf-8"))
panels = [
    TextPanel(
        text["name"],
        text["beta"],
        text["stderr"],
        text["scale"],
        text["positions"],
        np.array(text["histogram"], dtype=float),
        BetaAlongText(
            np.array(text["start"]),
            np.array(text["stop"]),
            np.array(text["window_beta"], dtype=float),
            np.array(text["window_stderr"], dtype=float),
        ),
    )
    for text in record["texts"]
]
text_overview(panels, plt.figure())
