"""Which update decorrelates fastest: τ of energy and order parameter, and time per new sample.

Every update on the same systems, at a critical point, away from it and at negative temperature. τ
is the integrated autocorrelation time in sweeps of that update (what a sweep is differs between
updates: see the documentation page); "µs per sample" is 2τ(E) times processor time per sweep and
chain, which can be compared between updates.

Usage: ``python benchmarks/autocorrelation_times.py [--json FILE] [--quick]``
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import machine, print_table, write_record

import thermo
from thermo.lattice import cubic, square
from thermo.models import XY, Clock, Heisenberg, Ising, Potts, spin_glass

ISING_CRITICAL = math.log1p(math.sqrt(2)) / 2
LOCAL = ("metropolis", "heat_bath", "rejection_free")
CLUSTER = ("swendsen_wang", "wolff")


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sweeps")
    options = parser.parse_args()
    sweeps = 500 if options.quick else 5000

    rows: list[list[Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", thermo.errors.EquilibrationWarning)  # cold glasses do not
        for name, model, beta, updates in cases():
            for update in updates:
                rows.append([name, update, *measured(model, beta, update, sweeps)])
                print_table("", ["system", "update", "τ(E)", "τ(|M|)", "ns", "µs"], rows[-1:])

    columns = [
        "system",
        "update",
        "τ(E), sweeps",
        "τ(|M|), sweeps",
        "µs per sweep and chain",
        "µs per sample",
    ]
    settings = (
        f"{sweeps} sweeps of each chain after {sweeps // 5}, 512 chains where they share lanes and "
        "32 otherwise, measured every sweep, one core."
    )
    print_table("Autocorrelation times", columns, rows)
    host = machine()
    write_record(options.json, "Autocorrelation times", settings, columns, rows, host)


def measured(model: Any, beta: float, update: str, sweeps: int) -> list[Any]:
    """Return τ(E) and τ(|M|) with errors as text, and processor µs per sweep and per sample."""
    lanes = isinstance(model, Ising) and update not in ("rejection_free", "kawasaki")
    replicas = 512 if lanes else 32
    options = {"replicas": replicas, "update": update, "seed": 20261121, "threads": 1}
    if update == "kawasaki":
        options["start"] = _half_up(model)
    thermo.simulate(model, beta, 100, burn_in=0, **options)  # compiled before the clock runs
    start = time.process_time()
    run = thermo.simulate(model, beta, sweeps, burn_in=sweeps // 5, **options)
    seconds = time.process_time() - start
    per_sweep = seconds / (sweeps + sweeps // 5) / replicas * 1e6
    energy = float(run.energy.tau[0])
    order = float(run.absolute_magnetization.tau[0])
    if beta < 0 and run.staggered_magnetization is not None:
        order = float(run.staggered_magnetization.tau[0])
    return [energy, order, per_sweep, 2 * energy * per_sweep]


def _half_up(model: Ising) -> Any:
    import numpy as np

    spins = np.ones(model.lattice.n_sites, dtype=np.int8)
    spins[::2] = -1
    return spins


if __name__ == "__main__":
    main()
