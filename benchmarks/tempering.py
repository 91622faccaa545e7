"""Parallel tempering and population annealing: what exchanges cost, and what they buy.

Three tables: flips per nanosecond with exchanges after every so many sweeps, beside `simulate`; the
coldest energy of a ±J spin glass, with tempering and without, at the same number of sweeps; ln Z
of the Ising torus by population annealing against its exact value.

Usage: ``python benchmarks/tempering.py [--json DIRECTORY] [--quick]``
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, median_speed, print_table, write_record

from thermo import canonical, simulate
from thermo.errors import EquilibrationWarning
from thermo.estimate.autocorrelation import rounded_to_error, split_rhat
from thermo.exact import ising_torus
from thermo.lattice import square
from thermo.models import XY, Ising, Potts, spin_glass
from thermo.run.annealing import population_annealing
from thermo.run.ladder import suggest_ladder
from thermo.run.tempering import parallel_tempering

SEED = 1


def speed(quick: bool) -> list[list[Any]]:
    """Flips/ns per core: plain, and with exchanges after every 10 sweeps and every sweep."""
    rows = []
    for name, model, rungs, replicas, sweeps in (
        ("Ising 64²", Ising(square(64)), 32, 16, 2000),
        ("Ising 16²", Ising(square(16)), 16, 32, 4000),
        ("Gaussian glass 16²", spin_glass(square(16), "gaussian", seed=1), 16, 4, 1000),
        ("Potts q = 3, 32²", Potts(square(32), 3), 16, 4, 200),
        ("XY 16²", XY(square(16)), 16, 2, 500),
    ):
        beta, count = np.linspace(-0.4, 0.4, rungs), sweeps // 10 if quick else sweeps
        common = {"burn_in": 0, "replicas": replicas, "seed": SEED, "threads": 1}
        common |= {"measure_every": 10}
        flips = model.lattice.n_sites * rungs * replicas * count
        row: list[Any] = [name]
        for work in (
            lambda m=model, b=beta, n=count, c=common: simulate(m, b, n, **c),
            lambda m=model, b=beta, n=count, c=common: parallel_tempering(
                m, b, n, exchange_every=10, **c
            ),
            lambda m=model, b=beta, n=count, c=common: parallel_tempering(m, b, n, **c),
        ):
            row.append(median_speed(work, flips, 3)["per_core"])
        rows.append(row)
    return rows


def glass(quick: bool) -> list[list[Any]]:
    """Energy of a ±J glass at β = 2, each method with the same sweeps at that β."""
    model, sweeps = spin_glass(square(16), "bimodal", seed=1), 2000 if quick else 20_000
    ladder = np.concatenate([np.linspace(0.1, 1.0, 10), [1.2, 1.4, 1.6, 1.8, 2.0, 2.3]])
    common = {"burn_in": sweeps // 4, "replicas": 32, "seed": SEED, "threads": 1}
    common |= {"measure_every": 10, "start": "random"}
    simulate(model, ladder[:1], 1, burn_in=0, replicas=2)  # compiles
    rows = []
    for name, work in (
        ("simulate, Metropolis", lambda: simulate(model, ladder, sweeps, **common)),
        (
            "parallel tempering",
            lambda: parallel_tempering(model, ladder, sweeps, exchange_every=5, **common),
        ),
    ):
        start = time.process_time()
        run = work()
        seconds, cold = time.process_time() - start, list(ladder).index(2.0)
        rows.append(
            [
                name,
                rounded_to_error(run.energy.mean[cold], run.energy.error[cold]),
                float(run.energy.tau[cold] * 10),
                float(split_rhat(run.energy_series)[cold]),
                float(run.round_trips.mean()) if hasattr(run, "round_trips") else None,
                seconds,
            ]
        )
    return rows


def annealing(quick: bool) -> list[list[Any]]:
    """ln Z of the 16×16 torus at β = ±0.6, through both critical points."""
    model, levels = Ising(square(16)), ising_torus(16)
    beta = np.sort(np.append(suggest_ladder(levels, 60, (-0.6, 0.6)), 0.0))
    rows = []
    for population in (512, 2048) if quick else (512, 2048, 8192):
        for sweeps in (1, 10):
            start = time.process_time()
            run = population_annealing(
                model, beta, population, sweeps=sweeps, replicas=8, seed=SEED, threads=1
            )
            seconds = time.process_time() - start
            exact = canonical(levels, beta).log_partition_function
            estimate = run.log_partition_function
            for end in (0, -1):
                rows.append(
                    [
                        f"{population} × 8, {sweeps} sweeps, β = {beta[end]:g}",
                        rounded_to_error(estimate.mean[end], estimate.error[end]),
                        float(estimate.mean[end] - exact[end]),
                        float(run.family_size[end].mean()),
                        seconds,
                    ]
                )
    return rows


TABLES = (
    (
        "tempering_speed",
        "Flips per nanosecond and core, with exchanges",
        "measured every 10 sweeps; through the public functions; median of 3",
        ["model", "simulate", "exchanges every 10", "exchanges every sweep"],
        speed,
    ),
    (
        "tempering_glass",
        "A ±J spin glass, square 16×16, at β = 2",
        "16 β, 32 replicas, random starts",
        ["method", "⟨E⟩", "τ(E)/sweeps", "split R̂", "round trips per ladder", "CPU s"],
        glass,
    ),
    (
        "annealing",
        "ln Z of the 16×16 torus by population annealing",
        "61 β from −0.6 to 0.6; error from 8 populations; CPU s for both ends",
        ["population", "ln Z", "off by", "ρ_t", "CPU s"],
        annealing,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the tables into this directory")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sweeps")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EquilibrationWarning)  # the tables say it in numbers
    for name, title, settings, columns, make in TABLES:
        rows = make(options.quick)
        print_table(f"{title} ({settings})", columns, rows)
        path = options.json / f"{name}.json" if options.json else None
        write_record(path, title, settings, columns, rows, machine())


if __name__ == "__main__":
    main()
