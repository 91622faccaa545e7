"""Does a sampler sample what it says? Two runs at different β, of any signs, tell."""

from __future__ import annotations

import math
import os
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real, whole_number
from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import delete_one_error
from thermo.laboratory.finding import Experiment, Finding
from thermo.lattice import square
from thermo.models.ising import Ising
from thermo.run.simulate import simulate
from thermo.temperature import as_beta

__all__ = ["EnsembleCheck", "compare_ensembles", "ensemble_check"]

FloatArray = NDArray[np.float64]

_MOST_ENERGIES = 4096  # that are told apart
_POINTS = 24  # of the picture
_LEAST_COUNT = 25  # in a point, of each run
_LEAST_SHARED = 10.0  # draws in which the two runs overlap
_ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class EnsembleCheck(Experiment):
    r"""What :func:`ensemble_check` and :func:`compare_ensembles` return.

    Attributes
    ----------
    beta : ndarray, shape (2,)
        What the two runs say they were made at.
    chains, draws : int
        Of each run.
    histogram_energy : ndarray, shape (H,)
    histogram : ndarray, shape (2, H)
        Share of the draws of each run at these energies, per unit of energy.
    energy : ndarray, shape (P,)
        Where both runs have been.
    log_ratio, log_ratio_error : ndarray, shape (P,)
        ln P₂(E)/P₁(E) there, jackknifed over the chains.
    slope, slope_error : float
        Of the line of maximum likelihood.
    intercept : float
        Of that line at E = 0.
    bend, bend_error : float
        c of a parabola instead of the line, a + b x + c x², with x the energy in standard
        deviations of all draws from their mean; nan of two energies, which tell nothing of it.
    """

    name: ClassVar[str] = "ensemble-check"

    beta: FloatArray
    chains: int
    draws: int
    histogram_energy: FloatArray
    histogram: FloatArray
    energy: FloatArray
    log_ratio: FloatArray
    log_ratio_error: FloatArray
    slope: float
    slope_error: float
    intercept: float
    bend: float
    bend_error: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        one, two = self.beta.tolist()
        return (
            Finding(
                f"slope of ln P(E; β = {two:g})/P(E; β = {one:g})", self.slope, self.slope_error,
                one - two, source="β₁ − β₂",
            ),
            Finding("its bend, in (standard deviations of E)⁻²", self.bend, self.bend_error, 0.0,
                    source="a line"),
        )  # fmt: skip


def ensemble_check(
    model: Any = None,
    beta: ArrayLike = (-0.05, 0.05),
    *,
    sweeps: int = 2000,
    burn_in: int = 500,
    replicas: int = 64,
    update: str = "metropolis",
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> EnsembleCheck:
    r"""Sample a model at two β of any signs and compare the distributions of its energy.

    .. math:: P_\beta(E) = \frac{g(E)\, e^{-\beta E}}{Z(\beta)} \quad\Rightarrow\quad
              \ln \frac{P_{\beta_2}(E)}{P_{\beta_1}(E)} = (\beta_1 - \beta_2)\, E + \mathrm{const}

    The unknown g(E) drops out: no exact result is needed to test a sampler. The slope and the bend
    are found by `compare_ensembles`.

    Parameters
    ----------
    model : Ising, Potts, Clock, XY or Heisenberg, optional
        Default: the 16 × 16 Ising torus.
    beta : array_like, shape (2,)
        Two different finite numbers of either sign, in 1/energy; so close that the energies
        overlap: about 1/σ_E apart, at most a few.
    sweeps, burn_in, update, seed, threads, executor, progress, checkpoint
        As in `thermo.simulate`.
    replicas : int
        Chains at each β, at least 8: errors are jackknifed over them.

    Returns
    -------
    EnsembleCheck

    Raises
    ------
    InvalidInputError
        Arguments out of range; after the runs, energies that do not overlap.
    CheckpointError
        As in `thermo.simulate`.

    Notes
    -----
    A sampler passes that has the right ratio everywhere, even with a wrong g(E): one that never
    reaches some of the states of an energy. It is a test of the β that the sampler keeps, and of
    the shape of its fluctuations, not of ergodicity.

    References
    ----------
    M. R. Shirts, J. Chem. Theory Comput. 9, 909 (2013).

    Examples
    --------
    >>> found = ensemble_check(sweeps=500, replicas=32)
    >>> abs(found.findings[0].deviation) < 5
    True
    """
    if model is None:
        model = Ising(square(16))
    betas = _two_betas(beta)
    replicas = whole_number(replicas, "replicas", 8, ", for errors are jackknifed over them")
    run = simulate(
        model,
        betas,
        sweeps,
        burn_in=burn_in,
        replicas=replicas,
        update=update,
        seed=seed,
        threads=threads,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )
    first, second = run.energy_series
    return compare_ensembles(first, second, betas)


def compare_ensembles(first: ArrayLike, second: ArrayLike, beta: ArrayLike) -> EnsembleCheck:
    r"""Check energies of any sampler, made at two β, against each other.

    Which run a draw of energy E came from is a coin with the odds

    .. math:: \frac{P_2(E)}{P_1(E)} = e^{a + b E}, \qquad b = \beta_1 - \beta_2,

    so that a and b of maximum likelihood are those of a logistic regression. It uses every draw as
    it is: no histogram has to be cut where it gets thin. (a is the free energy difference of
    Bennett's acceptance ratio.) The bend is the next power of E in the same fit.

    Parameters
    ----------
    first, second : array_like, shape (chains, draws)
        Energies, in the unit of energy; of at least 8 chains, which are independent. Chains of the
        same number in both are left out together for the errors. More than 4096 different energies
        are rounded to as many.
    beta : array_like, shape (2,)
        What they are said to have been made at.

    Returns
    -------
    EnsembleCheck

    Raises
    ------
    InvalidInputError
        Other shapes, energies that are not finite, β that are not two different finite numbers, or
        energies that do not overlap.

    References
    ----------
    M. R. Shirts, J. Chem. Theory Comput. 9, 909 (2013). C. H. Bennett, J. Comput. Phys. 22, 245
    (1976).

    Examples
    --------
    A sampler of one spin of energy ±1 that was told β = 0.2 and keeps 0.4:

    >>> draw = np.random.default_rng(20261122).random((2, 16, 10_000))
    >>> energies = np.where(draw < 1.0 / (1.0 + np.exp([[[0.0]], [[0.8]]])), 1.0, -1.0)
    >>> found = compare_ensembles(*energies, beta=[0.0, 0.2])
    >>> round(found.slope, 1), found.findings[0].expected
    (-0.4, -0.2)
    """
    betas = _two_betas(beta)
    series = [as_real(given, name) for given, name in ((first, "first"), (second, "second"))]
    shape = series[0].shape
    if series[1].shape != shape or len(shape) != 2 or shape[0] < 8 or shape[1] < 1:
        raise InvalidInputError(
            f"energies of shapes {shape} and {series[1].shape} were given; accepted: (chains, "
            "draws), the same for both, with at least 8 chains"
        )
    both = np.stack(series)
    if not np.isfinite(both).all():
        raise InvalidInputError("energies with nan or infinity were given; accepted: finite ones")
    levels, counts = _counts(both)
    total = counts.sum(axis=1)
    _check_overlap(both, betas)

    center, scale = float(both.mean()), float(both.std())
    x = (levels - center) / scale
    without = total - np.moveaxis(counts, 1, 0)  # (chains, 2, levels)
    line, line_error = _jackknifed(x, total, without, 2)
    shared = total.sum(axis=0) / (2.0 * np.cosh(0.5 * (line[0] + line[1] * x))) ** 2
    if shared.sum() < _LEAST_SHARED:
        raise _too_far_apart(both, betas)
    bend = bend_error = math.nan
    if levels.size > 2:
        parabola, parabola_error = _jackknifed(x, total, without, 3)
        bend, bend_error = parabola[2], parabola_error[2]

    groups = _groups(levels, total)
    seen = np.add.reduceat(total, groups, axis=1)
    middle = np.add.reduceat(levels * total.sum(axis=0), groups) / seen.sum(axis=0)
    enough = (seen >= _LEAST_COUNT).all(axis=0)
    left = np.add.reduceat(without, groups, axis=2)[..., enough]
    width = np.diff(np.append(levels[groups], 2.0 * levels[-1] - levels[-2]))
    return EnsembleCheck(
        beta=betas,
        chains=shape[0],
        draws=shape[1],
        histogram_energy=middle,
        histogram=seen / (seen.sum(axis=1, keepdims=True) * width),
        energy=middle[enough],
        log_ratio=np.log(seen[1, enough] / seen[0, enough]),
        log_ratio_error=delete_one_error(np.log(left[:, 1] / left[:, 0])),
        slope=line[1] / scale,
        slope_error=line_error[1] / scale,
        intercept=line[0] - line[1] * center / scale,
        bend=bend,
        bend_error=bend_error,
    )


def _two_betas(beta: ArrayLike) -> FloatArray:
    betas = np.asarray(as_beta(beta), dtype=np.float64)
    if betas.shape != (2,) or not np.isfinite(betas).all() or betas[0] == betas[1]:
        raise InvalidInputError(
            f"beta = {np.array2string(betas, separator=', ')} was given; accepted: two different "
            "finite numbers of either sign"
        )
    return betas


def _counts(both: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the distinct energies (L,), and how often each run and chain has them, (2, K, L)."""
    levels, place = np.unique(both, return_inverse=True)
    if levels.size > _MOST_ENERGIES:
        edges = np.linspace(levels[0], levels[-1], _MOST_ENERGIES + 1)
        place = np.clip(np.searchsorted(edges, both, side="right") - 1, 0, _MOST_ENERGIES - 1)
        levels = 0.5 * (edges[1:] + edges[:-1])
    runs = both.shape[0] * both.shape[1]
    row = np.arange(runs).reshape(*both.shape[:2], 1) * levels.size
    counts = np.bincount((row + place.reshape(both.shape)).ravel(), minlength=runs * levels.size)
    return levels, counts.reshape(*both.shape[:2], levels.size).astype(np.float64)


def _check_overlap(both: FloatArray, betas: FloatArray) -> None:
    """Refuse runs that can be told apart by their energy alone, where no slope is finite."""
    low, high = sorted(both, key=np.mean)
    if low.max() <= high.min():
        raise _too_far_apart(both, betas)


def _too_far_apart(both: FloatArray, betas: FloatArray) -> InvalidInputError:
    spread = float(both.std(axis=(1, 2)).mean())
    closer = f", such as {1.0 / spread:.2g} apart" if spread else ""
    return InvalidInputError(
        f"energies of β = {betas[0]:g} and {betas[1]:g} were given that hardly overlap; accepted: "
        f"at least {_LEAST_SHARED:g} draws that may be of either. Choose β closer to each other"
        f"{closer}"
    )


def _jackknifed(
    x: FloatArray, total: FloatArray, without: FloatArray, parameters: int
) -> tuple[list[float], list[float]]:
    powers = np.vander(x, parameters, increasing=True)
    begin = np.zeros(parameters)
    fit = _logistic(powers, total, begin)
    left_out = [_logistic(powers, counts, fit) for counts in without]
    return fit.tolist(), delete_one_error(left_out).tolist()


def _logistic(powers: FloatArray, counts: FloatArray, begin: FloatArray) -> FloatArray:
    """Coefficients of maximum likelihood of ln(odds for run 2), by Newton's method."""
    number = counts.sum(axis=0)
    found = begin
    for _ in range(_ITERATIONS):
        p = 0.5 + 0.5 * np.tanh(0.5 * (powers @ found))
        gradient = powers.T @ (counts[1] - number * p)
        hessian = (powers * (number * p * (1.0 - p))[:, None]).T @ powers
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        found = found + step
        if np.abs(step).max() < 1e-10:
            return found
    raise InvalidInputError(
        "energies were given from which no line can be fitted; accepted: more draws, or β closer "
        "to each other"
    )


def _groups(levels: FloatArray, total: FloatArray) -> NDArray[np.intp]:
    """Where groups of neighbouring levels begin, about 24 of them where both runs have been."""
    first, second = (levels[np.flatnonzero(seen)] for seen in total)
    low, high = max(first[0], second[0]), min(first[-1], second[-1])
    both = int(np.count_nonzero((levels >= low) & (levels <= high)))
    return np.arange(0, levels.size, max(1, -(-both // _POINTS)))
