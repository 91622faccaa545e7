"""Every kind of run that may be cut, killed and spread over workers, small and as plain numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from thermo.errors import EquilibrationWarning
from thermo.lattice import chain, square
from thermo.models import Heisenberg, Ising, Potts
from thermo.run import checkpoint, workers
from thermo.run.annealing import population_annealing
from thermo.run.demon import demon_thermometer
from thermo.run.flat_histogram import multicanonical, wang_landau
from thermo.run.reweighting import reweighting
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering

SEED = 20261121
BOTH_SIGNS = np.linspace(-0.4, 0.4, 9)

# Chunks that grow from one step to whatever is left, and all of them written.
SMALL_STEPS = (
    (workers, "_FIRST_MOVES", 1),
    (workers, "_SECONDS", 1e9),
    (checkpoint, "_LEAST_SECONDS", 0.0),
    (checkpoint, "_SHARE", 0.0),
)

# Keyword arguments, of them `seed` → arrays that must come out the same, bit for bit.
RUNS: dict[str, Callable[..., list[np.ndarray]]] = {
    "simulate": lambda **how: _of_series(
        simulate(Ising(square(4)), [-0.2, 0.2], 200, burn_in=20, replicas=300, **how)
    ),
    "parallel_tempering": lambda **how: _of_series(
        parallel_tempering(
            Potts(square(3), 3), [0.0, 0.4, 0.8], 100, burn_in=10, replicas=24, **how
        )
    ),
    "population_annealing": lambda **how: _of_annealing(
        population_annealing(Ising(square(4)), BOTH_SIGNS, 700, sweeps=2, replicas=3, **how)
    ),
    "annealing of vectors": lambda **how: _of_annealing(
        population_annealing(Heisenberg(chain(4)), BOTH_SIGNS, 50, sweeps=2, replicas=3, **how)
    ),
    "wang_landau": lambda **how: _of_density(wang_landau(Ising(square(4)), 4000, walkers=3, **how)),
    "multicanonical": lambda **how: _of_density(
        multicanonical(Potts(chain(5), 3), 60_000, walkers=3, **how)
    ),
    "multicanonical of vectors with given weights": lambda **how: _of_density(
        multicanonical(Heisenberg(chain(4)), 400, walkers=3, levels=_bins(), bin_width=0.5, **how)
    ),
    "reweighting": lambda **how: _of_density(
        reweighting(Ising(square(4)), BOTH_SIGNS, 400, replicas=100, **how)
    ),
    "demon_thermometer": lambda **how: _of_reading(
        demon_thermometer(Ising(square(6)), -20.0, 60, burn_in=9, replicas=20, **how)
    ),
}


def numbers(name: str, **how: Any) -> list[np.ndarray]:
    """Do one of the `RUNS`, which are too short for their errors to be trusted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquilibrationWarning)
        return RUNS[name](**{"seed": SEED, **how})


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Whether two results are the same, bit for bit."""
    pairs = zip(first, second, strict=True)
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def _of_series(run: Any) -> list[np.ndarray]:
    return [*run.series.values(), run.final_spins]


def _of_annealing(run: Any) -> list[np.ndarray]:
    return [*run.series.values(), run.log_z, run.family_size, run.overlap]


def _of_density(density: Any) -> list[np.ndarray]:
    arrays = [density.levels.energies, density.levels.log_degeneracy, density.stderr]
    if hasattr(density, "energy_series"):
        arrays += [density.energy_series, density.round_trips, *_of_density(density.histogram)]
    return arrays


def _of_reading(reading: Any) -> list[np.ndarray]:
    return [np.array([reading.beta, reading.error, reading.energy.mean, reading.energy.tau])]


def _bins() -> Any:
    from thermo.levels import EnergyLevels
    from thermo.sampling.energy_grid import energy_grid

    energies = energy_grid(Heisenberg(chain(4)), 0.5).energies[1:-1]
    return EnergyLevels(energies, -0.1 * energies**2)
