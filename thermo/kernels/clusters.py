"""Clusters of any model in difference form, one chain at a time: Wolff and Swendsen–Wang.

A cluster move mirrors states, k → (c − k) mod q, which changes the energy of no bond inside the
cluster. A bond between the sites i and j joins them to one cluster with the probability

    1 − exp(−β J (w[c − k_j − k_i] − w[k_j − k_i])),    0 where that is negative:

what mirroring one end alone would cost. For Ising spins and c = 1 it is 1 − e^{−2βJ} where the bond
is satisfied; for Potts spins it is 1 − e^{−βJ} between equal states (β J > 0), or between the two
states that c exchanges (β J < 0); for clock spins the mirror is an axis through two hours, or
between them.

Wolff's cluster grows from its seed, site by site. Swendsen–Wang visits every bond of the lattice
once, in the order of the sites, and keeps clusters as trees that point to smaller sites (a
union–find; J. Hoshen, R. Kopelman, Phys. Rev. B 14, 3438 (1976)): large lattices stream through the
cache. In both, which bonds join is random, and a processor that guesses is wrong every other time:
so the inner loops compute with 0 and 1 where one would write ``if``.

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

_UNUSED = np.uint64(11)  # low bits that are dropped where 53 make a float
_ZERO = np.uint64(0)
_ONE = np.uint64(1)  # unsigned indices cannot count from the end: no test for it
_TAKEN = -128  # the sign bit marks sites that are in the present cluster …
_STATE = 127  # … and this mask takes it off


class Bonds(NamedTuple):
    """The graph: for Wolff all bonds of each site, for Swendsen–Wang those with smaller sites.

    Never written to.
    """

    offsets: np.ndarray  # (n + 1,) uint32; bonds of site i: offsets[i] up to offsets[i + 1]
    links: np.ndarray  # (…, 2) uint32; the other site, and where the thresholds of the bond begin
    n_states: int  # q


class Scratch(NamedTuple):
    """Work space of one run of the kernel, of any content."""

    sites: np.ndarray  # (n + 1,) uint32: the cluster in order of discovery, or the trees
    bits: np.ndarray  # (rows, 8) uint64: random bits, more words than a site has neighbours


@lane_function
def below(number, word):
    """Turn a random word into a random integer 0 … number − 1."""
    return int((word >> _UNUSED) * 2.0**-53 * number)


@lane_function
def reflected(state, mirror, q):
    """Return (mirror − state) mod q."""
    return mirror - state + (q if mirror < state else 0)


@lane_function
def corner(own, image, q):
    """Return where the thresholds of a site in state `own` begin, if it became `image`."""
    return np.uint64((2 * q - 1) * (image - own + q - 1) + q - 1 - own)


# ---- Wolff -----------------------------------------------------------------------------------


@lane_function
def grow(seed, mirror, states, bonds, threshold, scratch, words, generator):
    """Mirror the cluster of `seed`; its sites are marked until it is complete."""
    q = bonds.n_states
    queue = scratch.sites
    queue[0] = seed
    states[seed] |= _TAKEN
    done, size, used = _ZERO, _ONE, np.uint64(len(words))
    while done < size:
        site = np.uint64(queue[done])
        done += _ONE
        start, end = np.uint64(bonds.offsets[site]), np.uint64(bonds.offsets[site + _ONE])
        if used + end - start > len(words):
            refill(scratch.bits, generator)
            used = _ZERO
        own = int(states[site]) & _STATE
        first = corner(own, reflected(own, mirror, q), q)
        for slot in range(start, end):
            other = np.uint64(bonds.links[slot, 0])
            state = int(states[other])
            place = first + np.uint64(state & _STATE) + np.uint64(bonds.links[slot, 1])
            joins = (state >= 0) & (words[used] < threshold[place])
            used += _ONE
            states[other] = state | (_TAKEN * joins)
            queue[size] = other
            size += np.uint64(joins)
    for k in range(size):
        site = np.uint64(queue[k])
        states[site] = reflected(int(states[site]) & _STATE, mirror, q)


@lane_function
def grow_two_states(seed, states, bonds, threshold, scratch, words, generator):
    """Mirror the cluster of `seed` where q = 2, each site at once and without a mark.

    Two states are only moved on lattices that are not frustrated: a bond between two sites of one
    cluster is satisfied, and therefore also when both are mirrored. It does not join again.
    """
    queue = scratch.sites
    queue[0] = seed
    states[seed] ^= 1
    done, size, used = _ZERO, _ONE, np.uint64(len(words))
    while done < size:
        site = np.uint64(queue[done])
        done += _ONE
        start, end = np.uint64(bonds.offsets[site]), np.uint64(bonds.offsets[site + _ONE])
        if used + end - start > len(words):
            refill(scratch.bits, generator)
            used = _ZERO
        image = int(states[site])
        first = corner(image ^ 1, image, 2)
        for slot in range(start, end):
            other = np.uint64(bonds.links[slot, 0])
            state = int(states[other])
            place = first + np.uint64(state) + np.uint64(bonds.links[slot, 1])
            joins = words[used] < threshold[place]
            used += _ONE
            states[other] = state ^ int(joins)
            queue[size] = other
            size += np.uint64(joins)


@lane_function
def wolff(states, bonds, threshold, scratch, words, generator):
    """Mirror one cluster, or none: one draw in n + 1 hits no site.

    Without that the number of sweeps would tell at β = 0, where every spin is a cluster, whether
    the number of spins up is even. The mirror gives the seed any other state.
    """
    n = len(states)
    q = bonds.n_states
    refill(scratch.bits, generator)
    seed = below(n + 1, words[0])
    if seed < n:
        if q == 2:
            grow_two_states(seed, states, bonds, threshold, scratch, words, generator)
        else:
            mirror = (2 * int(states[seed]) + 1 + below(q - 1, words[1])) % q
            grow(seed, mirror, states, bonds, threshold, scratch, words, generator)


# ---- Swendsen–Wang ---------------------------------------------------------------------------


@lane_function
def part(mirror, states, bonds, threshold, scratch, words, generator):
    """Part the lattice into clusters: trees in which every site points to a smaller one, or itself.

    A bond that does not join has the root of its site joined to itself, which changes nothing.
    """
    q = bonds.n_states
    trees = scratch.sites
    used = np.uint64(len(words))
    for site in range(len(states)):
        here = np.uint64(site)
        start, end = np.uint64(bonds.offsets[here]), np.uint64(bonds.offsets[here + _ONE])
        if used + end - start > len(words):
            refill(scratch.bits, generator)
            used = _ZERO
        own = int(states[here])
        first = corner(own, reflected(own, mirror, q), q)
        root = here
        trees[here] = site
        for slot in range(start, end):
            other = np.uint64(bonds.links[slot, 0])
            place = first + np.uint64(states[other]) + np.uint64(bonds.links[slot, 1])
            joins = words[used] < threshold[place]
            used += _ONE
            top = root ^ ((root ^ np.uint64(trees[other])) & (~_ZERO * np.uint64(joins)))
            while trees[top] != top:  # seldom
                trees[top] = trees[np.uint64(trees[top])]
                top = np.uint64(trees[top])
            low = min(top, root)
            trees[max(top, root)] = low
            root = low
        trees[here] = root


@lane_function
def recolour(mirror, by_colour, states, q, scratch, words, generator):
    """Toss a coin for every cluster whether it is mirrored, or draw its state.

    The root of a tree is reached before the other sites, which find its lot in its place.
    """
    trees = scratch.sites
    number = q if by_colour else 2
    used = np.uint64(len(words))
    for site in range(len(states)):
        here = np.uint64(site)
        if used == len(words):
            refill(scratch.bits, generator)
            used = _ZERO
        lot = below(number, words[used])
        used += _ONE
        root = np.uint64(trees[here])
        inherited = int(trees[root])
        lot = inherited ^ ((inherited ^ lot) & -int(root == here))
        trees[here] = lot
        own = int(states[here])
        image = reflected(own, mirror, q)
        states[here] = lot if by_colour else own ^ ((own ^ image) & -lot)


@lane_function
def swendsen_wang(states, bonds, threshold, by_colour, scratch, words, generator):
    """Part the whole lattice into clusters and mirror each, or not.

    One mirror serves all clusters; mirrors through states and between them are both drawn, without
    which even q would fall into two classes of states. `by_colour`, where all of a cluster is in
    one state, gives each cluster any state instead.
    """
    q = bonds.n_states
    mirror = 1  # k → −k moves no Ising spin
    if q > 2:
        refill(scratch.bits, generator)
        mirror = below(q, words[0])
    part(mirror, states, bonds, threshold, scratch, words, generator)
    recolour(mirror, by_colour, states, q, scratch, words, generator)


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
        2⁶⁴ times the probability that a bond joins its ends, 2⁶⁴ − 1 where it is certain: a square
        of `Bonds.links` on, its rows by how much one end is moved (1 − q … q − 1), its columns the
        other end less that one before (likewise).
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
        own, limits, streams = states[chain], threshold[chain], generator[chain]
        for draw in range(max(draws, 1)):
            for _ in range(sweeps):
                if one_cluster:
                    wolff(own, bonds, limits, scratch, words, streams)
                else:
                    swendsen_wang(own, bonds, limits, by_colour[chain], scratch, words, streams)
            if draws > 0:
                for site in range(len(own)):
                    snapshots[chain, draw, site] = own[site]
