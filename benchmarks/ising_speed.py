"""Speed of the Ising engine, in attempted spin flips per nanosecond.

Every row is the median over repeated timings in one process, one after the other, with the naive
loop in the same run as the yardstick. Compilation is timed apart, in a fresh process with an empty
cache. Usage: ``python benchmarks/ising_speed.py [--json FILE] [--repeats 7]``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, median_speed, print_table, write_record
from naive import naive_sweeps

from thermo import simulate
from thermo.exact.density_of_states import ising_torus_counts
from thermo.lattice import Lattice, cubic, honeycomb, square, triangular
from thermo.models import Ising
from thermo.sampling.lane_batch import LANES, LaneBatch
from thermo.sampling.row_batch import RowBatch

CRITICAL = np.log(1 + 2**0.5) / 2
SETTINGS = (
    "512 replicas: each at its own β, half of them negative, |β|·z/4 evenly from 0.1 to 1 (z "
    "neighbours); one large lattice: at the critical β, from a random start. Every spin has random "
    "bits of its own, acceptance is exact to 2⁻⁶⁴; no measurements unless stated"
)
FIRST_CALL = """
import time
from thermo.lattice import square
from thermo.models import Ising
from thermo.run.simulate import simulate
start = time.perf_counter()
simulate(Ising(square(4)), [0.2], 1, burn_in=0, replicas=2)
print(time.perf_counter() - start)
"""


def naive_speed(repeats: int) -> dict[str, float]:
    """The naive loop on one 64×64 replica at β = 0.4."""
    spins = np.ones((64, 64), dtype=np.int64)
    return median_speed(lambda: naive_sweeps(spins, 0.4, 500), 500 * 64**2, repeats)


def replica_batch(model: Ising, update: str) -> LaneBatch:
    """512 replicas, each at its own β (see SETTINGS)."""
    beta = np.linspace(0.1, 1.0, LANES) * np.where(np.arange(LANES) % 2, -1, 1)
    beta = beta * 4 / model.lattice.degrees.max()
    return LaneBatch(model, update, beta, np.random.SeedSequence(1))


def replica_speed(model: Ising, update: str, repeats: int) -> dict[str, float]:
    """Sweeps of 512 replicas."""
    batch = replica_batch(model, update)
    sweeps = max(1, 2**28 // (LANES * model.lattice.n_sites))
    flips = sweeps * LANES * model.lattice.n_sites
    return median_speed(lambda: batch.sweep(sweeps), flips, repeats)


def spin_glass(lattice: Lattice) -> Ising:
    """Couplings +1 and −1 at random."""
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=lattice.n_edges)
    return Ising(lattice, signs)


def exchange_microseconds(repeats: int) -> float:
    """Processor time to give 512 chains their β in another order, as tempering does."""
    batch = replica_batch(Ising(square(64)), "metropolis")
    beta, generator = batch.beta, np.random.default_rng(1)
    times = []
    for _ in range(repeats * 20):
        permuted = generator.permutation(beta)
        start = time.process_time()
        batch.beta = permuted
        times.append(1e6 * (time.process_time() - start))
    return statistics.median(times)


def large_lattice(length: int) -> RowBatch:
    """One L×L lattice at the critical point."""
    model = Ising(square(length))
    return RowBatch(model, "metropolis", np.array([CRITICAL]), np.random.SeedSequence(1))


def large_speeds(length: int, repeats: int) -> dict[str, dict[str, float]]:
    """One lattice by one thread and by two, in turns; and measured every 10 sweeps."""
    batch = large_lattice(length)
    sweeps = max(10, 2**28 // length**2 // 10 * 10)
    flips = sweeps * length**2
    names = {1: f"one lattice {length}², 1 thread", 2: f"one lattice {length}², 2 threads"}
    rounds: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for _ in range(repeats):
        for threads, speeds in rounds.items():
            batch.threads = threads
            speeds.append(median_speed(lambda: batch.sweep(sweeps), flips, 1))
    found = {
        names[threads]: {
            "median": statistics.median(s["median"] for s in speeds),
            "least": min(s["least"] for s in speeds),
            "most": max(s["most"] for s in speeds),
            "per_core": statistics.median(s["per_core"] for s in speeds),
        }
        for threads, speeds in rounds.items()
    }
    batch.threads = 1
    found[f"one lattice {length}², 1 thread, measured every 10 sweeps"] = median_speed(
        lambda: batch.record(sweeps // 10, 10), flips, repeats
    )
    return found


def simulate_speed(threads: int, repeats: int) -> dict[str, float]:
    """The public function: 64×64, 16 β of both signs, measured every 10 sweeps, set-up included."""
    beta = np.concatenate([np.linspace(0.1, 1.0, 8), -np.linspace(0.1, 1.0, 8)])
    replicas, sweeps = 32 * threads, 4000

    def work() -> None:
        simulate(
            Ising(square(64)),
            beta,
            sweeps,
            burn_in=0,
            replicas=replicas,
            measure_every=10,
            threads=threads,
            seed=1,
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this short run is for timing only
        return median_speed(work, beta.size * replicas * sweeps * 64**2, repeats)


def density_of_states_seconds(length: int) -> float:
    """Processor time of the exact density of states of a torus, once compiled."""
    ising_torus_counts(4)
    start = time.process_time()
    ising_torus_counts(length)
    return time.process_time() - start


def first_call_seconds() -> dict[str, float]:
    """First `simulate` in a fresh process, with an empty cache (compiling) and with a full one."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": cache,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        seconds = [
            float(
                subprocess.run(
                    [sys.executable, "-c", FIRST_CALL],
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for _ in range(2)
        ]
    return {"empty_cache": seconds[0], "full_cache": seconds[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    repeats = options.repeats

    naive = "naive numba loop, square 64×64, 1 replica"
    speeds = {naive: naive_speed(repeats)}
    for name, model, update in (
        ("square 64×64, Metropolis", Ising(square(64)), "metropolis"),
        ("square 64×64, heat bath", Ising(square(64)), "heat_bath"),
        ("square 64×64, field 0.1", Ising(square(64), field=0.1), "metropolis"),
        ("square 64×64, ±J", spin_glass(square(64)), "metropolis"),
        ("square 64×64, open edges", Ising(square(64, periodic=False)), "metropolis"),
        ("honeycomb 2·45×45", Ising(honeycomb(45)), "metropolis"),
        ("triangular 64×64", Ising(triangular(64)), "metropolis"),
        ("cubic 16×16×16", Ising(cubic(16)), "metropolis"),
        ("cubic 16×16×16, ±J", spin_glass(cubic(16)), "metropolis"),
    ):
        speeds[f"512 replicas, {name}"] = replica_speed(model, update, repeats)
    for threads in (1, 2):
        name = f"simulate, 512 replicas per thread, 64×64, measured every 10 sweeps, {threads} thr."
        speeds[name] = simulate_speed(threads, repeats)
    for length in (2048, 4096):
        speeds |= large_speeds(length, repeats)

    columns = ["attempted flips/ns", "median", "least", "most", "per core", "per core/naive"]
    rows: list[list[Any]] = [
        [name, s["median"], s["least"], s["most"], s["per_core"],
         s["per_core"] / speeds[naive]["per_core"]]
        for name, s in speeds.items()
    ]  # fmt: skip
    others = {
        "two_threads_over_one": {
            str(length): speeds[f"one lattice {length}², 2 threads"]["median"]
            / speeds[f"one lattice {length}², 1 thread"]["median"]
            for length in (2048, 4096)
        },
        "exchange_of_512_beta_microseconds": exchange_microseconds(repeats),
        "exact_density_of_states_seconds": {
            str(length): density_of_states_seconds(length) for length in (32, 64)
        },
        "first_call_seconds": first_call_seconds(),
    }
    host = machine()
    title = f"Ising engine, median of {repeats}"
    print(f"{host['processor']}, {host['cores']} cores, load {host['load'][0]:.1f}; {SETTINGS}\n")
    print_table(title, columns, rows)
    for name, value in others.items():
        print(f"{name}: {value}")
    write_record(options.json, title, SETTINGS, columns, rows, host, **others)


if __name__ == "__main__":
    main()
