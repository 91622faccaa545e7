"""One density of states by four methods, and canonical runs reweighted to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ive

import thermo
from thermo.canonical import canonical
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.exact import ising_torus
from thermo.lattice import chain, square, triangular
from thermo.models import XY, Heisenberg, Ising, Oscillator, Potts, TwoLevel, spin_glass
from thermo.run.annealing import population_annealing
from thermo.run.demon import demon_thermometer
from thermo.run.density_of_states import density_of_states
from thermo.run.flat_histogram import multicanonical, wang_landau
from thermo.run.reweighting import reweighting, run_energy_counts
from thermo.run.simulate import simulate
from thermo.run.warmup import warmup
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


@pytest.mark.parametrize("method", ["wang_landau", "multicanonical"])
def test_one_bond_of_continuous_spins_has_the_density_that_it_should(method: str) -> None:
    """E = −cos θ with θ uniform: exact weights of bins, of which the two at the ends diverge.

    0.1 in ln g is five standard errors of Wang–Landau and more.
    """
    model = XY(chain(2, periodic=False))
    levels = density_of_states(model, method, sweeps=100_000, walkers=8, bin_width=0.25, seed=SEED)
    edges = np.clip(np.append(levels.energies - 0.125, levels.energies[-1] + 0.125), -1.0, 1.0)
    exact = np.log(np.diff(np.arccos(-edges)) / np.pi)
    np.testing.assert_allclose(levels.log_degeneracy, exact, atol=0.1)
    assert np.ptp(exact) > 0.8


# ---- bad input ---------------------------------------------------------------------------------


def test_bad_input() -> None:
    model = Ising(square(4))
    for arguments, words in (
        (("guess",), "'exact', 'wang_landau', 'multicanonical', 'reweighting'$"),
        (("wang-landau",), "did you mean 'wang_landau'"),
        ((3,), "method = 3"),
        (([],), r"method = \[\]"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            density_of_states(model, *arguments)
    with pytest.raises(InvalidInputError, match="seed was given to method 'exact'"):
        density_of_states(model, seed=1)
    with pytest.raises(InvalidInputError, match=r"flatness was given .* accepted: sweeps, walkers"):
        density_of_states(model, "wang_landau", flatness=0.8)
    for model_of_vectors in (XY(square(3)), Heisenberg(chain(3))):
        for ask in (model_of_vectors.levels, lambda m=model_of_vectors: density_of_states(m)):
            with pytest.raises(InvalidInputError, match=r"a continuum; accepted: .* a bin_width"):
                ask()
    with pytest.raises(InvalidInputError, match="no ladder"):
        reweighting(XY(square(3)), bin_width=0.5)
    with pytest.raises(InvalidInputError, match="bin_width"):
        density_of_states(XY(square(3)), "reweighting", beta=[-0.1, 0.1])
    with pytest.raises(InvalidInputError, match="sweeps"):
        reweighting(model, sweeps=0)
    with pytest.raises(InvalidInputError, match=r"do not overlap|share only"):
        reweighting(Ising(square(16)), [-1.0, 0.0, 1.0], 50, replicas=2, seed=SEED)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"update": "kawasaki"}, "keeps the magnetisation"),
        ({"update": "wolff", "model": Ising(triangular(3))}, "frustrated at β < 0"),
        ({"update": "wolff", "model": Ising(triangular(3), -1.0)}, "frustrated at β > 0"),
        ({"beta": [0.1, 0.2]}, "both sides of 0"),
        ({"beta": [np.inf, -np.inf]}, "both sides of 0"),
        ({"replicas": 1}, "replicas = 1"),
        ({"measure_every": 0}, "measure_every = 0"),
        ({"sweeps": 3, "measure_every": 5}, "1 … sweeps = 3"),
        ({"burn_in": -1}, "burn_in = -1"),
        ({"threads": 0}, "threads = 0"),
    ],
)
def test_reweighting_refuses_before_any_work(
    arguments: dict, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_work(*_: object, **__: object) -> None:
        pytest.fail("a run was begun")

    monkeypatch.setattr("thermo.run.reweighting.simulate", no_work)
    with pytest.raises(InvalidInputError, match=words):
        reweighting(**{"model": Ising(square(4)), **arguments})


def test_a_run_shorter_than_the_default_interval_is_measured_at_its_end() -> None:
    with pytest.warns(EquilibrationWarning, match="not judged: draws per chain: 1"):
        density = reweighting(Ising(chain(3)), [-0.1, 0.0, 0.1], 3, replicas=256, seed=SEED)
    assert density.settings["measure_every"] == 3


SEEDED = {
    "demon_thermometer": lambda s: demon_thermometer(
        Ising(chain(3)), 0.0, 2, burn_in=0, replicas=2, seed=s
    ),
    "wang_landau": lambda s: wang_landau(Ising(chain(3)), 10, seed=s),
    "multicanonical": lambda s: multicanonical(Ising(chain(3)), 10, seed=s),
    "reweighting": lambda s: reweighting(Ising(chain(3)), seed=s),
    "spin_glass": lambda s: spin_glass(chain(3), seed=s),
    "warmup": lambda s: warmup(seed=s),
    "population_annealing": lambda s: population_annealing(
        Ising(chain(3)), [0.0, 0.1], 2, sweeps=1, seed=s
    ),
}


@pytest.mark.parametrize("seeded", SEEDED.values(), ids=SEEDED.keys())
def test_one_rule_for_seeds(seeded) -> None:
    for seed in (None, -1, "a", 1.5, 2**70, 2**64, True):
        with pytest.raises(InvalidInputError, match=r"accepted: an integer 0 … 2⁶⁴ − 1"):
            seeded(seed)


@pytest.mark.parametrize("sample", [wang_landau, multicanonical, reweighting])
def test_what_is_no_model_is_refused(sample) -> None:
    for what in (None, TwoLevel(4), Oscillator(), "Ising", Ising):
        with pytest.raises(InvalidInputError, match=r"accepted: thermo.Ising, Potts, Clock, XY or"):
            sample(what)


@pytest.mark.parametrize("sample", [wang_landau, multicanonical])
def test_bins_wider_than_half_of_the_energies_are_refused(sample) -> None:
    for width in (19.0, 100.0):
        with pytest.raises(InvalidInputError, match=r"between -18 and 18"):
            sample(XY(square(3)), 200, bin_width=width)


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
