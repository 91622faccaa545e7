"""Checks of single arguments: one message for all functions that take such an argument."""

from __future__ import annotations

import operator

import numpy as np

from thermo.errors import InvalidInputError
from thermo.real_numbers import as_real

__all__ = ["finite_number", "whole_number"]


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
