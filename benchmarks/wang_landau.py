"""Error of ln g against processor time, by every sampled method, on a torus whose g(E) is known.

The mean error is that of the literature: |ln g − ln g_exact| / ln g_exact, averaged over the
energies (1023 of them on 32 × 32), with ln g normalised to 2ⁿ states; beside it the largest
|ln g − ln g_exact| and the mean standard error that the method gives itself. Seconds are of one
processor, preparation included and compilation not; every row is the median over seeds. Usage:
``python benchmarks/wang_landau.py [--json FILE] [--size 32] [--seeds 3]``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

from thermo.errors import SpinlogitWarning
from thermo.estimate.sampled_density import SampledDensity
from thermo.exact import ising_torus
from thermo.lattice import square
from thermo.levels import EnergyLevels
from thermo.models import Ising
from thermo.run.flat_histogram import multicanonical, wang_landau
from thermo.run.reweighting import reweighting
from thermo.sampling.multicanonical import Multicanonical

WALKERS = 8
COLUMNS = [
    "method",
    "sweeps per chain",
    "CPU seconds",
    "mean error, per cent",
    "largest |Δ ln g|",
    "mean standard error of ln g",
]


def errors(density: SampledDensity, exact: EnergyLevels) -> tuple[float, float, float] | None:
    """Mean relative error in per cent, largest error, mean standard error; None if levels lack."""
    if len(density.levels) != len(exact):
        return None
    deviation = np.abs(density.levels.log_degeneracy - exact.log_degeneracy)
    return (
        100 * float(np.mean(deviation / exact.log_degeneracy)),
        float(deviation.max()),
        float(density.stderr.mean()),
    )


def curve(
    name: str, sample: Callable[..., SampledDensity], sweeps: list[int], size: int, seeds: int
) -> list[list[Any]]:
    """One row per number of sweeps."""
    model, exact = Ising(square(size)), ising_torus(size)
    sample(Ising(square(4)), 3000, threads=1)  # compile
    rows = []
    for number in sweeps:
        seconds, found = [], []
        for seed in range(seeds):
            start = time.process_time()
            density = sample(model, number, seed=seed, threads=1)
            seconds.append(time.process_time() - start)
            found.append(errors(density, exact))
        known = [row for row in found if row is not None]
        if len(known) < seeds:
            middle: list[float | None] = [None, None, None]
        else:
            middle = [statistics.median(column) for column in zip(*known, strict=True)]
        rows.append([name, number, statistics.median(seconds), *middle])
        print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
    return rows


def moves_per_second(size: int, repeats: int = 5) -> float:
    """Moves of one multicanonical walker per second of one processor, in millions; the best."""
    log_g = np.full(size * size + 1, -np.inf)
    exact = ising_torus(size)
    log_g[((exact.energies - exact.minimum) / 4).round().astype(int)] = exact.log_degeneracy
    walk = Multicanonical(Ising(square(size)), 1, np.random.SeedSequence(1), log_g)
    sweeps = 2**24 // size**2
    walk.sweep(sweeps)
    best = 0.0
    for _ in range(repeats):
        start = time.process_time()
        walk.sweep(sweeps)
        best = max(best, sweeps * size**2 / (time.process_time() - start))
    return best / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    size, seeds = options.size, options.seeds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinlogitWarning)  # short runs are part of the curve
        walks = [50_000, 100_000, 200_000, 400_000]
        rows = [
            *curve("Wang–Landau, 1/t", wang_landau, [*walks, 1_000_000], size, seeds),
            *curve("multicanonical", multicanonical, walks, size, seeds),
            *curve(
                "canonical runs, reweighted",
                lambda model, sweeps, **more: reweighting(model, None, sweeps, **more),
                [1000, 4000, 16_000],
                size,
                seeds,
            ),
        ]
    speed = moves_per_second(size)
    title = f"ln g of the {size}×{size} Ising torus: error against CPU time"
    settings = (
        f"{WALKERS} walkers, or 16 chains per β; one thread; medians over {seeds} seeds. Mean "
        "error: |ln g − exact|/ln g, averaged over the energies. One multicanonical walker makes "
        f"{speed:.0f} million moves per second."
    )
    print_table(title, COLUMNS, rows)
    print(settings)
    write_record(options.json, title, settings, COLUMNS, rows, machine(), moves_per_second=speed)


if __name__ == "__main__":
    main()
