"""The demo model from T = +0 through ±100000 to −0, reading held-out text and writing its own.

Writes the record that the page shows; ``spinlogit temperature-sweep`` does the same for
any model and text. Usage: ``python benchmarks/temperature_sweep.py [--json FILE] [--samples 64]
[--positions 512] [--temperatures 0,1,-1]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measure import machine, print_table, write_record

from llm_bridge.models import load_model
from llm_bridge.sweep.temperature_sweep import TEMPERATURES, temperature_sweep
from thermo.temperature import beta_from_temperature

SHOWN = (0, 0.001, 0.5, 0.85, 1, 1.2, 1.5, 2, 3, 1e5, -1e5, -3, -1, -0.5, -0.1, -0.001, -0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--positions", type=int, default=512)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument(
        "--temperatures",
        type=lambda words: [float(word) for word in words.split(",")],
        default=list(TEMPERATURES),
    )
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # a small model on a busy machine: threads would wait for each other
    sweep = temperature_sweep(
        load_model("demo"),
        beta=beta_from_temperature(options.temperatures),
        positions=options.positions,
        samples=options.samples,
        max_tokens=options.max_tokens,
        seed=20261121,
        progress=True,
    )
    columns, *rows, original = sweep.rows()
    shown = {(t, np.signbit(t)) for t in SHOWN}
    kept = [
        row
        for t, row in zip(options.temperatures, rows, strict=True)
        if (t, np.signbit(t)) in shown
    ]
    title = "The demo model at all temperatures"
    print_table(title, columns, [*kept, original])
    write_record(
        options.json,
        title,
        f"S(T), exp S and C(T) of the demo model reading {options.positions} tokens of held-out "
        f"code; the other columns of {options.samples} texts of {options.max_tokens} tokens that "
        "it writes at T, from as many prompts. Errors in brackets are of the last digits.",
        columns,
        [*kept, original],
        machine("torch", "transformers"),
        sweep=sweep.to_dict(),
    )


if __name__ == "__main__":
    main()
