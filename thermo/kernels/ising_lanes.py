"""Sequential single-spin sweeps of the Ising model for 512 replicas at once.

Every replica (lane) has its own spins, its own random bits and its own acceptance probabilities, so
512 replicas may stand at 512 different signed temperatures. At each site, for all lanes together:

1. count the neighbours that are up by bitwise adders (`count_up`);
2. say which spins lie along their local field, seen at the sign of β of the lane (flipping those
   costs something: `stance`), and which acceptance threshold they have (`in_class`);
3. compare a uniform 64-bit number u with that threshold, from the most significant bit down: where
   random bit and threshold bit differ, the lane is decided, and half the lanes are after every bit.
   Drawing stops when no lane is left; after 64 bits u equals the threshold, and is not below it
   (`flipping`). A spin against its field flips where the aligned one would not (heat bath, and
   neutral flips), or always (Metropolis).

The acceptance is exactly (64-bit threshold)/2⁶⁴, one minus that, or 1.

What can be known when the sweep is compiled – the number of neighbours, whether bonds have signs,
whether sites differ – it reads off the types of its arguments: a plain ferromagnet pays nothing for
what a spin glass in a field needs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from thermo.kernels.lanes import any_lane, lane_function, load, splat, store, transpose
from thermo.kernels.streams import random_word as next_word

__all__ = [
    "MAX_DEGREE",
    "STATE_ROWS",
    "Acceptance",
    "Graph",
    "Scratch",
    "add_pair",
    "advance",
    "class_count",
    "flipping",
    "load_state",
    "store_state",
]

MAX_DEGREE = 15  # four bit planes
STATE_ROWS = 4  # of a random generator
EAGER_BITS = 12  # bits drawn before the first look whether any of the 512 lanes is left


class Graph(NamedTuple):
    """Who is whose neighbour. Never written to."""

    neighbours: np.ndarray  # (n, Z) int32; a missing neighbour is row n, which is always down
    flipped: np.ndarray | None  # (n, Z) int64; −1 on bonds of the other sign, else 0


class Acceptance(NamedTuple):
    """What every lane does at a site with Z neighbours or fewer. Never written to.

    There are two forms. Where all sites have Z neighbours and there is no field, `kind` is None, a
    flip costs the same with k neighbours up as with Z − k, and k = Z/2 is neutral in every lane:
    there are (Z + 1)//2 classes. Otherwise there are Z + 1 classes for each kind of site, one per
    number of neighbours up.

    The other tables are rows of vectors, ``(rows, 8)`` of uint64. Of the rows of the classes, the
    first is as it is, the others are differences (exclusive or) from it.
    """

    bonds: tuple[int, ...]  # 0 … Z − 1: a tuple, so that Z is known when the kernel is compiled
    kind: np.ndarray | None  # (n,) int32; sites of one kind share their classes
    aligned: np.ndarray  # per kind and class: lanes where up is along the local field;
    #                      kind None: one row, lanes where it is if most neighbours are up
    two_sided: np.ndarray  # likewise: lanes where flips towards the field may be refused, too
    threshold: np.ndarray  # per kind, bit (highest first) and class


class Scratch(NamedTuple):
    """Work space of one run of the kernel."""

    masks: np.ndarray  # (classes, 8): lanes in each class at the present site
    planes: np.ndarray  # (bits of the largest count, 8): a bit-sliced counter


@lane_function
def load_state(generator, k):
    """Return the state of the k-th generator: four rows."""
    return (
        load(generator, STATE_ROWS * k),
        load(generator, STATE_ROWS * k + 1),
        load(generator, STATE_ROWS * k + 2),
        load(generator, STATE_ROWS * k + 3),
    )


@lane_function
def store_state(generator, k, state):
    """Write the state of the k-th generator."""
    for part in range(STATE_ROWS):
        store(generator, STATE_ROWS * k + part, state[part])


@lane_function
def random_word(state):
    """Draw 512 random bits; return them and the new state of the generator.

    A generator is two sets of eight xoroshiro128++ streams which take turns: while one word is
    made, the processor can begin with the next.
    """
    s0, s1, next0, next1 = state
    word, s0, s1 = next_word(s0, s1)
    return word, (next0, next1, s0, s1)


@lane_function
def full_adder(a, b, c):
    """Add three bits per lane: return (sum, carry)."""
    half = a ^ b
    return half ^ c, (a & b) | (half & c)


@lane_function
def neighbour(spins, neighbours, flipped, site, k):
    """Return the k-th neighbour's spin, reversed if the bond is."""
    spin = load(spins, neighbours[site, k])
    if flipped is not None:
        spin = spin ^ splat(flipped[site, k])
    return spin


@lane_function
def add_pair(count, first, second):
    """Add two bits per lane to a count of four bit planes, lowest first."""
    ones, carry = full_adder(count[0], first, second)
    twos, carry = count[1] ^ carry, count[1] & carry
    fours, carry = count[2] ^ carry, count[2] & carry
    return ones, twos, fours, count[3] ^ carry


@lane_function
def count_up(spins, site, graph, degree):
    """Count the neighbours that are up, after reversing those behind flipped bonds."""
    count = (splat(0), splat(0), splat(0), splat(0))
    # The last neighbour first: the site visited just before is among the first, and its new spin
    # is only just on its way.
    for k in range(0, degree, 2):
        first = neighbour(spins, graph.neighbours, graph.flipped, site, degree - 1 - k)
        second = splat(0)
        if k + 1 < degree:
            second = neighbour(spins, graph.neighbours, graph.flipped, site, degree - 2 - k)
        count = add_pair(count, first, second)
    return count


@lane_function
def equal(count, number, degree):
    """Return the lanes whose count, at most `degree`, is `number`."""
    mask = count[0] if number & 1 else ~count[0]
    if degree > 1:
        mask = mask & (count[1] if number & 2 else ~count[1])
    if degree > 3:
        mask = mask & (count[2] if number & 4 else ~count[2])
    if degree > 7:
        mask = mask & (count[3] if number & 8 else ~count[3])
    return mask


@lane_function
def above(count, number):
    """Return the lanes whose count is more than `number`."""
    mask = splat(0)
    for p in range(4):
        mask = mask & count[p] if (number >> p) & 1 else mask | count[p]
    return mask


@lane_function
def class_count(kind, degree):
    """Return the number of classes of a site."""
    return (degree + 1) // 2 if kind is None else degree + 1


@lane_function
def in_class(count, c, kind, degree):
    """Return the lanes in class `c`: none, if there is no such class."""
    if c >= class_count(kind, degree):
        return splat(0)
    mask = equal(count, c, degree)
    return mask | equal(count, degree - c, degree) if kind is None else mask


@lane_function
def of_class(table, row, masks, further, classes):
    """Return of every lane the bit in the row of its class; class 0 has the row `row`."""
    bit = load(table, row)
    if classes > 1:
        bit = bit ^ (masks[0] & load(table, row + 1))
    if classes > 2:
        bit = bit ^ (masks[1] & load(table, row + 2))
    if classes > 3:
        bit = bit ^ (masks[2] & load(table, row + 3))
    if classes > 4:
        bit = bit ^ (masks[3] & load(table, row + 4))
    for c in range(5, classes):
        bit = bit ^ (load(further, c) & load(table, row + c))
    return bit


@lane_function
def stance(spin, count, acceptance, kind, first, masks, further):
    """Return the lanes aligned with the local field, two-sided, and neutral."""
    degree = len(acceptance.bonds)
    if kind is None:
        aligned = spin ^ load(acceptance.aligned, 0) ^ above(count, degree // 2)
        neutral = equal(count, degree // 2, degree) if degree % 2 == 0 else splat(0)
        return aligned & ~neutral, load(acceptance.two_sided, 0) & ~neutral, neutral
    up = of_class(acceptance.aligned, first, masks, further, degree + 1)
    return ~(spin ^ up), of_class(acceptance.two_sided, first, masks, further, degree + 1), splat(0)


@lane_function
def first_class(kind, degree, site):
    """Return the number of a site's class 0, of all classes of all kinds."""
    return 0 if kind is None else (degree + 1) * kind[site]


@lane_function
def flipping(spin, count, acceptance, site, further, state):
    """Return the lanes whose spin flips, and the new state of the generator.

    The masks of the first classes stay in registers; those of others wait in `further`.
    """
    degree, kind, threshold = len(acceptance.bonds), acceptance.kind, acceptance.threshold
    classes = class_count(kind, degree)
    first = first_class(kind, degree, site)
    masks = (
        in_class(count, 1, kind, degree),
        in_class(count, 2, kind, degree),
        in_class(count, 3, kind, degree),
        in_class(count, 4, kind, degree),
    )
    for c in range(5, classes):
        store(further, c, in_class(count, c, kind, degree))
    aligned, two_sided, neutral = stance(spin, count, acceptance, kind, first, masks, further)

    word, state = random_word(state)
    undecided = aligned | two_sided
    certain = ~(undecided | (neutral & word))
    below = splat(0)  # where u is below the threshold
    row = 64 * first
    end = row + 64 * classes
    for k in range(EAGER_BITS):
        if k > 0:
            word, state = random_word(state)
        bit = of_class(threshold, row, masks, further, classes)
        below = below ^ (undecided & (below ^ bit))
        undecided = undecided & ~(bit ^ word)
        row += classes
    while row < end and any_lane(undecided):
        word, state = random_word(state)
        bit = of_class(threshold, row, masks, further, classes)
        below = below ^ (undecided & (below ^ bit))
        undecided = undecided & ~(bit ^ word)
        row += classes
    below = below & ~undecided
    return certain | (below ^ (two_sided & ~aligned)), state


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
    for p in range(64):
        store(counts, 64 * block + p, load(planes, p) if p < len(planes) else splat(0))
    transpose(counts, 64 * block)


@njit(cache=True, nogil=True)
def advance(
    spins: np.ndarray,
    generator: np.ndarray,
    graph: Graph,
    acceptance: Acceptance,
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
    generator : (4, 8) uint64
        State of the random streams, see `random_word`.
    graph, acceptance, scratch
        See `Graph`, `Acceptance` and `Scratch`.
    sweeps : int
        Sweeps before every measurement; with `draws` = 0 the sweeps are done once, unmeasured.
    draws : int
        Number of measurements.
    observables : tuple of (pairs, 2) int32
        For each observable the pairs of rows to compare.
    counts : tuple of (64·draws, 8) uint64
        Written: number of differing pairs; lane 64·w + b of draw d at ``[64·d + b, w]``.
    """
    state = load_state(generator, 0)
    for draw in range(max(draws, 1)):
        for _ in range(sweeps):
            for site in range(len(graph.neighbours)):
                spin = load(spins, site)
                count = count_up(spins, site, graph, len(acceptance.bonds))
                flips, state = flipping(spin, count, acceptance, site, scratch.masks, state)
                store(spins, site, spin ^ flips)
        if draws > 0:
            for k in range(len(observables)):
                count_pairs(spins, observables[k], scratch.planes, counts[k], draw)
    store_state(generator, 0, state)
