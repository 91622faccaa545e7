"""What is read off the course of a relaxation: when something is zero, and how entropy grew."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

__all__ = ["agreement_time", "entropy_along", "integral", "zero_of"]

FloatArray = NDArray[np.float64]


def integral(times: FloatArray, course: FloatArray) -> FloatArray:
    """Return ∫ course dt from the first time to each, by the trapezoidal rule; shape (..., K).

    Examples
    --------
    >>> integral(np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0, 4.0]))
    array([ 0.,  3., 11.])
    """
    strips = 0.5 * (course[..., 1:] + course[..., :-1]) * np.diff(times)
    return np.concatenate([np.zeros((*course.shape[:-1], 1)), np.cumsum(strips, axis=-1)], axis=-1)


def zero_of(times: FloatArray, course: FloatArray, degree: int) -> float:
    """Return when a course passes through 0 on its way to the sign that it has at its end.

    It is the zero of a polynomial fitted from half of that time to one and a half of it, since
    single points scatter.

    Parameters
    ----------
    times, course : ndarray, shape (K,)
        What comes before the course is farthest from its end does not count, nor do nan and ±inf.
    degree : int
        Of the polynomial: small for points that scatter.

    Returns
    -------
    float
        nan if it never does.

    Examples
    --------
    >>> t = np.linspace(0.0, 4.0, 81)
    >>> round(zero_of(t, 1.0 - 2.0 * np.exp(-t), 5), 5)
    0.69315
    """
    known = np.isfinite(course)
    times, course = times[known], course[known]
    if not len(course):
        return math.nan
    farthest = int(np.argmin(course * np.sign(course[-1])))
    later = course[farthest:]
    changes = farthest + np.flatnonzero(np.sign(later[1:]) != np.sign(later[:-1]))
    if not len(changes):
        return math.nan
    near = changes[0]
    share = course[near] / (course[near] - course[near + 1]) if course[near] else 0.0
    when = float(times[near] + share * (times[near + 1] - times[near]))
    fitted = (times >= 0.5 * when) & (times <= 1.5 * when)
    if fitted.sum() <= 2 * degree:
        return when
    roots = Polynomial.fit(times[fitted], course[fitted], degree).roots()
    real = roots[np.abs(roots.imag) < 1e-9].real
    return float(real[np.argmin(np.abs(real - when))]) if len(real) else when


def entropy_along(
    times: FloatArray, energy: FloatArray, beta: FloatArray, top: float
) -> FloatArray:
    """Return S = S₀ + ∫ β dE from where β passes through 0; shape (K,).

    nan if it never does, and where β is not finite.

    Parameters
    ----------
    times, energy, beta : ndarray, shape (K,)
    top : float
        S₀, the entropy at β = 0.

    Examples
    --------
    Energy −β of S = S₀ − β²/2:

    >>> beta = np.array([-1.0, 0.0, 1.0])
    >>> entropy_along(np.arange(3.0), -beta, beta, 2.0)
    array([1.5, 2. , 1.5])
    """
    entropy = np.full(len(times), np.nan)
    when = zero_of(times, beta, 5)
    if math.isnan(when):
        return entropy
    known = np.isfinite(beta)
    strips = 0.5 * (beta[known][1:] + beta[known][:-1]) * np.diff(energy[known])
    grown = np.concatenate([[0.0], np.cumsum(strips)])
    entropy[known] = top + grown - np.interp(when, times[known], grown)
    return entropy


def agreement_time(times: FloatArray, *betas: FloatArray) -> float:
    """Return when temperatures that differ have come to within 1/e of one.

    inf if they never do; nan if one of them is not known at first.

    Examples
    --------
    >>> t = np.linspace(0.0, 3.0, 301)
    >>> round(agreement_time(t, np.exp(-t), -np.exp(-t)), 6)
    1.0
    """
    spread = np.ptp(np.array(betas), axis=0)
    there = np.flatnonzero(spread <= spread[0] / math.e)
    if not np.isfinite(spread[0]):
        return math.nan
    if not len(there) or there[0] == 0:
        return math.inf
    k = int(there[0])
    share = (spread[k - 1] - spread[0] / math.e) / (spread[k - 1] - spread[k])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))
