"""Arguments as numbers, or one clear sentence: what was given and what is accepted."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.errors import InvalidInputError

__all__ = [
    "as_array",
    "as_real",
    "checked_seed",
    "finite_number",
    "nearest_name",
    "one_of",
    "shown",
    "true_or_false",
    "whole_number",
]

_LARGEST = 2**63 - 1  # what kernels can count to
_LARGEST_SIZE = 1e150
_LARGEST_SEED = 2**64 - 1
_LEAST_BEGINNING = 3  # letters by which a name may be meant


def as_array(values: ArrayLike, name: str, accepted: str = "a rectangular array") -> NDArray[Any]:
    """Read an argument as an array of any type, or say that its rows differ in length.

    Examples
    --------
    >>> as_array([[0, 1], [2]], "spins")
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: spins = [[0, 1], [2]] cannot be read as an array; accepted: a
    rectangular array
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(
            f"{name} = {shown(values)} cannot be read as an array; accepted: {accepted}"
        ) from error


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
        Text, complex numbers, True and False, None, masked values, ragged lists, or integers too
        large for float64.

    Examples
    --------
    >>> as_real([1, 2], "energy")
    array([1., 2.])
    """
    try:
        if hasattr(values, "detach"):  # a tensor of torch: its numbers, without its gradient
            values = values.detach().cpu()
        array = np.asarray(values)
        # NumPy would drop imaginary parts and masks, parse text, count True as 1 and None as NaN.
        readable = array.dtype.kind in "iuf" or (
            array.dtype.kind == "O" and all(map(_is_real, array.flat))
        )
        if not readable or np.ma.is_masked(values):
            raise TypeError(f"dtype {array.dtype}")
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"{name} = {shown(values)} cannot be read as float64; a real number or a rectangular "
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
    number = _integer(seed)
    if number is None or not 0 <= number <= _LARGEST_SEED:
        raise InvalidInputError(f"seed = {shown(seed)} was given; accepted: an integer 0 … 2⁶⁴ − 1")
    return number


def finite_number(value: float, name: str, *, positive: bool = False) -> float:
    """Return `value` as a float, or say what is accepted.

    Examples
    --------
    >>> finite_number(0.0, "gap", positive=True)
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: gap = 0.0 was given; accepted: a positive finite number
    >>> finite_number(-1e308, "coupling")
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: coupling = -1e+308 was given; accepted: at most 1e+150 in size,
    so that squares of energies are finite
    """
    number = as_real(value, name)
    if not number.ndim and _LARGEST_SIZE < abs(number) < np.inf:
        raise InvalidInputError(
            f"{name} = {shown(value)} was given; accepted: at most {_LARGEST_SIZE:g} in size, so "
            "that squares of energies are finite"
        )
    if number.ndim or not np.isfinite(number) or (positive and number <= 0):
        kind = "a positive finite number" if positive else "a finite number"
        raise InvalidInputError(f"{name} = {shown(value)} was given; accepted: {kind}")
    return float(number)


def whole_number(
    value: int, name: str, least: int, reason: str = "", *, most: int | None = None
) -> int:
    """Return `value` as an int, least … most, or say what is accepted (and the reason).

    Examples
    --------
    >>> whole_number(0, "sweeps", 1)
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: sweeps = 0 was given; accepted: an integer of at least 1
    >>> whole_number(128, "q", 2, most=127)
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: q = 128 was given; accepted: an integer 2 … 127
    """
    number = _integer(value)
    if number is not None and least <= number <= (_LARGEST if most is None else most):
        return number
    if most is not None:
        accepted = f"an integer {least} … {most}"
    elif number is not None and number > _LARGEST:
        accepted = f"an integer {least} … 2⁶³ − 1"
    else:
        accepted = f"an integer of at least {least}"
    raise InvalidInputError(f"{name} = {shown(value)} was given; accepted: {accepted}{reason}")


def one_of(
    value: Any,
    name: str,
    accepted: Sequence[str],
    of: str = "",
    also_called: Mapping[str, str] | None = None,
) -> str:
    """Return `value` if it is one of the accepted names (`of` what), otherwise the `nearest_name`.

    Examples
    --------
    >>> one_of("gausian", "law", ("bimodal", "gaussian"))
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: law = 'gausian' was given; accepted: 'bimodal', 'gaussian' (did
    you mean 'gaussian'?)
    """
    if isinstance(value, str) and value in accepted:
        return value
    meant = nearest_name(value, accepted, also_called)
    hint = f" (did you mean {meant!r}?)" if meant else ""
    raise InvalidInputError(
        f"{name} = {shown(value)} was given; accepted{of}: {', '.join(map(repr, accepted))}{hint}"
    )


def nearest_name(
    value: Any, names: Sequence[str], also_called: Mapping[str, str] | None = None
) -> str | None:
    """Return which name was probably meant, None if none is like it.

    Parameters
    ----------
    value : object
        What was given.
    names : sequence of str
        Capitals, spaces, hyphens and underscores make no difference.
    also_called : mapping of str to str, optional
        Other words, in small letters and without any of those, and what each of them means.

    Examples
    --------
    >>> nearest_name("Heat-Bath", ("metropolis", "heat_bath"))
    'heat_bath'
    >>> nearest_name("Gibbs", ("metropolis", "heat_bath"), {"gibbs": "heat_bath"})
    'heat_bath'
    >>> nearest_name("wang", ("exact", "wang_landau"))
    'wang_landau'
    """
    words = dict(also_called or {}) | {_plain(name): name for name in names}
    given = _plain(str(value))
    near = get_close_matches(given, [*words], n=1)
    if not near and len(given) >= _LEAST_BEGINNING:
        near = [word for word in words if word.startswith(given)]
    return words[near[0]] if near else None


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]", "", word.casefold())


def true_or_false(value: bool, name: str) -> bool:
    """Return `value` as a bool, or refuse what only counts as one, such as the text "no".

    Examples
    --------
    >>> true_or_false("no", "periodic")
    Traceback (most recent call last):
    thermo.errors.InvalidInputError: periodic = 'no' was given; accepted: True or False
    """
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidInputError(f"{name} = {shown(value)} was given; accepted: True or False")
    return bool(value)


def shown(value: Any) -> str:
    """Return what was given, short and on one line, as a message shows it.

    Examples
    --------
    >>> shown(list(range(1000)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    return " ".join(short(value).split())


def _integer(value: Any) -> int | None:
    """Return the integer that a value is; True and False are none."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _is_real(value: Any) -> bool:
    """Whether something in a list of mixed types is a number: 1, Fraction(1, 2), but not None."""
    return hasattr(value, "__float__") and not isinstance(value, (bool, np.bool_))
