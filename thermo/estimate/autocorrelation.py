"""Means of correlated series: standard error, effective sample size, autocorrelation time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft

from thermo.errors import InvalidInputError
from thermo.estimate.slabs import slabs

__all__ = ["MeanWithError", "autocovariance", "mean_with_error", "rounded_to_error", "split_rhat"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MeanWithError:
    """A sampled mean with its error; prints rounded to the error.

    Attributes
    ----------
    mean : ndarray, shape (...)
        Mean over all chains and draws, in the unit of the series.
    error : ndarray, shape (...)
        Standard error of the mean, corrected for autocorrelation, in the same unit.
    ess : ndarray, shape (...)
        Effective sample size: the number of independent draws that would give the same error.
    tau : ndarray, shape (...)
        Integrated autocorrelation time in draws, τ = ½ + Σ_{t≥1} ρ(t); ½ for independent draws,
        so that ``ess`` = (number of draws)/(2τ).

    Examples
    --------
    >>> import numpy as np
    >>> print(MeanWithError(np.float64(-1.43368), np.float64(0.00121), np.float64(900.0),
    ...                     np.float64(2.2)))
    -1.4337(12)
    """

    mean: Array
    error: Array
    ess: Array
    tau: Array

    def __getitem__(self, index: Any) -> MeanWithError:
        """Return the same estimate at some of the leading indices."""
        fields = (self.mean, self.error, self.ess, self.tau)
        return MeanWithError(*(np.asarray(field)[index] for field in fields))

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Put estimates of arrays (...) one after the other along the first axis."""
        fields = ((part.mean, part.error, part.ess, part.tau) for part in parts)
        return cls(*(np.concatenate(values) for values in zip(*fields, strict=True)))

    def __str__(self) -> str:
        mean, error = np.broadcast_arrays(self.mean, self.error)
        words = [rounded_to_error(m, e) for m, e in zip(mean.flat, error.flat, strict=True)]
        if mean.ndim == 0:
            return words[0]
        return np.array2string(
            np.array(words).reshape(mean.shape), formatter={"str_kind": str}, max_line_width=100
        )


def rounded_to_error(value: float, error: float) -> str:
    """Write a number rounded to two digits of its error, the error in brackets.

    Parameters
    ----------
    value, error : float
        Any unit, the same for both. An error of 0 means that the value is exact.

    Returns
    -------
    str

    Examples
    --------
    >>> rounded_to_error(-1.43368, 0.00121), rounded_to_error(1234.5, 67.8)
    ('-1.4337(12)', '1234(68)')
    >>> rounded_to_error(0.5, 0.0), rounded_to_error(12.34, 1.5)
    ('0.5', '12.3(1.5)')
    """
    value, error = float(value), float(error)
    if error <= 1e-12 * abs(value) or not math.isfinite(value):  # exact, or all of 12 digits
        return f"{value:.12g}"
    if not math.isfinite(error):
        return f"{value:.4g}({error})"
    size = max(abs(value), error)
    if size < 1e-4:
        exponent = math.floor(math.log10(size))
        return f"{rounded_to_error(value / 10.0**exponent, error / 10.0**exponent)}e{exponent:03d}"
    decimals = 1 - math.floor(math.log10(error))
    if round(error, decimals) >= 10.0 ** (2 - decimals):  # 0.0996 rounds to 0.10: one digit fewer
        decimals -= 1
    if decimals <= 0:
        return f"{value:.0f}({error:.0f})"
    if decimals == 1:  # the bracket straddles the decimal point: write it out
        return f"{value:.{decimals}f}({error:.{decimals}f})"
    return f"{value:.{decimals}f}({round(error * 10**decimals):d})"


def autocovariance(series: ArrayLike) -> Array:
    """Return the autocovariance of chains about their common mean, averaged over the chains.

    c(t) = (1/MN) Σ_m Σ_{i<N−t} (x_{m,i} − x̄)(x_{m,i+t} − x̄), with x̄ the mean over all M chains
    of N draws. The divisor is N, not N − t: it is this form that adds up to the variance of x̄.

    Parameters
    ----------
    series : array_like, shape (..., chain, draw)

    Returns
    -------
    ndarray, shape (..., draw)
        Lags t = 0 … N − 1, in the squared unit of the series.

    Examples
    --------
    >>> autocovariance([[1.0, -1.0, 1.0, -1.0]])
    array([ 1.  , -0.75,  0.5 , -0.25])
    """
    chains = _checked(series)
    lead, (m, n) = chains.shape[:-2], chains.shape[-2:]
    flat = chains.reshape(-1, m, n)
    covariance = np.empty((len(flat), n))
    length = next_fast_len(2 * n, real=True)  # zero padding: no wrap-around
    for rows in slabs((len(flat), m * length)):
        part, power = flat[rows], np.zeros(())
        mean = part.mean(axis=(-2, -1), keepdims=True)
        for some in slabs((m, len(part) * length)):
            power = power + _summed_power(part[:, some], mean, length)
        covariance[rows] = irfft(power / m, n=length, axis=-1)[:, :n] / n
    return covariance.reshape(*lead, n)


def _summed_power(chains: Array, mean: Array, length: int) -> Array:
    """Σ over the chains of |Fourier transform of x − x̄|², (rows, chain, draw) to (rows, …)."""
    padded = np.zeros((*chains.shape[:2], length))
    np.subtract(chains, mean, out=padded[..., : chains.shape[-1]])
    transform = rfft(padded, axis=-1)
    del padded
    power = transform.real**2
    power += transform.imag**2
    return power.sum(axis=-2)


def mean_with_error(series: ArrayLike) -> MeanWithError:
    """Return the mean of correlated chains with its autocorrelation-corrected standard error.

    error² = σ²·2τ/(MN) with τ = ½ + Σ_{t≥1} ρ(t). The sum is taken over pairs
    Γ_k = ρ(2k) + ρ(2k+1) up to the first pair that is not positive, each pair held below its
    predecessor (Geyer's initial monotone sequence): right for chains whose draws alternate
    (ρ < 0, τ < ½) as well as for slow ones. Chains that disagree share one mean here, so their
    disagreement enters as correlation that never decays, and the error grows to the spread
    between chains.

    Parameters
    ----------
    series : array_like, shape (..., chain, draw)
        Any unit; burn-in already removed; chains independent and of equal length.

    Returns
    -------
    MeanWithError
        Arrays of shape (...). A series that never changes has error 0 and ess = chain·draw.

    Raises
    ------
    InvalidInputError
        Fewer than two numbers per series, fewer than two axes, NaN or infinity.

    Notes
    -----
    Subtracting the estimated mean lowers every c(t) by error²; this is put back to first order
    in the window length over MN (Wolff 2004, eq. 49). τ is not let below 1/(2 log₁₀ MN):
    smaller ones drown in their own noise, and the error is then on the safe side.
    Not for chains much shorter than about 50 τ: then no method knows τ, see `split_rhat`.

    References
    ----------
    C. J. Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7, 473 (1992).
    U. Wolff, "Monte Carlo errors with less errors", Comput. Phys. Commun. 156, 143 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(20261120).normal(size=(8, 5000))
    >>> estimate = mean_with_error(draws)
    >>> bool(abs(estimate.mean) < 4 * estimate.error), round(float(estimate.tau), 1)
    (True, 0.5)
    """
    chains = _checked(series)
    lead, (m, n) = chains.shape[:-2], chains.shape[-2:]
    flat = chains.reshape(-1, m, n)
    estimate = MeanWithError.joined(_mean_with_error(flat[rows]) for rows in slabs(flat.shape))
    return MeanWithError(*(values.reshape(lead) for values in vars(estimate).values()))


def _mean_with_error(chains: Array) -> MeanWithError:
    """`mean_with_error` of an array (rows, chain, draw), whole."""
    m, n = chains.shape[-2:]
    total = m * n
    mean = chains.mean(axis=(-2, -1))
    constant = np.ptp(chains, axis=(-2, -1)) == 0.0  # exactly, before the mean's rounding errors
    covariance = autocovariance(chains)
    constant |= covariance[..., 0] == 0.0  # where squares are too small for a number
    mean = np.where(constant, chains[..., 0, 0], mean)

    variance = np.where(constant, 1.0, covariance[..., 0])
    if n == 1:
        tau, window = np.full(mean.shape, 0.5), np.zeros(mean.shape)
    else:
        pairs = covariance[..., 0 : n - 1 : 2] + covariance[..., 1:n:2]
        pairs /= variance[..., None]
        np.minimum.accumulate(pairs, axis=-1, out=pairs)
        positive = pairs > 0.0  # non-increasing, hence a prefix
        tau = np.sum(pairs, axis=-1, where=positive) - 0.5
        window = 2.0 * np.count_nonzero(positive, axis=-1) - 1.0
    floor = 0.5 / max(1.0, math.log10(total))  # below it, τ is lost in its own noise
    squared_error = 2.0 * np.maximum(tau, floor) * variance / total
    squared_error *= 1.0 + (2.0 * np.maximum(window, 0.0) + 1.0) / total
    variance = variance + squared_error
    ess = np.where(constant, float(total), variance / squared_error)
    return MeanWithError(
        mean=mean,
        error=np.where(constant, 0.0, np.sqrt(squared_error)),
        ess=ess,
        tau=total / (2.0 * ess),
    )


def split_rhat(series: ArrayLike) -> Array:
    """Return the split potential scale reduction R̂ of chains: 1 where they agree.

    Every chain is cut into halves (a drift then shows as two chains that disagree);
    R̂² = (N−1)/N + B/W with N the length of a half, W the mean variance within the halves and
    B the variance of their means.

    Parameters
    ----------
    series : array_like, shape (..., chain, draw)
        At least 4 draws.

    Returns
    -------
    ndarray, shape (...)
        1 for chains that never move and agree, inf for chains stuck at different values. Values
        above about 1.01 say that the run is too short.

    References
    ----------
    A. Gelman and others, *Bayesian Data Analysis*, 3rd edition (2013), section 11.4.

    Examples
    --------
    >>> bool(split_rhat([[0.0, 1.0, 0.0, 1.0, 5.0, 6.0, 5.0, 6.0]]) > 3)
    True
    """
    chains = _checked(series)
    if chains.shape[-1] < 4:
        raise InvalidInputError(
            f"split_rhat was given {chains.shape[-1]} draws per chain; it needs at least 4"
        )
    half, lead = chains.shape[-1] // 2, chains.shape[:-2]
    flat = chains.reshape(-1, *chains.shape[-2:])
    parts = []
    for rows in slabs(flat.shape):
        part = flat[rows]
        halves = part[..., :half], part[..., -half:]
        mean, variance, low, high = (
            np.concatenate([of_half(each, axis=-1) for each in halves], axis=-1)
            for of_half in (np.mean, _variance, np.min, np.max)
        )
        within, between = variance.mean(axis=-1), mean.var(axis=-1, ddof=1)
        stuck = (low == high).all(axis=-1)
        agree = low.min(axis=-1) == high.max(axis=-1)
        ratio = np.sqrt((half - 1) / half + between / np.where(stuck, 1.0, within))
        parts.append(np.where(agree, 1.0, np.where(stuck, np.inf, ratio)))
    return np.concatenate(parts).reshape(lead)


def _variance(values: Array, axis: int) -> Array:
    return values.var(axis=axis, ddof=1)


def _checked(series: ArrayLike) -> Array:
    chains = np.asarray(series, dtype=np.float64)
    if chains.ndim < 2 or chains.shape[-1] * chains.shape[-2] < 2:
        raise InvalidInputError(
            f"a series of shape {chains.shape} was given; accepted: (..., chain, draw) with at "
            "least two numbers in the last two axes"
        )
    if not np.isfinite([chains.min(initial=0.0), chains.max(initial=0.0)]).all():
        raise InvalidInputError("the series holds NaN or infinity; every draw must be finite")
    return chains
