"""Walks in energy with weights w(E) ≈ 1/g(E): multicanonical and Wang–Landau moves.

A move proposes a new state for one random site, every other state of it equally likely (a uniform
direction for unit vectors), and accepts it with min(1, w(E′)/w(E)). Every proposal, accepted or
not, is counted in ``transitions[bin, reach + proposed bin − bin]``: what the walk would have done
at β = 0, from which ln g follows by detailed balance.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from thermo.kernels.flat_moves import assign, bin_of, energy_afresh, propose
from thermo.kernels.lanes import lane_function
from thermo.kernels.streams import random_unit

__all__ = ["multicanonical_sweeps", "wang_landau_sweeps"]

STAGE_MOVES_PER_BIN = 1000


@lane_function
def move(states, energy, s0, s1, log_weight, transitions, system):
    """Attempt one move and count it; return the new energy, its bin, and the generator's state."""
    site, spin, change, s0, s1 = propose(states, s0, s1, system)
    proposed = energy + change
    here = bin_of(energy, states, system)
    there = bin_of(proposed, states, system)
    transitions[here, system.reach + there - here] += 1
    gain = log_weight[there] - log_weight[here]
    if gain < 0.0:
        uniform, s0, s1 = random_unit(s0, s1)
        if uniform >= math.exp(gain):
            return energy, here, s0, s1
    assign(states, site, spin)
    return proposed, there, s0, s1


@njit(cache=True, nogil=True)
def multicanonical_sweeps(sweeps, states, energy, generator, log_weight, transitions, ends, system):
    """Walk with fixed weights.

    Parameters
    ----------
    sweeps : int
        A sweep is n moves.
    states : ndarray of uint8, shape (n,), or float64, shape (n, d)
    energy : ndarray of int64 (quanta) or float64, shape (1,)
    generator : ndarray of uint64, shape (2,)
    log_weight : ndarray, shape (bins,)
    transitions : ndarray of int64, shape (bins, 2·reach + 1)
        Proposals, counted on.
    ends : ndarray of int64, shape (4,)
        The lowest and the highest bin of a round trip, the end visited last (0 or 1; −1 for none),
        and how often the walk has gone from one to the other, counted on.
    system : DiscreteSystem or VectorSystem
    """
    e = energy[0]
    s0, s1 = generator[0], generator[1]
    lowest, highest = np.uint64(ends[0]), np.uint64(ends[1])
    for _ in range(sweeps):
        e = energy_afresh(e, states, system)
        for _ in range(states.shape[0]):
            e, here, s0, s1 = move(states, e, s0, s1, log_weight, transitions, system)
            if here <= lowest or here >= highest:
                end = np.int64(here >= highest)
                if ends[2] == 1 - end:
                    ends[3] += 1
                ends[2] = end
    energy[0] = e
    generator[0], generator[1] = s0, s1


@njit(cache=True, nogil=True)
def wang_landau_sweeps(
    sweeps, states, energy, generator, log_weight, transitions, visited, clock, factor, system
):
    """Walk while lowering the weight of the present bin after every move by the factor ln f.

    ln f is halved when every known bin has been visited since the last time and no new one was
    found for 1000 moves per known bin, until it would fall below 1/t, t = moves per known bin; from
    then on it is 1/t.

    Parameters
    ----------
    sweeps, states, energy, generator, system :
        As in `multicanonical_sweeps`.
    log_weight : ndarray, shape (bins,)
        −ln g so far; +inf where the walk has never been.
    transitions : ndarray of int64, shape (bins, 2·reach + 1)
        Proposals since ln f was last halved.
    visited : ndarray of bool, shape (bins,)
        Visited since ln f was last halved.
    clock : ndarray of int64, shape (4,)
        Moves made; moves since ln f was halved or a bin was found; bins known; bins visited since
        ln f was halved.
    factor : ndarray of float64, shape (1,)
        ln f; its sign is negative once it is 1/t.
    """
    n = states.shape[0]
    e = energy[0]
    s0, s1 = generator[0], generator[1]
    here = bin_of(e, states, system)
    if log_weight[here] == np.inf:  # it begins, or was put, where it has never been
        least = log_weight.min()
        log_weight[here] = 0.0 if least == np.inf else least
        clock[2] += 1
    for _ in range(sweeps):
        log_f = abs(factor[0])
        e = energy_afresh(e, states, system)
        for _ in range(n):
            before = here
            e, here, s0, s1 = move(states, e, s0, s1, log_weight, transitions, system)
            if not visited[here]:
                visited[here] = True
                clock[3] += 1
                if log_weight[here] == np.inf:
                    log_weight[here] = log_weight[before]
                    clock[2] += 1
                    clock[1] = 0
            log_weight[here] -= log_f
        clock[0] += n
        clock[1] += n
        one_over_t = clock[2] / clock[0]
        if factor[0] < 0.0:
            factor[0] = -one_over_t
        elif clock[3] == clock[2] and clock[1] >= STAGE_MOVES_PER_BIN * clock[2]:
            factor[0] *= 0.5
            if factor[0] <= one_over_t:
                factor[0] = -one_over_t
            clock[1] = 0
            clock[3] = 0
            visited[:] = False
            transitions[:] = 0
    energy[0] = e
    generator[0], generator[1] = s0, s1
