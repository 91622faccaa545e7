"""Speed of the Ising engine, in attempted spin flips per nanosecond.

Every row is the median over repeated timings in one process, one after the other, with the naive
loop in the same run as the yardstick. Compilation is timed apart, in a fresh process with an empty
cache. Usage: ``python benchmarks/ising_speed.py [--json FILE] [--repeats 7]``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from thermo import simulate
from thermo.lattice import Lattice, cubic, honeycomb, square, triangular
from thermo.models import Ising
from thermo.sampling.lane_batch import LaneBatch

LANES = 512
FIRST_CALL = """
import time
import numpy as np
from thermo.lattice import square
from thermo.models import Ising
from thermo.run.simulate import simulate
start = time.perf_counter()
simulate(Ising(square(4)), [0.2], 1, burn_in=0, replicas=2)
print(time.perf_counter() - start)
"""


@numba.njit
def naive_sweeps(spins: np.ndarray, beta: float, sweeps: int) -> None:
    """Metropolis as in a textbook: one replica, a float uniform per flip that may be refused."""
    length = spins.shape[0]
    table = np.exp(-2.0 * beta * np.arange(-4, 5))
    for _ in range(sweeps):
        for x in range(length):
            for y in range(length):
                around = (
                    spins[(x + 1) % length, y]
                    + spins[x - 1, y]
                    + spins[x, (y + 1) % length]
                    + spins[x, y - 1]
                )
                ratio = table[spins[x, y] * around + 4]
                if ratio >= 1.0 or np.random.random() < ratio:  # noqa: NPY002
                    spins[x, y] = -spins[x, y]


def median_speed(work: Callable[[], None], flips: int, repeats: int) -> dict[str, float]:
    """Time `work`, which attempts `flips` flips, after one untimed call.

    Speeds by the clock on the wall, and by processor time (``per_core``), which on a machine shared
    with others is the fairer one.
    """
    work()
    wall, processor_time = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(flips / (time.perf_counter() - start) / 1e9)
        processor_time.append(flips / (time.process_time() - busy) / 1e9)
    return {
        "median": statistics.median(wall),
        "least": min(wall),
        "most": max(wall),
        "per_core": statistics.median(processor_time),
    }


def kernel_speed(lattice: Lattice, update: str, repeats: int, field: float = 0.0) -> dict:
    """512 replicas, half at β > 0 and half at β < 0, |β| evenly spread over 0.1 … 1; no measuring.

    On lattices of z neighbours |β| is scaled by 4/z, so that all sit alike about their transitions.
    """
    beta = np.linspace(0.1, 1.0, LANES) * np.where(np.arange(LANES) % 2, -1, 1)
    beta = beta * 4 / lattice.degrees.max()
    batch = LaneBatch(
        Ising(lattice, field=field),
        update,
        beta,
        np.arange(LANES),
        np.zeros(LANES, dtype=bool),
        np.random.SeedSequence(1),
    )
    sweeps = max(1, 2**28 // (LANES * lattice.n_sites))
    batch.sweep(sweeps)
    return median_speed(lambda: batch.sweep(sweeps), sweeps * LANES * lattice.n_sites, repeats)


def simulate_speed(threads: int, repeats: int) -> dict:
    """The public function: 64×64, 16 β of both signs, measured every 10 sweeps, set-up included."""
    beta = np.concatenate([np.linspace(0.1, 1.0, 8), -np.linspace(0.1, 1.0, 8)])
    replicas, sweeps = 64 * threads, 400

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

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this short run is for timing only
        return median_speed(work, beta.size * replicas * sweeps * 64**2, repeats)


def naive_speed(repeats: int) -> dict:
    """The naive loop on one 64×64 replica at β = 0.4."""
    spins = np.ones((64, 64), dtype=np.int64)
    return median_speed(lambda: naive_sweeps(spins, 0.4, 500), 500 * 64**2, repeats)


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


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    repeats = options.repeats
    cores = os.cpu_count() or 1

    rows = {
        "naive numba loop, square 64×64, 1 replica": naive_speed(repeats),
        "kernel, square 64×64, Metropolis": kernel_speed(square(64), "metropolis", repeats),
        "kernel, square 64×64, heat bath": kernel_speed(square(64), "heat_bath", repeats),
        "kernel, square 64×64, Metropolis, field 0.1": kernel_speed(
            square(64), "metropolis", repeats, field=0.1
        ),
        "kernel, honeycomb 2·45×45, Metropolis": kernel_speed(honeycomb(45), "metropolis", repeats),
        "kernel, triangular 64×64, Metropolis": kernel_speed(triangular(64), "metropolis", repeats),
        "kernel, cubic 16×16×16, Metropolis": kernel_speed(cubic(16), "metropolis", repeats),
        "simulate, square 64×64, measured every 10 sweeps, 1 thread": simulate_speed(1, repeats),
    }
    if cores > 1:
        name = f"simulate, square 64×64, measured every 10 sweeps, {cores} threads"
        rows[name] = simulate_speed(cores, repeats)
    compiling = first_call_seconds()

    naive = rows["naive numba loop, square 64×64, 1 replica"]["per_core"]
    print(f"{processor()}, {cores} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"Python {platform.python_version()}, numba {numba.__version__}, numpy {np.__version__}, "
        f"numba CPU {numba.core.config.CPU_NAME or 'host'}"
    )
    print(f"512 replicas, each with its own β and random bits; median of {repeats}\n")
    print(f"{'attempted flips per nanosecond':60s} median  least   most  per core  /naive")
    for name, speed in rows.items():
        print(
            f"{name:60s} {speed['median']:6.3f} {speed['least']:6.3f} {speed['most']:6.3f} "
            f"{speed['per_core']:9.3f} {speed['per_core'] / naive:7.1f}"
        )
    print(
        f"\nfirst call in a fresh process: {compiling['empty_cache']:.1f} s compiling, "
        f"{compiling['full_cache']:.1f} s from the cache"
    )
    if options.json:
        record = {
            "processor": processor(),
            "cores": cores,
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "numba": numba.__version__,
            "numpy": np.__version__,
            "repeats": repeats,
            "flips_per_ns": rows,
            "first_call_seconds": compiling,
        }
        options.json.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
