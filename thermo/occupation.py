"""Occupation of states against their energy: what a Boltzmann plot shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels
from thermo.populations import Populations
from thermo.thermometry import BetaFit, fit_beta

__all__ = ["Occupation", "occupation"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Occupation:
    r"""One line of a Boltzmann plot, in natural units and per unit of the system.

    The ordinate is the logarithm of how occupied a state is, :math:`y = [\ln(p/g) + \ln Z]/N`
    with Z at the fitted β and energies counted from U₀. Canonical populations give

    .. math:: y = -b\,u,

    a straight line through the origin with slope −b = −βσ₀: falling at T > 0, level at β = 0,
    rising at T < 0.

    Attributes
    ----------
    name : str
        What the line shows.
    b : float
        The β put in, in natural units; NaN if none was (populations that are not canonical).
    u, y, error : ndarray, shape (K,)
        Energy (E − U₀)/Nσ₀, ordinate and its standard error (0: exact).
    fitted_b, fitted_error, residual : float
        The β read off the populations, its standard error (NaN: exact populations), and the
        misfit KL in nats per unit.
    spread : ndarray, shape (2, K), or None
        10 % and 90 % quantiles of y between disorder realisations.
    """

    name: str
    b: float
    u: FloatArray
    y: FloatArray
    error: FloatArray
    fitted_b: float
    fitted_error: float
    residual: float
    spread: FloatArray | None = None


def occupation(
    name: str,
    populations: Populations,
    reference: EnergyLevels,
    *,
    beta: float,
    units: int = 1,
    origin: float,
    scale: float,
    bins: int = 12,
) -> Occupation:
    """A Boltzmann line from populations of known levels, with the β fitted to it.

    Parameters
    ----------
    name : str
        What the line shows.
    populations : Populations
        Probabilities (L,); ``samples`` gives the errors.
    reference : EnergyLevels
        The levels, in the same order.
    beta : float
        The β put in, NaN if none.
    units, origin, scale
        As for :func:`thermo.curves.exact_curve`.
    bins : int
        Neighbouring levels are joined into at most this many points.

    Returns
    -------
    Occupation

    Raises
    ------
    InvalidInputError
        ``populations`` with leading axes.

    Examples
    --------
    >>> levels = EnergyLevels([-1.0, 1.0])
    >>> line = occupation("inverted", Populations(levels, [0.2, 0.8]), levels, beta=float("nan"),
    ...                   origin=0.0, scale=1.0)
    >>> round(float(line.fitted_b), 4)
    -0.6931
    """
    p = populations.probabilities
    if p.ndim != 1:
        raise InvalidInputError(f"one distribution (L,) is needed; shape {p.shape} was given.")
    per_unit = scale / np.sqrt(units)
    fit = fit_beta(populations, reference)
    u, y, error = _points(populations, reference, fit, bins)
    log_z = float(canonical(reference.shifted(-origin), fit.beta).log_partition_function)
    return Occupation(
        name=name,
        b=beta * per_unit,
        u=(u - origin) / (units * per_unit),
        y=(y + log_z) / units,
        error=error / units,
        fitted_b=float(fit.beta * per_unit),
        fitted_error=float(fit.stderr) * per_unit,
        residual=float(fit.residual) / units,
    )


def _points(
    populations: Populations, reference: EnergyLevels, fit: BetaFit, bins: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Energy, ln(p/g) and its error for groups of neighbouring occupied levels.

    Within a group the canonical shape at the fitted β is divided out before adding up, so that a
    wide group bends nothing: y is that of the group's mean energy.
    """
    p = populations.probabilities
    order = np.argsort(reference.energies, kind="stable")
    order = order[p[order] > 0]
    e, g, q = reference.energies[order], reference.log_degeneracy[order], p[order]
    beta = float(np.clip(fit.beta, -1e6, 1e6))
    groups = list(np.array_split(np.arange(order.size), min(bins, order.size)))
    centre = np.array([np.average(e[i], weights=q[i]) for i in groups])
    weight = np.array([q[i].sum() for i in groups])
    expected = np.array(
        [np.logaddexp.reduce(g[i] - beta * (e[i] - c)) for i, c in zip(groups, centre, strict=True)]
    )
    error = np.zeros_like(centre)
    if populations.samples is not None:
        n = float(populations.samples)
        error = np.sqrt((1.0 - weight) / (n * weight))
    return centre, np.log(weight) - expected, error
