"""Large arrays part by part, so that what is worked out on the way stays small beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator

__all__ = ["SLAB_NUMBERS", "slabs"]

SLAB_NUMBERS = 2**20  # of float64: 8 MiB, about what an outer cache holds


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the first axis so that no slab has more than 2²⁰ numbers, or more than one row.

    Parameters
    ----------
    shape : tuple of int
        Of an array, or of what is made of it.

    Yields
    ------
    slice
        At least one, empty where the axis is.

    Examples
    --------
    >>> list(slabs((5, 2**19)))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    rows = max(1, SLAB_NUMBERS // max(1, math.prod(shape[1:])))
    for first in range(0, max(1, shape[0]), rows):
        yield slice(first, min(first + rows, shape[0]))
