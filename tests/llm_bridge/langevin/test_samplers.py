"""Samplers against exact laws: basins with the error of the step, quadrature, β of either sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chain_agreement import agrees, relative_error
from goodness_of_fit import P_LIMIT, counts_p

from llm_bridge.langevin import (
    LinearModel,
    LinearNetwork,
    QuadraticLoss,
    TemperedPosterior,
    WeightRun,
    hamiltonian,
    harmonic_crystal,
    sgld,
    underdamped,
)
from llm_bridge.langevin.exact import quadratic_basin
from thermo.errors import InvalidInputError, NotConvergedError, UnboundedSpectrumError

SEED = 20261121
CURVATURES = np.array([0.0, 0.5, 1.0, 3.0])
LENGTH = {"steps": 400, "burn_in": 100, "chains": 400, "seed": SEED}


def basin(beta: float = 1.0, gamma: float = 20.0) -> TemperedPosterior:
    """κ = 20, 70, 120 and 320."""
    return TemperedPosterior(QuadraticLoss(CURVATURES), samples=100, beta=beta, localisation=gamma)


# ------------------------------------------------------------------------------------------------
# quadratic basins: everything is known


@pytest.mark.parametrize("step", [1e-3, 5e-3, 1e-2])
def test_sgld_in_a_basin(step: float) -> None:
    run = sgld(basin(), step=step, **LENGTH)
    exact = quadratic_basin(CURVATURES, 100.0, 20.0, step=step)
    assert agrees(100 * run.loss, exact.excess_energy)
    assert agrees((100 * run.loss - exact.excess_energy) ** 2, exact.heat_capacity)
    assert relative_error(run.loss) < 0.02
    # and the error of the step is no small thing: without it there would be no agreement
    if step > 1e-3:
        assert not agrees(100 * run.loss, quadratic_basin(CURVATURES, 100.0, 20.0).excess_energy)


def by_hand(step: float, noise: float = 1.0, beta: float = 1.0, drift: float = 0.5) -> np.ndarray:
    """SGLD in a dozen lines, right with the defaults: nβL of (chain, draw)."""
    rng = np.random.default_rng(SEED)
    weights = np.zeros((400, 4))
    series = []
    for i in range(500):
        force = 100.0 * beta * CURVATURES * weights + 20.0 * weights
        kicks = rng.standard_normal(weights.shape)
        weights = weights - drift * step * force + noise * np.sqrt(step) * kicks
        if i >= 100:
            series.append(50.0 * (CURVATURES * weights**2).sum(axis=1))
    return np.array(series).T


def test_negative_controls_mistaken_langevin_steps() -> None:
    step = 2e-3
    exact = quadratic_basin(CURVATURES, 100.0, 20.0, step=step).excess_energy
    assert agrees(by_hand(step), exact)
    assert not agrees(by_hand(step, noise=np.sqrt(0.5)), exact)  # the missing √2
    assert not agrees(by_hand(step, noise=np.sqrt(2.0)), exact)
    assert not agrees(by_hand(step, beta=0.5), exact)  # β forgotten
    assert not agrees(by_hand(step, drift=1.0), exact)  # the forgotten ½


def test_mini_batches_heat() -> None:
    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(500, 3))
    model = LinearModel(inputs, inputs @ [1.0, 2.0, 3.0] + rng.normal(size=500))
    best, *_ = np.linalg.lstsq(model.inputs, model.targets, rcond=None)
    curvatures, axes = np.linalg.eigh(model.hessian)
    residuals = inputs @ best - model.targets
    variance = np.mean((residuals[:, None] * (inputs @ axes)) ** 2, axis=0)
    posterior = TemperedPosterior(model, samples=500, centre=best)
    step, batch = 1e-4, 10
    run = sgld(posterior, step=step, batch=batch, **LENGTH | {"burn_in": 300})
    excess = 500 * (run.loss - model.value(best[None]))
    predicted = quadratic_basin(
        curvatures, 500.0, step=step, gradient_variance=variance / batch
    ).excess_energy
    calm = quadratic_basin(curvatures, 500.0, step=step).excess_energy
    assert predicted > 1.3 * calm
    # Where the weights fluctuate the residuals are larger, by (d + 2)/n of their variance: 1 %.
    assert abs(excess.mean() / predicted - 1) < 0.01 + 5 * relative_error(excess)
    assert relative_error(excess) < 0.02
    assert not agrees(excess, calm)


def test_baoab_moments_are_a_fixed_point() -> None:
    """⟨q²⟩ = 1/κ and ⟨p²⟩ = 1 − h²κ/4, ⟨qp⟩ = 0 reproduce themselves in every step."""
    for h, kappa, xi in ((0.3, 4.0, 1.0), (0.9, 1.0, 0.0), (1.2, 2.0, 30.0)):
        kick, drift = np.array([[1, 0], [-h * kappa / 2, 1]]), np.array([[1, h / 2], [0, 1]])
        kept = np.exp(-xi * h)
        after_noise = kick @ drift
        step = after_noise @ np.diag([1.0, kept]) @ drift @ kick
        noise = after_noise @ np.diag([0.0, 1 - kept**2]) @ after_noise.T
        moments = np.diag([1 / kappa, 1 - h**2 * kappa / 4])
        np.testing.assert_allclose(step @ moments @ step.T + noise, moments, atol=1e-12)


@pytest.mark.parametrize("h", [0.02, 0.09])
def test_underdamped_in_a_basin(h: float) -> None:
    run = underdamped(basin(), step=h, friction=10.0, **LENGTH | {"steps": 600})
    exact = quadratic_basin(CURVATURES, 100.0, 20.0)
    assert agrees(100 * run.loss, exact.excess_energy)
    assert agrees((100 * run.loss - exact.excess_energy) ** 2, exact.heat_capacity)
    kinetic = run.series["kinetic energy"]
    predicted = 0.5 * np.sum(1 - h**2 * (100 * CURVATURES + 20) / 4)
    assert agrees(kinetic, predicted)
    assert agrees(kinetic, 2.0) == (h < 0.05)


def test_without_friction_energy_is_kept() -> None:
    observe = {"potential": lambda state: state.potential}
    run = underdamped(basin(), step=0.01, friction=0.0, observe=observe, **LENGTH)
    energy = run.series["potential"] + run.series["kinetic energy"]
    assert np.abs(energy - energy[:, :1]).max() < 0.02 * energy.mean()
    assert energy[:, 0].std() > 0.3  # each chain has its own


@pytest.mark.parametrize("leapfrogs", [1, 4])
def test_hamiltonian_in_a_basin(leapfrogs: int) -> None:
    run = hamiltonian(basin(), step=0.09, leapfrogs=leapfrogs, **LENGTH)
    exact = quadratic_basin(CURVATURES, 100.0, 20.0)
    assert agrees(100 * run.loss, exact.excess_energy)
    assert agrees((100 * run.loss - exact.excess_energy) ** 2, exact.heat_capacity)
    assert 0.3 < run.acceptance < 0.95


def test_free_directions_cost_nothing() -> None:
    """Without a prior the crystal drifts away as a whole, and its energy does not notice."""
    posterior = TemperedPosterior(harmonic_crystal(4), samples=1.0)
    run = underdamped(posterior, step=0.5, friction=1.0, **LENGTH | {"steps": 600})
    assert agrees(run.loss, 1.5)
    assert np.abs(run.weights.mean(axis=1)).max() > 10


# ------------------------------------------------------------------------------------------------
# whole distributions, by quadrature

SAMPLERS: dict[str, Callable[[TemperedPosterior], WeightRun]] = {
    "sgld": lambda p: sgld(p, step=2e-3, steps=1, burn_in=2500, chains=3000, seed=SEED),
    "underdamped": lambda p: underdamped(
        p, step=0.1, friction=1.0, steps=1, burn_in=150, chains=3000, seed=SEED
    ),
    "hamiltonian": lambda p: hamiltonian(
        p, step=0.3, leapfrogs=5, steps=1, burn_in=60, chains=3000, seed=SEED
    ),
}


def classifier() -> LinearModel:
    """One weight, three answers of which one is wrong for any sign of it."""
    return LinearModel([[2.0], [1.0], [3.0]], [1.0, -1.0, 1.0], loss="error rate")


def histogram_p(weights: np.ndarray, posterior: TemperedPosterior, stretch: float = 1.0) -> float:
    """p-value of independent draws of one weight against the density on a fine grid."""
    edges = np.linspace(-5.0, 5.0, 2001)
    middle = (edges[1:] + edges[:-1]) / 2
    values = posterior.loss.value(middle[:, None])
    density = np.exp(-stretch * posterior.potential(middle[:, None], values))
    return counts_p(np.histogram(weights, edges)[0], density)


@pytest.mark.parametrize("beta", [-2.0, 0.0, 2.0])
@pytest.mark.parametrize("name", SAMPLERS)
def test_the_whole_law_at_beta_of_either_sign(name: str, beta: float) -> None:
    posterior = TemperedPosterior(classifier(), samples=5.0, beta=beta, localisation=1.0)
    weights = SAMPLERS[name](posterior).weights[:, 0]
    assert histogram_p(weights, posterior) > P_LIMIT
    # negative controls: the opposite β, and a temperature that is off by a third
    if beta:
        opposite = TemperedPosterior(classifier(), samples=5.0, beta=-beta, localisation=1.0)
        assert histogram_p(weights, opposite) < P_LIMIT
    assert histogram_p(weights, posterior, stretch=1.5) < P_LIMIT


def test_below_zero_weights_seek_mistakes() -> None:
    model = classifier()
    losses = {}
    for beta in (2.0, 0.0, -2.0):
        posterior = TemperedPosterior(model, samples=5.0, beta=beta, localisation=1.0)
        losses[beta] = SAMPLERS["hamiltonian"](posterior).loss.mean()
    assert losses[2.0] < losses[0.0] < losses[-2.0]


def test_hamiltonian_on_a_curved_valley() -> None:
    """½(w₁w₂ − 1)²: two valleys along a hyperbola; the first weight's law, summed on a grid."""
    network = LinearNetwork([1, 1, 1], rank=1)
    posterior = TemperedPosterior(network, samples=20.0, localisation=1.0)
    start = np.repeat([[1.0, 1.0], [-1.0, -1.0]], 1500, axis=0)
    run = hamiltonian(
        posterior, step=0.12, leapfrogs=10, steps=1, burn_in=80, chains=3000, seed=SEED, start=start
    )
    axis = np.linspace(-5.0, 5.0, 501)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(-posterior.potential(grid, network.value(grid))).reshape(501, 501)
    edges = np.append(axis - 0.01, 5.01)
    # chains that begin in both valleys need not cross: count |w₁|
    seen = np.histogram(np.abs(run.weights[:, 0]), edges)[0]
    folded = np.where(axis > -1e-9, density.sum(axis=1), 0.0)
    folded[axis > 1e-9] *= 2
    half = axis > 1e-9  # the cell about 0 is halved by folding: left out
    assert counts_p(seen[half], folded[half]) > P_LIMIT
    colder = np.exp(-1.6 * posterior.potential(grid, network.value(grid))).reshape(501, 501)
    assert counts_p(seen[half], colder.sum(axis=1)[half]) < P_LIMIT


# ------------------------------------------------------------------------------------------------
# runs


def test_same_seed_same_run() -> None:
    short: dict[str, Any] = {"steps": 12, "burn_in": 3, "chains": 5}
    samplers = {
        "sgld": lambda **o: sgld(basin(), step=1e-3, **o),
        "underdamped": lambda **o: underdamped(basin(), step=0.01, friction=1.0, **o),
        "hamiltonian": lambda **o: hamiltonian(basin(), step=0.01, leapfrogs=2, **o),
    }
    for run in samplers.values():
        first, again, other = (run(seed=seed, **short) for seed in (1, 1, 2))
        assert np.array_equal(first.loss, again.loss)
        assert np.array_equal(first.weights, again.weights)
        assert not np.array_equal(first.loss, other.loss)
        sparse = run(seed=1, thin=5, **short)
        assert np.array_equal(sparse.loss, first.loss[:, 4:10:5])
        assert np.array_equal(sparse.weights, first.weights)


def test_starts_and_observables() -> None:
    options: dict[str, Any] = {"step": 1e-6, "steps": 2, "burn_in": 0, "chains": 3, "seed": 1}
    start = np.arange(12.0).reshape(3, 4)
    observe = {"first": lambda state: state.weights[:, 0]}
    run = sgld(basin(), start=start, observe=observe, **options)
    np.testing.assert_allclose(run.series["first"][:, 0], start[:, 0], atol=0.02)
    np.testing.assert_array_equal(start, np.arange(12.0).reshape(3, 4))  # not written to
    same = sgld(basin(), start=start[1], **options)
    assert np.abs(same.weights - start[1]).max() < 0.02
    assert run.loss.shape == (3, 2)
    assert run.acceptance is None
    np.testing.assert_allclose(run.loss[:, -1], run.posterior.loss.value(run.weights))


def test_runaway_chains_are_named() -> None:
    with pytest.raises(NotConvergedError, match=r"ran away.*less than 4/κ"):
        sgld(basin(), step=0.1, **LENGTH | {"steps": 2000})
    with pytest.raises(NotConvergedError, match="2/√κ"):
        underdamped(basin(), step=0.5, friction=1.0, **LENGTH | {"steps": 2000})


def test_unbounded_losses_have_no_beta_below_zero() -> None:
    for beta in (0.0, -0.0, -1.0):
        for loss in (QuadraticLoss([1.0]), LinearNetwork([1, 1, 1]), harmonic_crystal(3)):
            with pytest.raises(UnboundedSpectrumError, match="no upper bound"):
                TemperedPosterior(loss, samples=1.0, beta=beta, localisation=1.0)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: TemperedPosterior(lambda w: w, samples=1.0), "accepted: a Loss"),
        (lambda: TemperedPosterior(QuadraticLoss([1.0]), samples=0.0), "samples = 0"),
        (lambda: TemperedPosterior(QuadraticLoss([1.0]), samples=1.0, beta=np.inf), "beta = inf"),
        (lambda: TemperedPosterior(QuadraticLoss([1.0]), samples=1, beta=np.nan), "beta = nan"),
        (lambda: basin(gamma=-1.0), "localisation = -1"),
        (
            lambda: TemperedPosterior(QuadraticLoss([1.0]), samples=1, centre=[0.0, 1.0]),
            "centre has shape",
        ),
        (lambda: TemperedPosterior(classifier(), samples=1.0), "localisation = 0"),
        (lambda: sgld(basin(), step=0.0, **LENGTH), "step = 0"),
        (lambda: sgld(basin(), step=1e-3, **LENGTH | {"steps": 0}), "steps = 0"),
        (lambda: sgld(basin(), step=1e-3, **LENGTH | {"chains": 0}), "chains = 0"),
        (lambda: sgld(basin(), step=1e-3, **LENGTH | {"burn_in": -1}), "burn_in = -1"),
        (lambda: sgld(basin(), step=1e-3, **LENGTH | {"seed": -1}), "seed = -1"),
        (lambda: sgld(basin(), step=1e-3, thin=500, **LENGTH), "thin = 500"),
        (lambda: sgld(basin(), step=1e-3, start=[1.0], **LENGTH), "start has shape"),
        (lambda: sgld(basin(), step=1e-3, start=[np.nan] * 4, **LENGTH), "NaN or infinity"),
        (lambda: sgld(basin(), step=1e-3, batch=5, **LENGTH), "an expectation"),
        (lambda: underdamped(basin(), step=0.1, friction=-1.0, **LENGTH), "friction = -1"),
        (lambda: hamiltonian(basin(), step=0.1, leapfrogs=0, **LENGTH), "leapfrogs = 0"),
    ],
)
def test_bad_input(make: Callable[[], Any], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        make()


def test_a_batch_larger_than_the_data_is_refused() -> None:
    posterior = TemperedPosterior(LinearModel([[1.0], [2.0]], [0.0, 1.0]), samples=2)
    with pytest.raises(InvalidInputError, match="integer 1 … 2"):
        sgld(posterior, step=1e-3, batch=3, **LENGTH)
