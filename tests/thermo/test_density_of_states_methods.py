"""One density of states by four methods, and canonical runs reweighted to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ive

import thermo
from thermo.canonical import canonical
from thermo.errors import InvalidInputError
from thermo.exact import ising_torus
from thermo.lattice import chain, square
from thermo.models import XY, Heisenberg, Ising, Potts
from thermo.run.density_of_states import density_of_states
from thermo.run.flat_histogram import multicanonical, wang_landau
from thermo.run.reweighting import reweighting, run_energy_counts
from thermo.run.simulate import simulate
from thermo.sampling.energy_grid import energy_grid

SEED = 20261121
METHODS = {
    "exact": {},
    "wang_landau": {"sweeps": 100_000, "seed": SEED},
    "multicanonical": {"sweeps": 5000, "seed": SEED},
    "reweighting": {"sweeps": 1000, "seed": SEED},
}


def test_it_is_the_public_function() -> None:
    assert thermo.density_of_states is density_of_states


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", [Ising(square(4)), Potts(square(3), 3, field=0.5)])
def test_every_method_gives_the_same_levels(model, method: str) -> None:
    levels, exact = density_of_states(model, method, **METHODS[method]), model.levels()
    assert levels.log_states == pytest.approx(exact.log_states)
    common = np.isin(exact.energies.round(6), levels.energies.round(6))
    assert common.sum() >= len(exact) - 3  # reweighting may not see the rarest
    np.testing.assert_allclose(
        levels.log_degeneracy, exact.log_degeneracy[common], atol=0.25
    )  # ten standard errors and more of the rarest levels
    assert (np.diff(levels.energies) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_numbers_for_any_threads(method: str) -> None:
    model, options = Ising(square(4)), METHODS[method]
    threads = {} if method == "exact" else {"threads": 1}
    first = density_of_states(model, method, **options)
    second = density_of_states(model, method, **options, **threads)
    assert np.array_equal(first.log_degeneracy, second.log_degeneracy)


def test_reweighting_agrees_with_beale_within_its_errors() -> None:
    """32 chains per β: Student's t with 31 degrees of freedom exceeds 6.5 once in 3·10⁶."""
    density = reweighting(Ising(square(8)), sweeps=2000, replicas=32, seed=SEED)
    exact = ising_torus(8)
    common = np.isin(exact.energies, density.levels.energies)
    assert common.all()
    z = (density.levels.log_degeneracy - exact.log_degeneracy) / density.stderr
    assert np.abs(z).max() < 6.5
    beta = np.array([-0.6, -0.44, 0.0, 0.2, 0.5])
    value, error = density.curve("entropy", beta)
    moved = error > 1e-12
    assert np.abs((value - canonical(exact, beta).entropy)[moved] / error[moved]).max() < 6.5
    assert density.settings["method"] == "reweighting"


def test_wrong_beta_fails_the_same_test() -> None:
    """Negative control: the counts of runs at 1.02 β, taken for those at β."""
    from thermo.estimate.reweighting import multi_histogram

    model, exact = Ising(square(8)), ising_torus(8)
    beta = np.linspace(-0.6, 0.6, 13)
    run = simulate(model, 1.02 * beta, 2000, burn_in=200, replicas=32, seed=SEED)
    grid = energy_grid(model)
    density = multi_histogram(
        grid.energies,
        run_energy_counts(run, grid),
        beta,
        log_states=exact.log_states,
        ess=run.energy.ess,
    )
    common = np.isin(exact.energies, density.levels.energies)
    z = (density.levels.log_degeneracy - exact.log_degeneracy[common]) / density.stderr
    assert np.abs(z).max() > 6.5


def test_counts_of_a_run_are_those_of_its_series() -> None:
    model = Ising(square(4))
    run = simulate(model, [-0.1, 0.2], 50, burn_in=10, replicas=3, seed=SEED)
    grid = energy_grid(model)
    counts = run_energy_counts(run, grid)
    assert counts.shape == (3, 2, 17)
    np.testing.assert_allclose(
        counts @ grid.energies / 50, run.energy_series.mean(axis=2).T, atol=1e-9
    )


@pytest.mark.parametrize(
    ("model", "exact"),
    [
        (XY(chain(2, periodic=False)), lambda b: np.log(ive(0, b)) + np.abs(b)),
        (Heisenberg(chain(2, periodic=False)), lambda b: np.log(np.sinh(b) / b)),
    ],
)
def test_continuous_spins_in_bins(model, exact) -> None:
    """ln Z(β) relative to β = 0 of one bond, in bins whose width w adds less than (βw)²/8."""
    beta = np.array([-2.0, -1.0, 1.0, 2.0])
    ladder = np.linspace(-2.5, 2.5, 11)
    density = reweighting(model, ladder, 4000, replicas=32, bin_width=0.05, seed=SEED)
    value, error = density.curve("log_partition_function", beta)
    assert (np.abs(value - exact(beta)) < 6.5 * error + (0.05 * beta) ** 2 / 8).all()
    assert density.levels.log_states == pytest.approx(0.0, abs=1e-12)


# ---- bad input ---------------------------------------------------------------------------------


def test_bad_input() -> None:
    model = Ising(square(4))
    for arguments, words in (
        (("guess",), "'exact', 'wang_landau', 'multicanonical', 'reweighting'$"),
        (("wang-landau",), "did you mean 'wang_landau'"),
        ((3,), "method = 3"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            density_of_states(model, *arguments)
    with pytest.raises(InvalidInputError, match="seed was given to method 'exact'"):
        density_of_states(model, seed=1)
    with pytest.raises(InvalidInputError, match=r"flatness was given .* accepted: sweeps, walkers"):
        density_of_states(model, "wang_landau", flatness=0.8)
    with pytest.raises(InvalidInputError, match="no ladder"):
        reweighting(XY(square(3)), bin_width=0.5)
    with pytest.raises(InvalidInputError, match="bin_width"):
        density_of_states(XY(square(3)), "reweighting", beta=[-0.1, 0.1])
    with pytest.raises(InvalidInputError, match="sweeps"):
        reweighting(model, sweeps=0)
    with pytest.raises(InvalidInputError, match=r"do not overlap|share only"):
        reweighting(Ising(square(16)), [-1.0, 0.0, 1.0], 50, replicas=2, seed=SEED)


# ---- larger lattices ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "sweeps", "limit"),
    [(wang_landau, 1_000_000, 1e-3), (multicanonical, 400_000, 1e-3), (reweighting, 16_000, 5e-4)],
)
def test_the_32x32_torus_to_a_thousandth(sample, sweeps: int, limit: float) -> None:
    exact = ising_torus(32)
    density = sample(Ising(square(32)), sweeps=sweeps, seed=SEED)
    assert len(density.levels) == len(exact)
    deviation = np.abs(density.levels.log_degeneracy - exact.log_degeneracy)
    assert np.mean(deviation / exact.log_degeneracy) < limit
