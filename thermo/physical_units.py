"""Kelvin, joule, electron volt and hertz, for where a real substance is shown.

Everything else in this package computes with kB = 1 and energies in the model's own unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import finite_number
from thermo.temperature import beta_from_temperature, temperature_from_beta

__all__ = [
    "BOHR_MAGNETON",
    "BOLTZMANN",
    "ELEMENTARY_CHARGE",
    "NUCLEAR_MAGNETON",
    "PLANCK",
    "EnergyUnit",
]

# CODATA 2018: E. Tiesinga et al., Rev. Mod. Phys. 93, 025010 (2021). Exact since 2019:
BOLTZMANN = 1.380649e-23  #: kB in J/K, exact.
PLANCK = 6.62607015e-34  #: h in J s, exact.
ELEMENTARY_CHARGE = 1.602176634e-19  #: e in C, exact; one electron volt in J.
# and measured:
BOHR_MAGNETON = 9.2740100783e-24  #: μ_B in J/T, ± 28 in the last two digits.
NUCLEAR_MAGNETON = 5.0507837461e-27  #: μ_N in J/T, ± 15 in the last two digits.


@dataclass(frozen=True)
class EnergyUnit:
    r"""How large a model's unit of energy is, so that its β gets a temperature in kelvin.

    .. math:: T = \frac{\varepsilon}{k_B}\, \frac{1}{\beta\varepsilon}

    with ε the unit and βε what the model calls β. The sign of T is that of β.

    Parameters
    ----------
    joule : float
        One unit in joules, positive.

    Raises
    ------
    InvalidInputError
        Not a positive finite number.

    Examples
    --------
    A coupling of 0.1 nK, and how hot β = −0.25 of such a system is:

    >>> unit = EnergyUnit.from_kelvin(1e-10)
    >>> unit.kelvin([0.25, -0.25])
    array([ 4.e-10, -4.e-10])
    >>> unit.beta(-4e-10).round(12)
    np.float64(-0.25)
    >>> round(unit.hertz, 3)
    2.084
    """

    joule: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "joule", finite_number(self.joule, "joule", positive=True))

    @classmethod
    def from_kelvin(cls, kelvin: float) -> EnergyUnit:
        """Return the unit kB·T of a positive temperature."""
        return cls(BOLTZMANN * finite_number(kelvin, "kelvin", positive=True))

    @classmethod
    def from_electron_volt(cls, electron_volt: float) -> EnergyUnit:
        """Return the unit of so many electron volts."""
        return cls(ELEMENTARY_CHARGE * finite_number(electron_volt, "electron_volt", positive=True))

    @classmethod
    def from_hertz(cls, hertz: float) -> EnergyUnit:
        """Return the unit h·ν of a frequency, the energy of one of its quanta."""
        return cls(PLANCK * finite_number(hertz, "hertz", positive=True))

    @property
    def electron_volt(self) -> float:
        """One unit in electron volts."""
        return self.joule / ELEMENTARY_CHARGE

    @property
    def hertz(self) -> float:
        """The frequency whose quantum hν is one unit."""
        return self.joule / PLANCK

    def kelvin(self, beta: ArrayLike) -> NDArray[np.float64]:
        """Return the temperature in kelvin, the label of a β.

        Parameters
        ----------
        beta : array_like, any shape
            In 1/unit, either sign, ±0.0 and ±inf as in `thermo.temperature_from_beta`.

        Returns
        -------
        ndarray of float64, same shape
            T in kelvin; ±inf at β = ±0.0.

        Raises
        ------
        InvalidInputError
            NaN, or not real numbers.
        """
        return np.asarray(self.joule / BOLTZMANN * temperature_from_beta(beta))

    def beta(self, kelvin: ArrayLike) -> NDArray[np.float64]:
        """Return the β, in 1/unit, of a temperature in kelvin.

        Parameters
        ----------
        kelvin : array_like, any shape
            T, either sign, ±0.0 and ±inf as in `thermo.beta_from_temperature`.

        Returns
        -------
        ndarray of float64, same shape

        Raises
        ------
        InvalidInputError
            NaN, or not real numbers.
        """
        return np.asarray(self.joule / BOLTZMANN * beta_from_temperature(kelvin))
