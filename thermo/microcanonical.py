"""The microcanonical ensemble: S(E) and the two definitions of its temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels, require_levels

__all__ = ["Microcanonical", "microcanonical"]


@dataclass(frozen=True, eq=False)
class Microcanonical:
    """Entropy and inverse temperatures at fixed energy; all arrays of shape (L,).

    Attributes
    ----------
    energy : ndarray
        Distinct energies in rising order.
    entropy : ndarray
        Boltzmann (surface) entropy S = ln g(E), in nats.
    volume_entropy : ndarray
        Gibbs (volume) entropy ln Ω(E), Ω = Σ g over energies up to E.
    beta_boltzmann : ndarray
        dS/dE by central differences; negative where the density of states falls.
    log_beta_gibbs : ndarray
        Of d ln Ω/dE, by differences to the level below. Large systems at high energies have less
        than the smallest float.
    """

    energy: NDArray[np.float64]
    entropy: NDArray[np.float64]
    volume_entropy: NDArray[np.float64]
    beta_boltzmann: NDArray[np.float64]
    log_beta_gibbs: NDArray[np.float64]

    @property
    def beta_gibbs(self) -> NDArray[np.float64]:
        """d ln Ω/dE, never negative; 0 below the smallest float."""
        return np.exp(self.log_beta_gibbs)


def microcanonical(levels: EnergyLevels) -> Microcanonical:
    r"""Entropy against energy, and both microcanonical inverse temperatures.

    .. math::
        \beta_B(E) = \frac{d \ln g}{dE}, \qquad
        \beta_G(E) = \frac{d \ln \Omega}{dE},\quad \Omega(E) = \sum_{E' \le E} g(E')

    The first derivative is a second-order difference on the given energies (one-sided at the
    ends). Ω steps up at each level by its own g: taken from just below the level to just above,
    that step is centred on it, so

    .. math:: \beta_G(E_i) = \frac{\ln \Omega_i - \ln \Omega_{i-1}}{E_i - E_{i-1}}

    (at the lowest level, which has none below, the value of the next). Both are exact only in the
    limit of dense levels.

    Parameters
    ----------
    levels : EnergyLevels
        A density of states: at least three distinct energies; equal energies are merged.

    Returns
    -------
    Microcanonical

    Raises
    ------
    InvalidInputError
        Fewer than three distinct energies.

    Notes
    -----
    The Gibbs temperature cannot be negative by construction, and two systems in contact do not
    settle at equal Gibbs temperatures (it fails the zeroth law where g falls); the Boltzmann one
    is what populations and thermometers show. β_G at the upper end is exponentially small, so
    the differences of ln Ω are formed from ratios of the terms added, not by subtraction; the
    quotient g/(ΩΔE), often written for it, is off by half where β_B ΔE is about 1.
    Not for logits of a language model: their levels carry one state each and g(E) is then a
    matter of how they are binned.

    References
    ----------
    J. Dunkel and S. Hilbert, Nature Physics 10, 67 (2014) (Gibbs);
    D. Frenkel and P. B. Warren, Am. J. Phys. 83, 163 (2015) (Boltzmann).

    Examples
    --------
    Three spins in a field: the middle of the spectrum is where β changes sign.

    >>> import numpy as np
    >>> spins = EnergyLevels([-3, -1, 1, 3], np.log([1, 3, 3, 1]))
    >>> microcanonical(spins).beta_boltzmann.round(3) + 0.0
    array([ 0.549,  0.275, -0.275, -0.549])
    """
    require_levels(levels)
    merged = levels.merged()
    if len(merged) < 3:
        raise InvalidInputError(
            f"{len(merged)} distinct energies were given; a derivative of S(E) needs at least 3."
        )
    e, s = merged.energies, merged.log_degeneracy
    volume = np.logaddexp.accumulate(s)
    # ln Ω_{i+1} − ln Ω_i = ln(1 + x) with x = g_{i+1}/Ω_i: no cancellation however small it is, and
    # ln of that is ln x where the smallest float is larger.
    log_x = s[1:] - volume[:-1]
    rise = np.logaddexp(0.0, log_x)
    step = np.diff(e)
    log_gibbs = np.where(log_x < -50.0, log_x, np.log(np.maximum(rise, 1e-300))) - np.log(step)
    log_gibbs = np.concatenate([log_gibbs[:1], log_gibbs])
    return Microcanonical(e, s, volume, _derivative(np.diff(s) / step, step), log_gibbs)


def _derivative(slope: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Second-order derivative from the slopes between neighbours; those themselves at the ends.

    On a uniform grid the interior is the central difference (f_{i+1} − f_{i−1})/2h.
    """
    left, right = step[:-1], step[1:]
    interior = (right * slope[:-1] + left * slope[1:]) / (left + right)
    return np.concatenate([slope[:1], interior, slope[-1:]])
