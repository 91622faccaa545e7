"""Hamiltonian Monte Carlo: the reference, whose steps are corrected and leave no error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from llm_bridge.langevin.posterior import TemperedPosterior
from llm_bridge.langevin.weight_run import Observable, WeightRun, WeightState, run_chains
from thermo.arguments import finite_number, whole_number

__all__ = ["hamiltonian"]

_JITTER = 0.2  # trajectories of one length come back to where they began along some direction


def hamiltonian(
    posterior: TemperedPosterior,
    *,
    step: float,
    leapfrogs: int,
    steps: int,
    burn_in: int,
    chains: int,
    seed: int,
    start: ArrayLike | None = None,
    thin: int = 1,
    observe: Mapping[str, Observable] | None = None,
    progress: bool = False,
) -> WeightRun:
    r"""Sample weights without an error of the step: Hamiltonian Monte Carlo.

    Fresh momenta, a trajectory of leapfrog steps, and the end of it accepted with probability
    :math:`\min(1, e^{-\Delta(\Phi + |p|^2/2)})`, Φ = −ln p. One leapfrog step a trajectory is
    Langevin dynamics with Metropolis' correction (MALA), with ε = h².

    Parameters
    ----------
    posterior : TemperedPosterior
    step : float
        h, the length of a leapfrog step; below 2/√κ. Every trajectory takes it times a random
        number between 0.8 and 1.2.
    leapfrogs : int
        Leapfrog steps of a trajectory; their time, h times this number, is best about the width
        of the distribution.
    steps : int
        Trajectories of each chain after burn-in.
    burn_in, chains, seed, start, thin, observe, progress
        As in `sgld`; counted in trajectories.

    Returns
    -------
    WeightRun
        With the acceptance, best between 0.6 and 0.9.

    Raises
    ------
    InvalidInputError

    Notes
    -----
    Exact where chains mix. A chain that starts or strays where the curvature exceeds 4/h² has its
    proposals refused and stays there for long: of losses whose curvature grows from place to place
    take h by the steepest region that counts, and start below it.
    It needs the gradient over all data: no mini-batches.

    References
    ----------
    S. Duane, A. D. Kennedy, B. J. Pendleton and D. Roweth, "Hybrid Monte Carlo", Phys. Lett. B
    195, 216 (1987).

    Examples
    --------
    >>> from llm_bridge.langevin.quadratic import QuadraticLoss
    >>> posterior = TemperedPosterior(QuadraticLoss([1.0]), samples=100)
    >>> run = hamiltonian(
    ...     posterior, step=0.1, leapfrogs=2, steps=1000, burn_in=20, chains=50, seed=1
    ... )
    >>> bool(abs(100 * run.loss.mean() - 0.5) < 0.03), bool(0.5 < run.acceptance < 1)
    (True, True)
    """
    length = finite_number(step, "step", positive=True)
    number = whole_number(leapfrogs, "leapfrogs", 1)

    def advance(state: WeightState, generator: np.random.Generator) -> tuple[WeightState, float]:
        h = length * generator.uniform(1.0 - _JITTER, 1.0 + _JITTER)
        momenta = generator.standard_normal(state.weights.shape)
        before = state.potential + 0.5 * np.sum(momenta**2, axis=-1)
        end = state
        for _ in range(number):
            momenta = momenta - 0.5 * h * end.potential_gradient
            end = WeightState(posterior, end.weights + h * momenta)
            momenta -= 0.5 * h * end.potential_gradient
        after = end.potential + 0.5 * np.sum(momenta**2, axis=-1)
        # Where a trajectory ran away its energy is NaN: no comparison with NaN is true.
        accepted = -generator.standard_exponential(len(before)) < before - after
        if accepted.all():
            return end, 1.0
        return _either(accepted, end, state), float(accepted.mean())

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
        may_reject=True,
    )


def _either(accepted: np.ndarray, end: WeightState, state: WeightState) -> WeightState:
    """Chains that were accepted at their ends, the others where they were."""
    new = WeightState(state.posterior, np.where(accepted[:, None], end.weights, state.weights))
    new.remember(
        np.where(accepted, end.loss, state.loss),
        np.where(accepted[:, None], end.gradient, state.gradient),
    )
    return new
