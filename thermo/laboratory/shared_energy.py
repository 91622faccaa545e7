"""How systems in contact share their energy: exactly, from their numbers of states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thermo.errors import EnergyOutOfRangeError
from thermo.levels import EnergyLevels

__all__ = ["joined_levels", "level_of", "shared_energy"]

FloatArray = NDArray[np.float64]

_ROUNDING = 1e-9  # of the whole span: sums of the same energies in another order


def shared_energy(levels: EnergyLevels, rest: EnergyLevels, total: float) -> FloatArray:
    r"""Probability of each level of a system that shares a fixed energy with another one.

    All states of both together are equally likely, so that

    .. math:: P(E_1) = \frac{g_1(E_1)\, g_2(E - E_1)}{\sum_{E'} g_1(E')\, g_2(E - E')}

    which is largest where :math:`dS_1/dE_1 = dS_2/dE_2`: where both have the same β, of either
    sign.

    Parameters
    ----------
    levels, rest : EnergyLevels
        Of the two systems; ascending and distinct, as `EnergyLevels.merged` has them.
    total : float
        E.

    Returns
    -------
    ndarray, shape (len(levels),)

    Raises
    ------
    EnergyOutOfRangeError
        No state of both together has this energy.

    Notes
    -----
    The contact itself has no energy, and g₁, g₂ count every state: not for systems that keep more
    than their energy, such as a magnetisation.

    Examples
    --------
    Two spins and four, of which three point up in all; there are 20 ways:

    >>> from thermo import TwoLevel
    >>> (20 * shared_energy(TwoLevel(2).levels(), TwoLevel(4).levels(), 3.0)).round(9)
    array([ 4., 12.,  4.])
    """
    left = total - levels.energies
    place = level_of(rest, left)
    log_p = levels.log_degeneracy + rest.log_degeneracy[place]
    span = max(np.ptp(levels.energies), np.ptp(rest.energies), 1e-300)
    log_p[np.abs(rest.energies[place] - left) > _ROUNDING * span] = -np.inf
    top = log_p.max()
    if top == -np.inf:
        raise EnergyOutOfRangeError(
            f"a total energy of {total:g} was given, which no state of the two systems has; "
            f"accepted: sums of their energies, {levels.minimum + rest.minimum:g} … "
            f"{levels.maximum + rest.maximum:g}"
        )
    p = np.exp(log_p - top)
    return np.asarray(p / p.sum())


def joined_levels(first: EnergyLevels, second: EnergyLevels, spacing: float) -> EnergyLevels:
    r"""Levels of two systems together: :math:`g(E) = \sum_{E_1} g_1(E_1)\, g_2(E - E_1)`.

    Parameters
    ----------
    first, second : EnergyLevels
        Ascending and distinct.
    spacing : float
        What all their differences are multiples of.

    Returns
    -------
    EnergyLevels

    Examples
    --------
    >>> from thermo import TwoLevel
    >>> two = TwoLevel(2).levels()
    >>> np.exp(joined_levels(two, two, 1.0).log_degeneracy).round(9)
    array([1., 4., 6., 4., 1.])
    """
    step_1, step_2 = (
        np.rint((levels.energies - levels.minimum) / spacing).astype(np.int64)
        for levels in (first, second)
    )
    log_g = np.full(step_1[-1] + step_2[-1] + 1, -np.inf)
    for step, log_g1 in zip(step_1.tolist(), first.log_degeneracy, strict=True):
        log_g[step + step_2] = np.logaddexp(log_g[step + step_2], log_g1 + second.log_degeneracy)
    there = np.flatnonzero(log_g > -np.inf)
    return EnergyLevels(first.minimum + second.minimum + spacing * there, log_g[there])


def level_of(levels: EnergyLevels, energy: FloatArray) -> NDArray[np.intp]:
    """Return the number of the level nearest to each energy.

    Examples
    --------
    >>> level_of(EnergyLevels([0.0, 1.0, 4.0]), np.array([1.0, 3.9, -7.0]))
    array([1, 2, 0])
    """
    return np.searchsorted((levels.energies[1:] + levels.energies[:-1]) / 2.0, energy)
