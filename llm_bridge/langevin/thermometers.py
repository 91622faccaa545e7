r"""Thermometers that read β off the weights, without being told: configurational, virial, kinetic.

For any vector field B and weights of density :math:`p \propto e^{-\Phi}`, integration by parts
gives :math:`\langle B\cdot\nabla\Phi\rangle = \langle\nabla\cdot B\rangle`. With
:math:`\nabla\Phi = n\beta\nabla L + \gamma(w - w_0)` this is an equation for β for every choice of
B, without a division by a temperature, and for β of either sign.
"""

from __future__ import annotations

import numpy as np

from llm_bridge.langevin.loss import Array
from llm_bridge.langevin.weight_run import Observable, WeightRun, WeightState
from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import JackknifeEstimate, block_means, jackknife

__all__ = ["THERMOMETERS", "configurational_beta", "kinetic_temperature", "virial_beta"]


def _away(state: WeightState) -> Array:
    return state.weights - state.posterior.centre


THERMOMETERS: dict[str, Observable] = {
    "laplacian": lambda state: state.posterior.loss.laplacian(state.weights),
    "squared gradient": lambda state: np.sum(state.gradient**2, axis=-1),
    "virial": lambda state: np.sum(_away(state) * state.gradient, axis=-1),
    "squared distance": lambda state: np.sum(_away(state) ** 2, axis=-1),
}
"""What a sampler has to observe for `configurational_beta` and `virial_beta`."""

_BLOCKS = 32


def configurational_beta(run: WeightRun) -> JackknifeEstimate:
    r"""Read β off gradients and curvatures of the loss (B = ∇L).

    .. math:: \beta = \frac{\langle\nabla^2 L\rangle - \gamma\langle (w - w_0)\cdot\nabla L\rangle}
              {n\,\langle|\nabla L|^2\rangle}

    Without a prior this is :math:`T = \langle|\nabla U|^2\rangle/\langle\nabla^2 U\rangle` of
    molecular dynamics, with U = nL.

    Parameters
    ----------
    run : WeightRun
        Made with ``observe=THERMOMETERS``.

    Returns
    -------
    JackknifeEstimate
        (value, error) of β; T is `thermo.temperature_from_beta` of it.

    Raises
    ------
    InvalidInputError
        The run did not observe what is needed.

    References
    ----------
    H. H. Rugh, Phys. Rev. Lett. 78, 772 (1997). B. D. Butler and others, J. Chem. Phys. 109, 6519
    (1998).

    Examples
    --------
    >>> from llm_bridge.langevin import QuadraticLoss, TemperedPosterior, hamiltonian
    >>> posterior = TemperedPosterior(QuadraticLoss([1.0, 2.0]), samples=100, beta=0.5)
    >>> run = hamiltonian(
    ...     posterior, step=0.1, leapfrogs=2, steps=1000, burn_in=20, chains=50, seed=1,
    ...     observe=THERMOMETERS,
    ... )
    >>> beta, error = configurational_beta(run)
    >>> bool(abs(beta - 0.5) < 4 * error < 0.02)
    True
    """
    samples, gamma = run.posterior.samples, run.posterior.localisation
    return jackknife(
        lambda laplacian, virial, squared: (laplacian - gamma * virial) / (samples * squared),
        *_blocks(run, "laplacian", "virial", "squared gradient"),
    )


def virial_beta(run: WeightRun) -> JackknifeEstimate:
    r"""Read β off the virial of the loss, by equipartition (B = w − w₀).

    .. math:: \beta = \frac{d - \gamma\langle|w - w_0|^2\rangle}
              {n\,\langle (w - w_0)\cdot\nabla L\rangle}

    Parameters
    ----------
    run : WeightRun
        Made with ``observe=THERMOMETERS``.

    Returns
    -------
    JackknifeEstimate
        (value, error) of β.

    Raises
    ------
    InvalidInputError
        The run did not observe what is needed.

    Notes
    -----
    Not for γ = 0 with directions that cost nothing: weights diffuse along them, and d counts them.
    """
    samples, gamma = run.posterior.samples, run.posterior.localisation
    dimension = run.posterior.loss.dimension
    return jackknife(
        lambda distance, virial: (dimension - gamma * distance) / (samples * virial),
        *_blocks(run, "squared distance", "virial"),
    )


def kinetic_temperature(run: WeightRun) -> JackknifeEstimate:
    r"""Read the temperature of the momenta, in units of the one that was set.

    .. math:: T_\mathrm{kin}/T = 2\langle K\rangle/d = \langle|p|^2\rangle/d

    Parameters
    ----------
    run : WeightRun
        From `underdamped`.

    Returns
    -------
    JackknifeEstimate
        1 without an error of the step; 1 − h²κ/4 along a direction of curvature κ.

    Raises
    ------
    InvalidInputError
        The run has no momenta.
    """
    dimension = run.posterior.loss.dimension
    return jackknife(lambda kinetic: 2.0 * kinetic / dimension, *_blocks(run, "kinetic energy"))


def _blocks(run: WeightRun, *names: str) -> list[Array]:
    missing = [name for name in names if name not in run.series]
    if missing:
        remedy = (
            "sample with underdamped" if "kinetic energy" in missing else "observe=THERMOMETERS"
        )
        raise InvalidInputError(
            f"the run has no series {', '.join(map(repr, missing))}; accepted: one made with "
            f"{remedy}"
        )
    chains, draws = run.loss.shape
    parts = min(draws, -(-_BLOCKS // chains))
    return [block_means(run.series[name], parts) for name in names]
