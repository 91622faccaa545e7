"""Functions of eight real numbers side by side, and random ones made from random words.

Written with the vectors of `thermo.kernels.lane_reals`, so that they give the same bits compiled
and in plain Python.

Numba's cache of a kernel looks at the kernel's own file only: after an edit here, remove the
``__pycache__`` beside it.
"""

from __future__ import annotations

import math

from thermo.kernels.lane_reals import as_bits, from_bits, reals, select
from thermo.kernels.lanes import lane_function, splat

__all__ = ["circle", "exponential", "logarithm", "sign_of", "unit_interval"]

_SIGN_BIT = -(2**63)
_ONE_BITS = 0x3FF0000000000000  # of 1.0
_TWO_52_BITS = 0x4330000000000000  # of 2⁵²
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_MANTISSA = 2**52 - 1
_ROUNDER = 1.5 * 2.0**52  # a sum with it is rounded to an integer, which its lowest bits hold
_LN2_HIGH = float.fromhex("0x1.62e42fefa0000p-1")  # 36 bits: multiples by n are exact
_LN2_LOW = float.fromhex("0x1.cf79abc9e3b3ap-40")


@lane_function
def unit_interval(words):
    """Turn random words into multiples of 2⁻⁵², uniform in [0, 1): their upper 52 bits count."""
    return from_bits((words >> 12) | splat(_ONE_BITS)) - 1.0


@lane_function
def sign_of(x):
    """Return 1 or −1, by the sign bit (also that of zero)."""
    return from_bits((as_bits(x) & splat(_SIGN_BIT)) | splat(_ONE_BITS))


@lane_function
def exponential(x):
    """Return eˣ, x ≤ 700, within 2·10⁻¹⁴ of itself (e⁻³⁵⁰ for less than −350)."""
    x = select(x > -350.0, x, reals(-350.0))  # a square of e⁻³⁵⁰ is not subnormal, which is slow
    shifted = x * (1.0 / math.log(2.0)) + _ROUNDER
    n = shifted - _ROUNDER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW  # |r| ≤ ½ ln 2
    # The polynomial of degree 9 from 1 + r on whose largest relative error, 1.7·10⁻¹⁴, is least;
    # pairs of terms first: a shorter chain.
    r2 = r * r
    low = (1.0 + r) + r2 * (0.49999999999664546 + r * 0.1666666666726472)
    middle = 0.041666666962082675 + r * 0.008333333095244219
    middle = middle + r2 * (0.0013888811173222548 + r * 0.00019841538962780966)
    high = 2.4880795117686782e-05 + r * 2.7493087182696755e-06
    r4 = r2 * r2
    series = low + r4 * (middle + r4 * high)
    return from_bits(as_bits(series) + (as_bits(shifted) << 52))  # 2ⁿ times it


@lane_function
def logarithm(x):
    """Return ln x of positive numbers from 10⁻³⁰⁷ on, within 3·10⁻¹⁶ of the larger of it and 1."""
    bits = as_bits(x) + splat(_ONE_BITS - _SQRT_HALF_BITS)
    exponent = from_bits((bits >> 52) | splat(_TWO_52_BITS)) - (2.0**52 + 1023.0)
    mantissa = from_bits((bits & splat(_MANTISSA)) + splat(_SQRT_HALF_BITS))  # √½ to √2
    # ln m = 2 artanh z with |z| < 0.172; the first term left out is below 3·10⁻¹⁷.
    z = (mantissa - 1.0) / (mantissa + 1.0)
    z2 = z * z
    z4 = z2 * z2
    low = 1.0 + z2 * (1 / 3)
    middle = (1 / 5 + z2 * (1 / 7)) + z4 * (1 / 9 + z2 * (1 / 11))
    high = (1 / 13 + z2 * (1 / 15)) + z4 * (1 / 17 + z2 * (1 / 19))
    return exponent * math.log(2.0) + 2.0 * z * (low + z4 * (middle + (z4 * z4) * high))


@lane_function
def circle(words):
    """Return (cos φ, sin φ) within 2·10⁻¹⁵, φ uniform in [0, 2π), made from random words.

    The upper 52 bits place the angle in the quarter around φ = 0, the lowest two choose a quarter.
    """
    angle = (unit_interval(words) - 0.5) * (math.pi / 2)
    q = angle * angle
    q2 = q * q
    q4 = q2 * q2
    cos_low = (1.0 - q * (1 / 2)) + q2 * (1 / 24 - q * (1 / 720))
    cos_high = (1 / 40320 - q * (1 / 3628800)) + q2 * (1 / 479001600 - q * (1 / 87178291200))
    sin_low = (1.0 - q * (1 / 6)) + q2 * (1 / 120 - q * (1 / 5040))
    sin_high = (1 / 362880 - q * (1 / 39916800)) + q2 * (1 / 6227020800 - q * (1 / 1307674368000))
    half_turn = words << 63
    cos = from_bits(as_bits(cos_low + q4 * cos_high) ^ half_turn)
    sin = from_bits(as_bits(angle * (sin_low + q4 * sin_high)) ^ half_turn)
    quarter_turn = from_bits((words & splat(2)) | splat(_ONE_BITS)) > 1.0
    return select(quarter_turn, -sin, cos), select(quarter_turn, cos, sin)
