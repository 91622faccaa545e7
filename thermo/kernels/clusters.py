"""Clusters of any model in difference form, grown site by site: Wolff and Swendsen–Wang.

A cluster move mirrors states, k → (c − k) mod q, which changes the energy of no bond inside the
cluster. A bond from site i to site j outside joins j to the cluster with the probability

    1 − exp(−β J (w[c − k_j − k_i] − w[k_j − k_i])),    0 where that is negative:

what mirroring one end alone would cost. For Ising spins and c = 1 it is 1 − e^{−2βJ} where the bond
is satisfied; for Potts spins it is 1 − e^{−βJ} between equal states (β J > 0), or between the two
states that c exchanges (β J < 0); for clock spins the mirror is an axis through two hours, or
between them.

U. Wolff, Phys. Rev. Lett. 62, 361 (1989); R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58, 86
(1987); J.-S. Wang, R. H. Swendsen, R. Kotecký, Phys. Rev. Lett. 63, 109 (1989).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thermo.kernels.lanes import lane_function
from thermo.kernels.streams import refill

__all__ = ["Bonds", "Scratch", "advance"]

_UNUSED = np.uint64(11)  # low bits that are dropped: 53 are compared, or make a float
_ONE = np.uint64(1)  # unsigned indices cannot count from the end: no test for it
_COIN = np.uint64(1 << 63)
_TAKEN = -128  # the sign bit marks sites that are in a cluster of the present sweep …
_STATE = 127  # … and this mask takes it off


class Bonds(NamedTuple):
    """The graph. Never written to."""

    offsets: np.ndarray  # (n + 1,) uint32; neighbours of site i: offsets[i] up to offsets[i + 1]
    neighbours: np.ndarray  # (2M,) uint32
    row: np.ndarray  # (2M,) uint32; where the thresholds of the bond begin
    n_states: int  # q


class Scratch(NamedTuple):
    """Work space of one run of the kernel, of any content."""

    queue: np.ndarray  # (n + 1,) uint32: the sites of the present cluster, in order of discovery
    bits: np.ndarray  # (rows, 8) uint64: random bits, more words than a site has neighbours


@lane_function
def below(number, word):
    """Turn a random word into a random integer 0 … number − 1."""
    return int((word >> _UNUSED) * 2.0**-53 * number)


@lane_function
def grow(seed, mirror, states, bonds, threshold, scratch, words, used, generator):
    """Collect the cluster of `seed` in the queue; return its size and the words used by then.

    Its states are marked as taken. Every bond to a site not taken is tested once, without a branch:
    which of them join is random, and a processor guesses wrong every other time. One word at least
    is left over.
    """
    queue = scratch.queue
    most = bonds.n_states - 1
    side = 2 * most + 1
    queue[0] = seed
    states[seed] |= _TAKEN
    done = np.uint64(0)
    size = np.uint64(1)
    while done < size:
        site = queue[done]
        done += _ONE
        start = bonds.offsets[site]
        end = bonds.offsets[site + _ONE]
        if used + end - start >= len(words):
            refill(scratch.bits, generator)
            used = np.uint64(0)
        own = int(states[site]) & _STATE
        image = mirror - own + (most + 1 if mirror < own else 0)
        corner = side * (image + most) + most - own  # of a neighbour in state 0
        for slot in range(start, end):
            other = bonds.neighbours[slot]
            state = int(states[other])
            place = np.uint64(corner - (side - 1) * (state & _STATE)) + bonds.row[slot]
            joins = (state >= 0) & ((words[used] >> _UNUSED) < threshold[place])
            used += _ONE
            states[other] = state | (_TAKEN * joins)
            queue[size] = other
            size += np.uint64(joins)
    return size, used


@lane_function
def reflect(queue, size, mirror, states, q):
    """Mirror the states of the cluster in the queue, which remains taken."""
    for k in range(size):
        image = mirror - (int(states[queue[k]]) & _STATE)
        states[queue[k]] = (image + (q if image < 0 else 0)) | _TAKEN


@lane_function
def move_clusters(states, bonds, threshold, one_cluster, by_colour, scratch, words, generator):
    """Do one sweep of a chain.

    Wolff grows one cluster, or none: one draw in n + 1 hits no site. Without that the number of
    sweeps would tell at β = 0, where every spin is a cluster, whether the number of spins up is
    even. The mirror gives the seed any other state.

    Swendsen–Wang parts the whole lattice. One mirror serves all clusters and a coin decides for
    each; mirrors through states and between them are both drawn, without which even q would fall
    into two classes of states. `by_colour`, where all of a cluster is in one state, gives each
    cluster any state instead.
    """
    n = len(states)
    q = bonds.n_states
    refill(scratch.bits, generator)
    used = np.uint64(2)
    if one_cluster:
        first = below(n + 1, words[0])
        last = min(first + 1, n)
        shift = 1 + below(q - 1, words[1])
        mirror = 2 * int(states[min(first, n - 1)]) + shift
    else:
        first = 0
        last = n
        mirror = below(q, words[0]) if q > 2 else 1  # k → −k moves no Ising spin
    for seed in range(first, last):
        if states[seed] >= 0:
            size, used = grow(
                seed, mirror % q, states, bonds, threshold, scratch, words, used, generator
            )
            if by_colour:
                mirror = (int(states[seed]) & _STATE) + below(q, words[used])
            elif not one_cluster and words[used] & _COIN:
                size = np.uint64(0)
            used += _ONE
            reflect(scratch.queue, size, mirror % q, states, q)
            if one_cluster:
                for k in range(size):
                    states[scratch.queue[k]] &= _STATE
    if not one_cluster:
        for site in range(n):
            states[site] &= _STATE


@njit(cache=True, nogil=True)
def advance(
    states: np.ndarray,
    generator: np.ndarray,
    bonds: Bonds,
    threshold: np.ndarray,
    one_cluster: bool,
    by_colour: np.ndarray,
    scratch: Scratch,
    sweeps: int,
    snapshots: np.ndarray,
) -> None:
    """Move clusters of every chain in place, and take snapshots.

    Parameters
    ----------
    states : (chains, n) int8
        0 … q − 1.
    generator : (chains, 2, 8) uint64
        Eight random streams of each chain.
    bonds, scratch
        See `Bonds` and `Scratch`.
    threshold : (chains, classes·(2q − 1)²) uint64
        2⁵³ times the probability that a bond joins its ends: a square of `Bonds.row` on, its rows
        the differences of the two states (1 − q … q − 1) after one is mirrored, its columns those
        before.
    one_cluster : bool
        Wolff; otherwise Swendsen–Wang.
    by_colour : (chains,) bool
        Whether Swendsen–Wang gives each cluster any state (Potts, β J > 0).
    sweeps : int
        Sweeps before every snapshot; without snapshots they are done once.
    snapshots : (chains, draws, n) int8
        Written: the states.
    """
    words = scratch.bits.reshape(-1)
    draws = snapshots.shape[1]
    for chain in range(len(states)):
        for draw in range(max(draws, 1)):
            for _ in range(sweeps):
                move_clusters(
                    states[chain],
                    bonds,
                    threshold[chain],
                    one_cluster,
                    by_colour[chain],
                    scratch,
                    words,
                    generator[chain],
                )
            if draws > 0:
                snapshots[chain, draw] = states[chain]
