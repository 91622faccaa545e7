"""Spins and demons in equilibrium at β₀, before their field is reversed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from thermo.estimate.purse import demon_levels
from thermo.models.ising import Ising
from thermo.run.simulate import simulate
from thermo.sampling.energy_grid import energy_spacing

__all__ = ["all_states", "boltzmann", "equilibrium_purses", "equilibrium_spins"]

FloatArray = NDArray[np.float64]

_MOST_SITES = 16  # whose states are all listed
# In so many times the burn-in the chains show whether they are in equilibrium, being looked at so
# many times.
_WATCHED, _LOOKS = 4, 100


def all_states(sites: int) -> NDArray[np.int64]:
    """Return all configurations, ±1: site i of state k is down where bit i of k is set.

    Examples
    --------
    >>> all_states(2).tolist()
    [[1, 1], [-1, 1], [1, -1], [-1, -1]]
    """
    return 1 - 2 * (np.arange(2**sites)[:, None] >> np.arange(sites) & 1)


def boltzmann(energies: FloatArray, beta: float) -> FloatArray:
    """Return probabilities of states, all of the same weight at β = 0; at ±∞ those at the end.

    Examples
    --------
    >>> boltzmann(np.array([0.0, 1.0, 0.0]), np.inf)
    array([0.5, 0. , 0.5])
    """
    if np.isinf(beta):
        above = np.sign(beta) * energies
        weights = (above <= above.min() + 1e-9 * np.ptp(energies)).astype(np.float64)
    else:
        exponents = -beta * energies
        weights = np.exp(exponents - exponents.max())
    return np.asarray(weights / weights.sum())


def equilibrium_spins(
    model: Ising,
    beta: float,
    replicas: int,
    burn_in: int,
    seed: np.random.SeedSequence,
    threads: int | None = None,
) -> NDArray[np.int8]:
    """Draw configurations at β, of either sign or ±∞.

    Independent spins, and small lattices by their states: exactly. Others by heat-bath sweeps of
    `thermo.simulate`, which begin ordered where order is expected.

    Parameters
    ----------
    model : Ising
        With one coupling and one field.
    beta : float
    replicas : int
    burn_in : int
        Sweeps. In four times as many after them the lattices show whether they are in equilibrium.
    seed : numpy.random.SeedSequence
    threads : int, optional

    Returns
    -------
    ndarray of ±1, shape (replicas, n)

    Warns
    -----
    EquilibrationWarning
        Where they are not.
    """
    n, rng = model.lattice.n_sites, np.random.Generator(np.random.PCG64(seed))
    if model.coupling == 0.0 or not model.lattice.n_edges:
        up = expit(2.0 * beta * model.field)
        return np.where(rng.random((replicas, n)) < up, 1, -1).astype(np.int8)
    if n <= _MOST_SITES:
        states = all_states(n)
        weights = boltzmann(model.energy(states), beta)
        return states[rng.choice(len(states), replicas, p=weights)].astype(np.int8)
    sweeps = _WATCHED * burn_in
    run = simulate(
        model, beta, sweeps, burn_in=burn_in, replicas=replicas, update="heat_bath",
        measure_every=max(1, sweeps // _LOOKS), seed=int(seed.generate_state(1, np.uint64)[0]),
        threads=threads,
    )  # fmt: skip
    return run.final_spins[0]


def equilibrium_purses(
    model: Ising, beta: float, demon_maximum: float, replicas: int, seed: np.random.SeedSequence
) -> FloatArray:
    """Draw what demons have at β, among all that they can have; shape (replicas,).

    Examples
    --------
    >>> from thermo.lattice import chain
    >>> spins = Ising(chain(4), 0.0, 1.0)
    >>> equilibrium_purses(spins, -np.inf, 4.0, 3, np.random.SeedSequence(1))
    array([4., 4., 4.])
    """
    levels = np.asarray(demon_levels(demon_maximum, energy_spacing(model)).energies)
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.choice(levels, replicas, p=boltzmann(levels, beta))
