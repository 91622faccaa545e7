"""Which β belongs to an energy, or to populations: thermometers that read either sign."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.canonical import canonical
from thermo.errors import (
    EnergyOutOfRangeError,
    InvalidInputError,
    TautologyWarning,
    TruncatedSpectrumError,
)
from thermo.levels import EnergyLevels
from thermo.populations import Populations
from thermo.temperature import temperature_from_beta

__all__ = ["BetaFit", "fit_beta", "matching_beta", "solve_beta"]


@dataclass(frozen=True, eq=False)
class BetaFit:
    """A fitted inverse temperature; arrays shaped like the leading axes of the populations.

    Attributes
    ----------
    beta : ndarray
        Maximum-likelihood β, either sign, ±inf if only an end of the spectrum is populated.
    stderr : ndarray
        Standard error of β from the curvature of the likelihood, 1/√(n Var_β(E)); NaN if the
        populations do not say how many samples are behind them (they may be exact).
    residual : ndarray
        Kullback-Leibler divergence of the populations from the canonical ones at this β, in nats:
        0 if they *are* canonical. Counting n samples alone contributes about (L − 2)/2n.
    """

    beta: NDArray[np.float64]
    stderr: NDArray[np.float64]
    residual: NDArray[np.float64]

    @property
    def temperature(self) -> NDArray[np.float64]:
        """T = 1/β, signed."""
        return temperature_from_beta(self.beta)


def matching_beta(levels: EnergyLevels, energy: ArrayLike) -> NDArray[np.float64]:
    r"""The β of either sign at which the mean energy has a given value.

    Solves :math:`U(\beta) = E`. U falls strictly from the highest level at β = −∞ to the lowest
    at β = +∞, so there is exactly one solution.

    Parameters
    ----------
    levels : EnergyLevels
        At least two different energies.
    energy : array_like, any shape
        Mean energies, between the lowest and the highest level, ends included.

    Returns
    -------
    ndarray, shape of ``energy``
        β in 1/energy; +inf and −inf at the ends.

    Raises
    ------
    EnergyOutOfRangeError
        An energy outside the spectrum.
    InvalidInputError
        All levels have the same energy (every β gives it), or an energy is NaN.

    Notes
    -----
    This β is the canonical one. For a small isolated system the microcanonical β differs:
    :func:`thermo.microcanonical`.

    Examples
    --------
    >>> two_level = EnergyLevels([0.0, 1.0])
    >>> matching_beta(two_level, [0.25, 0.5, 0.75, 1.0]).round(6)
    array([ 1.098612,  0.      , -1.098612,      -inf])
    """
    targets = np.asarray(energy, dtype=np.float64)
    if np.isnan(targets).any():
        raise InvalidInputError("energy = nan has no temperature.")
    if levels.minimum == levels.maximum:
        raise InvalidInputError(
            f"all levels have the energy {levels.minimum:g}: every β gives it, none can be told."
        )
    outside = (targets < levels.minimum) | (targets > levels.maximum)
    if outside.any():
        first = float(targets.ravel()[np.argmax(outside.ravel())])
        raise EnergyOutOfRangeError(
            f"energy = {first:g} is outside the spectrum; mean energies from {levels.minimum:g} "
            f"to {levels.maximum:g} have a β."
        )

    def mean_energy(beta: float) -> float:
        return float(canonical(levels, beta).internal_energy)

    solutions = [
        solve_beta(mean_energy, float(target), levels, bounded_above=levels.bounded_above)
        for target in targets.ravel()
    ]
    return np.array(solutions, dtype=np.float64).reshape(targets.shape)


def solve_beta(
    mean_energy: Callable[[float], float],
    target: float,
    ends: EnergyLevels | tuple[float, float],
    *,
    bounded_above: bool = True,
) -> float:
    """Root of ``mean_energy(β) = target`` for any mean energy that falls with β.

    The one-dimensional solver behind :func:`matching_beta`, for callers whose mean energy is an
    average over many spectra (positions of a text).

    Parameters
    ----------
    mean_energy : callable
        U(β), falling with β; called with finite β only.
    target : float
        Wanted mean energy.
    ends : EnergyLevels or (low, high)
        U(+∞) and U(−∞).
    bounded_above : bool
        False restricts the search to β > 0.

    Returns
    -------
    float
        β; ±inf if the target is an end.

    Examples
    --------
    >>> import math
    >>> round(solve_beta(lambda b: -math.tanh(b), 0.5, (-1.0, 1.0)), 6)
    -0.549306
    """
    from scipy.optimize import brentq  # here: scipy would double the time of `import thermo`

    low, high = (ends.minimum, ends.maximum) if isinstance(ends, EnergyLevels) else ends
    if target <= low:
        return float("inf")
    if target >= high and bounded_above:
        return float("-inf")
    scale = 1.0 / (high - low)
    if bounded_above:
        at_zero = mean_energy(0.0)
        if at_zero == target:
            return 0.0
        sign = 1.0 if at_zero > target else -1.0
        near, far = 0.0, sign * scale
    else:
        sign, near, far = 1.0, _lowest_positive(mean_energy, target, scale), scale
    for _ in range(1100):  # 2¹¹⁰⁰ exceeds float64: the loop ends at ±inf at the latest
        if sign * (mean_energy(far) - target) <= 0:
            break
        near, far = far, far * 2.0
        if not np.isfinite(far):
            return sign * float("inf")
    if near == far:
        return near
    lower, upper = min(near, far), max(near, far)
    root = brentq(
        lambda b: mean_energy(b) - target,
        lower,
        upper,
        xtol=1e-300,  # relative accuracy alone decides, however small β is
        rtol=4 * np.finfo(np.float64).eps,
    )
    return float(root)


def _lowest_positive(mean_energy: Callable[[float], float], target: float, scale: float) -> float:
    """A β > 0 hot enough to have more than the wanted energy, as far as the list of levels goes."""
    beta = scale
    while True:
        try:
            if mean_energy(beta) >= target:
                return beta
        except TruncatedSpectrumError as error:
            hotter = beta * 2.0
            while True:  # the hottest β at which the list of levels is still complete
                try:
                    reached = mean_energy(hotter)
                    break
                except TruncatedSpectrumError:
                    hotter *= 2.0
            if reached >= target:
                return hotter
            raise EnergyOutOfRangeError(
                f"energy = {target:g} needs a temperature at which the list of levels ends too "
                "early; list more levels."
            ) from error
        beta /= 2.0


def fit_beta(populations: Populations, reference: EnergyLevels) -> BetaFit:
    r"""Fit a signed β to populations by maximum likelihood.

    The canonical family :math:`q_i \propto g_i e^{-\beta E_i}` closest to the populations p in
    :math:`\mathrm{KL}(p\,\|\,q_\beta)` is the one with the same mean energy,

    .. math:: \sum_i p_i E_i = U(\beta).

    Parameters
    ----------
    populations : Populations
        Probabilities ``(..., L)``, from counting or from another source than ``reference``.
    reference : EnergyLevels
        The L levels whose temperature is asked for.

    Returns
    -------
    BetaFit
        ``.beta``, ``.stderr``, ``.residual``, each of shape (...).

    Warns
    -----
    TautologyWarning
        If populations and levels have the same provenance: softmax populations fitted against
        the logits they were made from give back the β they were made with, and say nothing.

    Raises
    ------
    InvalidInputError
        Different numbers of levels, or levels that all have one energy.

    Notes
    -----
    A small ``residual`` is what justifies speaking of a temperature at all; look at it before
    the β. Correlated samples: give ``Populations.from_counts(..., ess=...)``.

    Examples
    --------
    >>> levels = EnergyLevels([0.0, 1.0, 2.0])
    >>> counts = [9000, 24473, 66527]      # rises with energy: β = −1
    >>> fit = fit_beta(Populations.from_counts(levels, counts), levels)
    >>> print(f"{fit.beta:.3f} ± {fit.stderr:.3f}")
    -1.000 ± 0.005
    """
    if len(populations.levels) != len(reference):
        raise InvalidInputError(
            f"the populations have {len(populations.levels)} levels and the reference "
            f"{len(reference)}; the same levels in the same order are needed."
        )
    if populations.provenance == reference.provenance:
        warnings.warn(
            "these populations were computed from these very levels: the fit returns the β that "
            "was put in and says nothing. Compare with levels or populations of another origin.",
            TautologyWarning,
            stacklevel=2,
        )
    p = populations.probabilities
    energy = np.clip(p @ reference.energies, reference.minimum, reference.maximum)
    beta = matching_beta(reference, energy)
    state = canonical(reference, beta)
    if populations.samples is None:
        stderr = np.full(beta.shape, np.nan)
    else:
        with np.errstate(divide="ignore"):
            stderr = 1.0 / np.sqrt(populations.samples * state.energy_variance)
    return BetaFit(beta, stderr, _divergence(populations, reference, beta))


def _divergence(
    populations: Populations, levels: EnergyLevels, beta: NDArray[np.float64]
) -> NDArray[np.float64]:
    """KL(p‖q_β) = Σ p (ln(p/g) + βE + ln Z), never below 0 by rounding.

    Energies count from the end that β favours: at β = ±∞ only that end is populated, βE is 0 there
    and ln Z is the entropy of its states.
    """
    p = populations.probabilities
    origin = np.where(np.signbit(beta), levels.maximum, levels.minimum)
    gap = p @ levels.energies - origin
    with np.errstate(invalid="ignore"):
        thermal = np.where(np.isfinite(beta), beta * gap, 0.0)
    state = canonical(levels, beta)
    log_z = state.entropy - np.where(np.isfinite(beta), beta, 0.0) * (
        state.internal_energy - origin
    )
    negative_entropy = populations.sum_p_log_p - p @ levels.log_degeneracy
    return np.asarray(np.maximum(negative_entropy + thermal + log_z, 0.0))
