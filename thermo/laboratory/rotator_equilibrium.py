"""A chain of rotators in equilibrium, exactly: momenta and bonds are independent of one another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import i0e, i1e, ive

from thermo.arguments import as_real
from thermo.thermometry import solve_beta

__all__ = ["RotatorChain", "mean_cosine"]

FloatArray = NDArray[np.float64]


def mean_cosine(concentration: ArrayLike) -> FloatArray:
    r"""⟨cos x⟩ of the law of von Mises, :math:`P(x) \propto e^{\kappa\cos x}`: I₁(κ)/I₀(κ).

    Parameters
    ----------
    concentration : array_like
        κ of either sign.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> mean_cosine([0.0, 2.0, -2.0]).round(6)
    array([ 0.      ,  0.697775, -0.697775])
    """
    kappa = as_real(concentration, "concentration")
    return np.asarray(i1e(kappa) / i0e(kappa))


@dataclass(frozen=True)
class RotatorChain:
    r"""H/N = 1 − cos p + ε(1 − cos φ) of independent p and φ, the chain of :func:`rotators`.

    With A(κ) = I₁(κ)/I₀(κ),

    .. math:: \frac{U}{N} = 1 - A(\beta) + \varepsilon\,[1 - A(\varepsilon\beta)],

    which is odd in β about the middle of the band, 1 + ε.

    Parameters
    ----------
    strength : float
        ε > 0.

    Examples
    --------
    >>> chain = RotatorChain(0.5)
    >>> chain.beta([0.5, 1.5, 2.5]).round(4)
    array([ 2.3493,  0.    , -2.3493])
    """

    strength: float

    @property
    def top(self) -> float:
        """Highest energy of a rotator and its bond."""
        return 2.0 + 2.0 * self.strength

    @property
    def natural_scale(self) -> float:
        """σ₀: standard deviation of the energy of a rotator and its bond at β = 0."""
        return math.sqrt(self._variance(0.0))

    def energy(self, beta: ArrayLike) -> FloatArray:
        """U/N at β.

        Parameters
        ----------
        beta : array_like

        Returns
        -------
        ndarray
        """
        b, e = as_real(beta, "beta"), self.strength
        return np.asarray(1.0 - mean_cosine(b) + e * (1.0 - mean_cosine(e * b)))

    def beta(self, energy: ArrayLike) -> FloatArray:
        """The β of either sign at which U/N has a given value.

        Parameters
        ----------
        energy : array_like
            Between 0 and `top`.

        Returns
        -------
        ndarray

        Raises
        ------
        EnergyOutOfRangeError
            Others.
        """
        targets = as_real(energy, "energy")
        solved = [
            solve_beta(lambda b: float(self.energy(b)), float(e), (0.0, self.top))
            for e in targets.ravel()
        ]
        return np.array(solved).reshape(targets.shape)

    def isolated(self, energy: float, rotators: int) -> tuple[float, float]:
        r"""What the two thermometers read in an isolated chain of N, exactly.

        The delta function in the energy is an integral along an imaginary β: means at given energy
        are those at β + is, weighted with :math:`e^{(\beta + is) E} Z(\beta + is)`; at complex κ
        as at real ones ⟨cos⟩ = A(κ) and ⟨sin²⟩ = A(κ)/κ.

        Parameters
        ----------
        energy : float
            H/N, between 0 and `top`.
        rotators : int
            N.

        Returns
        -------
        tuple of float
            ⟨cos p⟩/⟨sin² p⟩ and ⟨cos φ⟩/ε⟨sin² φ⟩; both are β for large N.

        Examples
        --------
        >>> RotatorChain(1.0).isolated(1.0, 10**6)[0] - RotatorChain(1.0).beta(1.0) < 1e-5
        np.True_
        """
        n, e = rotators, self.strength
        beta = float(self.beta(energy))
        width = 1.0 / math.sqrt(n * self._variance(beta))
        z = beta + 1j * width * np.linspace(-20.0, 20.0, 4001)
        partition = np.log(ive(0, z)) + np.log(ive(0, e * z)) + abs(beta) * (1.0 + e)
        exponent = n * (z * (energy - 1.0 - e) + partition)
        weight = np.exp(exponent - exponent[len(z) // 2])
        readings = []
        for strength in (1.0, e):
            kappa = strength * z
            cosine = ive(1, kappa) / ive(0, kappa)
            small = np.abs(kappa) < 1e-6
            squared_sine = np.where(small, 0.5, cosine / np.where(small, 1.0, kappa))
            ratio = (weight * cosine).sum().real / (weight * squared_sine).sum().real
            readings.append(round(float(ratio / strength), 12) + 0.0)  # no −0, no 1e-17
        return readings[0], readings[1]

    def _variance(self, beta: float) -> float:
        """Of H/N times N: −dU/dβ."""
        total = 0.0
        for strength in (1.0, self.strength):
            kappa = strength * beta
            cosine = float(mean_cosine(kappa))
            squared_sine = cosine / kappa if abs(kappa) > 1e-6 else 0.5
            total += strength**2 * (1.0 - squared_sine - cosine**2)
        return total
