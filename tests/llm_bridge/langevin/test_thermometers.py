"""β read off weights, by three thermometers, against the one that was set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llm_bridge.langevin import (
    LinearModel,
    LinearNetwork,
    QuadraticLoss,
    TemperedPosterior,
    WeightRun,
    hamiltonian,
    sgld,
    underdamped,
)
from llm_bridge.langevin.thermometers import (
    THERMOMETERS,
    configurational_beta,
    kinetic_temperature,
    virial_beta,
)
from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import JackknifeEstimate

SEED = 20261121
LIMIT = 5.0  # Student's t of 127 degrees of freedom exceeds it once in 5·10⁵ tests
COMMON: dict[str, Any] = {"chains": 128, "seed": SEED, "observe": THERMOMETERS}


def off(estimate: JackknifeEstimate, exact: float) -> float:
    assert estimate.error < 0.05
    return float(abs(estimate.value - exact) / estimate.error)


def network_run(beta: float = 1.0, gamma: float = 2.0) -> WeightRun:
    """Anharmonic: a hyperbola of minima, and a prior."""
    network = LinearNetwork([2, 2, 2], rank=1)
    posterior = TemperedPosterior(
        network, samples=50.0, beta=beta, localisation=gamma, centre=network.centre()
    )
    return hamiltonian(posterior, step=0.1, leapfrogs=8, steps=400, burn_in=80, **COMMON)


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_anharmonic_network(beta: float) -> None:
    run = network_run(beta)
    for thermometer in (configurational_beta, virial_beta):
        assert off(thermometer(run), beta) < LIMIT
        assert off(thermometer(run), 1.1 * beta) > LIMIT  # it would see a tenth


@pytest.mark.parametrize("beta", [-1.0, 0.0, 1.0])
def test_beta_of_either_sign(beta: float) -> None:
    inputs = np.random.default_rng(SEED).normal(size=(20, 2))
    model = LinearModel(inputs, np.where(inputs @ [1.0, 0.5] > 0, 1.0, -1.0), loss="error rate")
    posterior = TemperedPosterior(
        model, samples=20.0, beta=beta, localisation=1.0, centre=[0.5, -0.5]
    )
    run = hamiltonian(posterior, step=0.4, leapfrogs=4, steps=500, burn_in=50, **COMMON)
    assert off(configurational_beta(run), beta) < LIMIT


def test_negative_control_the_prior_forgotten() -> None:
    """⟨∇²L⟩/n⟨|∇L|²⟩ alone reads another temperature where there is a prior."""
    run = network_run(gamma=30.0)
    assert off(configurational_beta(run), 1.0) < LIMIT
    forgetful = WeightRun(
        TemperedPosterior(run.posterior.loss, samples=50.0), run.step, run.loss, run.series,
        run.weights,
    )  # fmt: skip
    assert off(configurational_beta(forgetful), 1.0) > 2 * LIMIT


def test_mistaken_noise_shows() -> None:
    """SGLD with kicks √½ of what they should be is SGLD of half the step at twice the β."""
    h = np.array([1.0, 2.0, 4.0])
    posterior = TemperedPosterior(QuadraticLoss(h), samples=100.0)
    twice = TemperedPosterior(QuadraticLoss(h), samples=100.0, beta=2.0)
    options: dict[str, Any] = {"steps": 2000, "burn_in": 300, **COMMON}
    for mistaken, beta in ((False, 1.0), (True, 2.0)):
        step = 5e-4 if mistaken else 1e-3
        run = sgld(twice if mistaken else posterior, step=step, **options)
        told = WeightRun(posterior, step, run.loss, run.series, run.weights)
        kappa = 100 * beta * h
        lowered = beta * kappa.sum() / np.sum(kappa / (1 - step * kappa / 4))
        assert off(configurational_beta(told), lowered) < LIMIT
        assert (off(configurational_beta(told), 1.0) > 10 * LIMIT) == mistaken


def test_kinetic_and_configurational_disagree_as_foretold() -> None:
    """At a long step the momenta read 1 − h²κ/4 where the weights are right."""
    h, kappa = 0.06, np.array([100.0, 400.0])
    posterior = TemperedPosterior(QuadraticLoss(kappa / 100), samples=100.0)
    run = underdamped(posterior, step=h, friction=20.0, steps=1500, burn_in=100, **COMMON)
    kinetic, configurational = kinetic_temperature(run), configurational_beta(run)
    assert off(kinetic, 1 - h**2 * kappa.mean() / 4) < LIMIT
    assert off(kinetic, 1.0) > 10 * LIMIT
    assert off(configurational, 1.0) < LIMIT
    assert off(virial_beta(run), 1.0) < LIMIT


@pytest.mark.parametrize(
    ("thermometer", "remedy"),
    [
        (configurational_beta, "observe=THERMOMETERS"),
        (virial_beta, "observe=THERMOMETERS"),
        (kinetic_temperature, "underdamped"),
    ],
)
def test_what_was_not_observed(thermometer: Callable[[WeightRun], Any], remedy: str) -> None:
    posterior = TemperedPosterior(QuadraticLoss([1.0]), samples=1.0)
    run = sgld(posterior, step=0.1, steps=4, burn_in=0, chains=2, seed=1)
    with pytest.raises(InvalidInputError, match=remedy):
        thermometer(run)
