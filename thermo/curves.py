"""Thermodynamic curves in natural units: what makes unlike systems comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.canonical import Thermodynamics, canonical
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels

__all__ = ["Curve", "Measured", "exact_curve", "natural_scale"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """Values with standard errors.

    Attributes
    ----------
    value, error : ndarray, shape (B,) or any other
        In one unit; an error of 0 means exact.
    """

    value: FloatArray
    error: FloatArray

    @classmethod
    def exact(cls, value: ArrayLike) -> Measured:
        """Values without statistical error."""
        v = np.asarray(value, dtype=np.float64)
        return cls(v, np.zeros_like(v))

    def per(self, units: float) -> Measured:
        """Value and error divided by an exact number."""
        return Measured(self.value / units, self.error / units)

    def __mul__(self, unit: float) -> Measured:
        """The same in another unit."""
        return Measured(self.value * unit, self.error * abs(unit))

    def __getitem__(self, index: Any) -> Measured:
        return Measured(self.value[index], self.error[index])


@dataclass(frozen=True, eq=False)
class Curve:
    r"""One system followed over signed β, per unit (spin, oscillator, text position).

    In natural units, :math:`b = \beta\sigma_0` and :math:`u = (U - U_0)/\sigma_0` with σ₀ the
    standard deviation of the energy of one unit at β = 0 and U₀ its mean there, every system with
    bounded energy is the same parabola near b = 0,

    .. math:: S = S_0 - u^2/2 + O(u^3), \qquad u = -b, \qquad C = b^2,

    and :math:`dS/du = b` everywhere.

    Attributes
    ----------
    name, unit : str
        The system, and what one unit of it is.
    scale : float
        σ₀ in the system's energy unit.
    beta : ndarray, shape (B,)
        Falling from cold (+∞) to hot (−∞), in 1/energy.
    energy : Measured
        u, dimensionless.
    entropy, heat_capacity, log_participation : Measured
        S/k, C/k and ln(1/Σp²) per unit.
    log_states : float
        S₀/k = ln(number of states) per unit; inf if there is no end of states.
    spread : dict of str to ndarray, shape (2, B)
        10 % and 90 % quantiles between disorder realisations (contexts), for quenched systems,
        under the names ``energy``, ``entropy`` and ``heat_capacity``.
    ends : str
        Why the curve stops short of β = −∞; empty if it does not.
    """

    name: str
    unit: str
    scale: float
    beta: FloatArray
    energy: Measured
    entropy: Measured
    heat_capacity: Measured
    log_participation: Measured
    log_states: float
    spread: dict[str, FloatArray]
    ends: str = ""

    @property
    def b(self) -> FloatArray:
        """β in natural units, βσ₀."""
        return self.beta * self.scale

    @property
    def effective_states(self) -> Measured:
        """exp(S/k) per unit, the error carried over to first order."""
        states = np.exp(self.entropy.value)
        return Measured(states, states * self.entropy.error)


def natural_scale(levels: EnergyLevels) -> tuple[float, float]:
    """Mean and standard deviation of the energy at β = 0, where all states are alike.

    Parameters
    ----------
    levels : EnergyLevels
        Bounded above.

    Returns
    -------
    mean, scale : float
        U₀ and σ₀ in the unit of the energies.

    Raises
    ------
    UnboundedSpectrumError
        No upper bound: β = 0 cannot be reached and there is no such scale.

    Examples
    --------
    >>> natural_scale(EnergyLevels([0.0, 1.0]))
    (0.5, 0.5)
    """
    state = canonical(levels, 0.0)
    return float(state.internal_energy), float(np.sqrt(state.energy_variance))


def exact_curve(
    name: str,
    state: Thermodynamics,
    *,
    unit: str,
    units: int = 1,
    origin: float,
    scale: float,
    log_states: float,
    ends: str = "",
) -> Curve:
    """The curve of exactly known thermodynamics, divided by the number of independent units.

    Parameters
    ----------
    name, unit : str
        See :class:`Curve`.
    state : Thermodynamics
        Of the whole system, arrays (B,) over β.
    units : int
        How many units (spins) the system has.
    origin, scale : float
        U₀ and σ₀ of the whole system: see :func:`natural_scale`. Both are extensive in a
        different way: the mean grows as ``units``, the deviation as its square root.
    log_states : float
        S₀ of the whole system.
    ends : str
        Why the curve stops, if it does.

    Returns
    -------
    Curve

    Raises
    ------
    InvalidInputError
        No units, or a scale that is not positive.

    Examples
    --------
    Ten independent spins are the same curve as one:

    >>> import numpy as np
    >>> from scipy.special import gammaln
    >>> k = np.arange(11)
    >>> ten = EnergyLevels(2.0 * k - 10, gammaln(11) - gammaln(k + 1) - gammaln(11 - k))
    >>> mean, scale = natural_scale(ten)
    >>> curve = exact_curve("ten spins", canonical(ten, [1.0]), unit="spin", units=10,
    ...                     origin=mean, scale=scale, log_states=ten.log_states)
    >>> bool(np.isclose(curve.energy.value[0], -np.tanh(1.0)))
    True
    """
    if units < 1 or not scale > 0:
        raise InvalidInputError(f"units = {units}, scale = {scale:g}; units ≥ 1, scale > 0 needed.")
    per_unit = scale / np.sqrt(units)
    return Curve(
        name=name,
        unit=unit,
        scale=float(per_unit),
        beta=state.beta,
        energy=Measured.exact((state.internal_energy - origin) / (units * per_unit)),
        entropy=Measured.exact(state.entropy / units),
        heat_capacity=Measured.exact(state.heat_capacity / units),
        log_participation=Measured.exact(state.log_participation_ratio / units),
        log_states=log_states / units,
        spread={},
        ends=ends,
    )
