"""β of either sign, and T, as the command line writes them."""

from __future__ import annotations

import math

import numpy as np

from thermo.errors import InvalidInputError
from thermo.temperature import beta_from_temperature

__all__ = ["parse_betas"]

_MOST_BETAS = 10_000


def parse_betas(beta: list[str] | None, temperature: list[str] | None) -> np.ndarray:
    """Read β from the command line: numbers and ranges from:to:count, commas between.

    Examples
    --------
    >>> parse_betas(["-1:1:5", "inf"], None)
    array([-1. , -0.5,  0. ,  0.5,  1. ,  inf])
    >>> parse_betas(None, ["2,-2"])
    array([ 0.5, -0.5])
    """
    if beta and temperature:
        raise InvalidInputError("--beta and --temperature were given; accepted: one of the two")
    name = "--temperature" if temperature else "--beta"
    values = [
        value
        for word in (temperature or beta or ["0.2,-0.2"])
        for part in word.split(",")
        for value in _numbers(part, name)
    ]
    numbers = np.array(values, dtype=np.float64)
    return np.asarray(beta_from_temperature(numbers)) if temperature else numbers


def _numbers(part: str, name: str) -> list[float]:
    """Read ``"0.5"`` or ``"-1:1:5"``."""
    words = part.split(":")
    try:
        if len(words) == 1:
            return [float(part)]
        start, stop, count = float(words[0]), float(words[1]), int(words[2])
        if len(words) == 3 and 1 <= count <= _MOST_BETAS and math.isfinite(stop - start):
            return np.linspace(start, stop, count).tolist()
    except (ValueError, IndexError):
        pass
    raise InvalidInputError(
        f"{name} {part!r} was given; accepted: numbers such as 0.44, -1 or inf, and from:to:count "
        f"such as -1:1:9 (at most {_MOST_BETAS}), with commas between"
    )
