"""Quantities derived from runs of every model, against enumeration and closed forms.

Fixed seeds, chosen beforehand. At most 200 z-scores per test, each of a mean over 64 or more
independent chains, with errors that are Student's of 63 at worst: |z| < 6 fails a right engine in
fewer than 1 of 10⁴ runs.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.special import ive

from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.lattice import Lattice, chain, cubic, honeycomb, square, triangular
from thermo.models import XY, Clock, Heisenberg, Ising, Potts
from thermo.models.difference import DifferenceModel
from thermo.run import Run
from thermo.run.simulate import simulate

SEED = 20261120
LIMIT = 6.0


class Enumerated:
    """Exact means over all states of a small discrete model, at each β."""

    def __init__(self, model: DifferenceModel, beta: np.ndarray) -> None:
        n, q = model.lattice.n_sites, model.n_states
        self.spins = model.spins_of(np.array([*product(range(q), repeat=n)], dtype=np.int8))
        energy = model.energy(self.spins)
        exponent = -beta[:, None] * energy
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        self.weight = weight / weight.sum(axis=1, keepdims=True)
        self.observables = {"energy": energy, **model.observables(self.spins)}

    def mean(self, values: np.ndarray) -> np.ndarray:
        return np.tensordot(self.weight, values, axes=1)


def worst_z(estimate: Any, exact: np.ndarray) -> float:
    """The largest deviation in errors; one without an error must be none."""
    exactly = (estimate.error < 1e-12) & np.isclose(estimate.mean, exact, atol=1e-9)
    return float(
        np.where(exactly, 0.0, abs(estimate.mean - exact) / np.maximum(estimate.error, 1e-12)).max()
    )


# ---- order parameters of all models ----------------------------------------------------------

DISCRETE = {
    "Ising": Ising(square(3)),
    "Ising, ±J": Ising(chain(6), coupling=[1.0, -1.0, 1.0, 1.0, 1.0, 1.0]),
    "Ising, real couplings": Ising(chain(6), coupling=[0.4, -1.0, 1.3, 0.2, 1.0, -0.7]),
    "Ising in a field": Ising(chain(6), field=0.3),
    "Potts": Potts(chain(6), 3),
    "Potts in a field": Potts(chain(6), 3, field=0.4),
    "clock": Clock(chain(5), 4),
    "chiral clock": Clock(chain(6), 3, chirality=0.2),
    "clock in a field": Clock(chain(5), 4, field=0.5),
    "clock of two states": Clock(chain(6), 2),
}
BETA = np.array([-0.6, 0.0, 0.5])


@pytest.mark.parametrize("model", DISCRETE.values(), ids=DISCRETE.keys())
def test_derived_quantities_of_discrete_models(model: DifferenceModel) -> None:
    run = simulate(
        model, BETA, 2000, burn_in=100, replicas=64, update="heat_bath", seed=SEED, measure_every=4
    )
    exact = Enumerated(model, BETA)
    seen = exact.observables
    m = seen["magnetization"]
    length = seen.get("magnetization_length", abs(m))
    assert worst_z(run.energy, exact.mean(seen["energy"])) < LIMIT
    assert worst_z(run.magnetization, exact.mean(m)) < LIMIT
    assert worst_z(run.absolute_magnetization, exact.mean(length)) < LIMIT
    square_mean, fourth = exact.mean(length**2), exact.mean(length**4)
    assert worst_z(run.binder, 1 - fourth / (3 * square_mean**2)) < LIMIT
    connected = BETA * (square_mean - exact.mean(length) ** 2)
    assert worst_z(run.connected_susceptibility, connected) < LIMIT
    assert worst_z(run.susceptibility, response(model)) < LIMIT


def response(model: DifferenceModel) -> np.ndarray:
    """∂⟨M⟩/∂h by itself: exact ⟨M⟩ at fields a little to both sides."""
    step = 1e-4
    arguments = {k: v for k, v in model.description().items() if k in ("q", "chirality")}
    low, high = (
        type(model)(
            model.lattice, **arguments, coupling=model.couplings, field=model.fields[0] + change
        )
        for change in (-step, step)
    )
    means = [
        Enumerated(shifted, BETA).mean(exact_magnetization(shifted)) for shifted in (low, high)
    ]
    return (means[1] - means[0]) / (2 * step)


def exact_magnetization(model: DifferenceModel) -> np.ndarray:
    return Enumerated(model, BETA).observables["magnetization"]


@pytest.mark.parametrize("model", [XY(chain(2, periodic=False)), Heisenberg(chain(2, False))])
def test_susceptibility_of_two_vectors(model: XY | Heisenberg) -> None:
    """⟨S₁·S₂⟩ is I₁/I₀ or coth K − 1/K; χ = β ⟨|M|²⟩/d = 2β (1 + ⟨S₁·S₂⟩)/d."""
    run = simulate(
        model, BETA, 2000, burn_in=50, replicas=64, update="heat_bath", seed=SEED, measure_every=4
    )
    k = np.where(BETA == 0, 1e-9, BETA)
    if model.components == 2:
        together = np.sign(k) * ive(1, abs(k)) / ive(0, abs(k))
    else:
        together = np.where(BETA == 0, 0.0, 1 / np.tanh(k) - 1 / k)
    assert worst_z(run.energy, -together) < LIMIT
    assert worst_z(run.susceptibility, 2 * BETA * (1 + together) / model.components) < LIMIT
    assert run.final_spins.shape == (3, 64, 2, model.components)
    assert np.allclose(np.linalg.norm(run.final_spins, axis=-1), 1.0)


def test_binder_of_gaussian_order_parameters_is_that_of_their_components() -> None:
    for model, value in ((Ising(square(6)), 0.0), (XY(square(6)), 1 / 3)):
        run = simulate(model, [0.0], 400, burn_in=2, replicas=64, update="heat_bath", seed=SEED)
        # Σ of n independent unit vectors: ⟨M⁴⟩/⟨M²⟩² = (1 + 2/d) (1 − 1/n) + 1/n
        d = 1 if value == 0.0 else 2
        ratio = (1 + 2 / d) * (1 - 1 / 36) + 1 / 36
        assert worst_z(run.binder, np.array([1 - ratio / 3])) < LIMIT
        assert abs(float(run.binder.mean[0]) - value) < 0.05


def test_sample_sizes_of_derived_quantities_say_what_their_errors_are() -> None:
    """error² = (variance of the linear part)/ess, here of 512 chains and strongly correlated draws.

    The jackknife's error of 512 numbers is known to 3 %, the series' to less than 10 %.
    """
    run = simulate(Ising(square(16)), [0.42], 1500, burn_in=500, replicas=512, seed=SEED)
    square_of_m = run.magnetization_series**2
    second, fourth = square_of_m.mean(), (square_of_m**2).mean()
    slope = fourth / (3 * second**2)
    linear = slope * (square_of_m**2 / fourth - 2 * square_of_m / second)
    energies = (run.energy_series - run.energy.mean) ** 2 * 0.42**2
    for estimate, part in ((run.binder, linear), (run.heat_capacity, energies)):
        assert estimate.tau[0] > 2
        expected = part.std() / np.sqrt(estimate.ess[0])
        assert 0.75 < estimate.error[0] / expected < 1.33
        assert not 0.75 < estimate.error[0] / (part.std() / np.sqrt(part.size)) < 1.33


def test_kawasaki_keeps_the_magnetisation_and_has_no_response() -> None:
    start = np.where(np.arange(16) < 4, -1, 1)
    run = simulate(
        Ising(square(4)), [-0.2, 0.2], 50, burn_in=10, replicas=8, update="kawasaki", start=start
    )
    assert np.all(run.magnetization_series == 8)
    assert run.susceptibility.mean.tolist() == [0, 0]


# ---- structure factor ------------------------------------------------------------------------


def structure_run(model: Any, beta: Any, **changes: Any) -> Run:
    arguments: dict[str, Any] = {"burn_in": 100, "replicas": 64, "seed": SEED} | changes
    return simulate(model, beta, 1200, structure_factor_every=4, **arguments)


def test_correlations_of_a_ring_are_powers_of_tanh() -> None:
    beta = np.array([-0.7, -0.2, 0.0, 0.5, 0.9])
    run = structure_run(Ising(chain(12)), beta)
    t, r = np.tanh(beta)[:, None], np.arange(12)
    exact = (t**r + t ** (12 - r)) / (1 + t**12)
    assert worst_z(run.correlation_function, exact) < LIMIT
    waves = (exact[:, None] * np.cos(2 * np.pi / 12 * np.outer(r, r))).sum(axis=2)
    assert worst_z(run.structure_factor, waves) < LIMIT
    for staggered, use in ((False, beta > 0), (True, beta < 0)):
        at = 6 if staggered else 0
        ratio = waves[use, at] / waves[use, (at + 1) % 12]
        length = np.sqrt(ratio - 1) / (2 * np.sin(np.pi / 12))
        estimate = run.correlation_length(staggered=staggered)
        assert np.all(abs(estimate.mean[use] - length) < LIMIT * estimate.error[use])
    assert worst_z(run.correlation_function, exact[::-1]) > 20  # negative control: the wrong β


def direct_structure_factor(exact: Enumerated, vectors: np.ndarray, lattice: Lattice) -> np.ndarray:
    """The definition, without an FFT: |Σ_j s_j e^{−ik·r_j}|²/n averaged over all states."""
    place = np.indices(lattice.shape).reshape(len(lattice.shape), -1)
    values = np.empty((len(exact.weight), *lattice.shape))
    for index in np.ndindex(*lattice.shape):
        k = 2 * np.pi * np.array(index) / lattice.shape
        wave = np.tensordot(vectors, np.exp(-1j * (k @ place)), axes=(1, 0))  # (state, component)
        values[:, *index] = exact.mean((abs(wave) ** 2).sum(axis=1)) / lattice.n_sites
    return values


@pytest.mark.parametrize(
    ("model", "vectors"),
    [
        (Ising(square(3)), np.array([[1.0], [-1.0]])),
        (Ising(square(4)), np.array([[1.0], [-1.0]])),
        (Ising(triangular(3)), np.array([[1.0], [-1.0]])),
        (Potts(chain(5), 3), np.array([[1, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])),
        (Clock(chain(4), 4), np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])),
    ],
    ids=repr,
)
def test_structure_factor_by_its_definition(model: DifferenceModel, vectors: np.ndarray) -> None:
    beta = np.array([-0.4, 0.3])
    run = structure_run(model, beta, update="heat_bath")
    exact = Enumerated(model, beta)
    states = model.states_of(exact.spins)
    expected = direct_structure_factor(exact, vectors[states], model.lattice)
    assert run.structure_factor.mean.shape == (2, *model.lattice.shape)
    assert worst_z(run.structure_factor, expected) < LIMIT


def test_structure_factor_at_zero_is_the_squared_magnetisation() -> None:
    """Exactly, where both see the same draws; and G(0) = 1, for vectors too."""
    for model in (Ising(cubic(4)), XY(square(5)), Potts(square(4), 5), Heisenberg(chain(6))):
        run = simulate(
            model, [0.1, -0.1], 64, burn_in=20, replicas=64, seed=SEED, structure_factor_every=1
        )
        n = model.lattice.n_sites
        m = run.series.get("magnetization_length", run.magnetization_series)
        at_zero = run.structure_factor.mean[(slice(None), *[0] * len(model.lattice.shape))]
        np.testing.assert_allclose(at_zero, (m**2).mean(axis=(1, 2)) / n, rtol=1e-9)
        g_zero = run.correlation_function.mean[(slice(None), *[0] * len(model.lattice.shape))]
        np.testing.assert_allclose(g_zero, 1.0)


def test_a_run_without_a_structure_factor_says_how_to_get_one() -> None:
    run = simulate(Ising(square(4)), [0.2], 20, burn_in=5, replicas=64)
    for ask in (
        lambda: run.structure_factor,
        lambda: run.correlation_function,
        lambda: run.correlation_length(),
    ):
        with pytest.raises(InvalidInputError, match="structure_factor_every"):
            ask()
    odd = simulate(Ising(square(3)), [0.2], 20, burn_in=5, replicas=64, structure_factor_every=1)
    with pytest.raises(InvalidInputError, match="even lengths"):
        odd.correlation_length(staggered=True)


# ---- snapshots -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", [Ising(square(4)), Ising(honeycomb(2), field=0.2), Potts(square(3), 3), XY(chain(5))]
)
def test_snapshots_are_the_configurations_of_their_draws(model: Any) -> None:
    run = simulate(
        model, [-0.1, 0.1], 60, burn_in=5, replicas=40, measure_every=2, snapshots_every=6
    )
    assert run.snapshots is not None
    assert run.snapshots.shape[:3] == (2, 40, 10)
    at_draws = run.energy_series[..., 2::3]
    np.testing.assert_allclose(model.energy(run.snapshots), at_draws, rtol=1e-9, atol=1e-9)
    assert np.array_equal(run.snapshots[:, :, -1], run.final_spins)
    dims = run.to_xarray()["snapshots"].dims
    assert dims[:4] == ("beta", "chain", "snapshot", "site")


# ---- densities of states ---------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_run_gives_the_density_of_states_at_both_signs(sign: float) -> None:
    """Against g(E) and ⟨E⟩(β) of a frustrated magnet, whose two signs differ."""
    model = Ising(triangular(3), coupling=sign)
    run = simulate(model, np.linspace(-0.6, 0.6, 9), 2000, burn_in=100, replicas=64, seed=SEED)
    density, exact = run.density_of_states(), model.levels()
    exact = exact.merged()
    seen = np.isin(exact.energies, density.levels.energies)
    assert seen.all()
    z = (density.levels.log_degeneracy - exact.log_degeneracy) / density.stderr
    assert np.abs(z).max() < LIMIT
    beta = np.array([-0.55, -0.2, 0.0, 0.3, 0.5])
    value, error = density.curve("internal_energy", beta)
    assert np.all(np.abs(value - canonical(exact, beta).internal_energy) < LIMIT * error)
    assert repr(density) == f"MultiHistogram({len(exact)} levels, reweighting)"


def test_what_has_no_density_of_states_says_so() -> None:
    short: dict[str, Any] = {"burn_in": 5, "replicas": 64, "seed": SEED}
    conserving = simulate(Ising(square(4)), [-0.1, 0.1], 20, update="kawasaki", **short)
    with pytest.raises(InvalidInputError, match="'kawasaki' conserves"):
        conserving.density_of_states()
    vectors = simulate(XY(chain(4)), [-0.1, 0.1], 40, **short)
    with pytest.raises(InvalidInputError, match="bin_width"):
        vectors.density_of_states()
    assert len(vectors.density_of_states(bin_width=0.5).levels) > 5
