"""The canonical ensemble against closed forms, and at the ends of β."""

from __future__ import annotations

import math

import numpy as np
import pytest
from canonical_cases import INF, TWO
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from thermo.canonical import canonical
from thermo.levels import EnergyLevels

# From equal occupation to populations of 1e-304, both signs.
REDUCED = np.concatenate([sign * np.geomspace(1e-12, 700.0, 40) for sign in (-1.0, 1.0)])


@pytest.mark.parametrize("gap", [1.0, 1e-21, 3e10])
def test_two_levels_to_full_relative_accuracy_in_both_tails(gap: float) -> None:
    x = np.abs(REDUCED)
    minority = np.exp(-x) / (1.0 + np.exp(-x))
    state = canonical(EnergyLevels([0.0, gap]), REDUCED / gap)
    # relative errors of e^{−x} are x·1e-16, up to 1e-13; 1e-304 gaps of 1e-21 underflow
    close = {"rtol": 4e-13, "atol": 1e-280}
    np.testing.assert_allclose(state.entropy, np.log1p(np.exp(-x)) + x * minority, **close)
    np.testing.assert_allclose(state.heat_capacity, x**2 * minority * (1 - minority), **close)
    upper = np.where(REDUCED > 0, minority, 1.0 - minority)
    np.testing.assert_allclose(state.internal_energy / gap, upper, **close)
    log_z = np.log1p(np.exp(-x)) + np.where(REDUCED > 0, 0.0, x)
    np.testing.assert_allclose(state.log_partition_function, log_z, rtol=2e-13)
    squares = minority**2 + (1 - minority) ** 2
    np.testing.assert_allclose(state.participation_ratio, 1 / squares, rtol=1e-14)
    np.testing.assert_allclose(state.populations().probabilities[:, 1], upper, rtol=2e-13)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_schottky_peak_at_both_signs(sign: float) -> None:
    # C' = 0 where (x/2) tanh(x/2) = 1, x = 2.39935728; there C = x²/4 − 1 = 0.43922884.
    peak = minimize_scalar(
        lambda t: -float(canonical(TWO, sign / t).heat_capacity), bounds=(0.1, 2), method="bounded"
    )
    assert -peak.fun == pytest.approx(0.43923, abs=5e-6)
    assert peak.x == pytest.approx(0.41678, abs=5e-6)
    x = sign * 2.3993572805154
    assert canonical(TWO, x).heat_capacity == pytest.approx(x**2 / 4 - 1, rel=1e-12)


def test_equidistant_levels() -> None:
    n, x = 7, np.geomspace(1e-3, 90.0, 25)
    log_z = np.log1p(-np.exp(-n * x)) - np.log1p(-np.exp(-x))
    energy = 1 / np.expm1(x) - n / np.expm1(n * x)
    variance = 0.25 / np.sinh(x / 2) ** 2 - (n / 2) ** 2 / np.sinh(n * x / 2) ** 2
    levels = EnergyLevels(np.arange(float(n)))
    cold, hot = canonical(levels, x), canonical(levels, -x)
    # the closed forms cancel at small x: 1e-16/x² of the variance
    for state in (cold, hot):
        np.testing.assert_allclose(state.energy_variance, variance, rtol=1e-9)
        np.testing.assert_allclose(state.entropy, log_z + x * energy, rtol=1e-11)
    np.testing.assert_allclose(cold.internal_energy, energy, rtol=1e-11)
    np.testing.assert_allclose(hot.internal_energy, n - 1 - energy, rtol=1e-11)
    np.testing.assert_allclose(cold.log_partition_function, log_z, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("spins", [1, 10, 1000, 20000])
def test_independent_spins_are_each_a_two_level_system(spins: int) -> None:
    up = np.arange(spins + 1.0)
    log_g = gammaln(spins + 1) - gammaln(up + 1) - gammaln(spins - up + 1)
    beta = np.array([-INF, -5.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 5.0, INF])
    together, one = canonical(EnergyLevels(up, log_g), beta), canonical(TWO, beta)
    # ln g carries 1e-16 · ln g of rounding and more from gammaln
    for name in ("internal_energy", "entropy", "heat_capacity", "log_participation_ratio"):
        np.testing.assert_allclose(
            getattr(together, name) / spins, getattr(one, name), rtol=1e-9, atol=1e-13
        )


@pytest.mark.parametrize("extra", [5000.0, -5000.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_thousands_of_nats_of_degeneracy(extra: float, sign: float) -> None:
    # p₁/p₀ = e^{extra − βΔ}: the two levels cross at βΔ = extra, at either sign.
    distance = sign * np.array([30.0, 3.0, 0.1, 0.0])
    beta = extra + distance
    state = canonical(EnergyLevels([0.0, 1.0], [0.0, extra]), beta)
    upper, lower = 1.0 / (1.0 + np.exp(distance)), 1.0 / (1.0 + np.exp(-distance))
    # βΔ − extra is known to 5000 · 1e-16
    np.testing.assert_allclose(state.internal_energy, upper, rtol=2e-12)
    np.testing.assert_allclose(state.heat_capacity, beta**2 * upper * lower, rtol=2e-12)
    entropy = upper * extra - upper * np.log(upper) - lower * np.log(lower)
    np.testing.assert_allclose(state.entropy, entropy, rtol=2e-12, atol=1e-12)
    # Σ g (p/g)²: the level with few states stands alone
    few = lower if extra > 0 else upper
    expected = min(extra, 0.0) - 2 * np.log(few)
    np.testing.assert_allclose(state.log_participation_ratio, expected, rtol=2e-12, atol=1e-15)


def test_a_hidden_level_keeps_its_tiny_variance() -> None:
    # The favoured end is almost empty, a degenerate level in the middle dominates: its own gap of
    # 1e-43 in U and Var must not drown in the rounding of its distance to the end.
    levels = EnergyLevels([0.0, 1000.0, 1001.0], [0.0, 5000.0, 4900.0])
    state = canonical(levels, 1.0)
    up, down = math.exp(-101.0), math.exp(-4000.0)
    assert state.energy_variance == pytest.approx(up, rel=1e-11, abs=0.0)
    assert state.entropy == pytest.approx(5000.0, rel=1e-15)
    assert down == 0.0


def test_numbers_of_states_beyond_float64_are_infinite_not_an_error() -> None:
    state = canonical(EnergyLevels([0.0, 1.0], [5000.0, 5000.0]), 0.0)
    assert state.effective_states == INF
    assert state.participation_ratio == INF
    assert state.entropy == pytest.approx(5000 + math.log(2), rel=1e-15)


def test_a_band_of_a_million_levels() -> None:
    n = 1_000_000
    band = EnergyLevels(np.arange(n) / (n - 1))
    for beta in (-200.0, -1.0, 0.0, 1.0, 200.0):
        state, x = canonical(band, beta), abs(beta)
        h = x / (n - 1)
        if x:
            energy = (1 / math.expm1(h) - n / math.expm1(n * h)) / (n - 1)
            log_z = math.log(-math.expm1(-n * h)) - math.log(-math.expm1(-h))
        else:
            energy, log_z = 0.5, math.log(n)
        expected = energy if beta >= 0 else 1 - energy
        assert state.internal_energy == pytest.approx(expected, rel=1e-10)
        assert state.entropy == pytest.approx(log_z + x * energy, rel=1e-11)


def test_ends_and_both_zeros() -> None:
    levels = EnergyLevels([2.0, -1.0, 5.0, -1.0], np.log([1.0, 2.0, 3.0, 1.0]))
    state = canonical(levels, [INF, 0.0, -0.0, -INF])
    u0 = (2.0 - 2.0 + 15.0 - 1.0) / 7.0
    np.testing.assert_allclose(state.internal_energy, [-1.0, u0, u0, 5.0], rtol=1e-15)
    log_w = np.log([3.0, 7.0, 7.0, 3.0])
    np.testing.assert_allclose(state.entropy, log_w, rtol=1e-15)
    np.testing.assert_allclose(state.participation_ratio, [3, 7, 7, 3], rtol=1e-14)
    assert state.heat_capacity.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert state.free_energy.tolist() == [-1.0, -INF, INF, 5.0]
    np.testing.assert_allclose(
        state.log_partition_function, [INF, math.log(7), math.log(7), INF], rtol=1e-15
    )
    p = [
        [0, 2 / 3, 0, 1 / 3],
        [1 / 7, 2 / 7, 3 / 7, 1 / 7],
        [1 / 7, 2 / 7, 3 / 7, 1 / 7],
        [0, 0, 1, 0],
    ]
    np.testing.assert_allclose(state.populations().probabilities, p, rtol=1e-14)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_tiny_and_huge_beta_are_silent_and_go_to_the_ends(sign: float) -> None:
    levels = EnergyLevels([-3.0, 0.0, 4.0], [0.0, 2.0, 1.0])
    tiny, huge = sign * 1e-300, sign * 1e300
    state = canonical(levels, [tiny, sign * 5e-324, huge])
    ends = canonical(levels, [0.0, 0.0, sign * INF])
    for name in ("internal_energy", "entropy", "participation_ratio"):
        np.testing.assert_allclose(getattr(state, name), getattr(ends, name), rtol=1e-15)
    assert np.isfinite(state.heat_capacity).all()
    assert state.heat_capacity[0] < 1e-300
    assert not np.isnan(state.free_energy).any()
    assert not np.isnan(state.log_partition_function).any()


def test_one_level_has_no_temperature_dependence() -> None:
    state = canonical(EnergyLevels([3.0]), [-INF, -1.0, -0.0, 0.0, 1.0, INF])
    assert (state.internal_energy == 3.0).all()
    assert (state.free_energy == 3.0).all()
    for name in ("entropy", "heat_capacity", "energy_variance", "log_participation_ratio"):
        assert (getattr(state, name) == 0.0).all()


def test_all_levels_degenerate() -> None:
    state = canonical(EnergyLevels([3.0] * 5), [-INF, -1.0, 0.0, 1e300, INF])
    np.testing.assert_allclose(state.entropy, math.log(5), rtol=1e-15)
    assert (state.heat_capacity == 0.0).all()


def test_negative_control_the_naive_sum_over_levels_is_not_over_states() -> None:
    # Dropping the degeneracy must fail the closed form that the right sum passes.
    spins = np.arange(11.0)
    log_g = gammaln(11) - gammaln(spins + 1) - gammaln(11 - spins)
    exact = 10 * float(canonical(TWO, -0.7).entropy)
    assert canonical(EnergyLevels(spins, log_g), -0.7).entropy == pytest.approx(exact, rel=1e-11)
    assert canonical(EnergyLevels(spins), -0.7).entropy != pytest.approx(exact, rel=0.1)
