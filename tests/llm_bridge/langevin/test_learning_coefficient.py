"""Degrees of freedom of networks against exact ones, at finite temperature and in the limit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from chain_agreement import agrees, relative_error
from scipy.optimize import minimize

from llm_bridge.langevin import (
    LinearModel,
    LinearNetwork,
    QuadraticLoss,
    TemperedPosterior,
    TorchLoss,
    WeightRun,
    hamiltonian,
    harmonic_crystal,
    learning_coefficient,
    sgld,
    underdamped,
)
from llm_bridge.langevin.exact import effective_parameters, linear_network, quadratic_basin
from llm_bridge.langevin.finite_temperature import linear_network_thermodynamics
from llm_bridge.langevin.learning_coefficient import extrapolated_to_zero_step
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError

SEED = 20261121
# Errors of runs with more than 1000 effective draws: 5 of them are exceeded once in 10⁶ tests, and
# by those of a heat capacity, which are less Gaussian, in 10⁵.
LIMIT = 5.0


def off(estimate: MeanWithError, exact: float) -> float:
    """Distance from the exact value in stated errors."""
    assert estimate.ess > 1000
    return float(abs(estimate.mean - exact) / estimate.error)


def of_network(widths: tuple[int, ...], nbeta: float, rank: int = 0, **options: Any) -> WeightRun:
    """A linear network in equilibrium at nβ, with a prior of γ = 1."""
    network = LinearNetwork(widths, rank=rank)
    posterior = TemperedPosterior(network, nbeta, localisation=1.0, centre=network.centre())
    step = (0.2 if len(widths) == 3 else 0.12) / np.sqrt(nbeta)
    kicks = np.random.default_rng(SEED).standard_normal((128, network.dimension))
    defaults: dict[str, Any] = {
        "step": step,
        "leapfrogs": round(0.3 / step),
        "steps": 150,
        "burn_in": 60,
        "chains": 128,
        "seed": SEED,
        "start": posterior.centre + (0.0 if rank else 0.3) * kicks,
    }
    return hamiltonian(posterior, **defaults | options)


@pytest.mark.parametrize("widths", [(5, 3, 5), (5, 4, 5), (4, 3, 8), (1, 1, 1), (4, 2, 4, 6)])
def test_singular_networks_at_finite_temperature(widths: tuple[int, ...]) -> None:
    """Both estimates against exact sums, sharp enough to tell them from λ and from d/2."""
    found = learning_coefficient(of_network(widths, 100.0))
    exact = linear_network_thermodynamics(widths, 100.0)
    assert off(found.excess_energy, float(exact.excess_energy)) < LIMIT
    assert off(found.heat_capacity, float(exact.heat_capacity)) < LIMIT
    assert found.degrees_of_freedom.mean == 2 * found.excess_energy.mean
    assert found.heat_capacity_dof.error == 2 * found.heat_capacity.error
    network = LinearNetwork(widths)
    assert found.excess_energy.mean < 0.7 * network.dimension / 2  # no regular model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("widths", "rank"), [((4, 3, 8), 0), ((5, 3, 9), 1), ((3, 7, 3), 0), ((6, 2, 4), 2)]
)
def test_networks_near_the_limit(widths: tuple[int, ...], rank: int) -> None:
    """Widths that come within 0.001 of λ at nβ = 10⁵: λ itself, to half a per cent."""
    found = learning_coefficient(of_network(widths, 1e5, rank, steps=600, burn_in=150))
    exact = float(linear_network(widths, rank).coefficient)
    if not rank:
        assert abs(linear_network_thermodynamics(widths, 1e5).excess_energy - exact) < 0.001
    assert off(found.excess_energy, exact) < LIMIT
    assert off(found.heat_capacity, exact) < LIMIT
    assert found.excess_energy.error < 0.005 * exact


@pytest.mark.slow
def test_a_teacher_adds_regular_directions() -> None:
    """Rank 1: λ of the network less one width each, and M + N − 1 directions of ½."""
    nbeta = 1e5
    found = learning_coefficient(of_network((5, 4, 5), nbeta, 1, steps=600, burn_in=150))
    smaller = linear_network_thermodynamics((4, 3, 4), nbeta)
    # the teacher changes the prior of the rest; the limit does not depend on it, and at this nβ a
    # prior four times as wide or narrow moves the smaller network's by 0.04 at most
    slack = 0.04
    assert abs(found.excess_energy.mean - 4.5 - float(smaller.excess_energy)) < (
        slack + LIMIT * found.excess_energy.error
    )


def test_regular_models_have_half_their_weights() -> None:
    """Logistic regression: d/2 with the next term in 1/n, summed on a grid of its two weights."""
    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(100, 2))
    labels = np.where(rng.random(100) < 1 / (1 + np.exp(-inputs @ [1.0, -0.5])), 1.0, -1.0)
    model = LinearModel(inputs, labels, loss="logistic")
    best = minimize(
        lambda w: tuple(x[0] for x in model.value_and_gradient(w[None])), [0.0, 0.0], jac=True
    ).x
    posterior = TemperedPosterior(model, samples=100, centre=best)
    run = hamiltonian(
        posterior, step=0.15, leapfrogs=4, steps=300, burn_in=50, chains=100, seed=SEED
    )
    found = learning_coefficient(run)

    axis = np.linspace(-2.5, 2.5, 201)
    grid = best + np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    values = np.concatenate([model.value(part) for part in np.array_split(grid, 50)])
    energy = 100 * (values - found.reference_loss)
    p = np.exp(-energy) / np.exp(-energy).sum()
    mean = p @ energy
    assert off(found.excess_energy, mean) < LIMIT
    assert off(found.heat_capacity, p @ (energy - mean) ** 2) < LIMIT
    assert abs(mean - 1.0) < 0.05  # d/2, and off it by order 1/n


def test_a_network_in_torch() -> None:
    """v tanh(uw), which is singular like a product: exact sums on a grid that is fine near 0."""
    import torch

    module = torch.nn.Sequential(
        torch.nn.Linear(1, 1, bias=False), torch.nn.Tanh(), torch.nn.Linear(1, 1, bias=False)
    )
    x = torch.linspace(-2.0, 2.0, 6)[:, None]
    loss = TorchLoss(
        module, lambda z, y: 0.5 * torch.nn.functional.mse_loss(z, y), x, torch.zeros_like(x)
    )
    posterior = TemperedPosterior(loss, samples=30.0, localisation=1.0)
    kicks = 0.3 * np.random.default_rng(SEED).standard_normal((100, 2))
    run = hamiltonian(
        posterior, step=0.1, leapfrogs=12, steps=150, burn_in=20, chains=100, seed=SEED, start=kicks
    )
    axis = 6.5 * np.sinh(np.linspace(-6, 6, 201)) / np.sinh(6.0)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    values = loss.value(grid)
    cells = np.gradient(axis)
    p = np.outer(cells, cells).ravel() * np.exp(-posterior.potential(grid, values))
    exact = 30 * (p @ values) / p.sum()
    found = learning_coefficient(run, reference_loss=0.0)
    assert off(found.excess_energy, exact) < LIMIT
    assert relative_error(run.loss) < 0.05
    assert 0.25 < exact < 0.5


@pytest.mark.parametrize("gamma", [0.0, 10.0, 300.0])
def test_a_prior_leaves_half_of_mackays_number(gamma: float) -> None:
    h = np.geomspace(0.01, 1.0, 12)
    posterior = TemperedPosterior(QuadraticLoss(h), samples=1000, localisation=gamma)
    run = underdamped(
        posterior, step=1 / np.sqrt(1000 + gamma), friction=8.0, steps=1500, burn_in=300,
        chains=100, seed=SEED, thin=3,
    )  # fmt: skip
    found = learning_coefficient(run)
    exact = quadratic_basin(h, 1000.0, gamma)
    assert off(found.excess_energy, exact.excess_energy) < LIMIT
    assert off(found.heat_capacity, exact.heat_capacity) < LIMIT
    if gamma:
        assert exact.excess_energy == pytest.approx(effective_parameters(h, gamma / 1000) / 2)


def test_a_crystal_and_a_quadratic_network_are_alike() -> None:
    """Both have f = 7 quadratic degrees of freedom and one direction that costs nothing."""
    inputs = np.random.default_rng(SEED).normal(size=(30, 8))
    inputs[:, 7] = inputs[:, 6]
    network = LinearModel(inputs, inputs @ np.ones(8))
    for loss, nbeta in ((harmonic_crystal(8), 3.0), (network, 100.0)):
        stiffest, slowest = (np.linalg.eigvalsh(loss.hessian)[k] * nbeta for k in (-1, 1))
        run = underdamped(
            TemperedPosterior(loss, samples=nbeta), step=1 / np.sqrt(stiffest),
            friction=2 * np.sqrt(slowest), steps=2000, burn_in=300, chains=100, seed=SEED, thin=4,
        )  # fmt: skip
        found = learning_coefficient(run, reference_loss=0.0)
        assert off(found.degrees_of_freedom, 7.0) < LIMIT
        assert off(found.heat_capacity_dof, 7.0) < LIMIT


def test_sgld_extrapolated_to_no_step() -> None:
    widths, nbeta = (4, 3, 8), 30.0
    exact = float(linear_network_thermodynamics(widths, nbeta).excess_energy)
    equilibrium = of_network(widths, nbeta)
    estimates = []
    steps = [1e-3, 5e-4]
    for step in steps:
        run = sgld(
            equilibrium.posterior, step=step, steps=4000, burn_in=1500, chains=128, seed=SEED,
            start=equilibrium.weights, thin=10,
        )  # fmt: skip
        estimates.append(learning_coefficient(run).excess_energy)
    value, error = extrapolated_to_zero_step(estimates, steps)
    # what a straight line leaves is the square of the relative error of the shorter step, about
    rest = 2 * exact * (estimates[1].mean / exact - 1) ** 2
    assert abs(value - exact) < LIMIT * error + rest
    assert off(estimates[0], exact) > LIMIT  # before, it is off
    assert rest + error < 0.5 * (estimates[0].mean - exact)


# ------------------------------------------------------------------------------------------------
# mistakes, and what they look like


def short_run(**options: Any) -> WeightRun:
    posterior = TemperedPosterior(QuadraticLoss(np.ones(6)), samples=1000)
    defaults: dict[str, Any] = {"steps": 2000, "burn_in": 400, "chains": 64, "seed": SEED}
    return sgld(posterior, step=1e-5, **defaults | options)


EXACT = quadratic_basin(np.ones(6), 1000.0, step=1e-5)


def test_negative_control_a_wrong_reference() -> None:
    """A w₀ that is no minimum shifts the energy by nβΔL, not the heat capacity: they disagree."""
    run = short_run(thin=20, steps=20000)
    right, wrong = learning_coefficient(run), learning_coefficient(run, 0.002)
    assert off(right.excess_energy, EXACT.excess_energy) < LIMIT
    assert off(wrong.excess_energy, EXACT.excess_energy) > 4 * LIMIT
    assert wrong.excess_energy.mean == pytest.approx(right.excess_energy.mean - 2.0)
    assert wrong.heat_capacity.mean == right.heat_capacity.mean
    assert off(wrong.heat_capacity, EXACT.heat_capacity) < LIMIT


def test_negative_control_no_burn_in() -> None:
    """From the minimum the energy begins at 0: it comes out too low, and a warning says why."""
    early, late = (short_run(chains=400, steps=600, burn_in=burn_in) for burn_in in (0, 600))
    assert agrees(1000 * late.loss, EXACT.excess_energy)
    assert not agrees(1000 * early.loss, EXACT.excess_energy)
    with pytest.warns(EquilibrationWarning, match="burn_in"):
        assert learning_coefficient(early).equilibration.verdict[0] == "failed"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learning_coefficient(short_run(burn_in=1000, steps=6000, thin=10))
    assert found.equilibration.verdict[0] == "passed"


def test_beta_zero_and_bounded_losses() -> None:
    model = LinearModel([[1.0]], [1.0], loss="error rate")
    options: dict[str, Any] = {"step": 0.5, "leapfrogs": 3, "steps": 40, "burn_in": 5}
    runs = {
        beta: hamiltonian(
            TemperedPosterior(model, samples=4.0, beta=beta, localisation=1.0),
            chains=50, seed=SEED, **options,
        )
        for beta in (0.0, -1.0)
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match="β = 0"):
        learning_coefficient(runs[0.0])
    found = learning_coefficient(runs[-1.0], reference_loss=1.0)  # from the ceiling, downwards
    assert found.excess_energy.mean > 0
    assert learning_coefficient(runs[-1.0]).reference_loss == 0.5  # at the centre


def test_extrapolation_refuses() -> None:
    one = MeanWithError(*map(np.float64, (1.0, 0.1, 100.0, 0.5)))
    exact = MeanWithError(*map(np.float64, (1.0, 0.0, 100.0, 0.5)))
    with pytest.raises(InvalidInputError, match="two different"):
        extrapolated_to_zero_step([one, one], [0.1, 0.1])
    with pytest.raises(InvalidInputError, match="one step"):
        extrapolated_to_zero_step([one], [0.1, 0.2])
    with pytest.raises(InvalidInputError, match="without an error"):
        extrapolated_to_zero_step([one, exact], [0.1, 0.2])
