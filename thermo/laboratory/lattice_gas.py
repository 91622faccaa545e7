"""Bosons or fermions that share the levels of one particle, at β of either sign."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit

from thermo.arguments import finite_number, one_of
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.levels import EnergyLevels, require_levels
from thermo.temperature import as_beta

__all__ = ["STATISTICS", "GasState", "LatticeGas"]

FloatArray = NDArray[np.float64]

STATISTICS = ("fermions", "bosons")

_ROUNDING = 1e-15  # of the number of states: a shell this close to full is full
_WHOLE = 1e-12  # relative: what exp(ln g) leaves of a whole number of states
_WIDE = 1000.0  # β times a gap, across which nothing in float64 is excited


@dataclass(frozen=True, eq=False)
class GasState:
    r"""An ideal quantum gas in equilibrium; totals, arrays shaped like β.

    Attributes
    ----------
    beta : ndarray, shape (...)
    log_fugacity : ndarray, shape (...)
        βμ; ±inf at β = ±inf and for a full band.
    occupation : ndarray, shape (..., L)
        Mean number of particles in each single state of a level.
    energy, entropy, heat_capacity : ndarray, shape (...)
        U; S/k; C/k at a fixed number of particles.
    beta_pressure_volume : ndarray, shape (...)
        βpV = ln Ξ, never negative: the pressure p has the sign of β.
    """

    beta: FloatArray
    log_fugacity: FloatArray
    occupation: FloatArray
    energy: FloatArray
    entropy: FloatArray
    heat_capacity: FloatArray
    beta_pressure_volume: FloatArray


class LatticeGas:
    r"""Particles that do not interact, N of them on average, in the levels of a single one.

    .. math:: n_i = \frac{1}{e^{\beta E_i - \alpha} \pm 1}, \qquad \sum_i g_i n_i = N,
              \qquad \alpha = \beta\mu

    with + for fermions and − for bosons. α is solved for, not μ: it stays finite at β = 0. Bosons
    need βE − α > 0 in every level: μ lies below the bottom of the band at β > 0 and above its top
    at β < 0, where they condense.

    Parameters
    ----------
    levels : EnergyLevels
        Of one particle, g = exp(log_degeneracy) states each; bounded above.
    particles : float
        N > 0; of fermions at most the number of states.
    statistics : {"fermions", "bosons"}

    Raises
    ------
    InvalidInputError
        Another name; N not positive, or more fermions than states.
    UnboundedSpectrumError
        Levels without an upper bound, which have no β ≤ 0.

    Notes
    -----
    Grand-canonical sums over a finite number of levels: nothing is approximated, but the number of
    particles fluctuates about N. Not for particles that interact.

    References
    ----------
    S. Braun et al., Science 339, 52 (2013); A. P. Mosk, Phys. Rev. Lett. 95, 040403 (2005).

    Examples
    --------
    Three bosons in two levels: hot, they crowd into the upper one.

    >>> gas = LatticeGas(EnergyLevels([-1.0, 1.0]), 3, "bosons")
    >>> gas.at([2.0, 0.0, -2.0]).occupation.round(3)
    array([[2.986, 0.014],
           [1.5  , 1.5  ],
           [0.014, 2.986]])
    """

    def __init__(self, levels: EnergyLevels, particles: float, statistics: str) -> None:
        require_levels(levels)
        self.statistics = one_of(statistics, "statistics", STATISTICS)
        if not levels.bounded_above:
            raise UnboundedSpectrumError(0.0, "a gas")
        order = np.argsort(levels.energies, kind="stable")
        self.energies = levels.energies[order]
        states = np.exp(levels.log_degeneracy[order])
        whole = np.rint(states)
        self.degeneracies = np.where(np.abs(states - whole) < _WHOLE * states, whole, states)
        self._back = np.argsort(order)
        self.states = float(self.degeneracies.sum())
        self.particles = finite_number(particles, "particles", positive=True)
        if self.statistics == "fermions" and self.particles > self.states * (1.0 + _ROUNDING):
            raise InvalidInputError(
                f"particles = {self.particles:g} was given; accepted: at most {self.states:g} "
                "fermions, one in each state"
            )

    def at(self, beta: ArrayLike) -> GasState:
        """Return the gas in equilibrium.

        Parameters
        ----------
        beta : array_like, shape (...)
            1/energy; any real numbers and ±inf.

        Returns
        -------
        GasState

        Raises
        ------
        InvalidInputError
            NaN, or not real numbers.
        """
        betas = as_beta(beta)
        rows = [self._at(float(b)) for b in betas.ravel()]
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        occupation = columns[1].reshape(*betas.shape, -1)[..., self._back]
        rest = [column.reshape(betas.shape) for column in (columns[0], *columns[2:])]
        return GasState(betas, rest[0], occupation, *rest[1:])

    def _at(self, beta: float) -> tuple[float, FloatArray, float, float, float, float]:
        # y = βE from the most populated level up; at β < 0 that is the highest energy.
        falling = slice(None, None, -1 if beta < 0 else 1)
        energy, g = self.energies[falling], self.degeneracies[falling]
        gap = np.abs(energy - energy[0])
        fermions = self.statistics == "fermions"
        with np.errstate(over="ignore", divide="ignore"):
            if fermions:
                level, x = _fermi_sea(abs(beta), gap, g, self.particles)
                n = expit(-x)
                every = np.abs(x)
                per_state = np.log1p(np.exp(-every)) + _product(every, expit(-every))
                log_xi = np.logaddexp(0.0, -x)
                spread = g * n * expit(x)
            else:
                level, x = 0, _bose_gap(abs(beta), gap, g, self.particles)
                n = 1.0 / np.expm1(x)
                log_xi = np.where(x < 1.0, -np.log(-np.expm1(-x)), -np.log1p(-np.exp(-x)))
                per_state = _product(x, n) + log_xi
                spread = g * n * (1.0 + n)
        finite = math.isfinite(beta)
        bottom = beta * energy[level] if energy[level] else 0.0
        return (
            bottom - x[level] if math.isfinite(bottom) else bottom,
            n[falling],
            float(g @ _product(n, energy)),
            float(g @ per_state),
            _variance(abs(beta) * gap, spread) if finite else 0.0,
            float(g @ log_xi),
        )


def _bose_gap(beta: float, gap: FloatArray, g: FloatArray, particles: float) -> FloatArray:
    """Return x = βE − α > 0 of every level of bosons, the most populated first."""
    y = _product(np.full_like(gap, beta), gap)

    def surplus(log_x: float) -> float:
        return float(g @ (1.0 / np.expm1(y + math.exp(log_x)))) / particles - 1.0

    # N lies between what the first level would hold alone, and what all would if they were like it.
    least, most = (math.log(math.log1p(s / particles)) for s in (g[0], g.sum()))
    return y + math.exp(_root(surplus, least, most))


def _fermi_sea(
    beta: float, gap: FloatArray, g: FloatArray, particles: float
) -> tuple[int, FloatArray]:
    """Return the level in which the filling ends at β = ∞, and x = βE − α of every level.

    α is measured from that level: at large β it is large itself, and lost in rounding otherwise.
    """
    below = np.cumsum(g)
    slack = _ROUNDING * below[-1]
    level = int(np.searchsorted(below, particles - slack))
    closed = particles > below[level] - slack
    lack = 0.0 if closed else below[level] - particles
    filled = g[level] if closed else particles - (below[level] - g[level])
    y = _product(np.full_like(gap, beta), gap - gap[level])
    if closed and level == len(g) - 1:
        return level, np.full_like(y, -np.inf)
    if closed and math.isinf(y[level + 1]):
        return level, np.where(y > 0.0, np.inf, -np.inf)
    if closed and y[level + 1] > _WIDE:
        return level, y - 0.5 * (y[level + 1] + math.log(g[level] / g[level + 1]))
    if math.isinf(beta):
        return level, np.where(y == 0.0, -math.log(filled / lack), y)
    sea = level if filled < lack else level + 1  # levels that count by their holes
    rest = -filled if filled < lack else lack

    def surplus(a: float) -> float:  # particles above the sea less holes in it: no cancellation
        return float(g[sea:] @ expit(a - y[sea:]) - g[:sea] @ expit(y[:sea] - a) + rest)

    above = below[-1] - below[level]
    least = math.log(filled / (above + lack))
    most = float(y[-1]) + math.log(particles / (above + lack))
    if not closed:
        most = min(most, math.log(particles / lack))
    return level, y - _root(surplus, least, max(least, most))


def _root(surplus: Callable[[float], float], least: float, most: float) -> float:
    """Where the surplus of particles vanishes; a bracket that rounding has closed is the answer."""
    ends = surplus(least), surplus(most)
    if (ends[0] < 0.0) == (ends[1] < 0.0):
        return least if abs(ends[0]) <= abs(ends[1]) else most
    return float(brentq(surplus, least, most, xtol=1e-14, rtol=1e-15))


def _variance(y: FloatArray, weight: FloatArray) -> float:
    """C/k at fixed N: the variance of βE over the states whose occupation can change."""
    total = weight.sum()
    if not total > 0.0:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _product(weight, y).sum() / total
        return float(np.nan_to_num(_product(weight, (y - mean) ** 2).sum()))


def _product(a: FloatArray, b: FloatArray) -> FloatArray:
    """a·b, where nothing times infinity is nothing."""
    with np.errstate(invalid="ignore"):
        return np.where((a == 0.0) | (b == 0.0), 0.0, a * b)
