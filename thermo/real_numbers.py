"""Real numbers out of whatever a caller hands in, or one clear sentence."""

from __future__ import annotations

from reprlib import repr as short

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.errors import InvalidInputError

__all__ = ["as_real"]


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
