"""What a run of chains of weights leaves behind, and the loop that all samplers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from llm_bridge.langevin.loss import Array
from llm_bridge.langevin.posterior import TemperedPosterior
from thermo.arguments import as_real, checked_seed, finite_number, whole_number
from thermo.errors import InvalidInputError, NotConvergedError
from thermo.memory import check_memory_of
from thermo.run.progress_bar import progress_bar

__all__ = ["Observable", "WeightRun", "WeightState", "run_chains"]


class WeightState:
    """Where all chains are at one time.

    Attributes
    ----------
    posterior : TemperedPosterior
    weights : ndarray, shape (chain, d)
    momenta : ndarray, shape (chain, d), or None
        In units in which mass and kT are 1; only of underdamped dynamics.
    """

    def __init__(
        self, posterior: TemperedPosterior, weights: Array, momenta: Array | None = None
    ) -> None:
        self.posterior = posterior
        self.weights = weights
        self.momenta = momenta

    @cached_property
    def _of_loss(self) -> tuple[Array, Array]:
        return self.posterior.loss.value_and_gradient(self.weights)

    def remember(self, loss: Array, gradient: Array) -> None:
        """Take L and ∇L from a caller who has them already."""
        self.__dict__["_of_loss"] = (loss, gradient)

    @property
    def loss(self) -> Array:
        """L over all data, (chain,)."""
        return self._of_loss[0]

    @property
    def gradient(self) -> Array:
        """∇L over all data, (chain, d)."""
        return self._of_loss[1]

    @property
    def potential(self) -> Array:
        """−ln p up to a constant, (chain,)."""
        return self.posterior.potential(self.weights, self.loss)

    @cached_property
    def potential_gradient(self) -> Array:
        """Gradient of −ln p, (chain, d)."""
        return self.posterior.gradient(self.weights, self.gradient)


Observable = Callable[[WeightState], Array]
"""A number for each chain, (chain,), of a state."""


@dataclass(frozen=True, eq=False)
class WeightRun:
    """Chains of weights after burn-in.

    Attributes
    ----------
    posterior : TemperedPosterior
    step : float
        As given to the sampler.
    loss : ndarray, shape (chain, draw)
        The mean loss L over all data, in nats.
    series : mapping of str to ndarray, shape (chain, draw)
        What was observed, by name; ``"kinetic energy"`` of underdamped dynamics.
    weights : ndarray, shape (chain, d)
        The last ones: a run can go on from them.
    acceptance : float or None
        Share of proposals that were accepted, burn-in excluded; None where all are.
    """

    posterior: TemperedPosterior
    step: float
    loss: Array
    series: Mapping[str, Array]
    weights: Array
    acceptance: float | None = None


def run_chains(
    posterior: TemperedPosterior,
    advance: Callable[[WeightState, np.random.Generator], tuple[WeightState, float]],
    *,
    step: float,
    steps: int,
    burn_in: int,
    chains: int,
    seed: int,
    start: ArrayLike | None,
    thin: int,
    observe: Mapping[str, Observable] | None,
    progress: bool,
    momenta: bool = False,
    may_reject: bool = False,
) -> WeightRun:
    """Burn in, then advance and record; `advance` also returns the share of chains that moved."""
    step = finite_number(step, "step", positive=True)
    steps = whole_number(steps, "steps", 1)
    burn_in = whole_number(burn_in, "burn_in", 0)
    chains = whole_number(chains, "chains", 1)
    thin = whole_number(thin, "thin", 1, most=steps)
    generator = np.random.default_rng(np.random.SeedSequence(checked_seed(seed)))
    weights = _starting_weights(posterior, start, chains)
    observables: dict[str, Observable] = dict(observe or {})
    if momenta:
        observables["kinetic energy"] = lambda state: 0.5 * np.sum(state.momenta**2, axis=-1)
    draws = steps // thin
    check_memory_of(chains * draws * (1 + len(observables)), 8, "recorded numbers")

    state = WeightState(posterior, weights, _momenta(weights, generator) if momenta else None)
    if not np.isfinite(state.loss).all():
        raise InvalidInputError("the loss is not finite at the start; accepted: another start")
    losses = np.empty((chains, draws))
    series = {name: np.empty((chains, draws)) for name in observables}
    moved = 0.0
    # A chain that runs away overflows on its way; that is said below, in words.
    with (
        progress_bar(progress, burn_in + steps, unit="step", what="weights") as bar,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        for i in range(1 - burn_in, steps + 1):
            state, share = advance(state, generator)
            if not np.isfinite(state.weights.sum()):
                raise _ran_away(state.weights, step, i + burn_in)
            bar.update()
            if i < 1:
                continue
            moved += share
            if i % thin == 0 and i // thin <= draws:
                losses[:, i // thin - 1] = state.loss
                for name, of_state in observables.items():
                    series[name][:, i // thin - 1] = of_state(state)
    return WeightRun(
        posterior=posterior,
        step=step,
        loss=losses,
        series=series,
        weights=state.weights,
        acceptance=moved / steps if may_reject else None,
    )


def _starting_weights(posterior: TemperedPosterior, start: ArrayLike | None, chains: int) -> Array:
    given = posterior.centre if start is None else as_real(start, "start")
    shape = (chains, posterior.loss.dimension)
    if given.shape not in (shape, shape[1:]):
        raise InvalidInputError(
            f"start has shape {given.shape}; accepted: {shape[1:]}, or {shape} with one row for "
            "each chain"
        )
    if not np.isfinite(given).all():
        raise InvalidInputError("start holds NaN or infinity; accepted: finite weights")
    return np.array(np.broadcast_to(given, shape))


def _momenta(weights: Array, generator: np.random.Generator) -> Array:
    return generator.standard_normal(weights.shape)


def _ran_away(weights: Array, step: float, number: int) -> NotConvergedError:
    lost = int(np.sum(~np.isfinite(weights).all(axis=1)))
    return NotConvergedError(
        f"{lost} of {len(weights)} chains ran away to infinity by step {number}: step = {step:g} "
        "is too long for the steepest curvature κ they met. Accepted: less than 4/κ for sgld, "
        "2/√κ for the others, and shorter where curvature grows along the way."
    )
