"""The block bootstrap: errors of sums over a correlated series, from stretches drawn as a whole."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real, whole_number
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import autocovariance

__all__ = ["block_length", "resampled_sums"]

FloatArray = NDArray[np.float64]


def block_length(series: ArrayLike) -> int:
    r"""The length of blocks for which the bootstrap error of a mean is closest to the truth.

    .. math::
        \ell = \left(\frac{3 G^2}{2 g^2}\right)^{1/3} N^{1/3}, \qquad
        G = \sum_k \lambda_k |k| R_k, \qquad g = \sum_k \lambda_k R_k

    with R the autocovariance and λ a window that is 1 as far as twice neighbours are correlated and
    falls to 0 at twice that: short blocks cut correlations, long ones are few.

    Parameters
    ----------
    series : array_like, shape (N,)
        In its order, N ≥ 2.

    Returns
    -------
    int
        1 for an uncorrelated series; at most N/3 and 3√N.

    Raises
    ------
    InvalidInputError
        Another shape, NaN or infinity.

    References
    ----------
    D. N. Politis and H. White, Econometric Reviews 23, 53 (2004), for the circular bootstrap;
    corrected by A. Patton, D. N. Politis and H. White, Econometric Reviews 28, 372 (2009).

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=2000)
    >>> block_length(noise), block_length(np.convolve(noise, np.ones(20)))
    (1, 49)
    """
    values = as_real(series, "series")
    if values.ndim != 1 or values.size < 2:
        raise InvalidInputError(
            f"a series of shape {values.shape} was given; (N,) with N of at least 2 is accepted."
        )
    n = values.size
    covariance = autocovariance(values[None])
    if covariance[0] == 0:
        return 1
    # The last lag before a run of five or more that are indistinguishable from zero.
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    small = np.abs(covariance[1:] / covariance[0]) < 2 * math.sqrt(math.log10(n) / n)
    padded = np.concatenate([small, np.ones(run, dtype=bool)])  # beyond the series: nothing
    quiet = np.lib.stride_tricks.sliding_window_view(padded, run).all(axis=1)
    reach = min(2 * max(int(np.argmax(quiet)), 1), n - 1)
    lags = np.arange(1, reach + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lags / reach))
    weighted = window * covariance[1 : reach + 1]
    slope = 2.0 * float((lags * weighted).sum())
    spectrum = float(covariance[0] + 2.0 * weighted.sum())
    most = max(1, math.floor(min(3.0 * math.sqrt(n), n / 3)))
    if spectrum <= 0:  # anticorrelated to the last: no estimate of it
        return most
    length = (1.5 * (slope / spectrum) ** 2 * n) ** (1 / 3)
    return min(most, max(1, round(length)))


def resampled_sums(
    columns: ArrayLike, length: int, replicates: int, rng: np.random.Generator
) -> FloatArray:
    """Sums over series of the same length, put together from randomly chosen blocks.

    Parameters
    ----------
    columns : array_like, shape (N, K)
        K series; a block takes the same stretch of all of them.
    length : int
        Of a block, at most N; the last block of a replicate is shorter where N asks for it. The
        series is closed to a ring, so that every position is drawn equally often.
    replicates : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (replicates, K)

    References
    ----------
    D. N. Politis and J. P. Romano, in *Exploring the Limits of Bootstrap* (1992): circular blocks.

    Examples
    --------
    >>> sums = resampled_sums(np.arange(6.0)[:, None], 2, 4000, np.random.default_rng(1))
    >>> bool(abs(sums.mean() - 15) < 0.3)
    True
    """
    values = as_real(columns, "columns")
    n = values.shape[0]
    length = whole_number(length, "length", 1, most=n)
    whole_number(replicates, "replicates", 1)
    blocks = -(-n // length)
    last = n - (blocks - 1) * length
    ring = np.concatenate([values, values[:length]])
    running = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(ring, axis=0)])
    of_block = running[length:][:n] - running[:n]
    of_last = running[last:][:n] - running[:n]
    out = np.empty((replicates, values.shape[1]))
    for k in range(replicates):
        start = rng.integers(0, n, size=blocks)
        out[k] = of_block[start[:-1]].sum(axis=0) + of_last[start[-1]]
    return out
