"""Microcanonical moves: a demon with a bounded purse pays for what a move costs.

Energies are integers (quanta), so that the energy of lattice and demon together is conserved
exactly.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thermo.kernels.flat_moves import assign, propose

__all__ = ["approach", "exchange_energy"]


@njit(cache=True, nogil=True)
def exchange_energy(
    states: np.ndarray,
    purses: np.ndarray,
    streams: np.ndarray,
    maximum: int,
    attempts: int,
    system,
    moments: np.ndarray,
) -> None:
    """Attempt moves at random sites, each made if the demon can pay for it or take what it yields.

    Parameters
    ----------
    states : (replicas, n) uint8
    purses : (replicas,) int64
        What each demon has, 0 … `maximum` quanta.
    streams : (replicas, 2) uint64
    maximum : int
    attempts : int
        Per replica.
    system : thermo.kernels.flat_moves.DiscreteSystem
    moments : (replicas, 3) float64
        Written: the averages, over the attempts, of how full the purse is after each (0 … 1), of
        its square and of its cube.
    """
    for replica in range(len(states)):
        spins = states[replica]
        s0, s1 = streams[replica, 0], streams[replica, 1]
        purse = purses[replica]
        full = purse / maximum
        first, second, third = 0.0, 0.0, 0.0
        for _ in range(attempts):
            site, new, cost, s0, s1 = propose(spins, s0, s1, system)
            if 0 <= purse - cost <= maximum:
                assign(spins, site, new)
                purse -= cost
                full = purse / maximum
            first += full
            second += full * full
            third += full * full * full
        purses[replica] = purse
        streams[replica, 0] = s0
        streams[replica, 1] = s1
        moments[replica, 0] = first / attempts
        moments[replica, 1] = second / attempts
        moments[replica, 2] = third / attempts


@njit(cache=True, nogil=True)
def approach(
    states: np.ndarray,
    purses: np.ndarray,
    streams: np.ndarray,
    maximum: int,
    attempts: int,
    system,
) -> None:
    """Bring purses that are out of 0 … `maximum` into it, by moves that never lead further away.

    Parameters as for `exchange_energy`; `attempts` is the most that are made in each replica.
    """
    for replica in range(len(states)):
        spins = states[replica]
        s0, s1 = streams[replica, 0], streams[replica, 1]
        purse = purses[replica]
        for _ in range(attempts):
            if 0 <= purse <= maximum:
                break
            site, new, cost, s0, s1 = propose(spins, s0, s1, system)
            if (purse > 0 and 0 <= cost <= purse) or (purse < 0 and purse - maximum <= cost <= 0):
                assign(spins, site, new)
                purse -= cost
        purses[replica] = purse
        streams[replica, 0] = s0
        streams[replica, 1] = s1
