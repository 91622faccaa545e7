"""Kawasaki dynamics: neighbouring spins change places, so that the number in each state is kept."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from thermo.kernels.discrete import ZERO_ENERGY
from thermo.kernels.discrete_moves import draw_below, draw_unit, energy_change
from thermo.kernels.lanes import lane_function

__all__ = ["exchange"]


@lane_function
def swap_spins(spins, i, j, model):
    """Exchange two spins; return by how much the energy grew.

    One after the other, so that the bond between them needs no special case.
    """
    before_i = spins[i]
    before_j = spins[j]
    delta = energy_change(spins, i, np.int64(before_j), model)
    spins[i] = before_j
    delta += energy_change(spins, j, np.int64(before_i), model)
    spins[j] = before_i
    return delta if abs(delta) > ZERO_ENERGY else 0.0


@njit(cache=True, nogil=True)
def exchange(
    states: np.ndarray,
    streams: np.ndarray,
    beta: np.ndarray,
    ends: np.ndarray,
    model,
    attempts: int,
) -> None:
    """Attempt exchanges along random bonds in every chain, in place.

    Parameters
    ----------
    states : (chains, n) uint8
    streams : (chains, 2) uint64
    beta : (chains,) float64
        In the unit of the model's energies.
    ends : (M, 2) int32
        The bonds, M ≥ 1.
    model : thermo.kernels.discrete.DiscreteInteractions
    attempts : int
        Per chain; those at bonds of equal spins count.
    """
    for chain in range(len(states)):
        spins = states[chain]
        stream = streams[chain]
        for _ in range(attempts):
            bond = draw_below(stream, len(ends))
            i = ends[bond, 0]
            j = ends[bond, 1]
            if spins[i] == spins[j]:
                continue
            x = beta[chain] * swap_spins(spins, i, j, model)
            decay = math.exp(-abs(x))
            limit = (1.0 if x <= 0.0 else decay) * (1.0 - 0.5 * decay * decay)
            if draw_unit(stream) > limit:
                spins[i], spins[j] = spins[j], spins[i]
