"""Many snapshots of two-state chains measured side by side: one snapshot per lane.

Numba's cache of a kernel looks at the kernel's own file only: see `thermo.kernels.lanes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from thermo.kernels.ising_lanes import count_pairs
from thermo.kernels.lanes import lane_function

__all__ = ["count_snapshots"]

_ONE = np.uint64(1)


@lane_function
def pack_snapshots(states, first, column, rows):
    """Pack snapshots `first` to `first` + 512, or the last, into the first n of `rows`.

    Sixty-four snapshots fill a column, which lies together until it is complete.
    """
    snapshots, n = states.shape
    for word in range(rows.shape[1]):
        column[:] = 0
        start = first + 64 * word
        for snapshot in range(start, min(start + 64, snapshots)):
            bit = np.uint64(snapshot - start)
            for site in range(n):
                column[site] |= (np.uint64(states[snapshot, site]) ^ _ONE) << bit
        for site in range(n):
            rows[site, word] = column[site]


@njit(cache=True, nogil=True)
def count_snapshots(
    states: np.ndarray,
    observables: Any,
    column: np.ndarray,
    rows: np.ndarray,
    planes: np.ndarray,
    counts: Any,
) -> None:
    """Count, in every snapshot, the pairs of sites that differ.

    Parameters
    ----------
    states : (snapshots, n) int8
        0 (up) or 1.
    observables : tuple of (pairs, 2) int32
        For each observable the pairs of `rows` to compare.
    column : (n,) uint64
        Work space.
    rows : (n + 2, 8) uint64
        Work space; row n is all down (zero), row n + 1 all up.
    planes : (bits of the largest count, 8) uint64
        Work space.
    counts : tuple of (64·blocks, 8) uint64
        Written: number of differing pairs; snapshot 512·d + 64·w + b at ``[64·d + b, w]``.
    """
    for block in range(len(counts[0]) // 64):
        pack_snapshots(states, 512 * block, column, rows)
        for k in range(len(observables)):
            count_pairs(rows, observables[k], planes, counts[k], block)
