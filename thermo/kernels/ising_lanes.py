"""Sequential single-spin sweeps of the Ising model for 512 replicas at once.

Every replica (lane) has its own spins, its own random bits and its own acceptance probabilities, so
512 replicas may stand at 512 different signed temperatures. At each site, for all lanes together:

1. count the unsatisfied bonds by bitwise adders (`count_unsatisfied`);
2. sort the lanes into classes, one per number of unsatisfied bonds (and per spin in a field); lanes
   in a class that always flips are done, and a class that flips with probability ½ takes one bit;
3. compare a uniform 64-bit number u with the acceptance threshold of the class, from the most
   significant bit down: where random bit and threshold bit differ, the lane is decided, and half
   the lanes are after every bit. Drawing stops when no lane is left; after 64 bits u equals the
   threshold, and is not below it (`flipping`).

The acceptance is exactly (64-bit threshold)/2⁶⁴, or 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from thermo.kernels.lanes import any_lane, load, rotate_left, splat, store

__all__ = ["MAX_DEGREE", "MATCH_ROWS", "THRESHOLD_ROWS", "Rules", "Scratch", "advance"]

COUNT_BITS = 4
MAX_DEGREE = 2**COUNT_BITS - 1
MATCH_ROWS = COUNT_BITS + 1  # per class: the bits of its count, and its spin
THRESHOLD_ROWS = 65  # per class: "always", then the threshold's bits from the highest
EAGER_BITS = 12  # bits drawn before the first look whether any of the 512 lanes is left

# Inlined by LLVM, and without reference counting: the arrays belong to the caller of `advance`, and
# counting them at every site costs more than the physics.
lane_function = register_jitable(forceinline=True, _nrt=False)


class Rules(NamedTuple):
    """What a sweep does: the graph and the acceptance of every lane. Never written to.

    Rows are vectors: arrays ``(rows, 8)`` of uint64.
    """

    offsets: np.ndarray  # (n + 1,) int64; neighbours of site i: offsets[i] up to offsets[i + 1]
    neighbours: np.ndarray  # (sum of degrees,) int32
    kind: np.ndarray  # (n,) int32; sites of one kind share their classes
    first_class: np.ndarray  # (kinds + 1,) int64
    sign: np.ndarray  # 1 row; all-ones in lanes where βJ < 0: there antiparallel is satisfied
    match: np.ndarray  # MATCH_ROWS per class; all-ones where the class has a 0 bit
    coin: np.ndarray  # MATCH_ROWS per kind: the class that flips with probability ½ in every lane
    has_coin: np.ndarray  # (kinds,) bool; whether there is one
    threshold: np.ndarray  # THRESHOLD_ROWS per class
    by_spin: bool  # classes also look at the spin itself (a field)


class Scratch(NamedTuple):
    """Work space of one run of the kernel."""

    masks: np.ndarray  # (most classes of a kind, 8): lanes in each class at the present site
    planes: np.ndarray  # (bits of the largest count, 8): a bit-sliced counter


@lane_function
def random_word(s0, s1):
    """Draw 512 random bits from eight xoroshiro128++ streams; return them and the new state.

    D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators" (2021).
    """
    result = rotate_left(s0 + s1, 17) + s0
    s1 = s1 ^ s0
    return result, rotate_left(s0, 49) ^ s1 ^ (s1 << 21), rotate_left(s1, 28)


@lane_function
def full_adder(a, b, c):
    """Add three bits per lane: return (sum, carry)."""
    half = a ^ b
    return half ^ c, (a & b) | (half & c)


@lane_function
def count_unsatisfied(spins, site, own, rules):
    """Count the neighbours that differ from `own`: four bit planes, lowest first."""
    ones = twos = fours = eights = splat(0)
    neighbour = rules.offsets[site]
    end = rules.offsets[site + 1]
    while neighbour < end:
        first = own ^ load(spins, rules.neighbours[neighbour])
        second = splat(0)
        if neighbour + 1 < end:
            second = own ^ load(spins, rules.neighbours[neighbour + 1])
        ones, carry = full_adder(ones, first, second)
        twos, carry = twos ^ carry, twos & carry
        fours, carry = fours ^ carry, fours & carry
        eights = eights ^ carry
        neighbour += 2
    return ones, twos, fours, eights


@lane_function
def members(match, c, spin, counts, by_spin):
    """Return the lanes whose site is in class `c` of the table `match`."""
    row = c * MATCH_ROWS
    mask = (counts[0] ^ load(match, row)) & (counts[1] ^ load(match, row + 1))
    mask = mask & (counts[2] ^ load(match, row + 2)) & (counts[3] ^ load(match, row + 3))
    if by_spin:
        mask = mask & (spin ^ load(match, row + 4))
    return mask


@lane_function
def flipping(spin, counts, rules, kind, masks, s0, s1):
    """Return the lanes whose spin flips, and the new state of the generator.

    The masks of the first two classes stay in registers (there are always two, and under Metropolis
    in zero field on four neighbours there are no more); those of further classes wait in `masks`.
    """
    first = rules.first_class[kind]
    more = rules.first_class[kind + 1] - first - 2
    top = first * THRESHOLD_ROWS
    mask0 = members(rules.match, first, spin, counts, rules.by_spin)
    mask1 = members(rules.match, first + 1, spin, counts, rules.by_spin)
    undecided = mask0 & ~load(rules.threshold, top)
    undecided = undecided | (mask1 & ~load(rules.threshold, top + THRESHOLD_ROWS))
    for k in range(more):
        mask = members(rules.match, first + 2 + k, spin, counts, rules.by_spin)
        store(masks, k, mask)
        undecided = undecided | (mask & ~load(rules.threshold, top + (k + 2) * THRESHOLD_ROWS))

    word, s0, s1 = random_word(s0, s1)
    flips = ~undecided
    if rules.has_coin[kind]:
        flips = flips & ~(members(rules.coin, kind, spin, counts, False) & word)
    row = 1
    while True:
        bit = mask0 & load(rules.threshold, top + row)
        bit = bit | (mask1 & load(rules.threshold, top + row + THRESHOLD_ROWS))
        for k in range(more):
            further = load(rules.threshold, top + row + (k + 2) * THRESHOLD_ROWS)
            bit = bit | (load(masks, k) & further)
        flips = flips | (undecided & bit & ~word)
        undecided = undecided & ~(bit ^ word)
        row += 1
        if row == THRESHOLD_ROWS or (row > EAGER_BITS and not any_lane(undecided)):
            return flips, s0, s1
        word, s0, s1 = random_word(s0, s1)


@lane_function
def count_pairs(spins, pairs, planes, counts, block):
    """Count, in every lane, the pairs of rows of `spins` that differ.

    Carry-save adders take eight pairs at a time (Harley and Seal); the carries of weight eight
    ripple into `planes`. The count of word w, bit b goes to ``counts[64·block + b, w]``.
    """
    for p in range(len(planes)):
        store(planes, p, splat(0))
    ones = twos = fours = splat(0)
    full = len(pairs) - len(pairs) % 8
    for k in range(0, full, 8):
        ones, a = full_adder(ones, differ(spins, pairs, k), differ(spins, pairs, k + 1))
        ones, b = full_adder(ones, differ(spins, pairs, k + 2), differ(spins, pairs, k + 3))
        twos, c = full_adder(twos, a, b)
        ones, a = full_adder(ones, differ(spins, pairs, k + 4), differ(spins, pairs, k + 5))
        ones, b = full_adder(ones, differ(spins, pairs, k + 6), differ(spins, pairs, k + 7))
        twos, a = full_adder(twos, a, b)
        fours, carry = full_adder(fours, c, a)
        ripple(planes, 3, carry)
    ripple(planes, 0, ones)
    ripple(planes, 1, twos)
    ripple(planes, 2, fours)
    for k in range(full, len(pairs)):
        ripple(planes, 0, differ(spins, pairs, k))
    for lane in range(64):
        count = splat(0)
        for p in range(len(planes)):
            count = count | (((load(planes, p) >> lane) & splat(1)) << p)
        store(counts, 64 * block + lane, count)


@lane_function
def differ(spins, pairs, k):
    """Return the lanes in which the two rows of pair `k` differ."""
    return load(spins, pairs[k, 0]) ^ load(spins, pairs[k, 1])


@lane_function
def ripple(planes, lowest, carry):
    """Add 2^`lowest` to the bit-sliced counter in the lanes of `carry`."""
    for p in range(lowest, len(planes)):
        plane = load(planes, p)
        store(planes, p, plane ^ carry)
        carry = plane & carry


@njit(cache=True, nogil=True)
def advance(
    spins: np.ndarray,
    generator: np.ndarray,
    rules: Rules,
    scratch: Scratch,
    sweeps: int,
    draws: int,
    observables: Any,
    counts: Any,
) -> None:
    """Sweep all lanes in place, and measure.

    Parameters
    ----------
    spins : (n + 2, 8) uint64
        Row i < n holds spin i of every lane (bit 1: up). Row n is all down, row n + 1 all up: pairs
        with these two count single spins.
    generator : (2, 8) uint64
        State of the eight random streams.
    rules, scratch
        See `Rules` and `Scratch`.
    sweeps : int
        Sweeps before every measurement; with `draws` = 0 the sweeps are done once, unmeasured.
    draws : int
        Number of measurements.
    observables : tuple of (pairs, 2) int32
        For each observable the pairs of rows to compare.
    counts : tuple of (64·draws, 8) uint64
        Written: number of differing pairs; lane 64·w + b of draw d at ``[64·d + b, w]``.
    """
    s0 = load(generator, 0)
    s1 = load(generator, 1)
    sign = load(rules.sign, 0)
    for draw in range(max(draws, 1)):
        for _ in range(sweeps):
            for site in range(len(spins) - 2):
                spin = load(spins, site)
                bonds = count_unsatisfied(spins, site, spin ^ sign, rules)
                kind = rules.kind[site]
                flips, s0, s1 = flipping(spin, bonds, rules, kind, scratch.masks, s0, s1)
                store(spins, site, spin ^ flips)
        if draws > 0:
            for k in range(len(observables)):
                count_pairs(spins, observables[k], scratch.planes, counts[k], draw)
    store(generator, 0, s0)
    store(generator, 1, s1)
