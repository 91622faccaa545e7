r"""What rounding leaves of Gaussian noise on weights that lie on a grid: closed forms.

A weight on a grid of step Δ gets noise of standard deviation σ, x = σξ/Δ steps, and is rounded back
to the grid. With the chance :math:`S(k)` that it moves by k steps or more,

.. math::
    \text{nearest:}\quad & S(k) = \tfrac12\,\mathrm{erfc}\frac{(k - 1/2)\,\Delta}{\sqrt2\,\sigma} \\
    \text{stochastic:}\quad & S(k) = R(k-1) - R(k), \quad R(a) = \langle (x - a)_+ \rangle \\
    \text{moved:}\quad & 2 S(1), \qquad
    \text{variance, steps²:}\quad 2 \sum_{k \ge 1} (2k - 1)\, S(k)

Small noise vanishes when rounded to nearest. Rounded stochastically (up with the chance of the
fraction) it stays, without bias and too large, √(2/π) σΔ. Ternary kicks of one step with the chance
(σ/Δ)² have the right variance.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erf, ndtr

from llm_bridge.quantised import LARGEST_CODE
from thermo.arguments import as_real, one_of, shown, whole_number
from thermo.errors import InvalidInputError

__all__ = [
    "ROUNDINGS",
    "code_transitions",
    "flip_probability",
    "nearest_threshold",
    "step_of_normal_weights",
    "variance_kept",
]

ROUNDINGS = ("nearest", "stochastic", "ternary")
"""What can be done about noise that is finer than the grid."""

_SMOOTH = 2.0  # σ/Δ from which the grid leaves no trace but its own variance, to 1e-30
_TERMS = 24


def flip_probability(ratio: ArrayLike, rounding: str) -> NDArray[np.float64]:
    r"""Share of the weights that move at all.

    .. math::
        \text{nearest } \mathrm{erfc}\frac{1}{2\sqrt2\,r}, \quad
        \text{stochastic } \langle \min(|x|, 1) \rangle, \quad
        \text{ternary } (r/\lceil r \rceil)^2, \qquad r = \sigma/\Delta

    Parameters
    ----------
    ratio : array_like
        σ/Δ > 0.
    rounding : {"nearest", "stochastic", "ternary"}

    Returns
    -------
    ndarray, of the shape of ratio

    Raises
    ------
    InvalidInputError
        A ratio out of range, or another rounding.

    Examples
    --------
    >>> flip_probability([0.1, 0.2, 1.0], "nearest").round(4)
    array([0.    , 0.0124, 0.6171])
    """
    r = _checked(ratio, rounding)
    if rounding == "ternary":
        return (r / np.ceil(r)) ** 2
    return 2 * _moves(1.0, r, rounding)


def variance_kept(ratio: ArrayLike, rounding: str) -> NDArray[np.float64]:
    r"""Variance after rounding as a multiple of σ², far from the ends of the range.

    Parameters
    ----------
    ratio : array_like
        σ/Δ > 0.
    rounding : {"nearest", "stochastic", "ternary"}

    Returns
    -------
    ndarray, of the shape of ratio
        For σ ≥ 2Δ, 1 + Δ²/12σ² or, stochastic, 1 + Δ²/6σ², to all digits.

    Raises
    ------
    InvalidInputError
        A ratio out of range, or another rounding.

    Notes
    -----
    Weights that lie anywhere between the points of the grid, evenly spread over its cells, and are
    rounded to nearest after the noise has come, move by the law of *stochastic* rounding: where a
    weight lies in its cell takes the place of the die. Noise that comes before the weights are
    quantised is therefore never invisible; that which comes after, on the grid, is.

    By Poisson's summation formula the sums equal
    :math:`1 + \frac{1}{12 r^2} + \sum_{k \ge 1} (-1)^k \big(4 + \frac{1}{\pi^2 k^2 r^2}\big)
    e^{-2\pi^2 k^2 r^2}` and :math:`1 + \frac{1}{6 r^2} - \sum_{k \ge 1}
    \frac{1}{\pi^2 k^2 r^2} e^{-2\pi^2 k^2 r^2}`; see B. Widrow and I. Kollár, "Quantization Noise"
    (2008), chapter 4.

    Examples
    --------
    >>> variance_kept([0.1, 0.2, 0.3], "nearest").round(3)
    array([0.   , 0.31 , 1.062])
    >>> variance_kept([0.1, 0.2, 0.3], "stochastic").round(3)
    array([7.979, 3.989, 2.661])
    """
    r = _checked(ratio, rounding)
    if rounding == "ternary":
        return np.ones_like(r)
    smooth = 1 + 1 / ((12 if rounding == "nearest" else 6) * r**2)
    fine = np.minimum(r, _SMOOTH)[..., None]
    k = np.arange(1, _TERMS + 1)
    summed = 2 * ((2 * k - 1) * _moves(k, fine, rounding)).sum(axis=-1) / fine[..., 0] ** 2
    return np.where(r < _SMOOTH, summed, smooth)


def nearest_threshold() -> float:
    """σ/Δ at which rounding to nearest keeps the variance: below it noise fades, above it grows.

    Examples
    --------
    >>> round(nearest_threshold(), 4)
    0.2888
    """
    return float(brentq(lambda r: float(variance_kept(r, "nearest")) - 1, 0.1, 0.4, xtol=1e-14))


def step_of_normal_weights(bits: int, group: int) -> float:
    r"""Mean step Δ of a group of normal weights, as a multiple of their standard deviation.

    .. math:: \frac{\Delta}{\mathrm{std}} = \frac1Q \int_0^\infty
              \left(1 - \mathrm{erf}^{\,n}\frac{t}{\sqrt2}\right)\,dt

    Parameters
    ----------
    bits : {8, 4}
        Q = 127 or 7.
    group : int
        n ≥ 1 weights that share a scale.

    Returns
    -------
    float

    Raises
    ------
    InvalidInputError
        Other bits, or a group of none.

    Notes
    -----
    Weights of a model have heavier tails than normal ones, and larger steps.

    Examples
    --------
    Noise of σ below these multiples of the weights' standard deviation fades when rounded to
    nearest: 4 bits in groups of 128, and 8 bits with one scale for a row of 4096.

    >>> round(nearest_threshold() * step_of_normal_weights(4, 128), 3)
    0.117
    >>> round(nearest_threshold() * step_of_normal_weights(8, 4096), 4)
    0.0086
    """
    group = whole_number(group, "group", 1)
    if bits not in LARGEST_CODE:
        raise InvalidInputError(f"bits = {shown(bits)} was given; 8 or 4 is accepted.")
    middle = math.sqrt(2 * math.log(group + 1))  # about where the largest of n lies
    mean, _ = quad(lambda t: 1 - erf(t / math.sqrt(2)) ** group, 0, middle + 12, points=[middle])
    return float(mean) / LARGEST_CODE[bits]


def code_transitions(ratio: float, rounding: str, largest: int) -> NDArray[np.float64]:
    r"""Chance that noise takes one code to another on a range with ends.

    Rounded codes beyond an end are put back to it, which draws the codes near an end inwards.
    Ternary kicks of ⌈σ/Δ⌉ steps leave a code that is nearer than that to an end where it is: it
    has no other law of the same steps without a mean.

    Parameters
    ----------
    ratio : float
        σ/Δ > 0.
    rounding : {"nearest", "stochastic", "ternary"}
    largest : int
        Codes are −Q … Q.

    Returns
    -------
    ndarray, shape (2Q + 1, 2Q + 1)
        Row: from the code row − Q; column: to column − Q. Rows sum to 1.

    Raises
    ------
    InvalidInputError
        A ratio out of range, or another rounding.

    Examples
    --------
    >>> code_transitions(0.5, "ternary", 1)
    array([[1.   , 0.   , 0.   ],
           [0.125, 0.75 , 0.125],
           [0.   , 0.   , 1.   ]])
    """
    r = _checked(ratio, rounding)
    if r.ndim:
        raise InvalidInputError(f"ratio = {shown(ratio)} was given; a single number is accepted.")
    largest = whole_number(largest, "largest", 1)
    codes = np.arange(-largest, largest + 1)
    step = codes[None, :] - codes[:, None]
    if rounding == "ternary":
        length = math.ceil(r)
        flips = np.where(np.abs(codes) + length <= largest, (r / length) ** 2, 0.0)[:, None]
        return np.where(np.abs(step) == length, flips / 2, 0.0) + (1 - flips) * (step == 0)
    # The chance of this step, or of one at least so far where the range ends.
    far = _moves(np.abs(step), r, rounding)
    exactly = far - _moves(np.abs(step) + 1.0, r, rounding)
    exactly[step == 0] = 1 - 2 * _moves(1.0, r, rounding)
    at_end = (np.abs(codes) == largest)[None, :]
    outwards = at_end & (np.sign(step) == np.sign(codes)[None, :])
    staying = at_end & (step == 0)
    return np.where(outwards, far, np.where(staying, 1 - _moves(1.0, r, rounding), exactly))


def _moves(k: ArrayLike, r: NDArray[np.float64], rounding: str) -> NDArray[np.float64]:
    """S(k): chance of moving by at least k ≥ 1 steps upwards."""
    k = np.asarray(k, dtype=np.float64)
    if rounding == "nearest":
        return ndtr((0.5 - k) / r)
    return _above(k - 1, r) - _above(k, r)


def _above(a: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """R(a) = ⟨(x − a)₊⟩ for x ~ N(0, r²)."""
    t = a / r
    return r * np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi) - a * ndtr(-t)


def _checked(ratio: ArrayLike, rounding: str) -> NDArray[np.float64]:
    one_of(rounding, "rounding", ROUNDINGS)
    r = as_real(ratio, "ratio")
    if not bool(((r > 0) & (r < np.inf)).all()):
        raise InvalidInputError(f"ratio = {shown(ratio)} was given; accepted: positive numbers")
    return r
