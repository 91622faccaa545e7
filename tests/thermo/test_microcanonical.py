"""Microcanonical entropy and both of its temperatures, against closed forms and exact g(E)."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from thermo.errors import InvalidInputError
from thermo.exact.density_of_states import ising_torus, ising_torus_counts
from thermo.levels import EnergyLevels
from thermo.microcanonical import Microcanonical, microcanonical
from thermo.models.two_level import TwoLevel
from thermo.thermometry import matching_beta

fixed = settings(deadline=None, derandomize=True)  # the same examples in every run

seeds = st.integers(0, 2**32 - 1)


def spins(n: int, gap: float = 1.0) -> EnergyLevels:
    up = np.arange(n + 1.0)
    return EnergyLevels(gap * up, gammaln(n + 1) - gammaln(up + 1) - gammaln(n - up + 1))


@pytest.mark.parametrize("gap", [1.0, 0.1])
def test_independent_spins(gap: float) -> None:
    # [ln g(k+1) − ln g(k−1)]/2Δ = ln[(n−k)(n−k+1)/k(k+1)]/2Δ
    n = 1000
    result = microcanonical(spins(n, gap))
    k = np.arange(1.0, n)
    exact = np.log((n - k) * (n - k + 1) / (k * (k + 1))) / (2 * gap)
    np.testing.assert_allclose(result.beta_boltzmann[1:-1], exact, rtol=1e-9, atol=1e-11)
    assert result.beta_boltzmann[0] == pytest.approx(math.log(n) / gap, rel=1e-12)
    assert result.beta_boltzmann[-1] == pytest.approx(-math.log(n) / gap, rel=1e-12)


def test_boltzmann_agrees_with_the_canonical_beta_of_a_large_system_and_gibbs_does_not() -> None:
    n = 10_000
    result = microcanonical(spins(n))
    for k in (1000, 4000, 6000, 9000):
        canonical_beta = float(matching_beta(spins(n), float(k)))
        # equal up to O(1/n)
        assert result.beta_boltzmann[k] == pytest.approx(canonical_beta, abs=10 / n)
    assert abs(result.beta_gibbs[6000] - float(matching_beta(spins(n), 6000.0))) > 0.3


def test_a_quadratic_entropy_has_its_exact_slope_on_any_grid() -> None:
    # three-point differences are exact for parabolas, equal steps or not
    rng = np.random.default_rng(20261120)
    energy = np.sort(rng.uniform(-3, 3, 40))
    result = microcanonical(EnergyLevels(energy, 50 - 2 * energy**2))
    np.testing.assert_allclose(result.beta_boltzmann[1:-1], -4 * energy[1:-1], atol=1e-10)


def test_an_exponential_volume_has_its_exact_slope_on_any_grid() -> None:
    # ln Ω = bE: g_i is what is added to Ω, and β_G = b everywhere
    rng = np.random.default_rng(20261120)
    energy = np.sort(rng.uniform(-3, 3, 40))
    for b in (1e-3, 2.0, 500.0):
        log_g = b * energy
        log_g[1:] += np.log(-np.expm1(-b * np.diff(energy)))
        result = microcanonical(EnergyLevels(energy, log_g))
        np.testing.assert_allclose(result.volume_entropy, b * energy, atol=1e-12 * b + 1e-13)
        np.testing.assert_allclose(result.beta_gibbs, b, rtol=1e-9)


# ------------------------------------------------------------------------------------------------
# the 32 × 32 Ising torus, exact

L32 = 32 * 32


@pytest.fixture(scope="module")
def torus() -> Microcanonical:
    return microcanonical(ising_torus(32))


def at(result: Microcanonical, energy_per_spin: float) -> int:
    return int(np.flatnonzero(result.energy == energy_per_spin * L32)[0])


@pytest.mark.parametrize(
    ("energy_per_spin", "beta"),
    [(-1.5, 0.44634482), (-1.0, 0.37923899), (-0.5, 0.22895830), (0.0, 0.0)],
)
def test_boltzmann_beta_of_the_ising_torus(
    torus: Microcanonical, energy_per_spin: float, beta: float
) -> None:
    assert torus.beta_boltzmann[at(torus, energy_per_spin)] == pytest.approx(beta, abs=6e-9)
    assert torus.beta_boltzmann[at(torus, -energy_per_spin)] == pytest.approx(-beta, abs=6e-9)


def test_gibbs_beta_of_the_ising_torus(torus: Microcanonical) -> None:
    assert torus.beta_gibbs[at(torus, 1.0)] == pytest.approx(1.6e-98, rel=0.04, abs=0.0)
    assert torus.beta_gibbs[at(torus, 0.0)] == pytest.approx(0.0176, abs=5e-5)
    # Ω is half of all states in the middle of the step at e = 0: β_G = g/(h W/2) up to (g/Ω)²
    i = at(torus, 0.0)
    middle = math.exp(torus.entropy[i] - (L32 - 1) * math.log(2)) / 4
    assert torus.beta_gibbs[i] == pytest.approx(middle, rel=1e-3)
    assert (torus.beta_gibbs > 0).all()


def test_gibbs_beta_keeps_its_relative_accuracy_where_it_is_exponentially_small(
    torus: Microcanonical,
) -> None:
    # The same differences of ln Ω with integers of a thousand bits.
    counts = [g for g in ising_torus_counts(32) if g]
    volume = np.cumsum(np.array(counts, dtype=object))
    for e in (-1.0, 0.0, 0.5, 1.0, 1.5):
        i = at(torus, e)
        exact = math.log1p(float(Fraction(counts[i], volume[i - 1]))) / 4
        assert torus.beta_gibbs[i] == pytest.approx(exact, rel=1e-9, abs=0.0)


def test_the_naive_ratio_is_not_the_derivative(torus: Microcanonical) -> None:
    # g/(Ω ΔE), as often written, is off by half at e = −1.
    i = at(torus, -1.0)
    naive = math.exp(torus.entropy[i] - torus.volume_entropy[i]) / 4
    assert abs(naive / torus.beta_gibbs[i] - 1) > 0.4


def test_the_bipartite_torus_is_symmetric(torus: Microcanonical) -> None:
    np.testing.assert_array_equal(torus.energy, -torus.energy[::-1])
    np.testing.assert_allclose(torus.beta_boltzmann, -torus.beta_boltzmann[::-1], atol=1e-13)


# ------------------------------------------------------------------------------------------------
# properties


def random_levels(seed: int) -> EnergyLevels:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 40))
    return EnergyLevels(
        rng.permutation(n) * 0.3 - 2.0, rng.uniform(-1, 1, n) * 10 ** rng.uniform(0, 3)
    )


@fixed
@given(seeds)
def test_gibbs_is_never_negative_and_shapes_and_order_are_kept(seed: int) -> None:
    levels = random_levels(seed)
    result = microcanonical(levels)
    assert (result.beta_gibbs >= 0).all()
    assert (np.diff(result.energy) > 0).all()
    assert (np.diff(result.volume_entropy) >= 0).all()
    for array in vars(result).values():
        assert array.shape == (len(levels),)
        assert np.isfinite(array).all()
    assert result.volume_entropy[-1] == pytest.approx(levels.log_states, rel=1e-12, abs=1e-12)


@fixed
@given(seeds)
def test_the_mirrored_spectrum_has_minus_the_boltzmann_beta(seed: int) -> None:
    levels = random_levels(seed)
    here = microcanonical(levels)
    there = microcanonical(EnergyLevels(-levels.energies, levels.log_degeneracy))
    scale = np.abs(here.beta_boltzmann).max()
    np.testing.assert_allclose(there.beta_boltzmann[::-1], -here.beta_boltzmann, atol=1e-11 * scale)


@fixed
@given(seeds, st.integers(-1000, 1000))
def test_a_gauge_shift_changes_only_the_energies(seed: int, shift: int) -> None:
    here = microcanonical(random_levels(seed))
    there = microcanonical(random_levels(seed).shifted(shift))
    np.testing.assert_allclose(there.energy - shift, here.energy, atol=1e-12)
    scale = np.abs(here.beta_boltzmann).max()
    np.testing.assert_allclose(there.beta_boltzmann, here.beta_boltzmann, atol=1e-11 * scale)
    np.testing.assert_allclose(there.beta_gibbs, here.beta_gibbs, rtol=1e-11)


def test_single_states_are_merged_into_levels() -> None:
    states = EnergyLevels([3, 1, 1, -1, -3, 1, -1, -1])
    levels = EnergyLevels([-3, -1, 1, 3], np.log([1, 3, 3, 1]))
    here, there = microcanonical(states), microcanonical(levels)
    for name in vars(here):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), atol=1e-14)


def test_energies_apart_by_rounding_only_are_one_level() -> None:
    # a ring of 6 bonds of 0.1, added up in the order of the bonds
    bits = 1 - 2 * ((np.arange(64)[:, None] >> np.arange(6)) & 1)
    bonds = -0.1 * bits * np.roll(bits, 1, axis=1)
    result = microcanonical(EnergyLevels([sum(row) for row in bonds.tolist()]))
    np.testing.assert_allclose(result.energy, [-0.6, -0.2, 0.2, 0.6], atol=1e-15)
    np.testing.assert_allclose(np.exp(result.entropy), [2, 30, 30, 2], rtol=1e-13)
    assert np.abs(result.beta_boltzmann).max() == pytest.approx(math.log(15) / 0.4, rel=1e-12)


def test_thousands_of_nats_between_neighbours_are_silent() -> None:
    result = microcanonical(EnergyLevels([0.0, 1.0, 2.0, 3.0], [0.0, 5000.0, 5000.0, 0.0]))
    expected = [5000, 5000, math.log(2), 0]
    np.testing.assert_allclose(result.beta_gibbs, expected, rtol=1e-14)
    np.testing.assert_allclose(result.beta_boltzmann, [5000, 2500, -2500, -5000], rtol=1e-14)


@pytest.mark.parametrize("energies", [[0.0], [0.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
def test_fewer_than_three_energies_have_no_slope(energies: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="at least 3"):
        microcanonical(EnergyLevels(energies))


def test_a_list_is_not_levels() -> None:
    with pytest.raises(InvalidInputError, match="EnergyLevels"):
        microcanonical([0.0, 1.0, 2.0])


def test_gibbs_beyond_the_smallest_float() -> None:
    """4000 spins near the top: against sums of integers."""
    n = 4000
    found = microcanonical(TwoLevel(n).levels())
    for k in (n // 2, n - 500, n):
        below = sum(math.comb(n, i) for i in range(k))
        exact = math.log(math.comb(n, k)) - math.log(below)  # ln x of ln(1 + x)
        if exact > -30.0:
            exact = math.log(math.log1p(math.exp(exact)))
        assert found.log_beta_gibbs[k] == pytest.approx(exact, rel=1e-10)
    assert found.log_beta_gibbs[n] < -2700.0
    assert found.beta_gibbs[n] == 0.0
