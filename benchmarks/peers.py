"""Whoever can sample the Ising model, on the same problem: speed, and agreement on ⟨E⟩.

The 64×64 torus at β = 0.4 in zero field, J = 1, single-spin updates, one core, measured every 10
sweeps by those who let it be chosen. Nothing is installed: packages that are not there are left
out and named. Every mean energy is held against Kaufman's exact one; |z| > 4.4 anywhere
(false-alarm rate 1e-5 per row) ends with status 1.

Usage: ``python benchmarks/peers.py [--json FILE] [--repeats 5] [--quick]``
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # one core for everybody

import numba
import numpy as np
from measure import machine, median_speed, print_table, write_record
from naive import naive_sweeps

import thermo
from thermo.estimate.autocorrelation import mean_with_error
from thermo.exact.kaufman import square_torus

LENGTH = 64
SITES = LENGTH * LENGTH
BETA = 0.4
EVERY = 10
BURN_IN = 500
Z_LIMIT = 4.4
PEERS = ("mcising", "peapods", "dwave-samplers")


@dataclass(frozen=True)
class Peer:
    """One program: how to run so many measured sweeps (→ energies per site (chains, draws))."""

    name: str
    settings: str
    replicas: int
    run: Callable[[int, int], np.ndarray]  # sweeps, seed
    every: int = EVERY


@numba.njit
def seed_numba(seed: int) -> None:
    np.random.seed(seed)  # noqa: NPY002


def energy_per_site(spins: np.ndarray) -> float:
    return -float(np.mean(spins * (np.roll(spins, 1, 0) + np.roll(spins, 1, 1))))


def spinlogit(sweeps: int, seed: int, sign: int = 1, replicas: int = 512) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", thermo.errors.EquilibrationWarning)  # short when timing
        run = thermo.simulate(
            thermo.Ising(thermo.lattice.square(LENGTH)),
            sign * BETA,
            sweeps,
            burn_in=BURN_IN,
            replicas=replicas,
            measure_every=EVERY,
            seed=seed,
            threads=1,
        )
    return sign * run.energy_series[0] / SITES


def naive(sweeps: int, seed: int) -> np.ndarray:
    seed_numba(seed)
    spins = np.ones((LENGTH, LENGTH), dtype=np.int64)
    naive_sweeps(spins, BETA, BURN_IN)
    energies = np.empty(sweeps // EVERY)
    for k in range(energies.size):
        naive_sweeps(spins, BETA, EVERY)
        energies[k] = energy_per_site(spins)
    return energies[None, :]


def checkerboard(sweeps: int, seed: int) -> np.ndarray:
    """NumPy, whole sublattices at a time."""
    rng = np.random.default_rng(seed)
    spins = np.ones((LENGTH, LENGTH), dtype=np.int8)
    black = np.indices(spins.shape).sum(axis=0) % 2 == 0
    table = np.exp(-2.0 * BETA * np.arange(-4, 5))

    def sweep() -> None:
        for colour in (black, ~black):
            around = (
                np.roll(spins, 1, 0)
                + np.roll(spins, -1, 0)
                + np.roll(spins, 1, 1)
                + np.roll(spins, -1, 1)
            )
            flip = colour & (rng.random(spins.shape) < table[spins * around + 4])
            spins[flip] *= -1

    for _ in range(BURN_IN):
        sweep()
    energies = np.empty(sweeps // EVERY)
    for k in range(energies.size):
        for _ in range(EVERY):
            sweep()
        energies[k] = energy_per_site(spins)
    return energies[None, :]


def mcising(sweeps: int, seed: int) -> np.ndarray:
    from mcising import IsingSimulation

    simulation = IsingSimulation(LENGTH, 1.0, 0.0, 0.0, 0.0, seed, "metropolis", "square")
    simulation.sweep(BURN_IN, temperature=1.0 / BETA)
    result = simulation.production_sweeps(
        sweeps // EVERY, EVERY, temperature=1.0 / BETA, store_configs=False
    )
    return np.asarray(result["energies"])[None, :]


def peapods(sweeps: int, seed: int) -> np.ndarray:
    """It returns means only: 16 stretches of one run, a quarter of each left out, give the error.

    Its temperatures are float32, and its generator takes no seed.
    """
    from peapods import Ising

    model = Ising((LENGTH, LENGTH), temperatures=np.array([1.0 / BETA]))
    energies = []
    for _ in range(16):
        model.sample(max(sweeps // 16, 4), warmup_ratio=0.25, sequential=True)
        energies.append(-model.get_energies()[0])
    return np.array(energies)[:, None]


def dwave(sweeps: int, seed: int) -> np.ndarray:
    """It returns final states only: one energy per read of 500 sweeps at constant β."""
    from dwave.samplers import SimulatedAnnealingSampler

    edges = thermo.lattice.square(LENGTH).edges.tolist()
    samples = SimulatedAnnealingSampler().sample_ising(
        {},
        dict.fromkeys(map(tuple, edges), -1.0),
        beta_schedule_type="custom",
        beta_schedule=[BETA],
        num_sweeps_per_beta=500,
        num_reads=max(sweeps // 500, 1),
        seed=seed,
    )
    return samples.record.energy[:, None] / SITES


def peers() -> Iterator[Peer]:
    """Everyone there may be; importing them is tried later."""
    own = "512 replicas, independent random bits"
    yield Peer("spinlogit", own, 512, spinlogit)
    yield Peer("spinlogit at −β", own, 512, lambda sweeps, seed: spinlogit(sweeps, seed + 1, -1))
    yield Peer("naive numba loop", "1 replica", 1, naive)
    yield Peer("NumPy checkerboard", "1 replica", 1, checkerboard)
    yield Peer("mcising", "1 replica", 1, mcising)
    yield Peer("peapods", "1 replica", 1, peapods, every=1)
    yield Peer("dwave-samplers", "reads of 500 sweeps, last state", 1, dwave, every=500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sweeps")
    options = parser.parse_args()

    exact = float(square_torus(BETA, LENGTH).internal_energy) / SITES
    columns = ["program", "settings", "flips/ns per core", "× naive", "⟨E⟩/N", "error", "z"]
    host = machine(*PEERS)
    measured: list[tuple[Peer, dict[str, float], float, float]] = []
    absent = []
    for peer in peers():
        sweeps = 40_000 if peer.replicas == 1 else 16_000
        sweeps = sweeps // 10 if options.quick else sweeps
        try:
            energies = peer.run(sweeps, 20261121)
        except ImportError:
            absent.append(peer.name)
            continue
        if energies.shape[1] > 1:
            estimate = mean_with_error(energies[None])
            mean, error = float(estimate.mean[0]), float(estimate.error[0])
        else:
            mean = float(energies.mean())
            error = float(energies.std(ddof=1)) / len(energies) ** 0.5
        timed = sweeps // 8
        flips = peer.replicas * SITES * _swept(peer, timed)
        speed = median_speed(lambda p=peer, n=timed: p.run(n, 1), flips, options.repeats)
        measured.append((peer, speed, mean, error))

    naive_speed = next(s["per_core"] for p, s, *_ in measured if p.name == "naive numba loop")
    rows: list[list[Any]] = []
    for peer, speed, mean, error in measured:
        each = f"{peer.settings}; measured every {peer.every} sweeps"
        rows.append(
            [
                peer.name,
                each,
                speed["per_core"],
                speed["per_core"] / naive_speed,
                f"{mean:.5f}",
                f"{error:.5f}",
                (mean - exact) / error,
            ]
        )
    settings = (
        f"64×64 Ising torus, β = {BETA}, J = 1, single-spin updates, one core, burn-in and "
        f"measurements inside the time; median of {options.repeats}. Exact ⟨E⟩/N = {exact:.6f} "
        "(Kaufman)."
    )
    print(settings, end="\n\n")
    print_table("Programs that sample the Ising model", columns, rows)
    print(host)
    if absent:
        print("not installed, so not run: " + ", ".join(absent))
    write_record(
        options.json,
        "Programs that sample the Ising model",
        settings,
        columns,
        rows,
        host,
        absent=absent,
    )
    wrong = [row[0] for row in rows if abs(row[-1]) > Z_LIMIT]
    if wrong:
        sys.exit("disagrees with the exact energy: " + ", ".join(wrong))


def _swept(peer: Peer, sweeps: int) -> int:
    """How many sweeps a run of so many measured ones makes, burn-in included."""
    if peer.name == "peapods":
        return 16 * max(sweeps // 16, 4)
    if peer.name == "dwave-samplers":
        return 500 * max(sweeps // 500, 1)
    return sweeps // EVERY * EVERY + BURN_IN


if __name__ == "__main__":
    main()
