"""What never changed in a run has a bound for an error, and that bound is honest."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from thermo.canonical import canonical
from thermo.errors import EquilibrationWarning, UncertaintyWarning
from thermo.estimate.autocorrelation import mean_with_error
from thermo.exact.density_of_states import ising_torus
from thermo.lattice import chain, from_edges, square
from thermo.models import XY, Clock, Heisenberg, Ising, Potts
from thermo.run.annealing import population_annealing
from thermo.run.result import Run
from thermo.run.simulate import simulate
from thermo.run.tempering import parallel_tempering
from thermo.run.unseen import excitation, unseen

SEED = 20261121
COLD = {"sweeps": 100, "burn_in": 10, "replicas": 4, "seed": SEED}
DRAWS = 400


def cold(model: Any = None, beta: Any = (-3.0, 3.0), **arguments: Any) -> Run:
    settings = COLD | arguments
    model = Ising(square(8)) if model is None else model
    with pytest.warns(UncertaintyWarning, match="no energy changed in any draw at β = "):
        return simulate(model, beta, settings.pop("sweeps"), **settings)


def test_a_run_without_excitations_says_so_and_has_errors() -> None:
    """The exact values lie within them; an error of 0 would be wrong."""
    run = cold()
    assert run.equilibration.verdict.tolist() == ["not judged"] * 2
    exact = canonical(ising_torus(8), run.beta)
    assert run.energy.error == pytest.approx([8.0 / (DRAWS + 1)] * 2)
    for estimate, value in (
        (run.energy, exact.internal_energy),
        (run.heat_capacity, exact.heat_capacity),
    ):
        off = np.abs(estimate.mean - value)
        assert np.all((off > 0.0) & (off < estimate.error))
        assert np.all(mean_with_error(run.energy_series).error == 0.0)
    for name in ("absolute_magnetization", "staggered_magnetization", "susceptibility", "binder"):
        assert np.all(getattr(run, name).error > 0.0), name
    assert str(run.energy) == "[128.000(20) -128.000(20)]"


def test_the_bound_goes_on_from_what_one_excited_draw_gives() -> None:
    """N equal draws and one more that differs, worked out in full."""
    low, high, draws = 64.0, 62.0, 400
    series = np.full((1, 1, draws + 1), low)
    bound = unseen(np.array([True]), [series[..., 1:]], low - high, draws)
    series[..., 200] = high
    assert bound.mean == pytest.approx(mean_with_error(series).error, rel=0.01)
    assert bound.mean == pytest.approx(low - series.mean())
    assert bound.variance == pytest.approx(series.var())
    assert bound.mean_square == pytest.approx(low**2 - (series**2).mean())
    binder = 1.0 - (series**4).mean() / (3.0 * (series**2).mean() ** 2)
    assert bound.binder == pytest.approx(2.0 / 3.0 - binder)


def test_three_errors_are_the_rule_of_three() -> None:
    """Of runs that saw nothing, 5 in 100 at the most have their mean farther off than that.

    Over 2000 runs of 50 draws at every chance p of an excited one; 6 standard deviations more are
    allowed: 10⁻⁸. With the error 0 all are off.
    """
    generator = np.random.default_rng(SEED)
    for p in (0.001, 0.01, 0.03, 0.05, 0.08, 0.15):
        energies = np.where(generator.random((2000, 1, 50)) < p, 4.0, 0.0)
        still = np.ptp(energies, axis=(1, 2)) == 0.0
        found = unseen(np.full(2000, True), [energies], 4.0, 50)
        assert np.array_equal(found.open, still)
        off = still & (4.0 * p > 3.0 * found.mean)
        assert off.sum() <= 100 + 60
        assert np.sum(still & (4.0 * p > 3.0 * mean_with_error(energies).error)) == still.sum()


def test_the_probability_of_excitations_is_bounded_at_every_beta() -> None:
    """From β at which all runs see some to β at which none does; |z| < 5 of 40 energies: 10⁻⁵
    where an error is sampled, and the rule of three elsewhere."""
    beta = np.linspace(0.8, 1.8, 40)
    with pytest.warns(UncertaintyWarning):
        run = simulate(Ising(square(8)), beta, 300, burn_in=50, replicas=8, seed=SEED)
    found = run.equilibration.still
    assert 5 < found.sum() < 35
    z = (run.energy.mean - canonical(ising_torus(8), beta).internal_energy) / run.energy.error
    assert np.abs(z[found]).max() < 3
    assert np.abs(z[~found]).max() < 5


@pytest.mark.parametrize(
    ("model", "beta", "arguments"),
    [
        (Ising(square(4)), [np.inf, -np.inf], {}),
        (Ising(square(4)), [30.0, -1e308], {}),  # 2¹⁶ e^(−120)
        (Ising(square(4), coupling=0.0), [0.5, 50.0], {}),
        (XY(from_edges(1, [])), [2.0], {}),
        (Ising(square(4)), [9.0], {"update": "kawasaki", "start": np.ones(16)}),
    ],
    ids=["infinite β", "as good as infinite", "one energy", "one spin", "nothing to exchange"],
)
def test_what_cannot_change_is_exact_and_nothing_warns(
    model: Any, beta: list[float], arguments: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = simulate(model, beta, 20, burn_in=2, replicas=4, seed=SEED, **arguments)
    assert np.all(run.energy.error == 0.0)
    assert np.all(run.heat_capacity.error == 0.0)
    if model.lattice.n_sites == 1 or "update" in arguments:
        assert np.all(run.absolute_magnetization.error < 1e-15)
    assert set(run.equilibration.verdict) == {"passed"}


def test_a_kept_magnetisation_has_no_error_and_a_kept_energy_has() -> None:
    halves = np.where(np.arange(16) < 8, 1, -1)
    run = cold(Ising(square(4)), [9.0], update="kawasaki", start=halves)
    assert run.energy.error == pytest.approx(16.0 / (DRAWS + 1))  # two spins change places
    assert run.magnetization.error == run.absolute_magnetization.error == 0.0
    assert run.staggered_magnetization.error > 0.0


def test_correlations_of_what_never_changed_have_errors() -> None:
    run, measured = cold(structure_factor_every=5), 4 * 16  # in 8 blocks of each chain
    spectrum, correlation = run.structure_factor, run.correlation_function
    assert np.all(correlation.error[:, 0, 0] == 0.0)  # G(0) = 1
    rest = correlation.error.reshape(2, -1)[:, 1:]
    assert rest == pytest.approx(np.full(rest.shape, 4.0 / 64.0 / (measured + 1)))
    assert np.all(spectrum.error > 0.0)
    one = np.ones((8, 8))
    one[3, 5] = -1.0
    change = np.abs(np.abs(np.fft.fft2(one)) ** 2 / 64.0 - spectrum.mean[1])
    assert np.all(change / (measured + 1) <= spectrum.error[1] * (1 + 1e-12))


def test_correlations_have_errors_where_an_excitation_was_between_their_measurements() -> None:
    """What never changed is judged by its own measurements, not by energies that were not in it."""
    with pytest.warns(UncertaintyWarning):
        run = simulate(
            Ising(square(4)),
            np.full(64, 1.6),
            400,
            burn_in=50,
            replicas=8,
            seed=3,
            structure_factor_every=40,
        )
    still = np.ptp(run.structure_factor_blocks[..., 0, 0], axis=(1, 2)) == 0.0
    assert np.any(still & ~run.equilibration.still)
    assert np.all(run.structure_factor.error[:, 0, 0] > 0.0)
    assert np.all(run.correlation_function.error.reshape(64, -1)[:, 1:] > 0.0)
    off = run.structure_factor.mean[:, 0, 0] - 16.0
    assert np.all(np.abs(off[still]) < run.structure_factor.error[still, 0, 0])


@pytest.mark.parametrize(
    "model",
    [
        Ising(square(4), coupling=np.linspace(0.5, 1.0, 32), field=0.2),
        Potts(square(3), 3, field=0.1),
        Clock(chain(6), 5, chirality=0.2),
        XY(square(4), field=0.3),
    ],
    ids=repr,
)
def test_no_change_of_one_spin_exceeds_an_excitation(model: Any) -> None:
    generator = np.random.default_rng(SEED)
    spins, other = model.random_spins(generator, 500), model.random_spins(generator, 500)
    largest = 0.0
    for site in range(model.lattice.n_sites):
        changed = spins.copy()
        changed[:, site] = other[:, site]
        largest = max(largest, np.abs(model.energy(changed) - model.energy(spins)).max())
    assert 0.4 * excitation(model) < largest <= excitation(model) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("model", "beta", "update"),
    [
        (XY(square(4)), [np.inf, -np.inf, 1e18], "wolff"),
        (XY(square(4)), [np.inf, -np.inf, 1e15], "over_relaxation"),
        (XY(square(4), coupling=-1.0), [np.inf, 1e15], "heat_bath"),
        (Heisenberg(square(4), field=0.1), [np.inf, 1e18], "metropolis"),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::thermo.errors.EquilibrationWarning")
@pytest.mark.filterwarnings("ignore:no energy changed:thermo.errors.UncertaintyWarning")
def test_fluctuations_that_are_lost_in_rounding_tell_nothing(
    model: Any, beta: list[float], update: str
) -> None:
    """Of continuous spins C is half the number of modes there, neither 0 nor infinite."""
    run = simulate(model, beta, 50, burn_in=20, replicas=8, update=update, seed=SEED)
    with pytest.warns(UncertaintyWarning, match=r"C is nan at β = inf, .*their rounding"):
        capacity = run.heat_capacity
    assert np.all(np.isnan(capacity.mean) | (capacity.error > 1e6))  # or all chains stood still
    assert np.all(np.isnan(capacity.mean[np.isinf(beta)]))
    with pytest.warns(UncertaintyWarning, match="χ′ is nan at β = inf"):
        assert np.all(np.isnan(run.connected_susceptibility.mean[np.isinf(beta)]))


def test_the_heat_capacity_of_continuous_spins_is_that_of_equipartition_up_to_rounding() -> None:
    """15 modes of ½ each; |z| < 5 of three: 2·10⁻⁶, were chains no longer than they are."""
    model, beta = XY(square(4)), [1e6, 1e9, 1e12]
    run = simulate(model, beta, 4000, burn_in=500, replicas=8, seed=SEED)
    capacity = run.heat_capacity
    assert np.all(np.abs(capacity.mean - 7.5) < 5 * capacity.error)
    assert np.all(capacity.error < 0.5)


def test_chains_that_are_stuck_at_infinite_beta_have_no_heat_capacity() -> None:
    """Not an infinite one; where all are in ordered states it is 0 exactly."""
    beta = [np.inf, -np.inf]
    with pytest.warns(EquilibrationWarning, match="disagree at β = -inf"):
        run = simulate(Ising(square(8)), beta, 200, burn_in=100, replicas=8, seed=0, start="random")
    assert np.ptp(run.energy_series, axis=(1, 2)).tolist()[0] == 0.0
    with pytest.warns(UncertaintyWarning, match="C is nan at β = -inf: .* chains are stuck"):
        capacity = run.heat_capacity
    np.testing.assert_equal(capacity.mean, [0.0, np.nan])
    np.testing.assert_equal(capacity.error, [0.0, np.nan])


def test_an_order_too_small_for_its_square_is_no_order() -> None:
    """Over-relaxation of a perfect antiferromagnet shrinks what rounding left of M to 10⁻¹⁰⁰."""
    model = XY(square(4))
    run = simulate(model, [-np.inf], 200, burn_in=100, replicas=8, update="over_relaxation")
    assert run.binder.error == 0.0
    assert run.absolute_magnetization.error < 1e-15


def test_tempering_and_annealing_have_the_same_bounds() -> None:
    beta = np.linspace(0.0, 3.0, 61)
    with pytest.warns(UncertaintyWarning, match="no energy changed"):
        tempered = parallel_tempering(
            Ising(square(4)), beta, 100, burn_in=50, replicas=4, seed=SEED
        )
    annealed = population_annealing(Ising(square(4)), beta, 500, sweeps=5, replicas=4, seed=SEED)
    exact = canonical(Ising(square(4)).levels(), beta)
    for run in (tempered, annealed):
        assert np.ptp(run.series["energy"][-1]) == 0.0
        for estimate, value in (
            (run.energy, exact.internal_energy),
            (run.heat_capacity, exact.heat_capacity),
        ):
            assert 0.0 < np.abs(estimate.mean - value)[-1] < estimate.error[-1]
