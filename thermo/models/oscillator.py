"""Harmonic oscillators: a spectrum without an upper bound, hence without β ≤ 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thermo.arguments import finite_number, whole_number
from thermo.canonical import Thermodynamics
from thermo.errors import UnboundedSpectrumError
from thermo.levels import EnergyLevels
from thermo.memory import check_memory_of
from thermo.temperature import as_beta

__all__ = ["Oscillator"]

_BYTES_PER_LEVEL = 64  # at the peak: eight float64


class Oscillator:
    r"""n independent oscillators of one frequency, energies counted from the ground state.

    .. math:: E_k = k\,\varepsilon, \qquad g_k = \binom{k + n - 1}{n - 1}, \qquad k = 0, 1, 2 \dots

    Parameters
    ----------
    quantum : float
        ε = ħω > 0, in the unit of energy.
    n : int
        Number of oscillators, at least 1.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> oscillator = Oscillator(quantum=2.0)
    >>> oscillator.thermodynamics(0.01).heat_capacity.round(4)  # equipartition: one k per mode
    np.float64(1.0)
    >>> oscillator.thermodynamics(0.0)
    Traceback (most recent call last):
    thermo.errors.UnboundedSpectrumError: β = 0 was asked of Oscillator(quantum=2, n=1), whose ...
    """

    def __init__(self, quantum: float = 1.0, n: int = 1) -> None:
        self.quantum = finite_number(quantum, "quantum", positive=True)
        self.n = whole_number(n, "n", 1)

    def __repr__(self) -> str:
        return f"Oscillator(quantum={self.quantum:g}, n={self.n})"

    def levels(self, number: int) -> EnergyLevels:
        """Return the lowest `number` levels.

        They are marked as the lower part of an unbounded spectrum, so that β ≤ 0, and temperatures
        at which the missing levels matter, are refused.

        Parameters
        ----------
        number : int
            How many levels, at least 1; several times 1/(β·quantum) at the smallest β of interest.

        Returns
        -------
        EnergyLevels

        Raises
        ------
        InvalidInputError
            Not a whole number, or more levels than fit into memory.
        """
        number = whole_number(number, "number", 1)
        check_memory_of(number, _BYTES_PER_LEVEL, "levels")
        k = np.arange(float(number))
        ratios = (self.n - 1) / k[1:]  # g_k/g_{k−1} − 1: no large logarithms are subtracted
        log_degeneracy = np.concatenate([[0.0], np.cumsum(np.log1p(ratios))])
        return EnergyLevels(k * self.quantum, log_degeneracy, bounded_above=False)

    def thermodynamics(self, beta: ArrayLike) -> Thermodynamics:
        r"""Return the exact thermodynamics of the whole spectrum.

        With x = βε: ln Z = −n ln(1 − e⁻ˣ), U = nε/(eˣ − 1), Var E = n(ε/2)²/sinh²(x/2),
        S = ln Z + βU, and 1/Σp² = cothⁿ(x/2).

        Parameters
        ----------
        beta : array_like
            β > 0 in 1/energy; +inf is accepted.

        Returns
        -------
        Thermodynamics
            Arrays shaped like `beta`.

        Raises
        ------
        UnboundedSpectrumError
            Any β ≤ 0: no equilibrium exists.
        InvalidInputError
            β is NaN.
        """
        b = as_beta(beta)
        if np.any(b <= 0):
            raise UnboundedSpectrumError(float(b[b <= 0].flat[0]), repr(self))
        x = b * self.quantum
        boltzmann = np.exp(-x)
        gap = -np.expm1(-x)  # 1 − e⁻ˣ
        log_z = -self.n * np.log(gap)
        occupation = boltzmann / gap
        heat = np.where(np.isinf(x), 0.0, np.where(np.isinf(x), 1.0, x) * occupation)
        return Thermodynamics(
            beta=b,
            log_partition_function=log_z,
            internal_energy=self.n * self.quantum * occupation,
            energy_variance=self.n * self.quantum**2 * occupation / gap,
            entropy=log_z + self.n * heat,
            log_participation_ratio=self.n * (np.log1p(boltzmann) - np.log(gap)),
        )
