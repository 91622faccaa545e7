"""Spins in a field: the simplest system with a highest energy, and so with T < 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from thermo.arguments import finite_number, whole_number
from thermo.canonical import canonical
from thermo.laboratory.finding import Experiment, Finding
from thermo.levels import EnergyLevels
from thermo.microcanonical import microcanonical
from thermo.thermometry import matching_beta

__all__ = ["Paramagnet", "paramagnet"]

FloatArray = NDArray[np.float64]

_PEAK = (0.41678, 0.43923)  # kT/Δ and C/k per spin at the Schottky peak of two levels


@dataclass(frozen=True, eq=False)
class Paramagnet(Experiment):
    """What :func:`paramagnet` returns: everything per spin, in units of the field's energy.

    Attributes
    ----------
    spins : int
    field : float
        h: a spin has the energy −h or +h.
    energy, entropy, beta : ndarray, shape (spins + 1,)
        Of each level: E/N, ln g/N and dS/dE of Boltzmann.
    canonical_energy : ndarray, shape (B,)
        E/N along the curve of infinitely many spins.
    canonical_entropy, canonical_beta, heat_capacity : ndarray, shape (B,)
        There: S/N, β and C/N.
    peaks : ndarray, shape (2, 2)
        kT/Δ and C/k per spin where C is largest, at T > 0 and at T < 0; Δ = 2h.
    """

    name: ClassVar[str] = "paramagnet"

    spins: int
    field: float
    energy: FloatArray
    entropy: FloatArray
    beta: FloatArray
    canonical_energy: FloatArray
    canonical_entropy: FloatArray
    canonical_beta: FloatArray
    heat_capacity: FloatArray
    peaks: FloatArray

    @property
    def findings(self) -> tuple[Finding, ...]:
        n, h = self.spins, self.field
        top = int(np.argmax(self.entropy))
        # The largest binomial coefficient: of N spins, or half of that of N + 1 where N is odd.
        even = n + n % 2
        highest = math.log(2.0) - 0.5 * math.log(0.5 * math.pi * even) / n - 0.25 / (even * n)
        return (
            Finding(
                "S_max per spin",
                float(self.entropy[top]),
                expected=highest,
                unit="k",
                source="ln 2 − ln(πN/2)/2N − 1/4N² (Stirling)",
            ),
            Finding(
                "|E|/N where S is largest",
                abs(float(self.energy[top])),
                expected=(n % 2) * h / n,
                source="half of them up" if n % 2 == 0 else "half of all but one up",
            ),
            *(self._beta_at(e) for e in (-0.5 * h, 0.5 * h)),
            *self._schottky("T > 0", self.peaks[0], 1.0),
            *self._schottky("T < 0", self.peaks[1], -1.0),
        )

    def _beta_at(self, energy: float) -> Finding:
        h = self.field
        return Finding(
            f"β at E/N = {energy:+.2g}",
            float(matching_beta(EnergyLevels([-h, h]), energy)),
            expected=-math.atanh(energy / h) / h,
            source="−artanh(e/h)/h",
        )

    @staticmethod
    def _schottky(where: str, peak: FloatArray, sign: float) -> tuple[Finding, Finding]:
        temperature, heat_capacity = _PEAK
        return (
            Finding(f"kT/Δ at the peak of C, {where}", float(peak[0]),
                    expected=sign * temperature, source="Schottky"),
            Finding(f"C/k per spin there, {where}", float(peak[1]),
                    expected=heat_capacity, source="Schottky"),
        )  # fmt: skip


def paramagnet(spins: int = 100, field: float = 1.0) -> Paramagnet:
    r"""Independent spins in a field: entropy is an arch over energy, and β its slope.

    Of N spins, n point against the field, with energy :math:`E = h(2n - N)` and
    :math:`g = \binom{N}{n}` states. For many spins, with e = E/N,

    .. math::
        \frac{S}{N} = -\sum_\pm \frac{1 \pm e/h}{2} \ln \frac{1 \pm e/h}{2}, \qquad
        \beta = -\frac{1}{h}\,\mathrm{artanh}\frac{e}{h},

    which passes through β = 0 where half of them point against the field. The heat capacity is
    that of two levels with the gap Δ = 2h (Schottky), and the same at T and −T.

    Parameters
    ----------
    spins : int
        N, 2 … 10⁶.
    field : float
        h > 0, in the unit of energy.

    Returns
    -------
    Paramagnet

    Raises
    ------
    InvalidInputError
        Numbers out of range.

    Notes
    -----
    The spins know nothing of each other, so that nothing brings them to one temperature but a bath:
    in `thermo.laboratory.spin_reversal` they do.

    References
    ----------
    N. F. Ramsey, Phys. Rev. 103, 20 (1956); W. Schottky, Phys. Z. 23, 448 (1922).

    Examples
    --------
    >>> found = paramagnet()
    >>> found.peaks.round(4)
    array([[ 0.4168,  0.4392],
           [-0.4168,  0.4392]])
    """
    n = whole_number(spins, "spins", 2, most=10**6)
    h = finite_number(field, "field", positive=True)
    flipped = np.arange(n + 1.0)
    levels = EnergyLevels(
        h * (2.0 * flipped - n), gammaln(n + 1) - gammaln(flipped + 1) - gammaln(n - flipped + 1)
    )
    shells = microcanonical(levels)
    two = EnergyLevels([-h, h])
    beta = np.tan(np.linspace(-1.0, 1.0, 401) * np.arctan(6.0)) / h
    curve = canonical(two, beta)
    cold = minimize_scalar(
        lambda b: -float(canonical(two, b / h).heat_capacity),
        bounds=(0.1, 4.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    peaks = np.array([[s * 0.5 / cold.x, -cold.fun] for s in (1.0, -1.0)])
    peaks[1, 1] = float(canonical(two, -cold.x / h).heat_capacity)
    return Paramagnet(
        spins=n,
        field=h,
        energy=shells.energy / n,
        entropy=shells.entropy / n,
        beta=shells.beta_boltzmann,
        canonical_energy=curve.internal_energy,
        canonical_entropy=curve.entropy,
        canonical_beta=beta,
        heat_capacity=curve.heat_capacity,
        peaks=peaks,
    )
