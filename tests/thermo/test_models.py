"""Models: energies, their differences, and their levels, against brute force and closed forms."""

from __future__ import annotations

from itertools import product
from math import comb, isclose, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo.canonical import canonical
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.lattice import chain, from_edges, honeycomb, square, triangular
from thermo.levels import EnergyLevels
from thermo.models import Ising, Oscillator, TwoLevel

couplings = st.floats(-3, 3, allow_nan=False)


@st.composite
def models_and_spins(draw: st.DrawFn) -> tuple[Ising, np.ndarray]:
    n = draw(st.integers(1, 10))
    pairs = [(a, b) for a in range(n) for b in range(a)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    model = Ising(from_edges(n, edges), draw(couplings), draw(couplings))
    spins = draw(st.lists(st.sampled_from([-1, 1]), min_size=n, max_size=n))
    return model, np.array(spins)


@given(models_and_spins())
@settings(max_examples=200, deadline=None)
def test_delta_energy_is_the_difference_of_energies(case: tuple[Ising, np.ndarray]) -> None:
    model, spins = case
    for site in range(len(spins)):
        flipped = spins.copy()
        flipped[site] *= -1
        difference = model.energy(flipped) - model.energy(spins)
        assert isclose(model.delta_energy(spins, site), difference, abs_tol=1e-12)


@given(models_and_spins())
@settings(max_examples=50, deadline=None)
def test_levels_are_those_of_the_enumerated_states(case: tuple[Ising, np.ndarray]) -> None:
    model, _ = case
    n = model.lattice.n_sites
    states = np.array(list(product([-1, 1], repeat=n)))
    energies = model.energy(states)
    low, high = model.energy_bounds
    assert np.all((energies >= low - 1e-12) & (energies <= high + 1e-12))
    levels = model.levels()
    for beta in (-0.7, 0.0, 0.4):
        weights = np.exp(-beta * energies)
        got = canonical(levels, beta)
        assert isclose(got.log_partition_function, np.log(weights.sum()), rel_tol=1e-12)
        mean = (weights * energies).sum() / weights.sum()
        assert isclose(got.internal_energy, mean, rel_tol=1e-9, abs_tol=1e-9)


def test_energy_is_batched_and_written_out() -> None:
    model = Ising(chain(3, periodic=False), coupling=2.0, field=0.5)
    spins = np.array([[[1, 1, 1], [1, -1, 1]], [[-1, -1, 1], [-1, -1, -1]]])
    assert model.energy(spins).tolist() == [[-5.5, 3.5], [0.5, -2.5]]
    assert model.delta_energy(spins, 1).tolist() == [[9.0, -9.0], [-1.0, 7.0]]


def test_density_of_states_of_the_4x4_torus_is_beales() -> None:
    levels = Ising(square(4)).levels()
    assert levels.energies.tolist() == [-32, *range(-24, 25, 4), 32]
    known = [2, 32, 64, 424, 1728, 6688, 13568, 20524]  # P. D. Beale, PRL 76, 78 (1996)
    np.testing.assert_allclose(np.exp(levels.log_degeneracy[:8]), known, rtol=1e-12)


def test_a_ring_has_the_transfer_matrix_partition_function() -> None:
    for beta in (-0.8, 0.0, 0.3):
        for n in (3, 9, 12):
            z = (2 * np.cosh(beta)) ** n + (2 * np.sinh(beta)) ** n
            got = canonical(Ising(chain(n)).levels(), beta).log_partition_function
            assert isclose(got, np.log(z), rel_tol=1e-12)


@pytest.mark.parametrize("lattice", [square(4), chain(6), honeycomb(2)])
@pytest.mark.parametrize("coupling", [1.0, -0.5])
def test_ordered_states_are_the_ends_of_a_bipartite_spectrum(lattice, coupling) -> None:
    model = Ising(lattice, coupling)
    levels = model.levels()
    for sign, end in ((1, levels.minimum), (-1, levels.maximum)):
        states = model.ordered_states(sign)
        assert len(states) == 2
        assert np.all(model.energy(states) == end)
        assert np.all(states.sum(axis=0) == 0)


def test_a_field_picks_one_ordered_state_and_frustration_has_none() -> None:
    assert Ising(square(4), field=0.1).ordered_states(1).tolist() == [[1] * 16]
    assert Ising(square(4), field=-0.1).ordered_states(1).tolist() == [[-1] * 16]
    assert len(Ising(square(4), coupling=-1, field=0.1).ordered_states(1)) == 2
    assert Ising(triangular(3)).ordered_states(1).shape == (2, 9)
    with pytest.raises(InvalidInputError, match="frustrated"):
        Ising(triangular(3)).ordered_states(-1)
    with pytest.raises(InvalidInputError, match="sign = 0"):
        Ising(square(4)).ordered_states(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Ising(16), "lattice = 16"),
        (lambda: Ising(square(4), coupling=np.nan), "coupling = nan"),
        (lambda: Ising(square(4), coupling=[1.0, 2.0]), "coupling ="),
        (lambda: Ising(square(4), field=np.inf), "field = inf"),
        (lambda: Ising(square(4), field="up"), "field"),
        (lambda: Ising(square(4)).energy(np.ones(15)), r"\(15,\)"),
        (lambda: Ising(square(4)).energy(np.zeros(16)), r"\+1 and -1"),
        (lambda: Ising(square(4)).delta_energy(np.ones(16), 16), "site = 16"),
        (lambda: Ising(square(5)).levels(), r"2\^25 states"),
        (lambda: TwoLevel(0), "n = 0"),
        (lambda: TwoLevel(2.5), "n = 2.5"),
        (lambda: TwoLevel(3, gap=0.0), "gap = 0.0"),
        (lambda: TwoLevel(3, gap=np.nan), "gap = nan"),
        (lambda: Oscillator(quantum=-1.0), "quantum = -1.0"),
        (lambda: Oscillator(n=0), "n = 0"),
        (lambda: Oscillator().levels(0), "number = 0"),
        (lambda: Oscillator().thermodynamics(np.nan), "nan"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as refusal:
        make()
    assert "ccepted" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_two_level_systems_are_independent_atoms() -> None:
    n, gap = 30, 0.7
    levels = TwoLevel(n, gap).levels()
    np.testing.assert_allclose(
        np.exp(levels.log_degeneracy), [comb(n, k) for k in range(n + 1)], rtol=1e-12
    )
    beta = np.array([-np.inf, -2.0, -0.1, 0.0, 0.5, np.inf])
    got = canonical(levels, beta)
    one = canonical(EnergyLevels([0.0, gap]), beta)
    for name in ("internal_energy", "entropy", "heat_capacity", "energy_variance"):
        np.testing.assert_allclose(getattr(got, name), n * getattr(one, name), atol=1e-10)


def test_a_million_atoms_keep_their_entropy() -> None:
    state = canonical(TwoLevel(10**6).levels(), 0.0)
    assert isclose(state.entropy, 10**6 * np.log(2), rel_tol=1e-12)


def test_oscillators_in_closed_form_agree_with_their_levels() -> None:
    oscillator = Oscillator(quantum=0.7, n=3)
    beta = np.array([0.3, 1.0, 5.0, np.inf])
    summed = canonical(oscillator.levels(400), beta)
    closed = oscillator.thermodynamics(beta)
    for name in (
        "log_partition_function",
        "internal_energy",
        "energy_variance",
        "entropy",
        "heat_capacity",
        "log_participation_ratio",
    ):
        np.testing.assert_allclose(getattr(closed, name), getattr(summed, name), atol=1e-11)


@pytest.mark.parametrize("n", [1, 3, 100, 10**6, 10**18])
def test_degeneracies_of_many_oscillators_are_binomials(n: int) -> None:
    log_g = Oscillator(n=n).levels(200).log_degeneracy
    exact = [log(comb(k + n - 1, k)) for k in range(200)]
    np.testing.assert_allclose(log_g, exact, rtol=1e-13)


@pytest.mark.parametrize("beta", [0.0, -0.0, -1.0, -np.inf, [1.0, -2.0]])
def test_oscillators_have_no_beta_below_zero(beta) -> None:
    for ask in (
        lambda: Oscillator().thermodynamics(beta),
        lambda: canonical(Oscillator().levels(50), beta),
    ):
        with pytest.raises(UnboundedSpectrumError, match="no upper bound"):
            ask()
