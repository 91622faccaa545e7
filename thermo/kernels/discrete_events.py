"""Rejection-free dynamics in continuous time: only moves that happen are made.

The rate at which site i leaves its state is the sum over the other states of their acceptance,
(1/(q − 1)) Σ_k min(1, e^{−βΔE_k}), in attempts per site as the unit of time. A tree of partial sums
over the sites finds the next to move in log₂ n steps, at any number of different rates.

In `trees` row c, element 1 is the sum over all sites, elements 2k and 2k + 1 make up element k, and
the sites begin at half the length.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from thermo.kernels.discrete import ZERO_ENERGY
from thermo.kernels.discrete_moves import draw_unit, energy_change
from thermo.kernels.lanes import lane_function

__all__ = ["advance", "fill_trees"]


@lane_function
def move_rate(spins, site, new, beta, model):
    """Return the rate at which `site` goes to the state `new`, not its own."""
    delta = energy_change(spins, site, new, model)
    if beta * delta <= 0.0 or abs(delta) <= ZERO_ENERGY:
        return 1.0 / (model.q - 1)
    return math.exp(-beta * delta) / (model.q - 1)


@lane_function
def site_rate(spins, site, beta, model):
    """Return the rate at which `site` leaves its state."""
    own = np.int64(spins[site])
    rate = 0.0
    for new in range(model.q):
        if new != own:
            rate += move_rate(spins, site, new, beta, model)
    return rate


@lane_function
def update_rate(tree, spins, site, beta, model):
    """Enter the present rate of `site` and the sums above it."""
    k = len(tree) // 2 + site
    tree[k] = site_rate(spins, site, beta, model)
    while k > 1:
        k //= 2
        tree[k] = tree[2 * k] + tree[2 * k + 1]


@lane_function
def waiting_time(stream, rate):
    """Return the time until something happens that happens at this rate; inf if never."""
    u = draw_unit(stream)
    return -math.log(u) / rate if rate > 0.0 else np.inf


@lane_function
def make_event(spins, tree, stream, beta, model):
    """Choose a site and its new state by their rates, and go there."""
    goal = draw_unit(stream) * tree[1]
    k = 1
    while k < len(tree) // 2:
        k *= 2
        if goal > tree[k] and tree[k + 1] > 0.0:
            goal -= tree[k]
            k += 1
    site = k - len(tree) // 2
    own = np.int64(spins[site])
    chosen = np.int64(own)
    for new in range(model.q):
        if new != own and goal > 0.0:
            rate = move_rate(spins, site, new, beta, model)
            goal -= rate
            if rate > 0.0:  # if rounding left something of the goal, the last possible state
                chosen = np.int64(new)
    spins[site] = chosen
    update_rate(tree, spins, site, beta, model)
    for bond in range(model.offsets[site], model.offsets[site + 1]):
        update_rate(tree, spins, np.int64(model.neighbours[bond]), beta, model)


@njit(cache=True, nogil=True)
def fill_trees(trees: np.ndarray, states: np.ndarray, beta: np.ndarray, model) -> None:
    """Write all rates and their sums."""
    half = trees.shape[1] // 2
    for chain in range(len(states)):
        tree = trees[chain]
        tree[:] = 0.0
        for site in range(states.shape[1]):
            tree[half + site] = site_rate(states[chain], site, beta[chain], model)
        for k in range(half - 1, 0, -1):
            tree[k] = tree[2 * k] + tree[2 * k + 1]


@njit(cache=True, nogil=True)
def advance(
    states: np.ndarray,
    trees: np.ndarray,
    streams: np.ndarray,
    beta: np.ndarray,
    next_event: np.ndarray,
    now: float,
    until: float,
    model,
) -> None:
    """Let the time of every chain run on, in place.

    Parameters
    ----------
    states : (chains, n) uint8
    trees : (chains, 2·2^k) float64, 2^k ≥ n
        From `fill_trees`.
    streams : (chains, 2) uint64
    beta : (chains,) float64
        In the unit of the model's energies.
    next_event : (chains,) float64
        When each chain moves next; nan where that is not known.
    now, until : float
        Times, in sweeps.
    model : thermo.kernels.discrete.DiscreteInteractions
    """
    for chain in range(len(states)):
        tree = trees[chain]
        stream = streams[chain]
        time = next_event[chain]
        if math.isnan(time):
            time = now + waiting_time(stream, tree[1])
        while time <= until:
            make_event(states[chain], tree, stream, beta[chain], model)
            time += waiting_time(stream, tree[1])
        next_event[chain] = time
