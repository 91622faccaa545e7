"""Random numbers: xoroshiro128++, one stream or eight side by side.

A stream is two words of state. They may be numbers, or vectors of eight streams
(`thermo.kernels.lanes`): the functions are the same. In plain Python the wrap-around of single
words makes NumPy warn of overflow; the bits are those of the compiled functions.

D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", ACM Trans. Math. Softw.
47, 36 (2021).

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

import numpy as np

from thermo.kernels.lanes import lane_function, load, rotate_left, store

__all__ = ["random_unit", "random_word", "refill"]


@lane_function
def random_word(s0, s1):
    """Draw 64 random bits, or eight times 64; return them and the new state."""
    word = rotate_left(s0 + s1, 17) + s0
    s1 = s1 ^ s0
    return word, rotate_left(s0, 49) ^ s1 ^ (s1 << 21), rotate_left(s1, 28)


@lane_function
def random_unit(s0, s1):
    """Draw a multiple of 2⁻⁵³, uniform in [0, 1), from one stream; return the new state too."""
    word, s0, s1 = random_word(s0, s1)
    return np.float64(word >> 11) * 2.0**-53, s0, s1


@lane_function
def refill(bits, generator):
    """Fill the rows of `bits`, uint64 (rows, 8); `generator`, uint64 (2, 8), moves on."""
    s0 = load(generator, 0)
    s1 = load(generator, 1)
    for row in range(len(bits)):
        word, s0, s1 = random_word(s0, s1)
        store(bits, row, word)
    store(generator, 0, s0)
    store(generator, 1, s1)
