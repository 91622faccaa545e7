"""Ladders of β for parallel tempering, at whose every step as many exchanges are accepted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.special import erfinv

from thermo.arguments import shown, whole_number
from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels, require_levels
from thermo.run.result import Run
from thermo.temperature import as_beta

__all__ = ["checked_ladder", "suggest_ladder", "swap_acceptance"]

Array = NDArray[np.float64]

_MOST_RUNGS = 512  # that one batch of a tempering run can hold
_GRID = 257  # β at which levels are looked at
_LEAST_REJECTION = 1e-6  # per step of a pilot; less than nothing may be seen by chance


def checked_ladder(beta: ArrayLike) -> Array:
    """Return β as an array of shape (B,), if it is a ladder: at least two, strictly monotone.

    Raises
    ------
    InvalidInputError
        NaN, another shape, repeated β, or β that go up and down.
    """
    betas = np.atleast_1d(as_beta(beta))
    if betas.ndim != 1 or betas.size < 2:
        raise InvalidInputError(
            f"beta of shape {betas.shape} was given; accepted: a ladder of at least 2 β"
        )
    direction = np.where(betas[1:] > betas[:-1], 1, -1) * (betas[1:] != betas[:-1])
    wrong = (direction == 0) | (direction != direction[0])  # not differences: ±inf may be there
    if wrong.any():
        k = int(wrong.argmax())
        raise InvalidInputError(
            f"β = {betas[k]:g} is followed by {betas[k + 1]:g}; accepted: a ladder that strictly "
            "ascends or strictly descends, for neighbours exchange their β"
        )
    return betas


def swap_acceptance(levels: EnergyLevels, beta: ArrayLike) -> Array:
    r"""Return the exact mean acceptance of exchanges between neighbouring rungs of a ladder.

    .. math:: A = 2\,P(E_> \;>\; E_<) + P(E_> = E_<)

    with :math:`E_>` and :math:`E_<` drawn independently at the larger and the smaller β.

    Parameters
    ----------
    levels : EnergyLevels
    beta : array_like, shape (B,)
        Strictly monotone; any signs, ±inf at the ends.

    Returns
    -------
    ndarray, shape (B − 1,)

    Raises
    ------
    InvalidInputError
        Not a ladder, or not levels.

    References
    ----------
    D. A. Kofke, J. Chem. Phys. 117, 6911 (2002).

    Examples
    --------
    >>> swap_acceptance(EnergyLevels([0.0, 1.0]), [-np.inf, 0.0, np.inf])
    array([0.5, 0.5])
    """
    require_levels(levels)
    betas = checked_ladder(beta)
    levels = levels.merged()
    accepted = np.empty(betas.size - 1)
    lower = canonical(levels, betas[0]).populations().probabilities
    for k, b in enumerate(betas[1:]):
        upper = canonical(levels, b).populations().probabilities
        hot, cold = (lower, upper) if b > betas[k] else (upper, lower)
        accepted[k] = cold @ (2.0 * np.cumsum(hot) - hot)
        lower = upper
    return accepted


def suggest_ladder(
    pilot: EnergyLevels | Run, number: int, beta_range: tuple[float, float] | None = None
) -> Array:
    r"""Return a ladder of β between whose neighbours exchanges are accepted equally often.

    The rungs are equally spaced in the length

    .. math:: \Lambda(\beta) = \int \tfrac12 \langle |E - E'| \rangle_\beta \, |d\beta|,

    with E, E′ two independent draws at β; for Gaussian energies this is σ(β)/√π, that is
    √C(β)/(√π\|β\|), per unit of β, and the acceptance of a step is erfc(√π ΔΛ/2).

    Parameters
    ----------
    pilot : EnergyLevels or Run
        Exact (or estimated) levels, or a short run of `simulate` or `parallel_tempering` at β that
        cover the range and overlap somewhat from each to the next.
    number : int
        Rungs, 2 … 512.
    beta_range : pair of float, optional
        First and last rung, finite, of any signs and in any order; default: those of the run.

    Returns
    -------
    ndarray, shape (number,)

    Raises
    ------
    InvalidInputError
        Another pilot; too many rungs; a range that is not two different finite numbers or goes
        beyond the run; a run at one β only, or whose energies at two neighbouring β do not overlap.

    Notes
    -----
    Round trips take longer where something else than the energy is slow: near a first-order
    transition look at `TemperingRun.replica_flow` as well. About 3Λ rungs are a good number: more
    are worth their cost only where more processors carry them.

    References
    ----------
    C. Predescu, M. Predescu, C. V. Ciobanu, J. Chem. Phys. 120, 4119 (2004); S. Syed and others,
    J. R. Stat. Soc. B 84, 321 (2022), section 5.1 (Λ and the inversion).

    Examples
    --------
    >>> spins = EnergyLevels([-1.0, 1.0])
    >>> ladder = suggest_ladder(spins, 6, (-3.0, 3.0))
    >>> ladder.round(3), swap_acceptance(spins, ladder).round(2)
    (array([-3.   , -0.689, -0.202,  0.202,  0.689,  3.   ]), array([0.8, 0.8, 0.8, 0.8, 0.8]))
    """
    number = whole_number(number, "number", 2, " rungs", most=_MOST_RUNGS)
    if isinstance(pilot, EnergyLevels):
        first, last = _checked_range(beta_range)
        beta = np.linspace(first, last, _GRID)
        rejected = 1.0 - swap_acceptance(pilot, beta)
        length = _cumulative_length(rejected)
        return np.interp(np.linspace(0.0, length[-1], number), length, beta)
    if not isinstance(pilot, Run):
        raise InvalidInputError(
            f"pilot = {shown(pilot)} was given; accepted: EnergyLevels, or a Run of "
            "thermo.simulate or parallel_tempering"
        )
    beta, rejected = _seen_by_a_run(pilot)
    ends = (beta[0], beta[-1])
    first, last = _checked_range(ends if beta_range is None else beta_range, *ends)
    length_at = PchipInterpolator(beta, _cumulative_length(rejected))
    grid = np.linspace(first, last, _GRID * len(beta))
    length = np.abs(length_at(grid) - length_at(first))
    return np.interp(np.linspace(0.0, length[-1], number), length, grid)


def _cumulative_length(rejected: Array) -> Array:
    """Λ from the first β to each, from the rejections of the steps as those of Gaussians."""
    steps = 2.0 / np.sqrt(np.pi) * erfinv(np.maximum(rejected, _LEAST_REJECTION))
    return np.concatenate([[0.0], np.cumsum(steps)])


def _seen_by_a_run(run: Run) -> tuple[Array, Array]:
    """β of a run, ascending, and the rejections between neighbours, from pooled energies."""
    finite = np.flatnonzero(np.isfinite(run.beta))
    order = finite[np.argsort(run.beta[finite])]
    beta = run.beta[order]
    if beta.size < 2 or (np.diff(beta) == 0).any():
        raise InvalidInputError(
            f"a run at β = {beta} was given; accepted: a run at 2 or more different finite β"
        )
    rejected = np.empty(beta.size - 1)
    for k in range(beta.size - 1):
        hot, cold = (np.sort(run.energy_series[order[i]].ravel()) for i in (k, k + 1))
        below = np.searchsorted(hot, cold, "left") + np.searchsorted(hot, cold, "right")
        rejected[k] = 1.0 - below.mean() / hot.size
        if rejected[k] * cold.size > cold.size - 1:
            raise InvalidInputError(
                f"the energies at β = {beta[k]:g} and {beta[k + 1]:g} do not overlap; accepted: a "
                "run with β in between"
            )
    return beta, rejected


def _checked_range(
    beta_range: tuple[float, float] | None, lowest: float = -np.inf, highest: float = np.inf
) -> Array:
    ends = np.empty(0) if beta_range is None else np.atleast_1d(as_beta(beta_range))
    fits = ends.shape == (2,) and np.isfinite(ends).all() and ends[0] != ends[1]
    if not fits or ends.min() < lowest or ends.max() > highest:
        within = "" if np.isinf(lowest) else f" between {lowest:g} and {highest:g}"
        raise InvalidInputError(
            f"beta_range = {shown(beta_range)} was given; accepted: two different finite β{within}"
        )
    return ends
