"""Ising spins between a bath and a demon: heat-bath flips beside flips that keep the energy.

What the demon has is counted as a number of bonds and a number of spins, so that nothing is lost to
rounding however long it trades.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thermo.kernels.discrete_moves import draw_below, draw_unit
from thermo.kernels.lanes import lane_function

__all__ = ["count_classes", "relax_and_exchange"]


@lane_function
def neighbour_sum(spins, site, offsets, neighbours):
    """Return Σ s over the neighbours of a site."""
    total = 0
    for k in range(offsets[site], offsets[site + 1]):
        total += spins[neighbours[k]]
    return total


@njit(cache=True, nogil=True)
def relax_and_exchange(
    spins: np.ndarray,
    purses: np.ndarray,
    held: np.ndarray,
    streams: np.ndarray,
    attempts: np.ndarray,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    up: np.ndarray,
    relaxing: float,
    coupling: float,
    field: float,
    maximum: float,
) -> None:
    """Attempt moves at random sites, in place: each is one with the bath, or one with the demon.

    Parameters
    ----------
    spins : (replicas, n) int8
        +1 and −1.
    purses : (replicas, 2) int64
        What each demon has taken from bonds and from spins since it began, b and m: by that its
        energy has grown to J b + h m more than what it held.
    held : (replicas,) float64
    streams : (replicas, 2) uint64
    attempts : (replicas,) int64
    offsets, neighbours : (n + 1,) int64, (2M,) int32
        Neighbours of site i: from ``offsets[i]`` up to ``offsets[i + 1]``.
    up : (2z + 1,) float64
        With what probability the bath leaves a spin up whose neighbours have the sum k − z.
    relaxing : float
        With what probability an attempt is one with the bath, 0 … 1.
    coupling, field : float
        J and h.
    maximum : float
        Of the demon's energy, with room for rounding: −maximum·10⁻⁹ counts as empty.
    """
    reach = len(up) // 2
    slack = 1e-9 * maximum
    for replica in range(len(spins)):
        own = spins[replica]
        stream = streams[replica]
        bonds = purses[replica, 0]
        aligned = purses[replica, 1]
        for _ in range(attempts[replica]):
            with_bath = draw_unit(stream) <= relaxing
            site = draw_below(stream, len(own))
            around = neighbour_sum(own, site, offsets, neighbours)
            if with_bath:
                own[site] = 1 if draw_unit(stream) <= up[around + reach] else -1
                continue
            spin = np.int64(own[site])  # of which −2s goes to the lattice, and 2s to the demon …
            more_bonds = bonds - 2 * spin * around
            more_aligned = aligned - 2 * spin
            energy = held[replica] + coupling * more_bonds + field * more_aligned
            if -slack <= energy <= maximum + slack:
                own[site] = -own[site]
                bonds = more_bonds
                aligned = more_aligned
        purses[replica, 0] = bonds
        purses[replica, 1] = aligned


@njit(cache=True, nogil=True)
def count_classes(
    spins: np.ndarray, offsets: np.ndarray, neighbours: np.ndarray, counts: np.ndarray
) -> None:
    """Count spins that are up, and that are down, by the sum of their neighbours.

    Parameters
    ----------
    spins, offsets, neighbours
        As of `relax_and_exchange`.
    counts : (replicas, 2z + 1, 2) int32
        Written; a sum of k − z is in row k.
    """
    counts[:] = 0
    reach = counts.shape[1] // 2
    for replica in range(len(spins)):
        own = spins[replica]
        for site in range(len(own)):
            around = neighbour_sum(own, site, offsets, neighbours)
            counts[replica, around + reach, (1 - own[site]) // 2] += 1
