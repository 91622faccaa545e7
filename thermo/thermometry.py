"""Which β belongs to an energy, or to populations: thermometers that read either sign."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real
from thermo.canonical import boltzmann_sums, canonical
from thermo.errors import (
    EnergyOutOfRangeError,
    InvalidInputError,
    TautologyWarning,
    TruncatedSpectrumError,
)
from thermo.levels import EnergyLevels, require_levels
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
        0 if they *are* canonical. It is S(β) − S(p), the entropy that the populations lack at
        their energy. Counting n samples alone contributes about (L − 2)/2n.
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
    TruncatedSpectrumError
        The spectrum has no upper bound and its list of levels ends too early for this energy.
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
    require_levels(levels)
    _require_span(levels)
    targets = as_real(energy, "energy")
    if np.isnan(targets).any():
        raise InvalidInputError("energy = nan has no temperature; real energies are accepted.")
    top = levels.maximum if levels.bounded_above else np.inf
    outside = (targets < levels.minimum) | (targets > top)
    if outside.any():
        first = float(targets.ravel()[np.argmax(outside.ravel())])
        raise EnergyOutOfRangeError(
            f"energy = {first:g} is outside the spectrum; mean energies from {levels.minimum:g} "
            f"to {top:g} have a β."
        )
    return _matching_gaps(levels, targets - levels.minimum, levels.maximum - targets)


def _require_span(levels: EnergyLevels) -> None:
    if levels.minimum == levels.maximum:
        raise InvalidInputError(
            f"all levels have the energy {levels.minimum:g}: every β gives it, none can be told."
        )


def _matching_gaps(
    levels: EnergyLevels, above_lowest: NDArray[np.float64], below_highest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """β from the distances of the mean energy to both ends of the spectrum.

    The nearer end is the zero of energy, from which small distances keep their relative accuracy:
    the result is the same in every gauge, and that of the mirrored spectrum is its negative.
    """
    span = levels.maximum - levels.minimum
    rising = _mean_energy(levels.energies - levels.minimum, levels)
    falling = _mean_energy(levels.maximum - levels.energies, levels)
    if not levels.bounded_above and not (above_lowest < rising(0.0)).all():
        raise TruncatedSpectrumError(
            f"energy = {levels.minimum + float(above_lowest.max()):g} is not below the mean of the "
            f"levels listed, {levels.minimum + rising(0.0):g}, but the spectrum goes on; list more "
            "levels."
        )
    solutions = np.empty(above_lowest.shape)
    for index in np.ndindex(solutions.shape):
        low, high = float(above_lowest[index]), float(below_highest[index])
        if low <= high:
            solutions[index] = solve_beta(rising, low, (0.0, span))
        else:
            solutions[index] = -solve_beta(falling, high, (0.0, span))
    if not levels.bounded_above:
        canonical(levels, solutions)  # refuses where the list ends too early
    return solutions


def _mean_energy(energies: NDArray[np.float64], levels: EnergyLevels) -> Callable[[float], float]:
    log_g = levels.log_degeneracy if levels.log_degeneracy.any() else None
    return lambda beta: float(boltzmann_sums(energies, log_g, beta).internal_energy)


def solve_beta(
    mean_energy: Callable[[float], float], target: float, ends: tuple[float, float]
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
    ends : (low, high)
        U(+∞) and U(−∞), low < high.

    Returns
    -------
    float
        β; ±inf if the target is an end.

    Raises
    ------
    EnergyOutOfRangeError
        The target is not between the ends.

    Notes
    -----
    Relative accuracy of β is that of U: put the zero of energy at the end that is near.

    Examples
    --------
    >>> import math
    >>> round(solve_beta(lambda b: -math.tanh(b), 0.5, (-1.0, 1.0)), 6)
    -0.549306
    """
    from scipy.optimize import brentq  # here: scipy would double the time of `import thermo`

    low, high = ends
    slack = 1e-12 * (high - low)  # targets are sums and may leave the interval by rounding
    if not (low < high and low - slack <= target <= high + slack):
        raise EnergyOutOfRangeError(
            f"energy = {target:g} is outside what β can give; {low:g} to {high:g} is accepted."
        )
    if target <= low:
        return float("inf")
    if target >= high:
        return float("-inf")
    at_zero = mean_energy(0.0)
    if at_zero == target:
        return 0.0
    sign = 1.0 if at_zero > target else -1.0
    near, far = 0.0, sign / (high - low)
    while sign * (mean_energy(far) - target) > 0:
        near, far = far, far * 2.0
        if not np.isfinite(far):
            return far
    root = brentq(
        lambda b: mean_energy(b) - target,
        min(near, far),
        max(near, far),
        xtol=max(1e-20 / (high - low), 1e-300),  # the rounding of U alone leaves β open by 1e-16
        rtol=4 * np.finfo(np.float64).eps,
        maxiter=1000,  # near β = 0 there may be no exact zero to hit, only halving
    )
    return float(root)


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
    require_levels(reference)
    _require_span(reference)
    if not isinstance(populations, Populations):
        raise InvalidInputError(
            f"a {type(populations).__name__} was given where Populations are needed; counts become "
            "them by Populations.from_counts(levels, counts)."
        )
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
    beta = _matching_gaps(
        reference,
        np.asarray(p @ (reference.energies - reference.minimum)),
        np.asarray(p @ (reference.maximum - reference.energies)),
    )
    state = canonical(reference, beta)
    if populations.samples is None:
        stderr = np.full(beta.shape, np.nan)
    else:
        with np.errstate(divide="ignore"):
            stderr = 1.0 / np.sqrt(populations.samples * state.energy_variance)
    # KL(p‖q) = Σ p ln(p/g) + β Σ p E + ln Z, and p and q have the same mean energy: this is
    # S(q) − S(p), which needs no zero of energy. Rounding must not make it negative.
    entropy = p @ reference.log_degeneracy - populations.sum_p_log_p
    return BetaFit(beta, stderr, np.asarray(np.maximum(state.entropy - entropy, 0.0)))
