"""Multicanonical walks and the transition-matrix estimator against exact numbers of states.

Every test has one fixed seed, chosen beforehand. Limits are set so that a right sampler fails a
test with probability below 10⁻⁴; the negative controls must fail the very check that it passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from goodness_of_fit import P_LIMIT, counts_p, level_counts, student_limit, student_scatter_p
from mistaken_kernel import mistaken
from same_bits import assert_same_bits
from scipy.special import ive

from thermo.canonical import canonical
from thermo.errors import EquilibrationWarning, InvalidInputError, NotConvergedError
from thermo.estimate.transition_matrix import log_density_from_transitions
from thermo.exact import ising_torus
from thermo.kernels import flat_histogram
from thermo.kernels.flat_histogram import multicanonical_sweeps
from thermo.lattice import chain, from_edges, square, triangular
from thermo.levels import EnergyLevels
from thermo.models import XY, Clock, Heisenberg, Ising, Potts
from thermo.run.energy_walks import FlatWalks, LearningWalks, Preparation
from thermo.run.flat_histogram import multicanonical
from thermo.sampling import multicanonical as module
from thermo.sampling.energy_grid import energy_grid, flat_system
from thermo.sampling.multicanonical import Multicanonical

SEED = 20261121

# Couplings that are multiples of 0.3, of both signs, and a field at one site: spacing 0.6 or less.
GLASS = Ising(
    from_edges(9, [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3), (6, 7), (0, 6), (1, 7)]),
    coupling=[0.3, -0.6, 0.9, 0.3, -0.3, 0.6, 0.3, -0.9, 0.3, 0.6],
    field=[0.3, 0, 0, 0, 0, 0, 0, 0, 0.6],
)
CASES = {
    "Ising 4×4": Ising(square(4)),
    "spin glass in a field": GLASS,
    "Potts, q = 3, in a field": Potts(square(3), 3, field=0.5),
    "chiral clock": Clock(square(3), 3, chirality=0.5, coupling=-2.0),
}


def on_grid(model: Any, levels: EnergyLevels) -> np.ndarray:
    grid = energy_grid(model)
    log_g = np.full(grid.bins, -np.inf)
    log_g[grid.bin_of(levels.energies)] = levels.log_degeneracy
    return log_g


def walk_of(model: Any, walkers: int = 4, tilt: float = 0.0, **options: Any) -> Multicanonical:
    """A walk with the exact weights, or with these tilted by β = `tilt`."""
    log_g = on_grid(model, model.levels()) - tilt * energy_grid(model).energies
    return Multicanonical(model, walkers, np.random.SeedSequence(SEED), log_g, **options)


# ---- the walk ----------------------------------------------------------------------------------


def walk_p(walk: Multicanonical, levels: EnergyLevels, tilt: float) -> float:
    """p-value of the energies, 25 sweeps apart, against g(E) w(E) = e^(tilt·E)."""
    return series_p(walk.record(2000, 25)[:, 100:], levels, tilt)


def series_p(series: np.ndarray, levels: EnergyLevels, tilt: float) -> float:
    """The same of given energies."""
    weight = np.exp(tilt * (levels.energies - levels.maximum))
    return counts_p(level_counts(series, levels.energies), weight)


@pytest.mark.parametrize("tilt", [0.0, 0.15, -0.15])
@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_energies_are_visited_in_proportion_to_g_times_w(model: Any, tilt: float) -> None:
    assert walk_p(walk_of(model, 8, tilt), model.levels(), tilt) > P_LIMIT


WRONG = {
    "the weights upside down": (
        "log_weight[there] - log_weight[here]",
        "log_weight[here] - log_weight[there]",
    ),
    "ratios of weights off by 2 per cent": ("math.exp(gain)", "math.exp(0.98 * gain)"),
    "all moves accepted": ("if gain < 0.0:", "if gain < -1e9:"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_kernel_fails_the_same_histogram_test(
    monkeypatch: pytest.MonkeyPatch, change: tuple[str, str]
) -> None:
    wrong = mistaken(flat_histogram, change)
    monkeypatch.setattr(module, "multicanonical_sweeps", wrong.multicanonical_sweeps)
    model = CASES["Ising 4×4"]
    assert walk_p(walk_of(model, 8), model.levels(), 0.0) < P_LIMIT


def test_a_dropped_bond_fails_the_same_histogram_test() -> None:
    model = CASES["Ising 4×4"]
    coupling = np.ones(32)
    coupling[5] = 0.0
    walk = walk_of(model, 8)
    walk._system = flat_system(Ising(square(4), coupling), walk.grid)
    series = []
    for _ in range(2000):
        walk.sweep(25)
        series.append(model.energy(walk.spins))
    assert series_p(np.array(series[100:]), model.levels(), 0.0) < P_LIMIT


def test_wrong_weights_fail_the_same_histogram_test() -> None:
    model = CASES["Ising 4×4"]
    assert walk_p(walk_of(model, 8, tilt=0.01), model.levels(), 0.0) < P_LIMIT


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_the_running_energy_is_that_of_the_spins(model: Any) -> None:
    walk = walk_of(model)
    walk.sweep(500)
    np.testing.assert_allclose(walk.energies, model.energy(walk.spins), atol=1e-8)
    assert walk.transitions.sum() == 4 * 500 * model.lattice.n_sites


def test_every_move_of_a_free_walk_is_a_half_round_trip() -> None:
    """Two sites, two energies of two states each: no move is refused, and each changes energy."""
    model = Ising(chain(2, periodic=False))
    walk = walk_of(model, 3)
    walk.sweep(10)
    assert set(walk.round_trips) <= {9.5, 10.0}  # the first move may begin inside a trip


def test_unknown_energies_can_be_found() -> None:
    model = CASES["Ising 4×4"]
    log_g = on_grid(model, model.levels())
    log_g[[0, 2, -1]] = -np.inf
    walk = Multicanonical(model, 2, np.random.SeedSequence(SEED), log_g)
    walk.sweep(20_000)
    assert (walk.transitions.sum(axis=(0, 2))[[0, 2, -1]] > 0).all()


# ---- the same bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_the_compiled_kernel_equals_its_python_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, model: Any
) -> None:
    compiled, in_python = walk_of(model, 2), walk_of(model, 2)
    compiled.sweep(20)
    monkeypatch.setattr(module, "multicanonical_sweeps", multicanonical_sweeps.py_func)
    with np.errstate(over="ignore"):
        in_python.sweep(20)
    assert_same_bits(compiled.state(), in_python.state())


def test_sweeps_may_be_divided_over_calls_and_restored() -> None:
    model = CASES["Potts, q = 3, in a field"]
    at_once, in_parts = walk_of(model), walk_of(model)
    at_once.sweep(30)
    in_parts.sweep(7)
    kept = in_parts.state()
    in_parts.sweep(5)
    in_parts.restore(kept)
    in_parts.sweep(23)
    assert_same_bits(at_once.state(), in_parts.state())
    with pytest.raises(InvalidInputError, match="state"):
        in_parts.restore(walk_of(CASES["Ising 4×4"]).state())


@pytest.mark.parametrize("kind", [XY, Heisenberg])
def test_unit_vectors_too_are_the_same_bits_and_keep_their_energy(
    monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    model = kind(chain(4), coupling=[1.0, -0.5, 0.3, 2.0], field=0.2)
    log_g = np.zeros(energy_grid(model, 0.3).bins)

    def walk() -> Multicanonical:
        return Multicanonical(model, 2, np.random.SeedSequence(SEED), log_g, bin_width=0.3)

    compiled, in_python = walk(), walk()
    compiled.sweep(200)
    np.testing.assert_allclose(compiled.energies, model.energy(compiled.spins), atol=1e-12)
    compiled.restore(walk().state())
    compiled.sweep(20)
    monkeypatch.setattr(module, "multicanonical_sweeps", multicanonical_sweeps.py_func)
    with np.errstate(over="ignore"):
        in_python.sweep(20)
    assert_same_bits(compiled.state(), in_python.state())


def test_no_walker_has_the_random_numbers_of_a_wang_landau_run_with_the_same_seed() -> None:
    model, walkers = Ising(square(4)), 3
    log_density = np.zeros(energy_grid(model).bins)
    learning = LearningWalks(model, walkers, 10, SEED, None)
    flat = FlatWalks(model, walkers, log_density, None, 10, 1, SEED, None)
    works = (learning, Preparation(model, walkers, 10, SEED, None), flat)
    begun = [work.begin(index, 0, None) for work in works for index in work.pieces]
    streams = [tuple(piece.advance(0).state["generator"].ravel()) for piece in begun]
    assert len(set(streams)) == len(streams) == 7


def test_walkers_have_random_numbers_of_their_own() -> None:
    walk = walk_of(CASES["Ising 4×4"], 6)
    walk.spins = np.ones((6, 16), dtype=np.int8)
    walk.sweep(100)
    assert len(np.unique(walk.spins, axis=0)) > 3


# ---- ln g from transitions ---------------------------------------------------------------------


def exact_transitions(model: Ising) -> np.ndarray:
    """Proposals from every state of an Ising model to each of its neighbours, once."""
    grid, n = energy_grid(model), model.lattice.n_sites
    states = np.arange(2**n)
    bins = grid.bin_of(model.energy(1 - 2 * (states[:, None] >> np.arange(n) & 1)))
    there = bins[states[:, None] ^ (1 << np.arange(n))]
    step = there - bins[:, None]
    reach = np.abs(step).max()
    counts = np.zeros((grid.bins, 2 * reach + 1))
    np.add.at(counts, (bins[:, None], reach + step), 1.0)
    return counts


@pytest.mark.parametrize(
    "model", [Ising(square(3)), Ising(triangular(3)), Ising(chain(7), field=0.5), GLASS]
)
def test_all_transitions_give_all_degeneracies(model: Ising) -> None:
    log_g = log_density_from_transitions(exact_transitions(model))
    exact = on_grid(model, model.levels())
    known = exact > -np.inf
    assert np.array_equal(log_g > -np.inf, known)
    difference = log_g[known] - exact[known]
    np.testing.assert_allclose(difference, difference[0], atol=1e-9)


def test_energies_without_a_way_back_are_left_out() -> None:
    counts = exact_transitions(Ising(square(3)))
    top = np.flatnonzero(counts.sum(axis=1))[-1]
    counts[top] = 0.0
    log_g = log_density_from_transitions(counts)
    assert log_g[top] == -np.inf
    assert (log_g[np.flatnonzero(counts.sum(axis=1))] > -np.inf).all()
    for bad in ([[1.0, 1.0]], [[0.0]], [[-1.0]], [1.0]):
        with pytest.raises(InvalidInputError, match="transitions"):
            log_density_from_transitions(bad)


def largest_deviation(model: Any, tilt: float = 0.0) -> float:
    """Largest deviation of ln g, by transitions and by visits, in units of its limit at 10⁻⁵."""
    exact = model.levels()
    weights = EnergyLevels(exact.energies, exact.log_degeneracy - tilt * exact.energies)
    density = multicanonical(model, 2000, walkers=32, levels=weights, seed=SEED)
    z = [
        np.abs((d.levels.log_degeneracy - exact.log_degeneracy) / d.stderr).max()
        for d in (density, density.histogram)
    ]
    return float(max(z)) / student_limit(32, 2 * len(exact))


@pytest.mark.parametrize("tilt", [0.0, 0.1])
@pytest.mark.parametrize("model", CASES.values(), ids=CASES.keys())
def test_ln_g_is_right_within_its_error_whatever_the_weights(model: Any, tilt: float) -> None:
    assert largest_deviation(model, tilt) < 1.0


def test_rejected_moves_that_are_not_counted_fail_the_same_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = "    transitions[here, system.reach + there - here] += 1\n"
    accept = "    assign(states, site, spin)\n"
    wrong = mistaken(flat_histogram, (count, ""), (accept, accept + count))
    monkeypatch.setattr(module, "multicanonical_sweeps", wrong.multicanonical_sweeps)
    assert largest_deviation(CASES["Ising 4×4"], 0.1) > 1.0


def test_errors_are_as_large_as_the_deviations() -> None:
    """Over 30 runs, at every level, by transitions and by visits; at 10⁻⁵. Half would not be."""
    model = CASES["Ising 4×4"]
    exact = model.levels()
    runs = [multicanonical(model, 1000, walkers=16, levels=exact, seed=SEED + k) for k in range(30)]
    for densities in (runs, [run.histogram for run in runs]):
        ratios = np.array(
            [(d.levels.log_degeneracy - exact.log_degeneracy) / d.stderr for d in densities]
        )
        assert student_scatter_p(ratios, 16) > 1e-5
        assert student_scatter_p(2 * ratios, 16) < 1e-5


@pytest.mark.parametrize(
    ("model", "log_z"),
    [
        (XY(chain(3, periodic=False)), lambda b: 2.0 * (np.log(ive(0, b)) + np.abs(b))),
        (Heisenberg(chain(2, periodic=False)), lambda b: np.log(np.sinh(b) / b)),
    ],
)
def test_unit_vectors_in_bins(model: Any, log_z: Any) -> None:
    """ln Z(β) relative to β = 0, in bins whose width w adds less than (βw)²/8. 4 z of 31 degrees
    of freedom beyond 6.5: 10⁻⁶."""
    beta = np.array([-2.0, -1.0, 1.0, 2.0])
    density = multicanonical(model, 10_000, walkers=32, bin_width=0.1, seed=SEED)
    value, error = density.curve("log_partition_function", beta)
    assert (np.abs(value - log_z(beta)) < 6.5 * error + (0.1 * beta) ** 2 / 8).all()
    assert error.max() < 0.02


def test_thermodynamics_at_every_signed_beta_from_one_run() -> None:
    model = Ising(square(8))
    density = multicanonical(model, 4000, walkers=32, seed=SEED)
    beta = np.array([-1.0, -0.44, -0.1, 0.0, 0.3, 0.44, 0.7])
    for name in ("internal_energy", "entropy", "heat_capacity"):
        value, error = density.curve(name, beta)
        exact = getattr(canonical(ising_torus(8), beta), name)
        moved = error > 1e-12
        assert np.abs((value - exact)[moved] / error[moved]).max() < 6.5, name
    assert density.energy_series.shape == (32, 1000)
    assert density.round_trips.sum() > 32
    with pytest.raises(InvalidInputError, match="enthalpy"):
        density.curve("enthalpy", 0.1)


# ---- bad input ---------------------------------------------------------------------------------


def test_bad_input() -> None:
    model = CASES["Ising 4×4"]
    for options, words in (
        ({"sweeps": 0}, "sweeps"),
        ({"walkers": 1}, "walkers"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
        ({"bin_width": -1.0}, "bin_width"),
        ({"bin_width": 1e-9}, "bins of width"),
        ({"levels": [1.0, 2.0]}, "EnergyLevels"),
        ({"levels": EnergyLevels([-100.0, 0.0])}, "one per bin"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            multicanonical(model, **{"sweeps": 10, **options})
    with pytest.raises(InvalidInputError, match="bin_width"):
        multicanonical(XY(square(4)), 10)
    with pytest.raises(InvalidInputError, match="log_density"):
        Multicanonical(model, 2, np.random.SeedSequence(1), np.full(17, -np.inf))
    with pytest.raises(InvalidInputError, match="10000 walkers would need"):
        Multicanonical(model, 10_000, np.random.SeedSequence(1), np.zeros(6402), bin_width=0.01)
    with pytest.raises(NotConvergedError, match="weights were not ready"):
        multicanonical(Ising(square(16)), 100, walkers=2)


def test_too_few_round_trips_are_warned_of() -> None:
    with pytest.warns(EquilibrationWarning, match="round trips"):
        multicanonical(Ising(square(16)), 20, walkers=2, levels=ising_torus(16))
