"""Speed of the XY and Heisenberg updates, in spin updates per nanosecond.

A reflection of over-relaxation is an update too: a sweep of ``over_relaxation`` visits every site
five times. Of Wolff's algorithm only the sites that it reflects count, of Swendsen–Wang's all.
Usage: ``python benchmarks/vector_speed.py [--json FILE] [--repeats 7]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, median_speed, print_table, write_record

from thermo.lattice import cubic, square
from thermo.models.heisenberg import Heisenberg
from thermo.models.vector import VectorModel
from thermo.models.xy import XY
from thermo.sampling.vector_batch import REFLECTIONS, VectorBatch
from thermo.sampling.vector_cluster_batch import VectorClusterBatch

CHAINS = 16
SWEEPS = 20
BURN_IN = 2000
SETTINGS = (
    f"{CHAINS} chains, half at β and half at −β, each with its own random bits; one thread, "
    f"{SWEEPS} sweeps per timing after {BURN_IN} of burn-in, nothing measured"
)
COLUMNS = ["updates per ns", "β", "median", "least", "most", "per core"]


def speed(model: VectorModel, update: str, beta: float, repeats: int) -> list[Any]:
    """Time one update, after burn-in; return a row of the table."""
    kind = VectorBatch if update in VectorBatch.updates else VectorClusterBatch
    betas = beta * np.where(np.arange(CHAINS) % 2, -1, 1)
    batch = kind(model, update, betas, np.random.SeedSequence(1))
    batch.sweep(BURN_IN)
    visited = float(model.lattice.n_sites)
    if update == "over_relaxation":
        visited *= 1 + REFLECTIONS
    if update == "wolff":
        visited = mean_cluster(batch)
    updates = round(SWEEPS * CHAINS * visited)
    found = median_speed(lambda: batch.sweep(SWEEPS), updates, repeats)
    name = f"{type(model).__name__}, {model.lattice.name}, {update}"
    return [name, beta, *(found[key] for key in ("median", "least", "most", "per_core"))]


def mean_cluster(batch: VectorClusterBatch) -> float:
    """Return how many spins a sweep reflects on average."""
    moved = 0.0
    for _ in range(10 * SWEEPS):
        before = batch.spins
        batch.sweep(1)
        moved += np.any(batch.spins != before, axis=-1).sum() / CHAINS
    return moved / (10 * SWEEPS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    rows = []
    for model, beta in ((XY(square(64)), 1.1), (Heisenberg(square(64)), 1.5)):
        for update in (*VectorBatch.updates, *VectorClusterBatch.updates):
            rows.append(speed(model, update, beta, options.repeats))
    rows.append(speed(Heisenberg(cubic(16)), "over_relaxation", 0.693, options.repeats))
    host = machine()
    print_table(f"{SETTINGS}; median of {options.repeats}; {host['processor']}", COLUMNS, rows)
    write_record(options.json, "XY and Heisenberg updates", SETTINGS, COLUMNS, rows, host)


if __name__ == "__main__":
    main()
