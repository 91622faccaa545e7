"""What is read off the course of a relaxation: when something is zero, and how entropy grew."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.polynomial import polyfit, polyval
from numpy.typing import NDArray
from scipy.special import entr

from thermo.laboratory.measured import Measured, measured

__all__ = ["Zero", "agreement_time", "entropy_along", "integral", "zero_of"]

FloatArray = NDArray[np.float64]

_DEGREE = 3  # of polynomials whose zeros are taken
_KNOWN = 1.0 / 3.0  # relative error of a zero, at most


def integral(times: FloatArray, course: FloatArray) -> FloatArray:
    """Return ∫ course dt from the first time to each, by the trapezoidal rule; shape (..., K).

    Examples
    --------
    >>> integral(np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0, 4.0]))
    array([ 0.,  3., 11.])
    """
    strips = 0.5 * (course[..., 1:] + course[..., :-1]) * np.diff(times)
    return np.concatenate([np.zeros((*course.shape[:-1], 1)), np.cumsum(strips, axis=-1)], axis=-1)


@dataclass(frozen=True, eq=False)
class Zero:
    """When a course passes through 0 from below.

    Attributes
    ----------
    when : float
        nan if it never does.
    by_replica : ndarray, shape (replicas,)
        As each replica pulls it, to first order: their mean is `when`.
    """

    when: float
    by_replica: FloatArray

    @property
    def measured(self) -> Measured:
        """With its error; nan if that is more than a third of it, for then it is hardly known."""
        found = measured(self.by_replica)
        if found.error <= _KNOWN * self.when:
            return found
        return Measured(np.array(math.nan), np.array(math.nan))


def zero_of(times: FloatArray, courses: FloatArray) -> Zero:
    """Return when the mean of some courses passes through 0 from below.

    About there its integral has fallen farthest, however single points scatter. From a third of
    that time to three times it a cubic in e^{−t} is fitted, in which independent spins are linear;
    its zero is the result. How far a replica pulls is taken from the slope of a straight line
    there, which scatters less. Processes as slow as a fifth of that time leave a bias of 1 %.

    Parameters
    ----------
    times : ndarray, shape (K,)
        In T₁.
    courses : ndarray, shape (replicas, K)
        Of something that obeys a linear law, as averages do and an inverse temperature does not.

    Returns
    -------
    Zero

    Examples
    --------
    >>> t = np.linspace(0.0, 4.0, 41)
    >>> round(zero_of(t, 1.0 - 2.0 * np.exp(-t)[None]).when, 9)
    0.693147181
    >>> zero_of(t, np.exp(-t)[None]).when
    nan
    """
    never = Zero(math.nan, np.full(len(courses), math.nan))
    grown = integral(times, courses.mean(axis=0))
    near = int(np.argmin(grown - np.maximum.accumulate(grown)))
    if near in (0, len(times) - 1):
        return never
    fitted = (times >= times[near] / 3.0) & (times <= 3.0 * times[near])
    fitted[max(near - 2, 0) : near + 3] = True
    x = np.exp(-times[fitted])
    middle, half = 0.5 * (x[0] + x[-1]), 0.5 * (x[0] - x[-1])
    x = (x - middle) / half
    degree = min(_DEGREE, len(x) // 2)
    each = polyfit(x, courses[:, fitted].T, degree)  # (degree + 1, replicas)
    mean = Polynomial(each.mean(axis=1))
    roots = np.array([
        root.real
        for root in mean.roots()
        if abs(root.imag) < 1e-9 and abs(root.real) <= 1.0 and mean.deriv()(root.real) < 0.0
    ])  # fmt: skip
    if not len(roots):
        return never
    moments = -np.log(middle + half * roots)
    best = int(np.argmin(np.abs(moments - times[near])))
    when = float(moments[best])
    slope = polyfit(x, courses[:, fitted].mean(axis=0), 1)[1]
    rise = -float(slope) / half * math.exp(-when)
    return Zero(when, when - polyval(roots[best], each) / rise)


def entropy_along(
    times: FloatArray,
    magnetization: FloatArray,
    energy: FloatArray,
    beta: FloatArray,
    when: float,
) -> FloatArray:
    r"""Return the entropy per spin, S = ln 2 + ∫ β dE from where β passes through 0; shape (K,).

    With s(M) the entropy of independent spins, ds = −artanh(M) dM, it is

    .. math:: S = s(M) + \int (\beta\,dE + \mathrm{artanh}(M)\,dM),

    whose integrand is 0 without couplings and small with weak ones: that of β dE is steep near
    full magnetisation, where a sum over few times would be far off. nan where β or artanh M is not
    finite, and everywhere if `when` is nan.

    Parameters
    ----------
    times, magnetization, energy, beta : ndarray, shape (K,)
        Per spin.
    when : float
        β = 0; what S is depends on it to second order only.

    Examples
    --------
    Independent spins in a field of 1:

    >>> m = np.array([-0.5, 0.0, 0.5])
    >>> entropy_along(np.arange(3.0), m, -m, np.arctanh(m), 1.0)
    array([0.56233514, 0.69314718, 0.56233514])
    """
    entropy = np.full(len(times), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.arctanh(magnetization)
    known = np.isfinite(beta) & np.isfinite(free)
    if math.isnan(when) or not known.any():
        return entropy
    b, a, m = beta[known], free[known], magnetization[known]
    strips = 0.5 * (b[1:] + b[:-1]) * np.diff(energy[known]) + 0.5 * (a[1:] + a[:-1]) * np.diff(m)
    grown = np.concatenate([[0.0], np.cumsum(strips)])
    independent = entr(0.5 * (1.0 + m)) + entr(0.5 * (1.0 - m))
    course = independent + grown
    entropy[known] = math.log(2.0) + course - np.interp(when, times[known], course)
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
