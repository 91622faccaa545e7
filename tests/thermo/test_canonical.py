"""The canonical ensemble: closed forms, identities and extremes at β of both signs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from thermo.canonical import CanonicalState, Thermodynamics, boltzmann_sums, canonical
from thermo.errors import InvalidInputError, TruncatedSpectrumError, UnboundedSpectrumError
from thermo.levels import EnergyLevels

fixed = settings(deadline=None, derandomize=True)  # the same examples in every run

INF = math.inf
TWO = EnergyLevels([0.0, 1.0])
FIELDS = (
    "log_partition_function",
    "internal_energy",
    "energy_variance",
    "entropy",
    "log_participation_ratio",
    "heat_capacity",
    "free_energy",
    "effective_states",
    "participation_ratio",
    "equivalent_dof",
)
# From equal occupation to populations of 1e-304, both signs.
REDUCED = np.concatenate([sign * np.geomspace(1e-12, 700.0, 40) for sign in (-1.0, 1.0)])


# ------------------------------------------------------------------------------------------------
# closed forms


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


# ------------------------------------------------------------------------------------------------
# the ends and the extremes of β


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


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3), (0,), (2, 0)])
def test_everything_is_shaped_like_beta(shape: tuple[int, ...]) -> None:
    state = canonical(TWO, np.full(shape, -0.5))
    for name in ("beta", *FIELDS):
        assert np.shape(getattr(state, name)) == shape
    assert state.populations().probabilities.shape == (*shape, 2)


# ------------------------------------------------------------------------------------------------
# identities

betas = st.floats(-6.0, 6.0)
seeds = st.integers(0, 2**32 - 1)


def random_levels(seed: int) -> EnergyLevels:
    """1 to 12 levels between −2 and 2, some equal, some with degeneracy e^{−3…3}."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 13))
    energies = rng.choice([rng.uniform(-2, 2, n), rng.integers(-2, 3, n).astype(float)])
    return EnergyLevels(energies, rng.choice([np.zeros(n), rng.uniform(-3, 3, n)]))


@fixed
@given(seeds, betas, st.floats(0.01, 2.0))
def test_derivatives(seed: int, beta: float, width: float) -> None:
    """dlnZ = −U dβ, dU = −Var dβ, dS = β dU, C = −β² dU/dβ, each integrated over an interval.

    Gauss-Legendre with 40 nodes is exact to rounding here (integrands analytic within
    |Im β| < π/4), so there is no error of finite differences to allow for.
    """
    levels = random_levels(seed)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    inside = canonical(levels, beta + 0.5 * width * (nodes + 1.0))
    first, last = canonical(levels, beta), canonical(levels, beta + width)
    w = 0.5 * width * weights

    def change(name: str) -> float:
        return float(getattr(last, name) - getattr(first, name))

    close = {"rel": 1e-10, "abs": 1e-11}
    assert change("log_partition_function") == pytest.approx(-w @ inside.internal_energy, **close)
    assert change("internal_energy") == pytest.approx(-w @ inside.energy_variance, **close)
    slope = -inside.energy_variance
    assert change("entropy") == pytest.approx(w @ (inside.beta * slope), **close)
    np.testing.assert_allclose(inside.heat_capacity, -(inside.beta**2) * slope, rtol=1e-13)


@fixed
@given(seeds, betas)
def test_entropy_and_free_energy_follow_from_ln_z(seed: int, beta: float) -> None:
    state = canonical(random_levels(seed), beta)
    assert state.entropy == pytest.approx(
        float(state.log_partition_function + beta * state.internal_energy), abs=1e-12
    )
    if abs(beta) > 1e-3:
        expected = -float(state.log_partition_function) / beta
        assert state.free_energy == pytest.approx(expected, rel=1e-11, abs=1e-11)
    assert state.equivalent_dof == 2 * state.heat_capacity


@fixed
@given(seeds, betas)
def test_populations_have_the_same_energy_and_entropy(seed: int, beta: float) -> None:
    state = canonical(random_levels(seed), beta)
    populations = state.populations()
    assert populations.internal_energy == pytest.approx(float(state.internal_energy), abs=1e-13)
    assert populations.entropy == pytest.approx(float(state.entropy), abs=1e-12)
    p, log_g = populations.probabilities, populations.levels.log_degeneracy
    purity = float((p**2 / np.exp(log_g)).sum())
    assert state.participation_ratio == pytest.approx(1 / purity, rel=1e-12)


@fixed
@given(seeds, betas, st.floats(-1e3, 1e3))
def test_gauge_shift_changes_only_u_f_and_ln_z(seed: int, beta: float, shift: float) -> None:
    levels = random_levels(seed)
    here, there = canonical(levels, beta), canonical(levels.shifted(shift), beta)
    # the shift itself rounds the energies to 1e-13
    for name in ("entropy", "heat_capacity", "log_participation_ratio", "energy_variance"):
        assert getattr(there, name) == pytest.approx(float(getattr(here, name)), abs=1e-10)
    np.testing.assert_allclose(
        there.populations().probabilities, here.populations().probabilities, atol=1e-11
    )
    assert there.internal_energy == pytest.approx(float(here.internal_energy) + shift, abs=1e-10)


@fixed
@given(seeds, betas)
def test_the_order_of_the_levels_does_not_matter(seed: int, beta: float) -> None:
    levels = random_levels(seed)
    order = np.random.default_rng(seed).permutation(len(levels))
    other = EnergyLevels(levels.energies[order], levels.log_degeneracy[order])
    here, there = canonical(levels, beta), canonical(other, beta)
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(there, name), getattr(here, name), rtol=1e-11, atol=1e-13
        )
    np.testing.assert_allclose(
        there.populations().probabilities, here.populations().probabilities[order], atol=1e-14
    )


@fixed
@given(seeds, st.one_of(betas, st.sampled_from([-INF, INF])), st.floats(0.01, 0.99))
def test_a_degenerate_level_may_be_split_into_two(seed: int, beta: float, share: float) -> None:
    levels = random_levels(seed)
    log_g = levels.log_degeneracy.copy()
    split = np.append(log_g, log_g[0] + math.log(share))
    split[0] += math.log1p(-share)
    apart = EnergyLevels(np.append(levels.energies, levels.energies[0]), split)
    here, there = canonical(levels, beta), canonical(apart, beta)
    for name in ("internal_energy", "entropy", "heat_capacity", "log_participation_ratio"):
        np.testing.assert_allclose(
            getattr(there, name), getattr(here, name), rtol=1e-11, atol=1e-12
        )


@fixed
@given(seeds, st.one_of(betas, st.sampled_from([-INF, 1e-300, INF])))
def test_the_mirrored_spectrum_is_the_same_physics_at_minus_beta(seed: int, beta: float) -> None:
    levels = random_levels(seed)
    mirrored = EnergyLevels(-levels.energies, levels.log_degeneracy)
    here, there = canonical(levels, beta), canonical(mirrored, -beta)
    for name in ("entropy", "heat_capacity", "log_participation_ratio", "energy_variance"):
        assert getattr(there, name) == getattr(here, name)  # to the last bit
    assert there.internal_energy == -here.internal_energy


@fixed
@given(seeds, st.one_of(betas, st.sampled_from([-INF, -1e300, 0.0, 1e300, INF])))
def test_inequalities(seed: int, beta: float) -> None:
    levels = random_levels(seed)
    state = canonical(levels, beta)
    tiny = 1e-12
    assert state.entropy <= levels.log_states + tiny
    assert state.log_participation_ratio <= state.entropy + tiny  # Rényi: S₂ ≤ S₁
    assert levels.minimum - tiny <= state.internal_energy <= levels.maximum + tiny
    assert state.energy_variance >= 0
    assert state.heat_capacity >= 0
    if (levels.log_degeneracy >= 0).all():
        assert state.entropy >= 0
        assert state.log_participation_ratio >= -tiny


@fixed
@given(seeds)
def test_energy_falls_and_entropy_is_an_arch(seed: int) -> None:
    beta = np.linspace(-6, 6, 101)
    state = canonical(random_levels(seed), beta)
    assert (np.diff(state.internal_energy) <= 1e-13).all()
    assert (np.diff(state.entropy[beta <= 0]) >= -1e-13).all()
    assert (np.diff(state.entropy[beta >= 0]) <= 1e-13).all()


@fixed
@given(seeds, st.lists(st.one_of(betas, st.sampled_from([-INF, -0.0, 0.0, INF])), max_size=8))
def test_many_beta_at_once_are_each_alone(seed: int, several: list[float]) -> None:
    levels = random_levels(seed)
    together = canonical(levels, several)
    for i, beta in enumerate(several):
        alone = canonical(levels, beta)
        for name in FIELDS:
            np.testing.assert_allclose(
                getattr(together, name)[i], getattr(alone, name), rtol=1e-14, atol=1e-300
            )


def test_negative_control_the_naive_sum_over_levels_is_not_over_states() -> None:
    # Dropping the degeneracy must fail the closed form that the right sum passes.
    spins = np.arange(11.0)
    log_g = gammaln(11) - gammaln(spins + 1) - gammaln(11 - spins)
    exact = 10 * float(canonical(TWO, -0.7).entropy)
    assert canonical(EnergyLevels(spins, log_g), -0.7).entropy == pytest.approx(exact, rel=1e-11)
    assert canonical(EnergyLevels(spins), -0.7).entropy != pytest.approx(exact, rel=0.1)


# ------------------------------------------------------------------------------------------------
# spectra without an upper bound

OSCILLATOR = EnergyLevels(np.arange(400.0), bounded_above=False)


def test_truncated_oscillator_meets_its_closed_form_where_it_is_accepted() -> None:
    # At most 1e-9 of the population is missing, at energies of up to 21/β: U is off by a few
    # 1e-8 at the worst, C by a few 1e-7.
    beta = np.array([0.052, 0.1, 1.0, 10.0, 700.0, INF])
    state = canonical(OSCILLATOR, beta)
    x = beta[:-1]
    np.testing.assert_allclose(state.internal_energy[:-1], 1 / np.expm1(x), rtol=3e-8)
    np.testing.assert_allclose(state.heat_capacity[:-1], (x / 2 / np.sinh(x / 2)) ** 2, rtol=1e-6)
    np.testing.assert_allclose(
        state.entropy[:-1], x / np.expm1(x) - np.log1p(-np.exp(-x)), rtol=1e-8
    )
    assert (state.internal_energy[-1], state.entropy[-1]) == (0.0, 0.0)


def test_the_missing_fraction_of_an_oscillator_is_estimated_exactly() -> None:
    # n levels leave out e^{−nβ}: accepted up to 1e-9, refused just beyond.
    edge = math.log(1e9) / 400
    canonical(OSCILLATOR, edge * 1.0001)
    with pytest.raises(TruncatedSpectrumError, match="list more levels"):
        canonical(OSCILLATOR, edge * 0.9999)


@pytest.mark.parametrize("beta", [1e-300, 0.001, [1.0, 0.01]])
def test_a_list_that_ends_too_early_is_refused(beta: object) -> None:
    with pytest.raises(TruncatedSpectrumError):
        canonical(OSCILLATOR, beta)


def test_a_list_of_states_is_refused_like_a_list_of_levels() -> None:
    # three oscillators, 2-fold as levels with g and as single states, must agree on the edge
    shells = np.arange(60.0)
    g = (shells + 1) * (shells + 2) / 2
    levels = EnergyLevels(shells, np.log(g), bounded_above=False)
    states = EnergyLevels(np.repeat(shells, g.astype(int)), bounded_above=False)
    for beta in np.geomspace(0.3, 0.8, 30):
        outcomes = []
        for spectrum in (levels, states):
            try:
                canonical(spectrum, beta)
                outcomes.append(True)
            except TruncatedSpectrumError:
                outcomes.append(False)
        assert outcomes[0] == outcomes[1]


def test_dense_levels_do_not_hide_what_is_missing() -> None:
    # spacing kT/1000: the last level holds 1e-9, yet e^{−βE} = 1e-6 lies above it
    beta, top = 1.0, math.log(1e6)
    dense = EnergyLevels(np.arange(0.0, top, 1e-3), bounded_above=False)
    with pytest.raises(TruncatedSpectrumError):
        canonical(dense, beta)


@pytest.mark.parametrize("beta", [-INF, -1.0, -1e-300, -0.0, 0.0, [1.0, -2.0], [[0.0]]])
def test_no_equilibrium_without_an_upper_bound_at_beta_not_positive(beta: object) -> None:
    with pytest.raises(UnboundedSpectrumError, match="no upper bound"):
        canonical(OSCILLATOR, beta)


def test_one_level_of_an_endless_spectrum_is_not_enough() -> None:
    with pytest.raises(TruncatedSpectrumError):
        canonical(EnergyLevels([0.0], bounded_above=False), 1.0)
    assert canonical(EnergyLevels([0.0, 1.0], bounded_above=False), INF).entropy == 0.0


# ------------------------------------------------------------------------------------------------
# batches of spectra, and bad input


def test_a_batch_of_spectra_is_each_alone() -> None:
    rng = np.random.default_rng(20261120)
    energies, log_g = rng.normal(size=(2, 3, 8)), rng.normal(size=(3, 8))
    beta = [-INF, -1.0, 0.0, 2.0]
    batch = boltzmann_sums(energies, log_g, beta)
    assert isinstance(batch, Thermodynamics)
    assert batch.entropy.shape == (2, 3, 4)
    for i in np.ndindex(2, 3):
        alone = canonical(EnergyLevels(energies[i], log_g[i[1]]), beta)
        assert isinstance(alone, CanonicalState)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(batch, name)[i], getattr(alone, name))
    assert boltzmann_sums(energies, None, -0.5).internal_energy.shape == (2, 3)


@pytest.mark.parametrize("beta", [-INF, -1.0, -0.0, 0.0, 1.0, INF])
@pytest.mark.parametrize("hidden", [0.0, 1e6, INF, -INF, math.nan])
def test_a_masked_level_is_not_there(beta: float, hidden: float) -> None:
    masked = boltzmann_sums([hidden, 1.0, -2.0, hidden], [-INF, 0.5, 0.0, -INF], beta)
    open_only = boltzmann_sums([1.0, -2.0], [0.5, 0.0], beta)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(masked, name), getattr(open_only, name))


def test_more_numbers_than_are_held_at_once() -> None:
    # 3 · 2²¹ numbers are summed in two parts
    levels = EnergyLevels(np.linspace(-1, 1, 1 << 21))
    beta = np.array([-1.0, 0.0, 1.0])
    state = canonical(levels, beta)
    np.testing.assert_allclose(
        state.internal_energy, -beta / 3 + 2 * beta**3 / 90, atol=3e-3
    )  # the Langevin function, to fifth order
    assert state.entropy[0] == pytest.approx(state.entropy[2], rel=1e-13)


BAD_SPECTRA = {
    "scalar": (1.0, None),
    "no levels": ([], None),
    "no levels in a batch": (np.empty((3, 0)), None),
    "nan": ([0.0, math.nan], None),
    "infinite": ([0.0, INF], None),
    "infinite and open": ([0.0, INF], [0.0, 0.0]),
    "nan degeneracy": ([0.0, 1.0], [0.0, math.nan]),
    "infinite degeneracy": ([0.0, 1.0], [0.0, INF]),
    "all masked": ([[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [-INF, -INF]]),
    "shapes": ([0.0, 1.0], [0.0, 0.0, 0.0]),
    "more axes": ([0.0, 1.0], [[0.0, 0.0], [0.0, 0.0]]),
    "text": (["a", "b"], None),
    "complex": (np.array([1j, 0]), None),
}


@pytest.mark.parametrize(("energies", "log_g"), BAD_SPECTRA.values(), ids=BAD_SPECTRA.keys())
def test_bad_spectra_are_refused_in_one_line(energies: object, log_g: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        boltzmann_sums(energies, log_g, 1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("beta", [math.nan, [0.0, math.nan], "hot", None, 1j])
def test_bad_beta_is_refused_before_anything_else(beta: object) -> None:
    for function in (lambda: canonical(TWO, beta), lambda: boltzmann_sums([math.nan], None, beta)):
        with pytest.raises(InvalidInputError, match="β"):
            function()
    with pytest.raises(InvalidInputError, match="β"):
        canonical(OSCILLATOR, beta)


def test_a_list_is_not_levels() -> None:
    with pytest.raises(InvalidInputError, match="EnergyLevels"):
        canonical([0.0, 1.0], 1.0)
