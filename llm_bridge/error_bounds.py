"""How far thermodynamics of logits can be from the truth: truncation and rounding, guaranteed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thermo.canonical import Thermodynamics

__all__ = [
    "FIELDS",
    "BoundedThermodynamics",
    "ErrorBound",
    "error_bound",
    "largest_exponent",
    "reach",
]

FloatArray = NDArray[np.float64]

FIELDS = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "log_participation_ratio",
)
"""What sums over levels give: the stored fields of `thermo.canonical.Thermodynamics`, less β."""

_DEGREE = 3  # of the polynomial in place of the exponential of a bin
_EPS = float(np.finfo(np.float64).eps)
_LOWEST_EXPONENT = 750.0  # exp(−750) is 0 in float64
_LEFT_OUT = 40.0  # levels with less than e⁻⁴⁰ of all weight, together, may be left out


@dataclass(frozen=True, eq=False)
class ErrorBound:
    """The largest possible error, in size, of each field of `Thermodynamics`; its shapes."""

    log_partition_function: FloatArray
    internal_energy: FloatArray
    energy_variance: FloatArray
    entropy: FloatArray
    log_participation_ratio: FloatArray
    heat_capacity: FloatArray


@dataclass(frozen=True, eq=False)
class BoundedThermodynamics(Thermodynamics):
    """:class:`thermo.canonical.Thermodynamics` that says how far it can be from the exact sums.

    Attributes
    ----------
    error_bound : ErrorBound
        Guaranteed for the numbers given: what rounding made of the logits before is not in it.
    """

    error_bound: ErrorBound


def largest_exponent(tolerance: float) -> float:
    r"""The largest :math:`x = |\beta\delta|` at which a cubic keeps ln Z within a tolerance.

    Parameters
    ----------
    tolerance : float
        Of ln Z, at most 0.001.

    Returns
    -------
    float

    Examples
    --------
    >>> round(largest_exponent(1e-6), 4)
    0.0686
    """
    wanted = 0.99 * tolerance  # the rest is for rounding, and for ln(1 + ε) ≠ ε
    x = 0.0
    for _ in range(20):
        x = (math.factorial(_DEGREE + 1) * wanted * math.exp(-x)) ** (1 / (_DEGREE + 1))
    return x


def reach(beta: FloatArray, levels: int) -> FloatArray:
    r"""How far from the favoured end levels count: all others together have e⁻⁴⁰ of its weight.

    Parameters
    ----------
    beta : ndarray, shape (...)
    levels : int
        V; their number can make up for a small weight of each.

    Returns
    -------
    ndarray, shape (...)
        :math:`(40 + \ln V)/|\beta|`, in nats.

    Examples
    --------
    >>> reach(np.array([-100.0, float("inf")]), 50_000).round(3)
    array([0.508, 0.   ])
    """
    with np.errstate(divide="ignore", over="ignore"):
        return (_LEFT_OUT + math.log(levels)) / np.abs(beta)


def error_bound(
    state: Thermodynamics, lowest: FloatArray, highest: FloatArray, levels: int, half: FloatArray
) -> ErrorBound:
    r"""Bound every field of sums over binned levels.

    Inside a bin the exponential is replaced by its Taylor polynomial. A state at distance δ, with
    :math:`|\beta\delta| \le x`, so enters a sum with a weight that is wrong by at most the fraction

    .. math:: \epsilon_0 = \frac{x^4}{4!} e^x, \qquad
              \epsilon_1 = \frac{x^3}{3!} e^x, \qquad \epsilon_2 = \frac{x^2}{2!} e^x

    in :math:`\sum w`, :math:`\sum \delta w` and :math:`\sum \delta^2 w`, wherever the levels are in
    their bins. With h the half width of a bin and σ² the variance,

    .. math::
        |\Delta U| (1 - \epsilon_0) &\le \epsilon_0 (\sigma + h) + \epsilon_1 h \\
        |\Delta \sigma^2| (1 - \epsilon_0) &\le \epsilon_0 [(\sigma + h)^2 + \sigma^2]
            + 2 \epsilon_1 h (\sigma + h) + \epsilon_2 h^2 + (\Delta U)^2

    by Minkowski's inequality (energies from the exact U, where Σ (E − U) w = 0).

    Parameters
    ----------
    state : Thermodynamics
        Arrays of shape (N, B).
    lowest, highest : ndarray, shape (N, 1)
        The ends of the logits.
    levels : int
        How many terms a sum has.
    half : ndarray, shape (N, B)
        Half the width of the bins in nats; 0 for levels summed one by one.

    Returns
    -------
    ErrorBound
        Arrays (N, B).
    """
    beta, energy, entropy = np.abs(state.beta), state.internal_energy, state.entropy
    with np.errstate(invalid="ignore", over="ignore"):
        x = np.where(half == 0, 0.0, beta * half)
    e0, e1, e2 = (x**k / math.factorial(k) * np.exp(x) for k in (4, 3, 2))
    e0_doubled = (2 * x) ** 4 / 24 * np.exp(2 * x)

    def shift_of_energy(sigma: FloatArray) -> FloatArray:
        return (e0 * (sigma + half) + e1 * half) / (1 - e0)

    def shift_of_variance(sigma: FloatArray) -> FloatArray:
        wide = sigma + half
        direct = e0 * (wide**2 + sigma**2) + 2 * e1 * half * wide + e2 * half**2
        return direct / (1 - e0) + shift_of_energy(sigma) ** 2

    # Rounding. All sums are of positive terms, measured from the end that dominates; what is more
    # than 750 nats away adds nothing. So each has a relative error of at most so much:
    rho = _EPS * (levels + 2 * _LOWEST_EXPONENT)
    gap = np.where(np.signbit(state.beta), -energy - lowest, highest + energy)
    gap = np.maximum(gap, 0.0)
    rounded_variance = 2 * rho * (gap + np.sqrt(state.energy_variance)) ** 2
    on_the_grid = np.where(half == 0, 0.0, rho)  # places in units of a bin's width
    rounded_log_z = rho * np.minimum(entropy, 1.0) + on_the_grid
    rounded_entropy = 4 * rho * entropy + on_the_grid

    # Levels out of reach, left out of the sums at steep β: Σ w gᵖ over them is largest if all are
    # where they begin.
    lost = math.exp(-_LEFT_OUT)
    far = np.minimum(reach(beta, levels), highest - lowest)

    # The exact σ is at most half the range (Popoviciu); each turn brings it closer to what we have.
    most = np.broadcast_to((highest - lowest) / 2, energy.shape)
    for _ in range(3):
        known = state.energy_variance + rounded_variance + 4 * lost * far**2
        known += shift_of_variance(most)
        most = np.minimum(most, np.sqrt(known))

    log_z = -np.log1p(-e0)
    thermal = shift_of_energy(most)
    variance = shift_of_variance(most) + rounded_variance + 4 * lost * far**2
    lost_entropy = lost * (2 + _LEFT_OUT + math.log(levels))
    log_value = np.where(np.isinf(state.log_partition_function), 0.0, state.log_partition_function)
    with np.errstate(invalid="ignore", over="ignore"):  # at β = ±∞ nothing is truncated
        beta_thermal = np.where(thermal == 0, 0.0, beta * thermal)
        capacity = np.where(variance == 0, 0.0, beta * np.sqrt(variance)) ** 2
    return ErrorBound(
        log_partition_function=log_z + rounded_log_z + 4 * _EPS * np.abs(log_value) + lost,
        internal_energy=thermal + 2 * rho * gap + 2 * _EPS * np.abs(energy) + 2 * lost * far,
        energy_variance=variance,
        entropy=log_z + beta_thermal + rounded_entropy + lost_entropy,
        log_participation_ratio=2 * log_z - np.log1p(-e0_doubled) + 2 * rounded_entropy + 3 * lost,
        heat_capacity=capacity,
    )
