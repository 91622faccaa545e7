"""Levels counted into bins with their moments, and sums over the bins: the two compiled loops."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from llm_bridge.logit_arrays import MASKED_AT

__all__ = ["MOMENTS", "add_levels", "sum_bins"]

MOMENTS = 4
"""Σ δ⁰ … Σ δ³ of the distances δ from the middle of a bin, in widths of a bin: |δ| ≤ ½."""

_MASKED_AT = np.float32(MASKED_AT)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_levels(row, lowest, bins_per_nat, moments):
    """Add a row of logits (V,), float32 or float64, to the moments (bins + 1, 4).

    Bins are centred on the lowest logit and on equal steps above it, so that both ends of the
    spectrum sit in the middle of a bin. Masked tokens are left out.

    A logit costs 4 bytes from memory and, in the table (some 50 kB, the second-level cache), four
    loads, additions and stores. With index and powers these are 20 instructions, 4 cycles at best;
    7 were measured.
    """
    for i in range(row.size):
        z = row[i]
        if z <= _MASKED_AT:
            continue
        t = (np.float64(z) - lowest) * bins_per_nat
        b = math.floor(t + 0.5)
        d = t - b
        k = np.uint32(b)  # unsigned: no test for an index from the end
        moments[k, 0] += 1.0
        moments[k, 1] += d
        moments[k, 2] += d * d
        moments[k, 3] += d * d * d


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def sum_bins(moments, y, farthest, from_the_top, sums):
    """Sums over all levels at distances g from one end, in bins, at each y = |β| · width.

    Fills ``sums`` (4, B) with Σ e^{−yg} less the number of levels in the end's own bin,
    Σ g e^{−yg}, Σ g² e^{−yg}, and the first again at 2y. From bin to bin, towards the end, the
    origin moves by one: g → g + 1. All terms of that recursion are positive. Levels with
    yg > ``farthest`` are left out, where most bins of a wide spectrum lie for a steep β: ``y`` must
    rise, so that those that have begun to sum are the first ones.
    """
    bins = moments.shape[0] - 1
    sign = -1.0 if from_the_top else 1.0
    r = np.exp(-y)
    # Arrays of their own, not rows of one: so the compiler knows them apart (three times faster).
    rest, first, second = np.zeros(y.size), np.zeros(y.size), np.zeros(y.size)
    rest_doubled = np.zeros(y.size)
    begun = 0
    for n in range(bins + 1):
        nearest = bins - n - 0.5  # of this bin's levels
        while begun < y.size and y[begun] * nearest <= farthest:
            begun += 1
        b = n if from_the_top else bins - n
        m0 = moments[b, 0] if n < bins else 0.0  # the end's own: whoever calls adds them
        m1, m2, m3 = sign * moments[b, 1], moments[b, 2], sign * moments[b, 3]
        half_m2, half_m3, sixth_m3 = m2 / 2, m3 / 2, m3 / 6
        for j in range(begun):
            v, w = y[j], 2 * y[j]
            a0, a1, a2 = r[j] * rest[j], r[j] * first[j], r[j] * second[j]
            rest[j] = a0 + (m0 - v * (m1 - v * (half_m2 - v * sixth_m3)))
            first[j] = a1 + a0 + (m1 - v * (m2 - v * half_m3))
            second[j] = a2 + 2 * a1 + a0 + (m2 - v * m3)
            rest_doubled[j] = r[j] * r[j] * rest_doubled[j] + (
                m0 - w * (m1 - w * (half_m2 - w * sixth_m3))
            )
    sums[0], sums[1], sums[2], sums[3] = rest, first, second, rest_doubled
