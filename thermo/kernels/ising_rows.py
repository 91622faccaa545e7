"""Sweeps of one large square Ising torus, 512 sites at a time.

The lattice is cut into 512 equal blocks, 16 down and 32 across, and one vector of bits holds the
same site of every block: lane 32·a + b is block (a, b). So all that `thermo.kernels.ising_lanes`
does for one site of 512 replicas serves for 512 sites of one lattice, no two of them neighbours.
Their neighbours are in the same lanes of another vector; at the rim of the blocks, in the lanes of
the next block (`of_left_block` and so on). Every site has its own random bits.

A sweep visits the even rows of all blocks, then the odd ones, each from left to right. Rows of one
parity do not touch one another, so that several threads may share a sweep, in strips of rows with
random streams of their own. Strips belong to the lattice: which thread takes which changes nothing.
Nor do threads wait for each other at the end of a half sweep. A strip may go on as soon as the
strips beside it have come as far as itself. Every thread walks through its own strips to and fro:
what its neighbours need of it first, it has done long ago.

Numba's cache looks at this file only: after an edit of `lanes`, `atomic` or `ising_lanes`, remove
the ``__pycache__`` beside it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thermo.kernels.atomic import look_up, publish
from thermo.kernels.ising_lanes import Acceptance, add_pair, flipping, load_state, store_state
from thermo.kernels.lanes import (
    lane_function,
    load,
    next_words,
    popcount,
    previous_words,
    splat,
    store,
)

__all__ = ["APART", "BLOCKS_ACROSS", "BLOCKS_DOWN", "advance_strips", "count_totals"]

BLOCKS_DOWN, BLOCKS_ACROSS = 16, 32
APART = 8  # words: notes of different strips are in different lines of the cache
PATIENCE = 20_000  # looks at the other threads before the processor is handed back: some 50 µs

_FIRST_OF_32 = 0x0000000100000001
_LAST_OF_32 = -0x7FFFFFFF80000000  # bits 31 and 63


@lane_function
def of_left_block(vector):
    """Give every lane the bit of the block to its left."""
    first = splat(_FIRST_OF_32)
    return ((vector << 1) & ~first) | ((vector >> 31) & first)


@lane_function
def of_right_block(vector):
    """Give every lane the bit of the block to its right."""
    last = splat(_LAST_OF_32)
    return ((vector >> 1) & ~last) | ((vector << 31) & last)


@lane_function
def of_upper_block(vector):
    """Give every lane the bit of the block above."""
    return (vector << 32) | (previous_words(vector) >> 32)


@lane_function
def of_lower_block(vector):
    """Give every lane the bit of the block below."""
    return (vector >> 32) | (next_words(vector) << 32)


@lane_function
def right_of(spins, width, row, column):
    """Return the right neighbours of a vector."""
    if column + 1 < width:
        return load(spins, row * width + column + 1)
    return of_right_block(load(spins, row * width))


@lane_function
def below(spins, width, row, column):
    """Return the lower neighbours of a vector."""
    if (row + 1) * width < len(spins):
        return load(spins, (row + 1) * width + column)
    return of_lower_block(load(spins, column))


@lane_function
def left_of(spins, width, row, column):
    """Return the left neighbours of a vector."""
    if column > 0:
        return load(spins, row * width + column - 1)
    return of_left_block(load(spins, row * width + width - 1))


@lane_function
def above(spins, width, row, column):
    """Return the upper neighbours of a vector."""
    if row > 0:
        return load(spins, (row - 1) * width + column)
    return of_upper_block(load(spins, len(spins) - width + column))


@lane_function
def come_as_far(done, strip, phase):
    """Wait until a strip has done `phase` half sweeps; say whether it came to that."""
    looks = 0
    while look_up(done, APART * strip) < phase:
        looks += 1
        if looks == PATIENCE:
            return False
    return True


@njit(cache=True, nogil=True)
def advance_strips(
    spins: np.ndarray,
    width: int,
    strips: np.ndarray,
    generators: np.ndarray,
    acceptance: Acceptance,
    scratch: np.ndarray,
    done: np.ndarray,
    first: int,
    last: int,
    begin: int,
    end: int,
) -> int:
    """Sweep a lattice: the strips of one thread, or all.

    Parameters
    ----------
    spins : (height·width, 8) uint64
        Row of the blocks by row; bit 1: up. Height and width of a block are even.
    width : int
        Of a block.
    strips : (S + 1,) int64
        Strip k is the rows ``strips[k]`` to ``strips[k + 1]``: even numbers, 0 … height; S ≥ 2.
    generators : (4·S, 8) uint64
        State of the random streams of the strips.
    acceptance
        See `Acceptance`; of one kind of site.
    scratch : (16, 8) uint64
        Work space, of this thread alone.
    done : (APART·S,) int64
        Shared by the threads, zero at the beginning: half sweeps that strip k has done, at
        ``APART·k``.
    first, last : int
        This thread has the strips first, …, last − 1.
    begin, end : int
        Pieces of work to do: piece ``phase·(last − first) + k`` is the k-th strip of a half sweep,
        from the first one in even half sweeps, from the last one in odd ones.

    Returns
    -------
    int
        `end`; or the piece at which a strip beside was not ready: let other threads run, and call
        again from there.
    """
    n_strips = len(strips) - 1
    for piece in range(begin, end):
        phase, k = divmod(piece, last - first)
        strip = first + k if phase % 2 == 0 else last - 1 - k
        for beside in range(strip + n_strips - 1, strip + n_strips + 2):
            if not come_as_far(done, beside % n_strips, phase):
                return piece
        state = load_state(generators, strip)
        for row in range(strips[strip] + phase % 2, strips[strip + 1], 2):
            for column in range(width):
                site = row * width + column
                spin = load(spins, site)
                count = (splat(0), splat(0), splat(0), splat(0))
                upper, lower = above(spins, width, row, column), below(spins, width, row, column)
                count = add_pair(count, upper, lower)
                left, right = (
                    left_of(spins, width, row, column),
                    right_of(spins, width, row, column),
                )
                count = add_pair(count, left, right)
                flips, state = flipping(spin, count, acceptance, 0, scratch, state)
                store(spins, site, spin ^ flips)
        store_state(generators, strip, state)
        publish(done, APART * strip, phase + 1)
    return end


@njit(cache=True, nogil=True)
def count_totals(spins: np.ndarray, width: int, totals: np.ndarray) -> None:
    """Count antiparallel bonds, spins up, and spins in step with (−1)^(row + column).

    Parameters
    ----------
    spins, width
        As in `advance_strips`.
    totals : (3, 8) uint64
        Written: the three counts, in eight parts.
    """
    antiparallel = up = in_step = splat(0)
    for row in range(len(spins) // width):
        for column in range(width):
            spin = load(spins, row * width + column)
            antiparallel = antiparallel + popcount(spin ^ right_of(spins, width, row, column))
            antiparallel = antiparallel + popcount(spin ^ below(spins, width, row, column))
            up = up + popcount(spin)
            in_step = in_step + popcount(spin ^ splat(-((row + column) % 2)))
    store(totals, 0, antiparallel)
    store(totals, 1, up)
    store(totals, 2, in_step)
