"""Which update decorrelates fastest: τ of energy and order parameter, and time per new sample.

Every update on the same systems, at a critical point, away from it and at negative temperature,
and on two of them parallel tempering and population annealing. τ is the integrated autocorrelation
time in sweeps of that update (what a sweep is differs between updates: see the documentation page);
"µs per sample" is the processor time of one independent energy at that β, and can be compared
between all of them: 2τ(E) sweeps of a chain, of tempering those of all β of the ladder, of an
annealed population all its work from β = 0 on, divided by the number of independent members.

Usage: ``python benchmarks/autocorrelation_times.py [--json FILE] [--quick]``
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, print_table, write_record

import thermo
from thermo.estimate.autocorrelation import split_rhat
from thermo.lattice import cubic, square
from thermo.models import XY, Clock, Heisenberg, Ising, Potts, spin_glass
from thermo.run.result import Run

ISING_CRITICAL = math.log1p(math.sqrt(2)) / 2
LOCAL = ("metropolis", "heat_bath", "rejection_free")
CLUSTER = ("swendsen_wang", "wolff")
LADDERS = ("Ising 32², critical", "±J glass 16², cold")  # where β are exchanged and annealed
RUNGS = 32
ANNEALING_SWEEPS, POPULATIONS = 10, 8


def cases() -> Iterator[tuple[str, Any, float, tuple[str, ...]]]:
    """What is measured: name, model, β, updates."""
    ising = Ising(square(32))
    yield "Ising 32², critical", ising, ISING_CRITICAL, (*LOCAL, *CLUSTER)
    yield "Ising 32², critical at T < 0", ising, -ISING_CRITICAL, (*LOCAL, *CLUSTER)
    yield "Ising 32², disordered", ising, 0.3, (*LOCAL, *CLUSTER)
    yield "Ising 32², ordered", ising, 0.6, (*LOCAL, *CLUSTER)
    yield "Ising 32², M fixed", ising, 0.3, ("kawasaki",)
    yield "Ising 10³, critical", Ising(cubic(10)), 0.221654626, (*LOCAL, *CLUSTER)
    glass = spin_glass(square(16), "bimodal", seed=1)
    yield "±J glass 16², cold", glass, 1.0, LOCAL
    potts = Potts(square(32), 3)
    yield "Potts q = 3, 32², critical", potts, math.log1p(math.sqrt(3)), (*LOCAL, *CLUSTER)
    clock = Clock(square(32), 6)
    yield "clock q = 6, 32²", clock, 1.0, LOCAL
    vector = ("metropolis", "heat_bath", "over_relaxation", *CLUSTER)
    yield "XY 32², β = 1", XY(square(32)), 1.0, vector
    yield "XY 32², β = −1", XY(square(32)), -1.0, vector
    yield "Heisenberg 8³, critical", Heisenberg(cubic(8)), 0.693, vector


COLUMNS = [
    "system",
    "update",
    "τ(E), sweeps",
    "τ(|M|), sweeps",
    "split R̂(E)",
    "µs per sweep and chain",
    "µs per sample",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sweeps")
    options = parser.parse_args()
    sweeps = 500 if options.quick else 5000
    population = 512 if options.quick else 4096

    seeds = iter(np.random.SeedSequence(20261121).generate_state(100, np.uint64).tolist())
    rows: list[list[Any]] = []

    def add(name: str, update: str, numbers: list[Any]) -> None:
        rows.append([name, update, *numbers])
        print_table("", COLUMNS, rows[-1:])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", thermo.errors.EquilibrationWarning)  # R̂ says it in numbers
        for name, model, beta, updates in cases():
            for update in updates:
                add(name, update, measured(model, beta, update, sweeps, next(seeds)))
            if name in LADDERS:
                ladder = np.linspace(0.0, beta, RUNGS)
                add(name, "parallel tempering", tempered(model, ladder, sweeps, next(seeds)))
                add(name, "population annealing", annealed(model, ladder, population, next(seeds)))

    settings = (
        f"{sweeps} sweeps of each chain after {sweeps // 5}, 512 chains where they share lanes and "
        f"32 otherwise, measured every sweep, one core. Tempering: Metropolis, {RUNGS} equidistant "
        f"β from 0, {512 // RUNGS} ladders, exchanges after every sweep. Annealing: along the same "
        f"β, {ANNEALING_SWEEPS} Metropolis sweeps at each, {POPULATIONS} populations of "
        f"{population} members, independent if of different families."
    )
    print_table("Autocorrelation times", COLUMNS, rows)
    write_record(options.json, "Autocorrelation times", settings, COLUMNS, rows, machine())


def measured(model: Any, beta: float, update: str, sweeps: int, seed: int) -> list[Any]:
    """Return τ(E), τ(|M|) and R̂, and processor µs per sweep and per sample, of one update."""
    lanes = isinstance(model, Ising) and update not in ("rejection_free", "kawasaki")
    replicas = 512 if lanes else 32
    options = {"replicas": replicas, "update": update, "seed": seed, "threads": 1}
    if update == "kawasaki":
        options["start"] = _half_up(model)
    run, seconds = timed(partial(thermo.simulate, model, beta, **options), sweeps)
    return numbers_at(run, 0, seconds / (sweeps + sweeps // 5) / replicas, chains=1)


def tempered(model: Any, ladder: np.ndarray, sweeps: int, seed: int) -> list[Any]:
    """Return the same of the last β of a ladder; a sample costs the sweeps of all its β."""
    replicas = 512 // ladder.size
    options = {"replicas": replicas, "seed": seed, "threads": 1}
    run, seconds = timed(partial(thermo.parallel_tempering, model, ladder, **options), sweeps)
    per_sweep = seconds / (sweeps + sweeps // 5) / (replicas * ladder.size)
    return numbers_at(run, -1, per_sweep, chains=ladder.size)


def annealed(model: Any, ladder: np.ndarray, population: int, seed: int) -> list[Any]:
    """Return the same of the last β of an anneal; its members have no autocorrelation time."""
    options = {"sweeps": ANNEALING_SWEEPS, "replicas": POPULATIONS, "seed": seed, "threads": 1}
    thermo.population_annealing(model, ladder, 512, **options)  # compiled before the clock runs
    start = time.process_time()
    run = thermo.population_annealing(model, ladder, population, **options)
    seconds = time.process_time() - start
    sweeps = POPULATIONS * population * (ladder.size - 1) * ANNEALING_SWEEPS
    return [None, None, None, seconds / sweeps * 1e6, seconds / float(run.energy.ess[-1]) * 1e6]


def timed(run: Callable[..., Run], sweeps: int) -> tuple[Run, float]:
    """Return a run and its processor time; a shorter one compiles before the clock runs."""
    run(sweeps // 5, burn_in=0)
    start = time.process_time()
    result = run(sweeps, burn_in=sweeps // 5)
    return result, time.process_time() - start


def numbers_at(run: Run, b: int, seconds_per_sweep: float, chains: int) -> list[Any]:
    """Return τ(E), τ(|M|), R̂, and µs per sweep and per sample, at the β of number `b`."""
    order = run.absolute_magnetization
    if run.beta[b] < 0 and run.staggered_series is not None:
        order = run.staggered_magnetization
    tau, micro = float(run.energy.tau[b]), seconds_per_sweep * 1e6
    rhat = float(split_rhat(run.energy_series)[b])
    return [tau, float(order.tau[b]), rhat, micro, 2 * tau * chains * micro]


def _half_up(model: Ising) -> np.ndarray:
    spins = np.ones(model.lattice.n_sites, dtype=np.int8)
    spins[::2] = -1
    return spins


if __name__ == "__main__":
    main()
