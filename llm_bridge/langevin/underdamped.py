"""Underdamped Langevin dynamics: weights with momenta, as in molecular dynamics."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from llm_bridge.langevin.posterior import TemperedPosterior
from llm_bridge.langevin.weight_run import Observable, WeightRun, WeightState, run_chains
from thermo.arguments import finite_number
from thermo.errors import InvalidInputError

__all__ = ["underdamped"]


def underdamped(
    posterior: TemperedPosterior,
    *,
    step: float,
    friction: float,
    steps: int,
    burn_in: int,
    chains: int,
    seed: int,
    start: ArrayLike | None = None,
    thin: int = 1,
    observe: Mapping[str, Observable] | None = None,
    progress: bool = False,
) -> WeightRun:
    r"""Sample weights that have momenta, by the integrator BAOAB.

    .. math:: dw = p\,dt, \qquad
              dp = -\nabla\Phi\,dt - \xi p\,dt + \sqrt{2\xi}\,dB, \qquad \Phi = -\ln p(w)

    in units in which the masses and kT are 1, split into half a kick (B), half a drift (A), an
    exact Ornstein-Uhlenbeck step of the momenta (O), and A and B again.

    Parameters
    ----------
    posterior : TemperedPosterior
    step : float
        h > 0, a time: below 2/√κ for a curvature κ of Φ.
    friction : float
        ξ ≥ 0 in 1/time; near √κ of the slowest direction chains forget fastest. At 0 there is no
        heat bath and every chain keeps the energy it began with.
    steps, burn_in, chains, seed, start, thin, observe, progress
        As in `sgld`.

    Returns
    -------
    WeightRun
        With ``series["kinetic energy"]``, :math:`|p|^2/2` at the end of steps, in units of kT.

    Raises
    ------
    InvalidInputError
    NotConvergedError
        A chain ran away.

    Notes
    -----
    In a quadratic basin the weights have the right law at any stable step, and the momenta do not:
    ⟨p²⟩ = 1 − h²κ/4. There a kinetic thermometer reads too low where nothing that depends on the
    weights is wrong. Elsewhere both errors are of order h².

    The momenta are a device for sampling. They have their own kT, which is positive: at β < 0,
    with a bounded loss, they drive the weights towards high losses, but a kinetic energy, which
    has no upper bound, could never be in equilibrium with such weights.

    References
    ----------
    B. Leimkuhler and C. Matthews, "Rational construction of stochastic numerical methods for
    molecular sampling", Applied Mathematics Research eXpress 2013, 34.

    Examples
    --------
    >>> from llm_bridge.langevin.quadratic import QuadraticLoss
    >>> posterior = TemperedPosterior(QuadraticLoss([1.0]), samples=100)
    >>> run = underdamped(
    ...     posterior, step=0.1, friction=10.0, steps=2000, burn_in=100, chains=50, seed=1
    ... )
    >>> bool(abs(100 * run.loss.mean() - 0.5) < 0.03)  # right, though h²κ = 1
    True
    >>> bool(abs(2 * run.series["kinetic energy"].mean() - 0.75) < 0.03)  # and this is not 1
    True
    """
    h = finite_number(step, "step", positive=True)
    xi = finite_number(friction, "friction")
    if xi < 0:
        raise InvalidInputError(f"friction = {xi:g} was given; accepted: a finite number ≥ 0")
    kept = math.exp(-xi * h)
    renewed = math.sqrt(-math.expm1(-2.0 * xi * h))

    def advance(state: WeightState, generator: np.random.Generator) -> tuple[WeightState, float]:
        momenta = state.momenta - 0.5 * h * state.potential_gradient
        weights = state.weights + 0.5 * h * momenta
        momenta = kept * momenta + renewed * generator.standard_normal(weights.shape)
        arrived = WeightState(posterior, weights + 0.5 * h * momenta)
        arrived.momenta = momenta - 0.5 * h * arrived.potential_gradient
        return arrived, 1.0

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
        momenta=True,
    )
