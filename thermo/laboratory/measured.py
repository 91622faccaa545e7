"""Numbers with standard errors, from replicas that know nothing of one another."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.curves import Measured
from thermo.estimate.jackknife import jackknife

__all__ = ["Measured", "derived", "measured"]

FloatArray = NDArray[np.float64]

_ROUNDING = 1e-14
_BLOCKS = 64  # of replicas, at most


def measured(by_replica: FloatArray) -> Measured:
    """Return the mean over replicas and its error, from their scatter.

    Parameters
    ----------
    by_replica : ndarray, shape (replicas, ...)
        At least two.

    Examples
    --------
    >>> found = measured(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> found.value, found.error
    (array([2., 5.]), array([1., 0.]))
    """
    mean = by_replica.mean(axis=0)
    error = by_replica.std(axis=0, ddof=1) / math.sqrt(len(by_replica))
    rounding = error <= _ROUNDING * np.abs(mean)  # which is what equal numbers differ by
    return Measured(np.asarray(mean), np.where(rounding, 0.0, error))


def derived(function: Callable[..., ArrayLike], *by_replica: FloatArray) -> Measured:
    """Return a function of means over replicas, with its error by `thermo.estimate.jackknife`.

    Parameters
    ----------
    function : callable
        Of arrays (...), one for each of `by_replica`.
    *by_replica : ndarray, shape (replicas, ...)
        They go into 64 blocks, if there are as many; what is left over at the end is left out.

    Examples
    --------
    >>> found = derived(lambda x: x**2, np.array([1.0, 3.0]))
    >>> float(found.value), float(found.error)
    (4.0, 4.0)
    """
    blocks = min(_BLOCKS, len(by_replica[0]))
    each = len(by_replica[0]) // blocks
    means = [
        x[: blocks * each].reshape(blocks, each, *x.shape[1:]).mean(axis=1) for x in by_replica
    ]
    return Measured(*jackknife(function, *means))
