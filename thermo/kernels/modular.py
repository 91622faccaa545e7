"""Arithmetic modulo primes below 2³²: the torus partition polynomial and its transform.

Residues are uint64 below p < 2³², so that a product fits into 64 bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["inverse_transform", "power", "torus_polynomial_values"]


@njit(cache=True)
def power(base, exponent, p):
    """Return base^exponent mod p."""
    base, exponent, p = np.uint64(base), np.uint64(exponent), np.uint64(p)
    result = np.uint64(1)
    base %= p
    while exponent:
        if exponent & np.uint64(1):
            result = result * base % p
        base = base * base % p
        exponent >>= np.uint64(1)
    return result


@njit(cache=True)
def _lucas(trace, norm, m, p):
    """α^m + β^m mod p, where α + β = trace and αβ = norm: binary ladder from the top bit."""
    low, high = np.uint64(2), trace  # V_k and V_{k+1} for k = 0
    norm_power = np.uint64(1)  # norm^k
    bit = np.uint64(1)
    while (bit << np.uint64(1)) <= m:
        bit <<= np.uint64(1)
    while bit:
        middle = (low * high + (p - trace) * norm_power % p) % p  # V_{2k+1}
        if m & bit:
            low = middle
            high = (high * high % p + (p - np.uint64(2)) * (norm_power * norm % p)) % p
            norm_power = norm_power * norm_power % p * norm % p
        else:
            high = middle
            low = (low * low % p + (p - np.uint64(2)) * norm_power) % p
            norm_power = norm_power * norm_power % p
        bit >>= np.uint64(1)
    return low


@njit(cache=True)
def torus_polynomial_values(rows, columns, zeta, omega, count, p):
    """Return Σ_i g_i z^{2i} mod p at z = ω^0 … ω^{count−1}.

    Kaufman's four products divided by e^{2mnK}, as polynomials in z = e^{−2K} (m rows, n columns).
    The factors l and 2n − l together are α^m + β^m ± 2 (z − z³)^m, with
    α + β = (1 + z²)² − 2 cos(πl/n) (z − z³) and αβ = (z − z³)².

    Parameters
    ----------
    rows, columns, count : int
    zeta : int
        Element of order 2·columns: ζ^l + ζ^{−l} stands for 2 cos(πl/n).
    omega : int
        Element whose square has order `count`.
    p : int
        Prime below 2³².

    Returns
    -------
    ndarray of uint64, shape (count,)
    """
    m, n, p = np.uint64(rows), np.uint64(columns), np.uint64(p)
    one, two = np.uint64(1), np.uint64(2)
    zeta, omega = np.uint64(zeta), np.uint64(omega)
    inverse = power(zeta, two * n - one, p)
    cosines = np.empty(columns, dtype=np.uint64)
    up, down = one, one
    for angle in range(columns):
        cosines[angle] = (up + down) % p
        up, down = up * zeta % p, down * inverse % p

    values = np.empty(count, dtype=np.uint64)
    half = (p + one) // two
    z = one
    for j in range(count):
        z2 = z * z % p
        y = z * ((one + p - z2) % p) % p
        centre = (one + z2) * ((one + z2) % p) % p
        norm = y * y % p
        y_power = two * power(y, m, p) % p

        odd_plus, odd_minus, even_plus, even_minus = one, one, one, one
        for angle in range(1, columns):
            trace = (centre + (p - y) * cosines[angle]) % p
            v = _lucas(trace, norm, m, p)
            plus, minus = (v + y_power) % p, (v + p - y_power) % p
            if angle % 2:
                odd_plus, odd_minus = odd_plus * plus % p, odd_minus * minus % p
            else:
                even_plus, even_minus = even_plus * plus % p, even_minus * minus % p

        more, less = (one + z) % p, (one + p - z) % p
        first, second = power(less, m, p), power(z * more % p, m, p)  # l = 0
        even_plus = even_plus * ((first + second) % p) % p
        even_minus = even_minus * ((first + p - second) % p) % p
        first, second = power(more, m, p), power(z * less % p, m, p)  # l = n
        if columns % 2:
            odd_plus = odd_plus * ((first + second) % p) % p
            odd_minus = odd_minus * ((first + p - second) % p) % p
        else:
            even_plus = even_plus * ((first + second) % p) % p
            even_minus = even_minus * ((first + p - second) % p) % p

        total = (odd_plus + odd_minus) % p + (even_plus + even_minus) % p
        values[j] = total % p * half % p
        z = z * omega % p
    return values


@njit(cache=True)
def inverse_transform(values, root, p):
    """Return the coefficients c of Σ_i c_i x^i mod p from its values at x = root^0, root^1, …

    Radix-2 number-theoretic transform.

    Parameters
    ----------
    values : ndarray of uint64, shape (count,)
        count is a power of two.
    root : int
        Element of order count.
    p : int
        Prime below 2³².

    Returns
    -------
    ndarray of uint64, shape (count,)
    """
    count = len(values)
    p = np.uint64(p)
    result = values.copy()
    target = 0
    for source in range(1, count):  # bit-reversed order
        bit = count >> 1
        while target & bit:
            target ^= bit
            bit >>= 1
        target ^= bit
        if source < target:
            result[source], result[target] = result[target], result[source]
    inverse = power(root, count - 1, p)
    span = 1
    while span < count:
        step = power(inverse, count // (2 * span), p)
        twiddle = np.uint64(1)
        for offset in range(span):
            for start in range(offset, count, 2 * span):
                odd = result[start + span] * twiddle % p
                even = result[start]
                result[start] = (even + odd) % p
                result[start + span] = (even + p - odd) % p
            twiddle = twiddle * step % p
        span *= 2
    scale = power(np.uint64(count), p - np.uint64(2), p)
    for i in range(count):
        result[i] = result[i] * scale % p
    return result
