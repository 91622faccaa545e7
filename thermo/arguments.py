"""Arguments as numbers, or one clear sentence: what was given and what is accepted."""

from __future__ import annotations

import operator
from reprlib import repr as short

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.errors import InvalidInputError

__all__ = ["as_real", "checked_seed", "finite_number", "whole_number"]

_LARGEST_SEED = 2**64 - 1


def as_real(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Read an argument as float64, without a copy where it already is.

    NaN and infinities pass: what they mean is for the caller to say.

    Parameters
    ----------
    values : array_like, any shape
        Real numbers.
    name : str
        What the message calls them.

    Returns
    -------
    ndarray of float64, same shape

    Raises
    ------
    InvalidInputError
        Text, complex numbers, ragged lists, or integers too large for float64.

    Examples
    --------
    >>> as_real([1, 2], "energy")
    array([1., 2.])
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cSUmM":  # NumPy would drop imaginary parts and parse text
            raise TypeError(f"dtype {array.dtype}")
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"{name} = {short(values)} cannot be read as float64; a real number or a rectangular "
            "array of real numbers is accepted."
        ) from error


def checked_seed(seed: int) -> int:
    """Return the seed of a run, 0 … 2⁶⁴ − 1, or say that this is accepted.

    Examples
    --------
    >>> checked_seed(None)
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: seed = None was given; accepted: an integer 0 … 2⁶⁴ − 1
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if isinstance(seed, bool) or not 0 <= number <= _LARGEST_SEED:
        raise InvalidInputError(f"seed = {seed!r} was given; accepted: an integer 0 … 2⁶⁴ − 1")
    return number


def finite_number(value: float, name: str, *, positive: bool = False) -> float:
    """Return `value` as a float, or say what is accepted.

    Examples
    --------
    >>> finite_number(0.0, "gap", positive=True)
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: gap = 0.0 was given; accepted: a positive finite number
    """
    number = as_real(value, name)
    if number.ndim or not np.isfinite(number) or (positive and number <= 0):
        kind = "a positive finite number" if positive else "a finite number"
        raise InvalidInputError(f"{name} = {value!r} was given; accepted: {kind}")
    return float(number)


def whole_number(value: int, name: str, least: int, reason: str = "") -> int:
    """Return `value` as an int of at least `least`, or say what is accepted (and the reason).

    Examples
    --------
    >>> whole_number(0, "sweeps", 1)
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: sweeps = 0 was given; accepted: an integer of at least 1
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise InvalidInputError(
            f"{name} = {value!r} was given; accepted: an integer of at least {least}{reason}"
        )
    return number
