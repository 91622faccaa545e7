"""What a demon's purse says of its lattice: a β, and the energy to which it belongs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from thermo.canonical import canonical
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.levels import EnergyLevels
from thermo.thermometry import matching_beta

__all__ = ["PurseReading", "demon_levels", "read_purse"]

_FINE = 4096  # levels that stand for a purse of any content
_CERTAIN = 4.0  # standard errors: an unevenness that one even spectrum in 16 000 seems to have
_NO_CUBIC = 1e-12  # smaller is what rounding leaves of a polynomial that there is not

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PurseReading:
    """β by the maximum of the likelihood, and how far below the total energy the lattice has it.

    Attributes
    ----------
    beta : float
        ±inf if the demon never had anything, or never less than all; nan if its purse never changed
        in between.
    error : float
        Standard error of it, corrected for autocorrelation, and as much more as `unevenness` where
        that is certain; inf where β is infinite or nan.
    demon_energy : MeanWithError
        Of the demon.
    depth : MeanWithError
        β = dS/dE of the lattice at an energy that lies so far below that of lattice and demon
        together.
    unevenness : float
        By how much β is off, about, since S(E) is not even a parabola over the purse; 0 where that
        is not certain (four of its standard errors, and more than the error of β).
    """

    beta: float
    error: float
    demon_energy: MeanWithError
    depth: MeanWithError
    unevenness: float


def demon_levels(demon_maximum: float, spacing: float | None) -> EnergyLevels:
    """Return the levels of a demon: equidistant up to its maximum.

    Parameters
    ----------
    demon_maximum : float
    spacing : float or None
        None for a continuum, for which the middles of 4096 intervals stand: β is then wrong by
        (βE_max/4096)²/12 of itself.

    Returns
    -------
    EnergyLevels
    """
    if spacing is None:
        return EnergyLevels((np.arange(_FINE) + 0.5) * (demon_maximum / _FINE))
    return EnergyLevels(np.arange(round(demon_maximum / spacing) + 1) * spacing)


def read_purse(moments: Array, demon_maximum: float, spacing: float | None) -> PurseReading:
    r"""Read β off what a demon had.

    The purse has the distribution :math:`p(E_d) \propto e^{S(E_\mathrm{total} - E_d)}`. With
    :math:`P_k` the polynomials of degree k in E_d that are orthonormal under
    :math:`p_\beta \propto e^{-\beta E_d}`,

    .. math:: S(E_\mathrm{total} - E_d) = \mathrm{const} - \beta E_d
                  + \sum_{k \ge 2} \langle P_k \rangle\, P_k(E_d) + \dots

    where β is such that :math:`\langle P_1 \rangle = 0`: it has the mean energy that was measured.
    The curvature of S, which is of order 1/n, is all in :math:`P_2`, whose own slope vanishes at

    .. math:: E_d^* = \langle E_d \rangle + \frac{\mu_3}{2\mu_2}

    (μ being the central moments of :math:`p_\beta`). There β *is* the slope, whatever the curvature
    is: β = S′(E_total − E_d*) up to order 1/n². What comes next, the slope of
    :math:`\langle P_3 \rangle P_3` at that place, is measured too. It is of order 1/n² where S is
    smooth, and large near the ends of a spectrum, whose levels are few and uneven there.

    Parameters
    ----------
    moments : ndarray, shape (replicas, draws, 3)
        Averages of E_d/E_max, of its square and of its cube.
    demon_maximum, spacing : float
        E_max, and the spacing of the demon's levels; None for a continuum.

    Returns
    -------
    PurseReading

    References
    ----------
    M. Creutz, Phys. Rev. Lett. 50, 1411 (1983), for the demon.

    Examples
    --------
    A lattice with S = −E²/4000, so that β = −E/2000, which has −100 together with its demon; two
    draws that are not quite the same:

    >>> full = np.linspace(0.0, 1.0, 5)
    >>> p = np.exp(-((-100.0 - 16.0 * full) ** 2) / 4000.0)
    >>> exact = p @ full[:, None] ** [1, 2, 3] / p.sum()
    >>> reading = read_purse(np.stack([exact - 0.01, exact + 0.01])[None], 16.0, 4.0)
    >>> round(reading.beta, 5), round((100.0 + float(reading.depth.mean)) / 2000.0, 5)
    (0.0537, 0.0537)
    """
    levels = demon_levels(1.0, None if spacing is None else spacing / demon_maximum)
    purse = mean_with_error(moments[..., 0])[()]
    demon = MeanWithError(
        purse.mean * demon_maximum, purse.error * demon_maximum, purse.ess, purse.tau
    )
    mean = min(max(float(purse.mean), levels.minimum), levels.maximum)
    beta = float(matching_beta(levels, mean))
    if np.isinf(beta) or purse.error == 0.0:
        return PurseReading(beta if np.isinf(beta) else np.nan, np.inf, demon, demon, 0.0)

    p = np.asarray(canonical(levels, beta).populations().probabilities)
    deviation = levels.energies - p @ levels.energies
    second, third, fourth = (float((p * deviation**k).sum()) for k in (2, 3, 4))
    error = float(purse.error) / second  # dU/dβ = −μ₂
    place = mean + third / (2.0 * second)
    growth = 1.0 + (fourth / second - 3.0 * second - (third / second) ** 2) / (2.0 * second)
    depth = MeanWithError(
        np.asarray(place * demon_maximum), abs(growth) * demon.error, purse.ess, purse.tau
    )[()]
    cubic = _third_polynomial(p, levels.energies)
    constant, powers = cubic.coef[0], np.asarray(cubic.coef[1:], dtype=np.float64)
    seen = mean_with_error(constant + moments @ powers)
    # Levels that no demon has reached have no part in the error that was sampled: at the least it
    # is that of as many independent draws as the mean energy has.
    uncertain = max(float(seen.error), float(purse.error) / math.sqrt(second))
    slope = abs(float(seen.mean * cubic.deriv()(place)))
    if abs(seen.mean) <= _CERTAIN * uncertain or slope <= error:
        slope = 0.0
    return PurseReading(
        beta=beta / demon_maximum,
        error=math.hypot(error, slope) / demon_maximum,
        demon_energy=demon,
        depth=depth,
        unevenness=slope / demon_maximum,
    )


def _third_polynomial(p: Array, full: Array) -> Polynomial:
    """P₃ of a purse that is so full with probability p; 0 where too few levels count for one."""
    powers = np.vander(full, 4, increasing=True)
    triangle = np.linalg.qr(np.sqrt(p)[:, None] * powers, mode="r")
    if len(triangle) < 4 or abs(triangle[3, 3]) < _NO_CUBIC:
        return Polynomial(np.zeros(4))
    return Polynomial(np.linalg.solve(triangle, [0.0, 0.0, 0.0, 1.0]))
