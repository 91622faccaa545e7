"""Stochastic gradient Langevin dynamics: overdamped weights in a heat bath."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from llm_bridge.langevin.posterior import TemperedPosterior
from llm_bridge.langevin.weight_run import Observable, WeightRun, WeightState, run_chains
from thermo.arguments import finite_number, whole_number
from thermo.errors import InvalidInputError

__all__ = ["sgld"]


def sgld(
    posterior: TemperedPosterior,
    *,
    step: float,
    steps: int,
    burn_in: int,
    chains: int,
    seed: int,
    start: ArrayLike | None = None,
    thin: int = 1,
    batch: int | None = None,
    observe: Mapping[str, Observable] | None = None,
    progress: bool = False,
) -> WeightRun:
    r"""Sample weights by stochastic gradient Langevin dynamics.

    .. math:: \Delta w = -\frac{\varepsilon}{2}\,[n\beta\,\nabla L(w) + \gamma (w - w_0)]
              + N(0, \varepsilon)

    Parameters
    ----------
    posterior : TemperedPosterior
    step : float
        ε, in weight². Where the curvature of −ln p is κ its variance comes out too large by the
        factor 1/(1 − εκ/4), and from ε = 4/κ on the chain runs away.
    steps : int
        Steps of each chain after burn-in.
    burn_in : int
        Steps that are not recorded. Their number in units of 2/(ε·smallest curvature of interest)
        should be at least 5.
    chains : int
        Independent chains, advanced together.
    seed : int
        Same seed and same number of chains, same run.
    start : array_like, shape (d,) or (chain, d), optional
        Default the centre w₀.
    thin : int
        Record every so many steps.
    batch : int, optional
        Take ∇L from so many rows of data, drawn anew with replacement for every step and chain.
        This heats: see Notes. Default all rows.
    observe : mapping of str to callable, optional
        Further numbers to record, functions of a `WeightState` that return one for each chain.
    progress : bool
        Show a bar.

    Returns
    -------
    WeightRun
        Losses are over all data, also with a `batch`.

    Raises
    ------
    InvalidInputError
        Before any step; also a `batch` of a loss that is no mean over data.
    NotConvergedError
        A chain ran away.

    Notes
    -----
    Nothing corrects the error of a finite step here, which is what SGLD is. Extrapolate with
    `extrapolated_to_zero_step`, or take `hamiltonian`, which has no such error. Losses that grow
    faster than w² have no safe ε at all: some chain will, after long enough, step over the edge.

    A mini-batch of b rows adds the noise of its gradient to that of the bath. With c the variance
    of ∇L from row to row along a direction the temperature along it is multiplied by
    :math:`1 + \varepsilon (n\beta)^2 c/4b`, much more than 1 unless
    :math:`\varepsilon \ll 4b/(n\beta)^2 c`.

    References
    ----------
    M. Welling and Y. W. Teh, "Bayesian learning via stochastic gradient Langevin dynamics",
    ICML (2011).

    Examples
    --------
    >>> from llm_bridge.langevin.quadratic import QuadraticLoss
    >>> posterior = TemperedPosterior(QuadraticLoss([1.0]), samples=100)
    >>> run = sgld(posterior, step=2e-3, steps=2000, burn_in=100, chains=50, seed=1)
    >>> predicted = 0.5 / (1 - 2e-3 * 100 / 4)
    >>> bool(abs(100 * run.loss.mean() - predicted) < 0.03)
    True
    """
    epsilon = finite_number(step, "step", positive=True)
    rows = None if batch is None else _rows_of(posterior, batch)
    noise = math.sqrt(epsilon)

    def advance(state: WeightState, generator: np.random.Generator) -> tuple[WeightState, float]:
        if rows is None:
            force = state.potential_gradient
        else:
            drawn = generator.integers(rows, size=(len(state.weights), batch))
            gradient = posterior.loss.value_and_gradient(state.weights, drawn)[1]
            force = posterior.gradient(state.weights, gradient)
        kicks = generator.standard_normal(state.weights.shape)
        return WeightState(posterior, state.weights - 0.5 * epsilon * force + noise * kicks), 1.0

    return run_chains(
        posterior,
        advance,
        step=step,
        steps=steps,
        burn_in=burn_in,
        chains=chains,
        seed=seed,
        start=start,
        thin=thin,
        observe=observe,
        progress=progress,
    )


def _rows_of(posterior: TemperedPosterior, batch: int) -> int:
    rows = posterior.loss.samples
    if rows is None:
        raise InvalidInputError(
            f"batch = {batch!r} was given, but {posterior.loss!r} is an expectation, no mean over "
            "rows of data; accepted: None"
        )
    whole_number(batch, "batch", 1, most=rows)
    return rows
