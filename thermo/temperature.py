"""The signed temperature scale: β is the coordinate, T is its label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real
from thermo.errors import InvalidInputError

__all__ = ["as_beta", "beta_from_temperature", "temperature_from_beta"]


def as_beta(beta: ArrayLike) -> NDArray[np.float64]:
    """Check inverse temperatures and return them as floats.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy; any real number of either sign, 0, +inf and -inf.

    Returns
    -------
    ndarray of float64, same shape

    Raises
    ------
    InvalidInputError
        If a value is NaN or not a real number.

    Examples
    --------
    >>> as_beta([1, 0, -float("inf")])
    array([  1.,   0., -inf])
    """
    values = as_real(beta, "β")
    missing = np.isnan(values).ravel()
    if missing.any():
        where = "" if values.ndim == 0 else f" (at index {int(np.argmax(missing))})"
        raise InvalidInputError(
            f"β = nan{where} is not a temperature. Accepted: any real β, 0, inf and -inf."
        )
    return values


def beta_from_temperature(temperature: ArrayLike) -> NDArray[np.float64]:
    r"""Inverse temperature :math:`\beta = 1/T` on the signed scale (:math:`k_B = 1`).

    The order from cold to hot is T = +0, …, +∞ = −∞, …, −0, which is β falling from +∞ to −∞.
    The two ends differ by the sign of zero, so it matters here:

    ====== ====== ======
    T      β      meaning
    ====== ====== ======
    +0.0   +inf   coldest: only the lowest level
    +inf   +0.0   every state equally likely
    -inf   -0.0   the same point, reached from above
    -0.0   -inf   hottest: only the highest level
    ====== ====== ======

    Parameters
    ----------
    temperature : array_like, any shape
        Temperatures in units of energy, either sign; ±0.0 and ±inf included.

    Returns
    -------
    ndarray of float64, same shape
        β in 1/energy.

    Raises
    ------
    InvalidInputError
        If a value is NaN.

    Notes
    -----
    Use it where a person types a temperature, not inside a computation: everything in this
    package computes with β.

    References
    ----------
    N. F. Ramsey, Phys. Rev. 103, 20 (1956), section II.

    Examples
    --------
    >>> beta_from_temperature([0.0, 2.0, float("inf"), -2.0, -0.0])
    array([ inf,  0.5,  0. , -0.5, -inf])
    """
    return _signed_reciprocal(temperature, "T")


def temperature_from_beta(beta: ArrayLike) -> NDArray[np.float64]:
    r"""Temperature :math:`T = 1/\beta`, the label of a β (:math:`k_B = 1`).

    The inverse of :func:`beta_from_temperature`, signs of zero included: β = +0.0 is T = +inf and
    β = −0.0 is T = −inf, two names of one point.

    Parameters
    ----------
    beta : array_like, any shape
        Inverse temperatures in 1/energy.

    Returns
    -------
    ndarray of float64, same shape

    Raises
    ------
    InvalidInputError
        If a value is NaN.

    Examples
    --------
    >>> temperature_from_beta([float("inf"), 4.0, -4.0, -float("inf")])
    array([ 0.  ,  0.25, -0.25, -0.  ])
    """
    return _signed_reciprocal(beta, "β")


def _signed_reciprocal(values: ArrayLike, symbol: str) -> NDArray[np.float64]:
    numbers = as_real(values, symbol)
    if np.isnan(numbers).any():
        raise InvalidInputError(
            f"{symbol} = nan is not a temperature. Accepted: any real number, ±0.0, inf and -inf."
        )
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.divide(1.0, numbers))
