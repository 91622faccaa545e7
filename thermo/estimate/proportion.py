"""A fraction counted in independent trials, with its interval."""

from __future__ import annotations

import math

from thermo.arguments import finite_number, whole_number

__all__ = ["wilson_interval"]


def wilson_interval(successes: int, trials: int, sigmas: float = 1.0) -> tuple[float, float]:
    r"""The fractions p that k successes in n trials are compatible with (Wilson, 1927).

    All p whose distance from k/n is at most ``sigmas`` of *their own* standard errors,

    .. math:: |k/n - p| \le s \sqrt{p(1-p)/n}.

    Parameters
    ----------
    successes, trials : int
        k and n; the trials are independent.
    sigmas : float
        s: 1 is the interval of a standard error (68 %), 1.96 the one of 95 %.

    Returns
    -------
    lower, upper : float
        Within 0 … 1; never of no width, also at k = 0 and k = n.

    Raises
    ------
    InvalidInputError
        No trial, or more successes than trials.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    Examples
    --------
    >>> [round(p, 4) for p in wilson_interval(0, 9)], [round(p, 4) for p in wilson_interval(5, 10)]
    ([0.0, 0.1], [0.3492, 0.6508])
    """
    n = whole_number(trials, "trials", 1)
    k = whole_number(successes, "successes", 0, most=n)
    s2 = finite_number(sigmas, "sigmas", positive=True) ** 2
    middle = (k + s2 / 2) / (n + s2)
    half = math.sqrt(s2 * (k * (n - k) / n + s2 / 4)) / (n + s2)
    # At the ends the two are equal; rounding must not move the interval off 0 and 1.
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)
