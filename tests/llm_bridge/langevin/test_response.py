"""Fluctuation and dissipation: the answer to a force, foretold, measured and exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llm_bridge.langevin import (
    LinearNetwork,
    QuadraticLoss,
    TemperedPosterior,
    WeightRun,
    hamiltonian,
    sgld,
    underdamped,
)
from llm_bridge.langevin.loss import Loss
from llm_bridge.langevin.response import TiltedLoss, measured_response, static_response
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError

SEED = 20261121
LIMIT = 5.0  # of errors with more than 1000 effective draws


def off(estimate: MeanWithError, exact: float) -> float:
    assert estimate.ess > 1000
    return float(abs(estimate.mean - exact) / estimate.error)


def exact_slopes(loss: Loss, nbeta: float, direction: np.ndarray, force: float) -> dict[str, float]:
    """d⟨A⟩/df and d⟨w₁²⟩/df by differences of sums over a grid; γ = 1 about 0."""
    axis = np.linspace(-5.0, 5.0, 401)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    means = []
    for f in (force, -force):
        posterior = TemperedPosterior(TiltedLoss(loss, direction, f), nbeta, localisation=1.0)
        log_p = -posterior.potential(grid, posterior.loss.value(grid))
        p = np.exp(log_p - log_p.max())
        means.append([p @ (grid @ direction) / p.sum(), p @ grid[:, 0] ** 2 / p.sum()])
    return dict(zip(("A", "B"), (np.array(means[0]) - means[1]) / (2 * force), strict=True))


def runs_of_a_network(sampler: Any) -> tuple[list[WeightRun], np.ndarray, LinearNetwork]:
    network = LinearNetwork([1, 1, 1], rank=1)
    direction = np.array([1.0, 0.5])
    observe = {
        "A": lambda state: state.weights @ direction,
        "B": lambda state: state.weights[:, 0] ** 2,
    }
    runs = [
        sampler(
            TemperedPosterior(TiltedLoss(network, direction, force), 3.0, localisation=1.0),
            observe=observe, chains=256, seed=SEED,
        )
        for force in (0.0, 0.1, -0.1)
    ]  # fmt: skip
    return runs, direction, network


@pytest.mark.parametrize("name", ["hamiltonian", "underdamped"])
def test_anharmonic_response(name: str) -> None:
    """Both ways against the exact slope, for the force's own coordinate and for another."""
    if name == "hamiltonian":
        sampler = lambda p, **o: hamiltonian(  # noqa: E731
            p, step=0.35, leapfrogs=5, steps=300, burn_in=50, **o
        )
    else:
        sampler = lambda p, **o: underdamped(  # noqa: E731
            p, step=0.15, friction=1.0, steps=3000, burn_in=300, thin=5, **o
        )
    (free, forward, back), direction, network = runs_of_a_network(sampler)
    exact = exact_slopes(network, 3.0, direction, 1e-3)
    at_this_force = exact_slopes(network, 3.0, direction, 0.1)
    foretold = static_response(free, "A", "A")
    assert off(foretold, exact["A"]) < LIMIT
    assert foretold.error < 0.05 * foretold.mean
    assert off(measured_response(forward, back, "A"), at_this_force["A"]) < LIMIT
    assert abs(exact["B"]) < 1e-9  # by symmetry: w → −w
    assert off(static_response(free, "A", "B"), 0.0) < LIMIT
    # negative control: T_w forgotten
    assert off(foretold, exact["A"] / 3.0) > LIMIT


def test_basin_response_is_stiffness_at_any_temperature() -> None:
    """A spring gives way by f/k whatever T is, also under SGLD, whose noise cancels to nothing."""
    for nbeta in (10.0, 1000.0):
        step = 0.1 / nbeta
        forward, back = (
            sgld(
                TemperedPosterior(TiltedLoss(QuadraticLoss([4.0]), [1.0], force), nbeta),
                step=step, steps=50, burn_in=400, chains=4, seed=SEED,
                observe={"w": lambda state: state.weights[:, 0]},
            )
            for force in (0.3, -0.3)
        )  # fmt: skip
        answer = measured_response(forward, back, "w")
        assert answer.mean == pytest.approx(0.25, abs=1e-9)


def test_refusals() -> None:
    posterior = TemperedPosterior(QuadraticLoss([1.0]), samples=10.0)
    observe = {"w": lambda state: state.weights[:, 0]}

    def run(loss: Loss, steps: int = 4) -> WeightRun:
        return sgld(
            TemperedPosterior(loss, samples=10.0), step=0.01, steps=steps, burn_in=0, chains=2,
            seed=1, observe=observe,
        )  # fmt: skip

    plain = run(posterior.loss)
    tilted = [run(TiltedLoss(posterior.loss, [1.0], f)) for f in (0.1, -0.1, 0.2)]
    with pytest.raises(InvalidInputError, match="observed 'w'"):
        static_response(plain, "w", "v")
    for pair in ((plain, plain), (tilted[0], tilted[2]), (tilted[0], tilted[0])):
        with pytest.raises(InvalidInputError, match="f and −f"):
            measured_response(*pair, "w")
    shorter = run(TiltedLoss(posterior.loss, [1.0], -0.1), steps=3)
    with pytest.raises(InvalidInputError, match="alike"):
        measured_response(tilted[0], shorter, "w")
