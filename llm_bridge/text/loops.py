"""Does a sequence of tokens repeat itself?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import whole_number
from thermo.errors import InvalidInputError

__all__ = ["loop_period", "loop_share", "repeated_share"]


def repeated_share(ids: ArrayLike, n: int = 4) -> float:
    """Share of the n-grams of a sequence that have come before in it.

    Parameters
    ----------
    ids : array_like of int, shape (N,)
    n : int
        Tokens of an n-gram.

    Returns
    -------
    float
        0 if none comes twice, near 1 for a loop; NaN if the sequence is shorter than n.

    Examples
    --------
    >>> repeated_share([1, 2, 1, 2, 1, 2, 1], n=2)
    0.6666666666666667
    """
    tokens = _sequence(ids)
    whole_number(n, "n", 1)
    if tokens.size < n:
        return float("nan")
    grams = np.lib.stride_tricks.sliding_window_view(tokens, n)
    return 1 - len(np.unique(grams, axis=0)) / len(grams)


def loop_period(ids: ArrayLike, repeats: int = 3) -> int | None:
    """Period of the loop in which a sequence ends, if it ends in one.

    Parameters
    ----------
    ids : array_like of int, shape (N,)
    repeats : int
        How often the period must come, at the very end, to count as a loop.

    Returns
    -------
    int or None
        The smallest period, in tokens.

    Examples
    --------
    >>> loop_period([9, 1, 2, 1, 2, 1, 2]), loop_period([1, 2, 3, 4, 5])
    (2, None)
    """
    tokens = _sequence(ids)
    whole_number(repeats, "repeats", 2)
    for period in range(1, tokens.size // repeats + 1):
        tail = tokens[tokens.size - repeats * period :]
        if (tail[period:] == tail[:-period]).all():
            return period
    return None


def loop_share(ids: ArrayLike) -> float:
    """The share of a text that its longest loop takes up: 1 for one that only repeats itself.

    A loop is a stretch of tokens with a period p, :math:`x_{i+p} = x_i` throughout, that goes
    round at least twice.

    Parameters
    ----------
    ids : array_like of int, shape (N,)

    Returns
    -------
    float
        Tokens of the longest loop divided by N; 0 where no token follows itself and no group of
        tokens does.

    Examples
    --------
    >>> loop_share([7, 1, 2, 1, 2, 1, 8, 9]), loop_share([1, 2, 3])  # 12121
    (0.625, 0.0)
    """
    tokens = _sequence(ids)
    if tokens.size == 0:
        raise InvalidInputError("no token ids were given; accepted: a list of at least one.")
    longest = 0
    for period in range(1, tokens.size // 2 + 1):
        run = _longest_run(tokens[period:] == tokens[:-period])
        if run >= period:
            longest = max(longest, run + period)
    return longest / tokens.size


def _sequence(ids: ArrayLike) -> NDArray[np.int64]:
    tokens = np.asarray(ids)
    if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
        raise InvalidInputError(
            f"ids have shape {tokens.shape} and type {tokens.dtype}; a list of token ids is needed."
        )
    return tokens.astype(np.int64)


def _longest_run(true: NDArray[np.bool_]) -> int:
    """The largest number of True in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
