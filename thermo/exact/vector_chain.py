"""Open chains of XY and Heisenberg spins, in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import ArrayLike, NDArray
from scipy.special import bernoulli, factorial, i0e, i1e

from thermo.arguments import finite_number, whole_number
from thermo.canonical import Thermodynamics
from thermo.temperature import as_beta

__all__ = ["heisenberg_chain", "xy_chain"]

Array = NDArray[np.float64]

# ln(sinh K / K) = Σ c_n K²ⁿ, n = 1, 2, …, where the closed forms would lose digits
_HALF_ORDER = np.arange(1, 9)
_SMALL = 4.0**_HALF_ORDER * bernoulli(16)[2 * _HALF_ORDER]
_SMALL /= 2 * _HALF_ORDER * factorial(2 * _HALF_ORDER)
_SMALL_LIMIT = 0.3

# I₁(K)/I₀(K) = 1 − Σ a_n K⁻ⁿ, n = 1, 2, …
_LARGE = np.array([1 / 2, 1 / 8, 1 / 8, 25 / 128, 13 / 32, 1073 / 1024])
_LARGE_LIMIT = 200.0


def xy_chain(beta: ArrayLike, sites: int, coupling: float = 1.0) -> Thermodynamics:
    r"""Exact thermodynamics (totals) of the open chain of XY spins at any signed β.

    .. math::
        H = -J\sum_i \mathbf S_i \cdot \mathbf S_{i+1}, \qquad Z = I_0(K)^{N-1}, \qquad
        U = -(N-1)\,J\,\frac{I_1(K)}{I_0(K)}

    with K = βJ. Directions have the measure dθ/2π, so that Z = 1 and S = 0 at β = 0: S counts the
    entropy that is missing to disorder, and is −∞ at β = ±∞ as for all continuous spins.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    sites : int
        N, at least 1.
    coupling : float
        J in units of energy, any sign.

    Returns
    -------
    Thermodynamics
        Totals, shaped like ``beta``.

    Raises
    ------
    InvalidInputError
        β is NaN, too few sites, J not finite.

    References
    ----------
    G. S. Joyce, Phys. Rev. 155, 478 (1967).

    Examples
    --------
    >>> xy_chain([-1.0, 0.0, 1.0], 2).internal_energy.round(6)
    array([ 0.44639,  0.     , -0.44639])
    """
    return _open_chain(_xy_bond, beta, sites, coupling)


def heisenberg_chain(beta: ArrayLike, sites: int, coupling: float = 1.0) -> Thermodynamics:
    r"""Exact thermodynamics (totals) of the open chain of classical Heisenberg spins.

    .. math::
        H = -J\sum_i \mathbf S_i \cdot \mathbf S_{i+1}, \qquad
        Z = \left(\frac{\sinh K}{K}\right)^{N-1}, \qquad U = -(N-1)\,J\,(\coth K - 1/K)

    with K = βJ. Directions have the measure dΩ/4π, so that Z = 1 and S = 0 at β = 0 (see
    `xy_chain`).

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; either sign, 0, ±inf.
    sites : int
        N, at least 1.
    coupling : float
        J in units of energy, any sign.

    Returns
    -------
    Thermodynamics
        Totals, shaped like ``beta``.

    Raises
    ------
    InvalidInputError
        β is NaN, too few sites, J not finite.

    References
    ----------
    M. E. Fisher, Am. J. Phys. 32, 343 (1964).

    Examples
    --------
    >>> heisenberg_chain([-1.0, 0.0, 1.0], 2).internal_energy.round(6)
    array([ 0.313035,  0.      , -0.313035])
    """
    return _open_chain(_heisenberg_bond, beta, sites, coupling)


@np.errstate(over="ignore")  # near the largest β: ±inf is right
def _open_chain(
    bond: Callable[[Array], tuple[Array, ...]], beta: ArrayLike, sites: int, coupling: float
) -> Thermodynamics:
    """Bonds of an open chain are independent: each new spin sees only the angle to the last."""
    b, j = as_beta(beta), finite_number(coupling, "coupling")
    bonds = whole_number(sites, "sites", 1) - 1
    with np.errstate(invalid="ignore"):  # ±inf · 0
        k = np.where(j == 0.0, 0.0, b * j)
    if bonds == 0:
        k = np.zeros_like(k)
    log_z, alignment, fluctuation, entropy = bond(np.abs(k))
    doubled, *_ = bond(np.abs(2.0 * k))
    with np.errstate(invalid="ignore"):  # inf − inf: at β = ±inf everything is in one state
        participation = np.where(np.isinf(k), -np.inf, 2.0 * log_z - doubled)
    return Thermodynamics(
        beta=b,
        log_partition_function=bonds * log_z,
        internal_energy=bonds * j * np.copysign(alignment, -k) + 0.0,  # no −0
        energy_variance=bonds * j**2 * fluctuation,
        entropy=bonds * entropy,
        log_participation_ratio=bonds * participation,
    )


def _xy_bond(k: Array) -> tuple[Array, ...]:
    """ln Z, ⟨cos⟩, Var cos, S of a bond at K ≥ 0."""
    large = k > _LARGE_LIMIT
    x = np.where(large, 1.0 / np.where(large, k, 1.0), 0.0)
    near = np.where(large, 1.0, k)
    ratio = i1e(near) / i0e(near)
    slope = np.where(near > 0.0, ratio / np.where(near > 0.0, near, 1.0), 0.5)
    missing = polyval(x, np.concatenate([[0.0], _LARGE]))  # 1 − ⟨cos⟩
    order = np.arange(1, _LARGE.size + 1)
    alignment = np.where(large, 1.0 - missing, ratio)
    fluctuation = np.where(
        large, polyval(x, np.concatenate([[0.0, 0.0], order * _LARGE])), 1.0 - slope - ratio**2
    )
    work = np.where(large, polyval(x, _LARGE), near * (1.0 - ratio))  # K (1 − ⟨cos⟩)
    with np.errstate(divide="ignore", invalid="ignore"):  # K = inf
        log_scaled = np.log(i0e(k))  # ln Z − K
        log_z = np.where(np.isinf(k), np.inf, k + log_scaled)
    return log_z, alignment, fluctuation, log_scaled + work


def _heisenberg_bond(k: Array) -> tuple[Array, ...]:
    """ln Z, ⟨cos⟩, Var cos, S of a bond at K ≥ 0."""
    small = k < _SMALL_LIMIT
    x = np.where(small, k, 0.0)
    far = np.where(small, 1.0, k)
    series = np.zeros(2 * _SMALL.size + 1)
    series[2::2] = _SMALL
    first, second = (np.polynomial.polynomial.polyder(series, m) for m in (1, 2))
    log_z, alignment = polyval(x, series), polyval(x, first)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # K = inf
        log_scaled = np.log1p(-np.exp(-2.0 * far)) - np.log(2.0 * far)  # ln Z − K
        far_log_z = np.where(np.isinf(far), np.inf, far + log_scaled)
        overshoot = np.where(np.isinf(far), 0.0, 2.0 * far / np.expm1(2.0 * far))  # K (coth K − 1)
        far_alignment = 1.0 / np.tanh(far) - 1.0 / far
        far_fluctuation = 1.0 / far**2 - 1.0 / np.sinh(far) ** 2
    return (
        np.where(small, log_z, far_log_z),
        np.where(small, alignment, far_alignment),
        np.where(small, polyval(x, second), far_fluctuation),
        np.where(small, log_z - x * alignment, log_scaled - overshoot + 1.0),
    )
