"""Speed of the discrete models: general couplings, Potts, clock; exchanges, events, demons.

Attempted moves per nanosecond on the 64×64 torus, and on a random graph of as many sites with 20
neighbours on average; one process on one core, by processor time and by the clock on the wall;
every chain has its own random numbers and its own β, half of them of each sign, |β| evenly spread
over 0.1 … 1. Energies and magnetisation are measured every ten sweeps in the rows that say so. For
rejection-free dynamics the unit is not an attempt but a move made, at β = ±1.5, and beside it
stands by how much time runs faster than in attempted sweeps.

Usage: ``python benchmarks/discrete_speed.py [--json FILE] [--repeats 7]``
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from measure import machine, median_speed, print_table, write_record

from thermo.lattice import Lattice, from_edges, square
from thermo.models import Clock, Ising, Potts
from thermo.models.difference import DifferenceModel
from thermo.sampling.demon import DemonChains
from thermo.sampling.discrete_batch import DiscreteBatch
from thermo.sampling.kawasaki_batch import KawasakiBatch
from thermo.sampling.rejection_free_batch import RejectionFreeBatch

LATTICE = square(64)
CHAINS = 64
BETA = np.linspace(0.1, 1.0, CHAINS) * np.where(np.arange(CHAINS) % 2, -1, 1)
COLUMNS = ["64×64 torus, moves per nanosecond", "per core", "median", "least", "most"]


def random_graph(n: int, neighbours: int) -> Lattice:
    """Return a graph of n sites with so many neighbours on average, joined at random."""
    pairs = np.sort(np.random.default_rng(1).integers(0, n, (n * neighbours, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    chosen = np.random.default_rng(2).permutation(len(pairs))[: n * neighbours // 2]
    return from_edges(n, pairs[chosen])


def models() -> dict[str, DifferenceModel]:
    real = np.random.default_rng(1).normal(size=LATTICE.n_edges)
    graph = random_graph(LATTICE.n_sites, 20)
    on_graph = np.random.default_rng(1).normal(size=graph.n_edges)
    return {
        "Ising, Gaussian couplings": Ising(LATTICE, real),
        "Ising, Gaussian couplings, field 0.1": Ising(LATTICE, real, 0.1),
        "Ising, Gaussian couplings, graph of 20 neighbours": Ising(graph, on_graph),
        "Potts, q = 3": Potts(LATTICE, 3),
        "Potts, q = 4": Potts(LATTICE, 4),
        "Potts, q = 10": Potts(LATTICE, 10),
        "Potts, q = 3, graph of 20 neighbours": Potts(graph, 3),
        "Potts, q = 3, field 0.1": Potts(LATTICE, 3, field=0.1),
        "Potts, q = 3, Gaussian couplings": Potts(LATTICE, 3, real),
        "Potts, q = 10, Gaussian couplings": Potts(LATTICE, 10, real),
        "clock, q = 3": Clock(LATTICE, 3),
        "clock, q = 4": Clock(LATTICE, 4),
        "clock, q = 6": Clock(LATTICE, 6),
        "clock, q = 10": Clock(LATTICE, 10),
        "clock, q = 6, field 0.1": Clock(LATTICE, 6, field=0.1),
        "clock, q = 4, Gaussian couplings": Clock(LATTICE, 4, real),
        "clock, q = 6, Gaussian couplings": Clock(LATTICE, 6, real),
        "clock, q = 10, Gaussian couplings": Clock(LATTICE, 10, real),
        "chiral clock, q = 3": Clock(LATTICE, 3, chirality=0.2),
        "chiral clock, q = 3, Gaussian couplings": Clock(LATTICE, 3, real, chirality=0.2),
    }


def row(name: str, speed: dict[str, float]) -> list[object]:
    return [name, *(speed[column] for column in ("per_core", "median", "least", "most"))]


def single_spin_rows(repeats: int) -> list[list[object]]:
    rows = []
    for name, model in models().items():
        for update in ("metropolis", "heat_bath"):
            batch = DiscreteBatch(model, update, BETA, np.random.SeedSequence(1))
            batch.sweep(20)
            label = f"{name}: {update.replace('_', ' ')}"
            attempts = CHAINS * LATTICE.n_sites * 20
            rows.append(row(label, median_speed(lambda b=batch: b.sweep(20), attempts, repeats)))
            measured = median_speed(lambda b=batch: b.record(2, 10), attempts, repeats)
            rows.append(row(f"{label}, measured", measured))
    return rows


def other_rows(repeats: int) -> list[list[object]]:
    model = Ising(LATTICE)
    sweeps, attempts = 20, CHAINS * LATTICE.n_sites * 20
    kawasaki = KawasakiBatch(model, "kawasaki", BETA, np.random.SeedSequence(1))
    demon = DemonChains(model, -LATTICE.n_sites, CHAINS, seed=np.random.SeedSequence(1))
    return [
        row("Ising: Kawasaki", median_speed(lambda: kawasaki.sweep(sweeps), attempts, repeats)),
        row("Ising: demon", median_speed(lambda: demon.sweep(sweeps), attempts, repeats)),
    ]


def rejection_free_row(repeats: int) -> tuple[list[object], float]:
    """Moves made per nanosecond at β = ±1.5, and attempts that each of them stands for."""
    beta = np.repeat([1.5, -1.5], 8)
    model = Ising(LATTICE)
    batch = RejectionFreeBatch(model, "rejection_free", beta, np.random.SeedSequence(1))
    batch.spins = np.repeat([model.ordered_states(1)[0], model.ordered_states(-1)[0]], 8, axis=0)
    batch.sweep(50)
    sweeps = 2000
    rate = np.mean([(batch.sweep(100), batch.rates.mean())[1] for _ in range(20)])
    moves = len(beta) * rate * sweeps
    speed = median_speed(lambda: batch.sweep(sweeps), int(moves), repeats)
    name = "Ising, β = ±1.5: rejection-free, moves made"
    return row(name, speed), LATTICE.n_sites / float(rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    start = time.perf_counter()
    free, attempts_per_move = rejection_free_row(options.repeats)
    rows = [*single_spin_rows(options.repeats), *other_rows(options.repeats), free]
    settings = (
        f"{CHAINS} chains, each with its own β of either sign and its own random numbers; "
        f"median of {options.repeats}; one rejection-free move stands for "
        f"{attempts_per_move:.0f} attempts"
    )
    print_table(settings, COLUMNS, rows)
    write_record(options.json, "Discrete models", settings, COLUMNS, rows, machine())
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
