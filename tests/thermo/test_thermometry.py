"""Thermometers of either sign: matching an energy, and fitting populations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from thermo.canonical import canonical
from thermo.errors import (
    EnergyOutOfRangeError,
    InvalidInputError,
    TautologyWarning,
    TruncatedSpectrumError,
)
from thermo.levels import EnergyLevels
from thermo.populations import Populations
from thermo.thermometry import BetaFit, fit_beta, matching_beta, solve_beta

fixed = settings(deadline=None, derandomize=True)  # the same examples in every run

INF = math.inf
SEED = 20261120
TWO = EnergyLevels([0.0, 1.0])
SIX = EnergyLevels([0.0, 0.4, 1.0, 1.1, 1.9, 2.5], [0.0, 1.0, 0.5, 2.0, 0.0, 1.2])
seeds = st.integers(0, 2**32 - 1)


# ------------------------------------------------------------------------------------------------
# the β of an energy


@pytest.mark.parametrize("beta", [1e-9, 1e-3, 0.3, 2.0, 35.0, 700.0])
def test_two_levels_from_the_bottom_to_full_relative_accuracy(beta: float) -> None:
    # U = Δ/(e^{βΔ} + 1). Towards β = 0, U is 0.5 − β/4 and has 1e-16 of absolute accuracy only.
    energy = 1.0 / (math.exp(beta) + 1.0)
    assert float(matching_beta(TWO, energy)) == pytest.approx(beta, rel=1e-14, abs=1e-15)
    mirrored = EnergyLevels([0.0, -1.0])
    assert float(matching_beta(mirrored, -energy)) == pytest.approx(-beta, rel=1e-14, abs=1e-15)


@fixed
@given(seeds, st.floats(-30.0, 30.0), st.floats(-100.0, 100.0))
def test_matching_inverts_the_mean_energy(seed: int, beta: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 20))
    levels = EnergyLevels(rng.uniform(-1, 1, n) + shift, rng.uniform(-4, 4, n))
    state = canonical(levels, beta)
    # U carries the rounding of the gauge, and dβ = dU/Var
    error = 4e-16 * (abs(shift) + 1) / float(state.energy_variance + 1e-300)
    if error < 0.01:
        found = float(matching_beta(levels, state.internal_energy))
        assert found == pytest.approx(beta, abs=1e-14 * abs(beta) + 20 * error)


@pytest.mark.parametrize("seed", range(100))
def test_energies_a_few_roundings_from_infinite_temperature(seed: int) -> None:
    # The root is of the order of 1e-16 with no exact zero to hit: the solver must still end.
    rng = np.random.default_rng(np.random.SeedSequence([SEED, seed]))
    scale = 10.0 ** rng.uniform(-3, 3)
    levels = EnergyLevels(rng.normal(size=int(rng.integers(2, 30))) * scale)
    state = canonical(levels, 0.0)
    beta = matching_beta(levels, state.internal_energy * (1 + np.arange(-4, 5) * 1.1e-16))
    allowed = 1e-13 * (levels.maximum - levels.minimum + abs(levels.minimum))
    assert (np.abs(beta) * state.energy_variance < allowed).all()


def test_middle_and_ends_of_a_symmetric_spectrum() -> None:
    levels = EnergyLevels([-2.0, 0.0, 2.0], [0.0, 5000.0, 0.0])
    assert matching_beta(levels, [-2.0, 0.0, 2.0]).tolist() == [INF, 0.0, -INF]


@fixed
@given(seeds)
def test_the_mirrored_spectrum_has_minus_beta(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energies, log_g = rng.normal(size=6), rng.normal(size=6)
    target = rng.uniform(energies.min(), energies.max())
    here = float(matching_beta(EnergyLevels(energies, log_g), target))
    there = float(matching_beta(EnergyLevels(-energies, log_g), -target))
    assert there == pytest.approx(-here, rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("extra", [5000.0, -5000.0])
def test_thousands_of_nats_of_degeneracy(extra: float) -> None:
    # half of the population in each level: βΔ = ln(g₁/g₀), at either sign
    levels = EnergyLevels([0.0, 2.0], [0.0, extra])
    assert float(matching_beta(levels, 1.0)) == pytest.approx(extra / 2, rel=1e-14)


def test_levels_on_very_different_scales() -> None:
    levels = EnergyLevels([0.0, 1e-12, 1.0, 1e12])
    for beta in (1e13, 1.0, 1e-11, -1e-12):
        energy = canonical(levels, beta).internal_energy
        assert float(matching_beta(levels, energy)) == pytest.approx(beta, rel=1e-6, abs=0.0)


def test_a_million_levels() -> None:
    levels = EnergyLevels(np.linspace(0.0, 1.0, 1_000_000))
    energy = canonical(levels, -3.0).internal_energy
    assert float(matching_beta(levels, energy)) == pytest.approx(-3.0, rel=1e-10)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2), (0,)])
def test_shape_of_the_energy_is_kept(shape: tuple[int, ...]) -> None:
    beta = matching_beta(TWO, np.full(shape, 0.25))
    assert isinstance(beta, np.ndarray)
    assert beta.shape == shape
    np.testing.assert_allclose(beta, math.log(3), rtol=1e-14)


@pytest.mark.parametrize("energy", [-1e-9, 1.0 + 1e-9, [0.5, 2.0], INF, -INF])
def test_energies_outside_the_spectrum_are_refused(energy: object) -> None:
    with pytest.raises(EnergyOutOfRangeError, match="outside"):
        matching_beta(TWO, energy)


@pytest.mark.parametrize("energy", [math.nan, [0.5, math.nan], "warm", None, 1j])
def test_what_is_no_energy_is_refused(energy: object) -> None:
    with pytest.raises(InvalidInputError, match="energy"):
        matching_beta(TWO, energy)


@pytest.mark.parametrize("levels", [EnergyLevels([1.0]), EnergyLevels([1.0, 1.0])])
def test_one_energy_has_every_beta(levels: EnergyLevels) -> None:
    for energy in (1.0, 2.0):
        with pytest.raises(InvalidInputError, match="every β"):
            matching_beta(levels, energy)
    with pytest.raises(InvalidInputError, match="every β"):
        fit_beta(canonical(levels, 1.0).populations(), EnergyLevels(levels.energies + 1))


OSCILLATOR = EnergyLevels(np.arange(200.0) + 0.5, bounded_above=False)


def test_unbounded_spectrum_gives_positive_beta_as_far_as_the_list_goes() -> None:
    # U = ½ + 1/(e^β − 1). At β = 0.104 the list leaves out 9e-10 at 200 quanta, 2e-8 of β; at
    # β = 30 the rounding of ½ + 1e-13 is what limits.
    for beta, accuracy in ((0.104, 1e-7), (0.15, 1e-11), (1.0, 1e-13), (5.0, 1e-13), (30.0, 1e-4)):
        energy = 0.5 + 1 / math.expm1(beta)
        assert float(matching_beta(OSCILLATOR, energy)) == pytest.approx(beta, rel=accuracy)
    assert float(matching_beta(OSCILLATOR, 0.5)) == INF


@pytest.mark.parametrize("energy", [0.5 + 1 / math.expm1(0.1), 50.0, 100.0, 150.0, 199.5, 1e6, INF])
def test_hotter_than_the_list_of_an_unbounded_spectrum_is_refused(energy: float) -> None:
    with pytest.raises(TruncatedSpectrumError, match="list more levels"):
        matching_beta(OSCILLATOR, energy)


def test_below_the_ground_state_is_out_of_range_for_unbounded_spectra_too() -> None:
    with pytest.raises(EnergyOutOfRangeError):
        matching_beta(OSCILLATOR, 0.4)


def test_solver_with_a_mean_energy_that_is_no_spectrum() -> None:
    for beta in (-3.0, -1e-8, 0.0, 1e-8, 3.0):
        found = solve_beta(lambda b: -math.tanh(b), -math.tanh(beta), (-1.0, 1.0))
        # −tanh β is known to 1e-16, which is what β = 1e-8 is then known to
        assert found == pytest.approx(beta, rel=1e-12, abs=1e-15)
    assert solve_beta(lambda b: -math.tanh(b), -1.0, (-1.0, 1.0)) == INF
    assert solve_beta(lambda b: -math.tanh(b), 1.0 + 1e-15, (-1.0, 1.0)) == -INF


@pytest.mark.parametrize("target", [1.1, -1.1, math.nan, INF])
def test_solver_refuses_what_no_beta_gives(target: float) -> None:
    with pytest.raises(EnergyOutOfRangeError):
        solve_beta(lambda b: -math.tanh(b), target, (-1.0, 1.0))
    with pytest.raises(EnergyOutOfRangeError):
        solve_beta(lambda b: 1.0, 1.0, (1.0, 1.0))


# ------------------------------------------------------------------------------------------------
# the β of counted populations

BETAS = (-2.0, -0.5, 0.0, 0.7, 3.0)
N, REPLICATIONS = 100_000, 400


def counted(beta: float) -> Populations:
    """400 multinomial counts of 100 000 samples each at a known β: one stream for each β."""
    stream = np.random.SeedSequence(SEED).spawn(len(BETAS))[BETAS.index(beta)]
    p = canonical(SIX, beta).populations().probabilities
    counts = np.random.default_rng(stream).multinomial(N, p, size=REPLICATIONS)
    return Populations.from_counts(SIX, counts)


def standard_normal(z: np.ndarray) -> bool:
    """Kolmogorov-Smirnov, χ² of the sum of squares, and the mean, each at 3e-5.

    Together the false-alarm rate is below 1e-4. The skewness of the estimator shifts z by about
    1/√N = 0.003, 0.06 of the standard error of the mean of 400.
    """
    whole = stats.kstest(z, "norm").pvalue
    squares = stats.chi2.cdf(np.sum(z**2), z.size)
    mean = math.erfc(abs(z.mean()) * math.sqrt(z.size / 2))
    return bool(whole > 3e-5 and 1.5e-5 < squares < 1 - 1.5e-5 and mean > 3e-5)


@pytest.mark.parametrize("beta", BETAS)
def test_fit_recovers_beta_with_its_standard_error_and_misfit(beta: float) -> None:
    fit = fit_beta(counted(beta), SIX)
    assert isinstance(fit, BetaFit)
    assert fit.beta.shape == fit.stderr.shape == fit.residual.shape == (REPLICATIONS,)
    z = (fit.beta - beta) / fit.stderr
    assert standard_normal(z)
    # coverage of ±1 standard error: binomial, two-sided, 1e-5
    inside = stats.binomtest(int((np.abs(z) < 1).sum()), z.size, 0.6826894921)
    assert inside.pvalue > 1e-5
    # 2n KL is χ² with L − 2 degrees of freedom: its distribution at 3e-5, and its mean at 4.2 σ
    misfit = 2 * N * fit.residual
    assert stats.kstest(misfit, stats.chi2(4).cdf).pvalue > 3e-5
    assert abs(misfit.mean() - 4.0) < 4.2 * math.sqrt(2 * 4.0 / REPLICATIONS)


@pytest.mark.parametrize("beta", [b for b in BETAS if b != 0.0])
def test_negative_control_energies_of_the_wrong_sign(beta: float) -> None:
    fit = fit_beta(counted(beta), EnergyLevels(-SIX.energies, SIX.log_degeneracy))
    assert not standard_normal((fit.beta - beta) / fit.stderr)
    assert standard_normal((fit.beta + beta) / fit.stderr)  # it is the mirrored system


@pytest.mark.parametrize("beta", BETAS)
def test_negative_control_degeneracy_forgotten(beta: float) -> None:
    fit = fit_beta(counted(beta), EnergyLevels(SIX.energies))
    assert not standard_normal((fit.beta - beta) / fit.stderr)
    assert (2 * N * fit.residual).mean() > 100.0  # no temperature describes them


@pytest.mark.parametrize("beta", BETAS)
def test_negative_control_samples_counted_twice(beta: float) -> None:
    once = counted(beta)
    twice = Populations(SIX, once.probabilities, samples=2 * N)
    fit = fit_beta(twice, SIX)
    assert not standard_normal((fit.beta - beta) / fit.stderr)


def test_standard_error_by_hand_and_with_fewer_effective_samples() -> None:
    fit = fit_beta(Populations.from_counts(TWO, [75, 25]), TWO)
    assert fit.beta == pytest.approx(math.log(3), rel=1e-14)
    assert fit.temperature == pytest.approx(1 / math.log(3), rel=1e-14)
    assert fit.stderr == pytest.approx(1 / math.sqrt(100 * 0.25 * 0.75), rel=1e-14)
    correlated = fit_beta(Populations.from_counts(TWO, [75, 25], ess=25.0), TWO)
    assert correlated.stderr == pytest.approx(2 * float(fit.stderr), rel=1e-14)
    assert np.isnan(fit_beta(Populations(TWO, [0.75, 0.25]), TWO).stderr)


@fixed
@given(seeds)
def test_the_fit_is_the_nearest_canonical_distribution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = EnergyLevels(rng.normal(size=5), rng.normal(size=5))
    p = rng.dirichlet(np.ones(5))
    fit = fit_beta(Populations(levels, p), levels)

    def divergence(beta: float) -> float:
        q = canonical(levels, beta).populations().probabilities
        return float((xlogy(p, p) - xlogy(p, q)).sum())

    here = float(fit.beta)
    assert fit.residual == pytest.approx(divergence(here), abs=1e-11)
    width = 0.1 + 0.1 * abs(here)
    best = minimize_scalar(divergence, bounds=(here - width, here + width), method="bounded")
    assert best.fun >= float(fit.residual) - 1e-11


@fixed
@given(seeds, st.floats(-1e3, 1e3))
def test_the_fit_is_the_same_in_every_gauge(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    levels = EnergyLevels(rng.integers(-8, 8, size=6) / 8.0, rng.normal(size=6))
    if levels.minimum == levels.maximum:
        return
    populations = Populations(levels, rng.dirichlet(np.ones(6)), samples=50.0)
    here = fit_beta(populations, levels)
    there = fit_beta(populations, levels.shifted(round(shift)))  # exact in binary: no rounding
    assert (there.beta, there.stderr, there.residual) == (here.beta, here.stderr, here.residual)


@pytest.mark.parametrize("rare", [1e-5, 1e-20, 1e-300])
@pytest.mark.parametrize("offset", [0.0, -5.0, 1e6])
def test_rare_levels_count_at_both_ends_and_in_every_gauge(rare: float, offset: float) -> None:
    levels = TWO.shifted(offset)
    beta = -math.log(rare)
    cold = fit_beta(Populations(TWO, [1.0 - rare, rare]), levels)
    hot = fit_beta(Populations(TWO, [rare, 1.0 - rare]), levels)
    assert cold.beta == pytest.approx(beta, rel=1e-5)
    assert hot.beta == -cold.beta


def test_only_the_ends_populated() -> None:
    levels = EnergyLevels([0.1, 0.1, 0.2, 0.3, 0.3, 0.3], np.log([1, 1, 5, 2, 2, 2]))
    p = np.array([[0.5, 0.5, 0, 0, 0, 0], [0, 0, 0, 0.1, 0.2, 0.7]])
    fit = fit_beta(Populations.from_counts(levels, 10 * p), levels)
    assert fit.beta.tolist() == [INF, -INF]
    assert fit.stderr.tolist() == [INF, INF]
    assert fit.temperature.tolist() == [0.0, 0.0]
    assert np.signbit(fit.temperature).tolist() == [False, True]
    # at β = −∞ the three upper levels are alike; these are not, and the residual says so
    lacking = math.log(3) + float(xlogy(p[1], p[1]).sum())
    np.testing.assert_allclose(fit.residual, [0.0, lacking], atol=1e-14)


def test_populations_without_a_temperature_have_a_residual() -> None:
    levels = EnergyLevels([0.0, 1.0, 2.0])
    fit = fit_beta(Populations(levels, [0.5, 0.0, 0.5]), levels)
    assert fit.beta == pytest.approx(0.0, abs=1e-15)
    assert fit.residual == pytest.approx(math.log(3) - math.log(2), rel=1e-14)


def test_leading_axes() -> None:
    p = np.random.default_rng(SEED).dirichlet(np.ones(6), size=(2, 3))
    fit = fit_beta(Populations(SIX, p), SIX)
    assert fit.beta.shape == fit.stderr.shape == fit.residual.shape == (2, 3)
    for i in np.ndindex(2, 3):
        assert fit_beta(Populations(SIX, p[i]), SIX).beta == pytest.approx(fit.beta[i], rel=1e-12)
    assert fit_beta(Populations(SIX, np.empty((0, 6))), SIX).beta.shape == (0,)


# ------------------------------------------------------------------------------------------------
# the tautology guard: pytest turns any warning that is not expected into an error


@pytest.mark.parametrize("reference", [SIX, EnergyLevels(SIX.energies, SIX.log_degeneracy)])
def test_populations_fitted_against_their_own_levels_warn(reference: EnergyLevels) -> None:
    with pytest.warns(TautologyWarning, match="these very levels") as caught:
        fit = fit_beta(canonical(SIX, [-0.4, 2.0]).populations(), reference)
    assert caught[0].filename == __file__
    np.testing.assert_allclose(fit.beta, [-0.4, 2.0], rtol=1e-12)
    np.testing.assert_allclose(fit.residual, 0.0, atol=1e-14)


def test_another_gauge_is_no_other_origin() -> None:
    with pytest.warns(TautologyWarning):
        fit_beta(canonical(SIX.shifted(3.0), 1.0).populations(), SIX)


def test_a_shared_name_warns() -> None:
    levels = EnergyLevels([0.0, 1.0], provenance="clean logits")
    with pytest.warns(TautologyWarning):
        fit_beta(Populations(levels, [0.4, 0.6], provenance="clean logits"), levels)


def test_other_origins_do_not_warn() -> None:
    noisy = EnergyLevels(SIX.energies + 0.01 * np.arange(6) ** 2, SIX.log_degeneracy)
    p = canonical(SIX, 1.0).populations()
    fit_beta(canonical(noisy, 1.0).populations(), SIX)
    fit_beta(Populations.from_counts(SIX, [1, 2, 3, 4, 5, 6]), SIX)
    fit_beta(Populations(SIX, p.probabilities, provenance="another machine"), SIX)
    fit_beta(canonical(SIX, [0.5, 2.0]).populations().mean(), SIX)


@pytest.mark.parametrize(
    ("populations", "reference", "words"),
    [
        (Populations(TWO, [0.5, 0.5]), SIX, "2 levels and the reference 6"),
        (Populations(TWO, [0.5, 0.5]), [0.0, 1.0], "EnergyLevels"),
        ([0.5, 0.5], TWO, "Populations"),
        (TWO, Populations(TWO, [0.5, 0.5]), "EnergyLevels"),
    ],
)
def test_bad_input_to_the_fit(populations: object, reference: object, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        fit_beta(populations, reference)
    assert "\n" not in str(caught.value)


def test_inverted_populations_of_an_unbounded_spectrum_have_no_beta() -> None:
    p = np.arange(200.0)
    with pytest.raises(TruncatedSpectrumError):
        fit_beta(Populations(OSCILLATOR, p / p.sum()), OSCILLATOR)


def test_the_same_levels_in_another_gauge_are_still_the_same_levels() -> None:
    """Log-probabilities of the logits that made the populations: the β put in comes back."""
    rng = np.random.default_rng(20261120)
    logits = rng.normal(size=50)
    made = canonical(EnergyLevels(-logits), 0.8).populations()
    log_probabilities = logits - np.log(np.exp(logits).sum())
    with pytest.warns(TautologyWarning):
        fit_beta(made, EnergyLevels(-log_probabilities))
