"""Clusters of an Ising model for 512 replicas at once: Wolff and Swendsen–Wang without a queue.

Every replica (lane) has its own spins, its own random bits and its own β. For all lanes together:

1. every bond that is satisfied opens with probability 1 − e^{−2|βJ|}: a uniform number is compared
   with the lane's threshold bit by bit, from the highest (`draw_bonds`);
2. a mark on some sites spreads over all open bonds until nothing changes (`spread`): the sites are
   visited upwards and downwards in turn, so that a mark runs far in one pass;
3. Wolff marks one random site of each lane and flips what is marked in the end. Swendsen–Wang needs
   a coin for each cluster, and lets the clusters choose a leader to toss it: of the sites left in
   the race those with a 1 in bit p of their number drop out where the cluster also has one with a
   0, for every p (`elect`). One spreading of marks for each bit, and one for the coins.

Marks, bonds and spins are bits: a pass over the lattice costs three logical operations per bond for
all 512 replicas. Bonds are opened on the whole lattice also for Wolff; the cluster of the marked
site is distributed as if it had been grown from there.

U. Wolff, Phys. Rev. Lett. 62, 361 (1989); R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58, 86
(1987).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from thermo.kernels.ising_lanes import count_pairs
from thermo.kernels.lanes import any_lane, lane_function, load, splat, store
from thermo.kernels.streams import random_word

__all__ = ["THRESHOLD_ROWS", "ClusterRules", "ClusterScratch", "advance"]

THRESHOLD_ROWS = 65  # "always", then the 64 bits of the threshold from the highest
EAGER_BITS = 12  # bits compared before the first look whether any lane is undecided

_UPPER_HALF = np.uint64(32)


class ClusterRules(NamedTuple):
    """The graph and the bonds of every lane. Never written to. Rows are vectors of 512 lanes."""

    first: np.ndarray  # (n + 1,) uint64; bonds of site i with larger ones: first[i] … first[i + 1]
    second: np.ndarray  # (M,) uint32; the larger end
    flipped: np.ndarray  # (M,) bool; bonds of coupling −J
    sign: np.ndarray  # 1 row: all-ones in lanes where βJ < 0
    threshold: np.ndarray  # THRESHOLD_ROWS rows: probability that a satisfied bond opens
    numbers: int  # bits of the largest site number


class ClusterScratch(NamedTuple):
    """Work space of one run of the kernel, of any content."""

    bonds: np.ndarray  # (M, 8): open in which lanes
    marks: np.ndarray  # (n, 8)
    leaders: np.ndarray  # (n, 8)
    seeds: np.ndarray  # (1, 8)
    planes: np.ndarray  # (bits of the largest count, 8): a bit-sliced counter


@lane_function
def draw_bonds(spins, rules, bonds, s0, s1):
    """Open the satisfied bonds of every lane with its probability."""
    always = load(rules.threshold, 0)
    sign = load(rules.sign, 0)
    for site in range(len(rules.first) - 1):
        own = load(spins, site)
        for b in range(rules.first[site], rules.first[site + 1]):
            opened = always
            undecided = ~always
            row = 1
            while True:
                word, s0, s1 = random_word(s0, s1)
                bit = load(rules.threshold, row)
                opened = opened | (undecided & bit & ~word)
                undecided = undecided & ~(bit ^ word)
                row += 1
                if row == THRESHOLD_ROWS or (row > EAGER_BITS and not any_lane(undecided)):
                    break
            broken = own ^ load(spins, rules.second[b]) ^ sign
            if rules.flipped[b]:
                broken = ~broken
            store(bonds, b, opened & ~broken)
    return s0, s1


@lane_function
def spread(marks, rules, bonds):
    """Mark everything that open bonds connect to a mark."""
    n = len(rules.first) - 1
    upwards = True
    while True:
        changed = splat(0)
        for step in range(n):
            site = step if upwards else n - 1 - step
            before = load(marks, site)
            own = before
            for b in range(rules.first[site], rules.first[site + 1]):
                other = load(marks, rules.second[b])
                both = (own | other) & load(bonds, b)
                own = own | both
                changed = changed | (both & ~other)
                store(marks, rules.second[b], other | both)
            changed = changed | (own ^ before)
            store(marks, site, own)
        upwards = not upwards
        if not any_lane(changed):
            break


@lane_function
def mark_seeds(marks, seeds, s0, s1):
    """Mark one random site in every lane, or none: one draw in n + 1 hits no site.

    Without that the number of sweeps would tell at β = 0, where every spin is a cluster, whether
    the number of spins up is even. Sites differ in probability by up to 2⁻³², which a cluster's
    chance to be chosen shares with the way back.
    """
    n = len(marks)
    for site in range(n):
        store(marks, site, splat(0))
    for lane in range(64):
        word, s0, s1 = random_word(s0, s1)
        store(seeds, 0, word)
        for w in range(seeds.shape[1]):
            chosen = (np.int64(seeds[0, w] >> _UPPER_HALF) * (n + 1)) >> 32
            if chosen < n:
                marks[chosen, w] |= np.uint64(1) << np.uint64(lane)
    return s0, s1


@lane_function
def elect(leaders, marks, rules, bonds):
    """Leave one leader in every cluster, whatever the order of the bits; the lowest first.

    The race is then short among neighbours, and only few are left when marks must travel far.
    """
    n = len(leaders)
    for site in range(n):
        store(leaders, site, splat(-1))
    for p in range(rules.numbers):
        for site in range(n):
            store(marks, site, splat(0) if (site >> p) & 1 else load(leaders, site))
        spread(marks, rules, bonds)
        for site in range(n):
            if (site >> p) & 1:
                store(leaders, site, load(leaders, site) & ~load(marks, site))


@njit(cache=True, nogil=True)
def advance(
    spins: np.ndarray,
    generator: np.ndarray,
    rules: ClusterRules,
    scratch: ClusterScratch,
    one_cluster: bool,
    sweeps: int,
    draws: int,
    observables: Any,
    counts: Any,
) -> None:
    """Flip clusters of all lanes in place, and measure.

    Parameters
    ----------
    spins : (n + 2, 8) uint64
        Row i < n holds spin i of every lane (bit 1: up). Row n is all down, row n + 1 all up: pairs
        with these two count single spins.
    generator : (2, 8) uint64
        State of the eight random streams.
    rules, scratch
        See `ClusterRules` and `ClusterScratch`.
    one_cluster : bool
        Wolff; otherwise Swendsen–Wang.
    sweeps : int
        Sweeps before every measurement; with `draws` = 0 the sweeps are done once, unmeasured.
    draws : int
        Number of measurements.
    observables : tuple of (pairs, 2) int32
        For each observable the pairs of rows to compare.
    counts : tuple of (64·draws, 8) uint64
        Written: number of differing pairs; lane 64·w + b of draw d at ``[64·d + b, w]``.
    """
    n = len(spins) - 2
    marks = scratch.marks
    s0 = load(generator, 0)
    s1 = load(generator, 1)
    for draw in range(max(draws, 1)):
        for _ in range(sweeps):
            s0, s1 = draw_bonds(spins, rules, scratch.bonds, s0, s1)
            if one_cluster:
                s0, s1 = mark_seeds(marks, scratch.seeds, s0, s1)
            else:
                elect(scratch.leaders, marks, rules, scratch.bonds)
                for site in range(n):
                    word, s0, s1 = random_word(s0, s1)
                    store(marks, site, word & load(scratch.leaders, site))
            spread(marks, rules, scratch.bonds)
            for site in range(n):
                store(spins, site, load(spins, site) ^ load(marks, site))
        if draws > 0:
            for k in range(len(observables)):
                count_pairs(spins, observables[k], scratch.planes, counts[k], draw)
    store(generator, 0, s0)
    store(generator, 1, s1)
