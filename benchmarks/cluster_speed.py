"""Wolff and Swendsen–Wang on the critical 32×32 Ising torus: time per independent sample.

Every program is measured in the same way: processor time per chain for sweeps with nothing else,
and for sweeps after each of which energy and magnetisation are recorded; τ of both recorded series
by the same estimator; time per independent sample = 2τ · time per sweep, also in units of mcising's
for the recorded energy. Repeats of all programs take turns, and the median counts. Every mean
energy is held against Kaufman's exact one: |z| > 4.4 anywhere (false-alarm rate 1e-5 per row) ends
with status 1. A sweep is one cluster (Wolff) or one decomposition of the lattice (Swendsen–Wang)
for everybody. mcising is left out where it is not installed.

Usage: ``python benchmarks/cluster_speed.py [--json FILE] [--repeats 7]``
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # one core for everybody

import numpy as np
from measure import machine, print_table, write_record

from thermo.estimate.autocorrelation import mean_with_error
from thermo.exact.kaufman import square_torus
from thermo.kernels.lanes import LANES
from thermo.lattice import square
from thermo.models import Ising
from thermo.sampling.cluster_batch import ClusterBatch
from thermo.sampling.cluster_lane_batch import ClusterLaneBatch

LENGTH = 32
CRITICAL = math.log1p(math.sqrt(2)) / 2
UPDATES = ("wolff", "swendsen_wang")
CHAIN_SWEEPS = 400_000  # recorded per program and update, over all its chains
Z_LIMIT = 4.4
COLUMNS = [
    "program and update",
    "chains",
    "µs/sweep",
    "recorded",
    "τ(E)",
    "τ(|M|)",
    "µs/sample E",
    "µs/sample |M|",
    "unrecorded E",
    "of mcising's",
    "z",
]


@dataclass
class Program:
    """One way to run an update; times are collected in it."""

    name: str
    update: str
    chains: int
    sweep: Callable[[int], Any]  # so many sweeps of every chain
    record: Callable[[int], np.ndarray]  # the same → (2, chains, sweeps): energy, magnetisation
    bare: list[float] = field(default_factory=list)  # seconds per sweep and chain
    recorded: list[float] = field(default_factory=list)

    def time_once(self, sweeps: int) -> None:
        """Add one timing of each kind."""
        for work, seconds in ((self.sweep, self.bare), (self.record, self.recorded)):
            start = time.process_time()
            work(sweeps)
            seconds.append((time.process_time() - start) / (sweeps * self.chains))


def ours(update: str, chains: int) -> Program:
    """Spinlogit: one chain after another in the kernel for any discrete model, or 512 lanes."""
    kind: Any = ClusterLaneBatch if chains == LANES else ClusterBatch
    beta, seed = np.full(chains, CRITICAL), np.random.SeedSequence(1)
    batch = kind(Ising(square(LENGTH)), update, beta, seed)

    def record(sweeps: int) -> np.ndarray:
        series = batch.record(sweeps, 1)
        return np.array([series["energy"], series["magnetization"]])

    kernel = "lanes" if chains == LANES else "any model"
    return Program(f"spinlogit, {kernel}, {update}", update, chains, batch.sweep, record)


def mcising(update: str) -> Program:
    """mcising's own engine, one chain."""
    from mcising import IsingSimulation

    simulation = IsingSimulation(LENGTH, 1.0, 0.0, 0.0, 0.0, 1, update, "square")
    temperature = 1 / CRITICAL

    def record(sweeps: int) -> np.ndarray:
        result = simulation.production_sweeps(
            sweeps, 1, temperature=temperature, store_configs=False
        )
        series = np.array([result["energies"], result["magnetizations"]])
        return series[:, None, :] * LENGTH**2

    return Program(
        f"mcising, {update}",
        update,
        1,
        lambda sweeps: simulation.sweep(sweeps, temperature=temperature),
        record,
    )


def row_of(program: Program) -> list[Any]:
    """One line of the table, from a long recorded run."""
    energy, magnetization = program.record(CHAIN_SWEEPS // program.chains)
    e, m = mean_with_error(energy), mean_with_error(np.abs(magnetization))
    bare, recorded = (1e6 * statistics.median(t) for t in (program.bare, program.recorded))
    exact = float(square_torus(CRITICAL, LENGTH).internal_energy)
    return [
        program.name,
        program.chains,
        bare,
        recorded,
        float(e.tau),
        float(m.tau),
        2 * float(e.tau) * recorded,
        2 * float(m.tau) * recorded,
        2 * float(e.tau) * bare,
        None,  # see `compare`
        float((e.mean - exact) / e.error),
    ]


def compare(programs: list[Program], rows: list[list[Any]]) -> None:
    """Write the time per independent sample of E, in units of mcising's, into the rows."""
    sample, ratio = COLUMNS.index("µs/sample E"), COLUMNS.index("of mcising's")
    theirs = {
        program.update: row[sample]
        for program, row in zip(programs, rows, strict=True)
        if program.name.startswith("mcising")
    }
    for program, row in zip(programs, rows, strict=True):
        if program.update in theirs:
            row[ratio] = row[sample] / theirs[program.update]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    programs = [ours(update, chains) for update in UPDATES for chains in (1, 64, LANES)]
    if importlib.util.find_spec("mcising"):
        programs += [mcising(update) for update in UPDATES]
    else:
        print("mcising is not installed: left out\n")
    for program in programs:
        program.sweep(2000)  # from random spins to equilibrium; compiles
        program.record(2)
    for _ in range(options.repeats):
        for program in programs:
            program.time_once(max(20, 5000 // program.chains))

    rows = [row_of(program) for program in programs]
    compare(programs, rows)
    host = machine("mcising")
    settings = (
        f"{LENGTH}×{LENGTH} torus at Tc, one core; processor time per chain, median of "
        f"{options.repeats}; τ in sweeps from {CHAIN_SWEEPS} sweeps of all chains together"
    )
    print(f"{host['processor']}, load {host['load'][0]:.1f}; {host['versions']}\n{settings}\n")
    print_table("Cluster updates", COLUMNS, rows)
    write_record(options.json, "Cluster updates", settings, COLUMNS, rows, host)
    if any(abs(row[-1]) > Z_LIMIT for row in rows):
        sys.exit("a mean energy disagrees with the exact one")


if __name__ == "__main__":
    main()
