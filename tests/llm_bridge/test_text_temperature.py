"""Temperature of a text: exact where it can be, calibrated where it is statistical.

Seeds are fixed. Statistical limits are stated where they stand; each has a false-alarm rate of at
most 1e-4.
"""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import chdtri, eval_legendre
from scipy.stats import kstest

import llm_bridge
from llm_bridge.commands.text_temperature import text_temperature_command
from llm_bridge.logits import LogitRecord
from llm_bridge.text.block_bootstrap import block_length, resampled_sums
from llm_bridge.text.likelihood import drawn_energies, end_bound, maximum_likelihood
from llm_bridge.text.misfit import _legendre_means, _rank_sums, misfit_of
from llm_bridge.text.pictures import TextPanel, text_overview
from llm_bridge.text.temperature import TextTemperature, text_temperature
from llm_bridge.text.windows import BetaAlongText, beta_along
from thermo.errors import InvalidInputError

BETAS = (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
ALONG = ("start", "stop", "window_beta", "window_stderr")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "text_temperature.py"


def draw(rng: np.random.Generator, logits: np.ndarray, beta: Any) -> np.ndarray:
    """Tokens from p ∝ exp(βz): the largest of βz + Gumbel noise."""
    return (np.asarray(beta) * logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def spectra(rng: np.random.Generator, positions: int, tokens: int = 20) -> np.ndarray:
    """Rows of logits of very different spread, as those of a model are."""
    return rng.normal(0, rng.uniform(0.5, 4, (positions, 1)), (positions, tokens))


def two_level(first: int, second: int, gap: float = 1.0) -> LogitRecord:
    return LogitRecord([[gap, 0.0]] * (first + second), [0] * first + [1] * second)


def log_p(logits: np.ndarray, beta: float) -> np.ndarray:
    x = beta * logits
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


# --- exact references -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "gap"), [(30, 10, 1.0), (10, 30, 1.0), (20, 20, 2.0), (999, 1, 1 / 128)]
)
def test_two_levels(first: int, second: int, gap: float) -> None:
    """ln(n₁/n₀)/Δ, at either sign, and 1/√(N p (1−p) Δ²)."""
    fit = text_temperature(two_level(first, second, gap))
    n, p = first + second, first / (first + second)
    assert fit.beta == pytest.approx(math.log(first / second) / gap, abs=1e-9 / gap)
    assert fit.curvature_error == pytest.approx(1 / (gap * math.sqrt(n * p * (1 - p))), rel=1e-9)
    assert fit.stderr >= fit.curvature_error
    if first != second:
        assert fit.temperature == pytest.approx(gap / math.log(first / second))
    assert fit.positions == n


@pytest.mark.parametrize("beta", [-1.3, 0.0, 0.8])
def test_cross_entropy_at_the_fit_is_the_entropy_there(beta: float) -> None:
    """The identity of maximum likelihood, against log-softmax written out here."""
    rng = np.random.default_rng(1)
    logits = spectra(rng, 200).astype(np.float32).astype(np.float64)
    tokens = draw(rng, logits, beta)
    fit = text_temperature(LogitRecord(logits, tokens))
    fitted = log_p(logits, fit.beta)
    assert -fitted[np.arange(200), tokens].mean() == pytest.approx(fit.fitted_entropy, abs=1e-10)
    assert -(np.exp(fitted) * fitted).sum(1).mean() == pytest.approx(fit.fitted_entropy, abs=1e-10)
    model = log_p(logits, 1.0)
    np.testing.assert_allclose(fit.surprisal, -model[np.arange(200), tokens], atol=1e-10)
    assert fit.cross_entropy == pytest.approx(fit.surprisal.mean())
    assert fit.entropy == pytest.approx(-(np.exp(model) * model).sum(1).mean())
    assert fit.perplexity == pytest.approx(math.exp(fit.surprisal.mean()))
    assert fit.fitted_perplexity == pytest.approx(math.exp(fit.fitted_entropy))
    assert fit.gain >= 0
    for other in (fit.beta - 0.01, fit.beta + 0.01):  # and it is a maximum
        assert -log_p(logits, other)[np.arange(200), tokens].mean() > fit.fitted_entropy


def test_residuals_are_standardised_scores() -> None:
    rng = np.random.default_rng(2)
    logits = spectra(rng, 50)
    logits[7] = 3.0  # every token alike: nothing to tell
    tokens = draw(rng, logits, 1.0)
    fit = text_temperature(LogitRecord(logits, tokens))
    p = np.exp(log_p(logits, fit.beta))
    mean = (p * logits).sum(1)
    spread = np.sqrt((p * (logits - mean[:, None]) ** 2).sum(1))
    assert np.isnan(fit.residual[7])
    rest = np.arange(50) != 7
    expected = (logits[np.arange(50), tokens] - mean)[rest] / spread[rest]
    np.testing.assert_allclose(fit.residual[rest], expected, atol=1e-5)
    assert (fit.residual * spread)[rest].sum() == pytest.approx(0, abs=1e-6)


def test_symmetries() -> None:
    """−z has −β; a constant per position, an order of tokens, padding and masks change nothing."""
    rng = np.random.default_rng(3)
    logits = np.round(spectra(rng, 120, 12), 3)  # float32 keeps differences of these
    tokens = draw(rng, logits, 0.7)
    fit = text_temperature(LogitRecord(logits, tokens))
    assert text_temperature(LogitRecord(-logits, tokens)).beta == pytest.approx(-fit.beta, abs=1e-9)
    shifted = text_temperature(LogitRecord(logits + rng.integers(-8, 8, (120, 1)), tokens))
    assert shifted.beta == pytest.approx(fit.beta, abs=1e-5)
    order = rng.permutation(12)
    moved = text_temperature(LogitRecord(logits[:, order], np.argsort(order)[tokens]))
    padded = np.concatenate([logits, np.full((120, 3), np.nan)], axis=1)
    padded = LogitRecord(padded, tokens, np.arange(15) < 12)
    masked = np.concatenate([np.full((120, 2), np.finfo(np.float32).min), logits], axis=1)
    masked[0, 0] = -np.inf
    for other in (
        moved,
        text_temperature(padded),
        text_temperature(LogitRecord(masked, tokens + 2)),
        text_temperature(LogitRecord(masked, tokens + 2, np.ones(14, dtype=bool))),
    ):
        assert other.beta == pytest.approx(fit.beta, abs=1e-9)
        assert other.misfit.p_value == pytest.approx(fit.misfit.p_value, abs=1e-6)
        assert other.scale == pytest.approx(fit.scale)


@pytest.mark.parametrize(("tokens", "beta"), [([0] * 20, math.inf), ([1] * 20, -math.inf)])
def test_a_text_at_an_end(tokens: list[int], beta: float) -> None:
    """β = ±∞ with a one-sided bound: p²⁰ = 0.05 for a logistic p."""
    fit = text_temperature(LogitRecord([[1.0, 0.0]] * 20, tokens))
    p = 0.05 ** (1 / 20)
    bound = math.copysign(math.log(p / (1 - p)), beta)
    assert fit.beta == beta
    assert math.copysign(1, fit.temperature) == math.copysign(1, beta)
    assert fit.temperature == 0
    assert fit.stderr == math.inf
    assert sorted(fit.interval) == pytest.approx(sorted([bound, beta]), rel=1e-5)
    assert fit.fitted_entropy == 0
    assert math.isnan(fit.misfit.p_value)
    assert np.isnan(fit.residual).all()


def test_ends_with_ties_and_single_tokens() -> None:
    tied = LogitRecord([[2.0, 2.0, 0.0]] * 3, [0, 1, 0])
    fit = text_temperature(tied)
    assert fit.beta == math.inf
    assert fit.fitted_entropy == pytest.approx(math.log(2))
    one = text_temperature(LogitRecord([[1.0, 0.0]], [0]))  # p > 0.05 as long as β > −2.9
    assert one.interval == pytest.approx((-math.log(19), math.inf))
    assert one.temperature_interval == pytest.approx((0.0, -1 / math.log(19)))
    middle = text_temperature(LogitRecord([[1.0, 0.0, -1.0]], [1]))
    assert middle.beta == pytest.approx(0.0, abs=1e-9)
    assert math.isnan(middle.bootstrap_error)
    bounds = [end_bound(drawn_energies(tied), math.inf, level) for level in (0.05, 0.5, 0.9)]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("beta", [-300.0, 40.0, 1e6])
def test_steep_and_shallow_spectra(beta: float) -> None:
    """The bracket finds β of any size: two levels with the gap ln 3/β."""
    record = two_level(30, 10, 1 / 64)
    scaled = LogitRecord(record.logits * 64 / beta * np.float64(math.log(3)), record.token_ids)
    assert maximum_likelihood(drawn_energies(scaled))[0] == pytest.approx(beta, rel=1e-6)
    assert maximum_likelihood(drawn_energies(scaled), -5.0)[0] == pytest.approx(beta, rel=1e-6)


def test_temperature_interval_runs_from_cold_to_hot() -> None:
    through_infinity = text_temperature(two_level(11, 10))
    cold, hot = through_infinity.temperature_interval
    assert cold > 0 > hot
    low, high = through_infinity.interval
    assert (cold, hot) == pytest.approx((1 / high, 1 / low))


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (LogitRecord([[0.0, 1.0], [0.0, -np.inf]], [1, 1]), "at position 1, is masked"),
        (LogitRecord([[0.0, 1.0]], [1], np.array([True, False])), "is masked"),
        (LogitRecord([[2.0, 2.0]] * 5, [0] * 5), "all equal"),
        (np.zeros((3, 3)), "LogitRecord is needed"),
    ],
)
def test_refusals(record: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        text_temperature(record)


def test_refused_settings() -> None:
    for wrong in ({"replicates": 1}, {"seed": -1}):
        with pytest.raises(InvalidInputError):
            text_temperature(two_level(3, 2), **wrong)
    for wrong in ({"window": 0}, {"stride": 0}, *({"start": s} for s in ("x", None, math.nan, []))):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            beta_along(two_level(3, 2), **wrong)


# --- errors ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits() -> list[tuple[float, TextTemperature]]:
    """60 texts of 150 tokens each, drawn at six β."""
    rng = np.random.default_rng(20261121)
    out = []
    for k in range(60):
        logits = spectra(rng, 150)
        beta = BETAS[k % len(BETAS)]
        record = LogitRecord(logits, draw(rng, logits, beta))
        out.append((beta, text_temperature(record, replicates=100)))
    return out


def test_known_beta_is_recovered(fits: list[tuple[float, TextTemperature]]) -> None:
    """Σz² of 60 texts is χ²; limits at 5e-5 on either side."""
    z = np.array([(fit.beta - beta) / fit.curvature_error for beta, fit in fits])
    low, high = chdtri(60, 1 - 5e-5), chdtri(60, 5e-5)
    assert low < np.square(z).sum() < high
    wrong = z + np.array([0.1 / fit.curvature_error for _, fit in fits])  # negative control
    assert np.square(wrong).sum() > high


def test_both_errors_agree_on_independent_tokens(fits: list[tuple[float, TextTemperature]]) -> None:
    """100 replicates know an error to 7 %; the mean of 60 ratios to 1 %; ±8 % is allowed."""
    ratio = np.array([fit.bootstrap_error / fit.curvature_error for _, fit in fits])
    assert ratio.mean() == pytest.approx(1.0, abs=0.08)
    for _, fit in fits:
        assert fit.stderr == max(fit.curvature_error, fit.bootstrap_error)


def test_blocks_see_correlation() -> None:
    """Every token thrice: the truth is √3 times the curvature, known here to about 8 %."""
    rng = np.random.default_rng(4)
    logits = spectra(rng, 1000)
    tokens = draw(rng, logits, 1.0)
    fit = text_temperature(LogitRecord(np.repeat(logits, 3, axis=0), np.repeat(tokens, 3)))
    assert fit.block_length > 1
    assert fit.bootstrap_error / fit.curvature_error == pytest.approx(math.sqrt(3), rel=0.33)
    assert fit.stderr == fit.bootstrap_error


def test_block_length() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=4000)
    slow = np.convolve(noise, 0.9 ** np.arange(100), "valid")
    # AR(1): G = 2ρ/(1−ρ)²·γ(1−ρ²)⁻¹…, whose ratio to g is 2ρ/(1−ρ²) = 9.5: ℓ = (1.5·9.5²·N)^⅓.
    expected = (1.5 * (2 * 0.9 / (1 - 0.81)) ** 2 * slow.size) ** (1 / 3)
    assert block_length(noise) <= 6
    assert expected / 2 < block_length(slow) < 2 * expected
    assert block_length(np.ones(50)) == 1
    assert block_length([1.0, -1.0] * 500) <= 3 * math.sqrt(1000)
    for wrong in ([1.0], [[1.0, 2.0]], [1.0, math.nan]):
        with pytest.raises(InvalidInputError):
            block_length(wrong)


@pytest.mark.parametrize("length", [1, 7, 30])
def test_resampled_sums(length: int) -> None:
    """All of a constant; whole rings exactly; mean and variance of the block sums of noise."""
    rng = np.random.default_rng(6)
    values = np.stack([np.ones(30), rng.normal(size=30)], axis=1)
    sums = resampled_sums(values, length, 4000, rng)
    np.testing.assert_allclose(sums[:, 0], 30.0)
    if length == 30:  # every replicate is the ring itself
        np.testing.assert_allclose(sums[:, 1], values[:, 1].sum())
    error = sums[:, 1].std() / math.sqrt(4000)
    assert abs(sums[:, 1].mean() - values[:, 1].sum()) < 4.5 * error + 1e-9
    if length == 1:
        assert sums[:, 1].var() == pytest.approx(30 * values[:, 1].var(), rel=0.1)  # 2.2 % known


def test_the_bootstrap_is_reproducible() -> None:
    rng = np.random.default_rng(7)
    logits = spectra(rng, 100)
    record = LogitRecord(logits, draw(rng, logits, 1.0))
    first, again, other = (text_temperature(record, seed=s) for s in (1, 1, 2))
    assert first.bootstrap_error == again.bootstrap_error != other.bootstrap_error
    assert first.beta == other.beta


# --- misfit ---------------------------------------------------------------------------------------


def test_p_values_are_uniform(fits: list[tuple[float, TextTemperature]]) -> None:
    """Kolmogorov-Smirnov at 1e-5 for the two exact laws; none too small for the others."""
    for name in ("shape_p", "entropy_p"):
        p = np.array([getattr(fit.misfit, name) for _, fit in fits])
        p = p[np.isfinite(p)]  # at β = 2 some texts are too short for the last test
        assert p.size > 50
        assert kstest(p, "uniform").pvalue > 1e-5
        assert kstest(p / 4, "uniform").pvalue < 1e-5  # negative control
    for name in ("drift_p", "p_value"):  # conservative: P(p < α) ≤ α
        p = [getattr(fit.misfit, name) for _, fit in fits]
        assert kstest(p, "uniform", alternative="greater").pvalue > 1e-5


def written(kind: str) -> LogitRecord:
    """Texts of 2000 tokens that no constant β describes, but for one."""
    rng = np.random.default_rng(8)
    logits = spectra(rng, 2000, 30)
    beta: Any = 1.0
    if kind == "two temperatures":
        beta = np.where(np.arange(2000) < 1000, 0.7, 1.4)[:, None]
    elif kind == "alternating":
        beta = np.where(np.arange(2000) % 2, 0.4, 2.5)[:, None]
    elif kind == "entropy-dependent":
        p = np.exp(log_p(logits, 1.0))
        beta = np.where((-p * log_p(logits, 1.0)).sum(1) > 1.5, 0.8, 1.2)[:, None]
    seen = logits.copy()
    if kind == "top-k":
        seen[logits < np.sort(logits, axis=1)[:, [-4]]] = -np.inf
    return LogitRecord(logits, draw(rng, seen, beta))


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        ("two temperatures", "drift_p"),
        ("alternating", "shape_p"),
        ("entropy-dependent", "entropy_p"),
        ("top-k", "shape_p"),
    ],
)
def test_other_texts_are_told(kind: str, test: str) -> None:
    misfit = text_temperature(written(kind), replicates=2).misfit
    assert getattr(misfit, test) < 1e-6
    assert misfit.p_value < 1e-5
    if test == "shape_p":
        assert misfit.shape_gain > 2.5 * misfit.shape_gain_error
    if kind == "entropy-dependent":
        assert misfit.entropy_slope < -5 * misfit.entropy_slope_error
    if kind == "two temperatures":
        assert misfit.drift > 2


def test_constant_temperature_is_not_told() -> None:
    """The same recipe without a twist: p below 1e-4 in at most one of 1e4 seeds."""
    assert text_temperature(written("none"), replicates=2).misfit.p_value > 1e-4


def test_interval_means_of_legendre_polynomials() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    middle, half = np.array([-0.4, 0.0, 0.3, 0.999]), np.array([0.5, 1.0, 1e-12, 0.001])
    found = _legendre_means(middle, half)
    for degree, mean in enumerate(found, start=1):
        x = middle[:, None] + half[:, None] * nodes
        exact = math.sqrt(2 * degree + 1) * (eval_legendre(degree, x) @ weights) / 2
        np.testing.assert_allclose(mean, exact, atol=1e-12)


@pytest.mark.parametrize("beta", [-1.5, 0.0, 0.6])
def test_moments_of_the_ranks_by_enumeration(beta: float) -> None:
    """Every token of one position in turn, weighted by its probability."""
    z = np.array([1.0, 0.25, 0.25, -np.inf, -2.0, 3.0])
    ids = [0, 1, 2, 4, 5]
    p = np.exp(beta * z[ids])
    p /= p.sum()
    sums = [_rank_sums(LogitRecord([z], [token]), beta) for token in ids]
    s = np.array([part.moments for part in sums])
    energy = z[ids] - p @ z[ids]
    np.testing.assert_allclose(p @ s, 0, atol=1e-12)
    for part in sums:  # these do not depend on the token that came
        np.testing.assert_allclose(part.covariance, s.T @ (p[:, None] * s), atol=1e-12)
        np.testing.assert_allclose(part.coupling, (p * energy) @ s, atol=1e-12)
        np.testing.assert_allclose(part.energy_fourth, p @ energy**4, atol=1e-12)
        directions = np.random.default_rng(1).normal(size=(5, 7))
        combined = np.column_stack([s, energy]) @ directions
        np.testing.assert_allclose(part.fourth_of(directions), p @ combined**4, rtol=1e-12)
    ranks = np.array([part.histogram for part in sums])
    np.testing.assert_allclose(p @ ranks, 1.0, atol=1e-12)  # uniform, exactly


def certain(rng: np.random.Generator, positions: int) -> np.ndarray:
    """A model that is nearly always sure: one token leads by 3 to 12 nats."""
    logits = rng.normal(0, 1.5, (positions, 20))
    logits[:, 0] = logits.max(axis=1) + rng.uniform(3, 12, positions)
    return logits


def fitted_texts(model: Any, texts: int, positions: int) -> list[tuple[Any, ...]]:
    """Texts drawn at β = 1, and the arguments of `misfit_of` for each."""
    rng = np.random.default_rng(20261122)
    found = []
    for _ in range(texts):
        logits = model(rng, positions)
        record = LogitRecord(logits, draw(rng, logits, 1.0))
        drawn = drawn_energies(record)
        found.append((record, drawn, maximum_likelihood(drawn)[1], drawn.at(1.0).entropy))
    return found


def p_values(texts: list[tuple[Any, ...]]) -> np.ndarray:
    return np.array([misfit_of(*text).p_value for text in texts])


def test_texts_that_hang_on_a_few_tokens_have_no_p_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 texts at most 0.3 should fall below 1e-3; five or more come by chance in 2e-5.

    The control is χ² applied all the same, as if the law of long texts were that of these.
    """
    texts = fitted_texts(certain, 300, 60)
    found = p_values(texts)
    assert np.isfinite(found).sum() < 30
    assert (found < 1e-3).sum() < 5
    monkeypatch.setattr("llm_bridge.text.misfit._FEWEST", 0)
    found = p_values(texts)
    assert np.isfinite(found).sum() > 100  # the others are at β = ∞
    assert (found < 1e-3).sum() >= 5


@pytest.mark.slow
@pytest.mark.parametrize("positions", [3, 10, 25, 50, 100])
@pytest.mark.parametrize("model", [certain, spectra])
def test_short_texts_alarm_no_more_often_than_they_say(model: Any, positions: int) -> None:
    """Of 600 texts at most 0.6 should fall below 1e-3: seven or more come by chance in 3e-6.

    And at most 30 below 0.05: 60 or more in 5e-7.
    """
    found = p_values(fitted_texts(model, 600, positions))
    assert (found < 1e-3).sum() < 7
    assert (found < 5e-2).sum() < 60


def test_very_short_texts_say_why_there_is_no_p_value() -> None:
    rng = np.random.default_rng(10)
    logits = spectra(rng, 200)
    tokens = draw(rng, logits, 1.0)
    short, long = (text_temperature(LogitRecord(logits[:n], tokens[:n])).misfit for n in (4, 200))
    assert all(math.isnan(p) for p in (short.p_value, short.shape_p, short.drift_p))
    assert "too few tokens" in short.reason
    assert math.isfinite(short.drift)  # how large it is can be said
    assert not long.reason
    assert all(0 <= p <= 1 for p in (long.p_value, long.shape_p, long.drift_p, long.entropy_p))


def test_nothing_to_test_in_a_two_level_text() -> None:
    misfit = text_temperature(two_level(30, 10)).misfit
    assert math.isnan(misfit.shape_p)
    assert math.isnan(misfit.entropy_p)
    assert 0 <= misfit.drift_p <= 1


# --- along the text -------------------------------------------------------------------------------


def test_windows() -> None:
    rng = np.random.default_rng(9)
    logits = spectra(rng, 1000)
    tokens = draw(rng, logits, np.where(np.arange(1000) < 500, 1.5, -0.5)[:, None])
    record = LogitRecord(logits, tokens)
    along = beta_along(record, 200)
    np.testing.assert_array_equal(along.start, np.arange(0, 801, 100))
    np.testing.assert_array_equal(along.stop - along.start, 200)
    np.testing.assert_array_equal(along.middle, along.start + 99.5)
    truth = np.where(along.stop <= 500, 1.5, -0.5)
    pure = (along.stop <= 500) | (along.start >= 500)
    assert (np.abs(along.beta - truth)[pure] < 4.5 * along.stderr[pure]).all()
    alone = text_temperature(LogitRecord(logits[100:300], tokens[100:300]))
    assert along.beta[1] == pytest.approx(alone.beta, abs=1e-6)
    assert along.stderr[1] == pytest.approx(alone.curvature_error, rel=1e-6)
    np.testing.assert_allclose(beta_along(record, 200, start=-3.0).beta, along.beta, atol=1e-6)


def test_windows_of_short_and_extreme_texts() -> None:
    short = beta_along(two_level(3, 1), 256)
    assert short.stop.tolist() == [4]
    assert short.beta[0] == pytest.approx(math.log(3))
    flat = LogitRecord([[0.0, 0.0]] * 2 + [[1.0, 0.0]] * 4, [0, 0, 0, 0, 1, 1])
    along = beta_along(flat, 2, 2, start=math.inf)
    np.testing.assert_array_equal(along.beta, [math.nan, math.inf, -math.inf])
    np.testing.assert_array_equal(along.stderr, [math.nan, math.inf, math.inf])
    assert beta_along(two_level(5, 6), 4, 3).stop.tolist() == [4, 7, 10, 11]


# --- command line and picture ---------------------------------------------------------------------


def test_the_function_keeps_its_name() -> None:
    """The package's attribute is the function, also after its module was imported by name."""
    assert llm_bridge.text_temperature is text_temperature


@pytest.fixture
def texts(tmp_path: Path, text: str) -> list[Path]:
    names = ("plain.txt", "\x1b[31mred $x$.txt")
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_text(text[:400], encoding="utf-8")
    return paths


def test_command(
    texts: list[Path], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "greedy.npz"
    LogitRecord([[1.0, 0.0, 0.5]] * 20, [0] * 20).save(saved)
    picture = tmp_path / "along.png"
    options: dict[str, Any] = {"model": str(model_folder), "logits": [saved], "window": 32}
    text_temperature_command(texts, out=picture, **options)
    out, _ = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in out)
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["text", "tokens", "β"]
    assert lines[1].split()[2:] == lines[2].split()[3:]  # the same text under another name
    assert "∞ (> " in lines[3]
    assert any(line.startswith(f"{saved}: no test of misfit, at β = ±∞") for line in lines)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InvalidInputError, match="overwrite"):
        text_temperature_command(texts, out=picture, **options)

    text_temperature_command(texts[:1], as_json=True, **options)
    out, _ = capsys.readouterr()
    document = json.loads(out)
    assert document["schema"] == "spinlogit.text-temperature/1"
    human, greedy = document["texts"]
    record = llm_bridge.record_logits(
        llm_bridge.load_model(model_folder), texts[0].read_text(encoding="utf-8")
    )
    assert human["misfit"]["reason"] is None
    assert "at β = ±∞" in greedy["misfit"]["reason"]
    assert human["beta"] == pytest.approx(text_temperature(record).beta)
    assert human["along"]["stop"][-1] == human["positions"] == len(record)
    assert greedy["beta"] == "inf"
    assert greedy["misfit"]["p_value"] is None

    text_temperature_command(texts[:1], model=str(model_folder), positions=40, as_json=True)
    assert json.loads(capsys.readouterr().out)["texts"][0]["positions"] == 40


def test_a_complaint_names_its_file(texts: list[Path], model_folder: Path, tmp_path: Path) -> None:
    """Of several texts and records, by the command and by the reader of records."""
    masked, flat = tmp_path / "masked.npz", tmp_path / "flat.npz"
    LogitRecord([[0.0, 1.0], [0.0, -np.inf]], [1, 1]).save(masked)
    LogitRecord([[2.0, 2.0]] * 5, [0] * 5).save(flat)
    good = tmp_path / "good.npz"
    LogitRecord([[1.0, 0.0]] * 4, [0, 0, 1, 0]).save(good)
    for bad, said in ((masked, "is masked"), (flat, "all equal")):
        with pytest.raises(InvalidInputError, match=f"{bad.name}: .*{said}"):
            text_temperature_command([], logits=[good, bad])
    short = tmp_path / "short.txt"
    short.write_text("T", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"short\.txt: the text has 1 token"):
        text_temperature_command([texts[0], short], model=str(model_folder))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no text was given"),
        ({"files": [Path("nowhere.txt")]}, "cannot read the text"),
        ({"files": [Path("nowhere.txt")], "out": Path("x.bmp")}, "png"),
        ({"files": [Path("nowhere.txt")], "out": Path("no/such/x.png")}, "lies in no folder"),
    ],
)
def test_command_refuses(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match=message):
        text_temperature_command(**options)
    assert list(tmp_path.iterdir()) == []


def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> dict[str, Any]:
    record = tmp_path / "record.json"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *settings, "--json", str(record)])
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return dict(json.loads(record.read_text(encoding="utf-8")))


def test_the_benchmark_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = ("--sequences", "1", "--length", "12", "--positions", "40")
    record = measured(tmp_path, monkeypatch, *tiny)
    assert [len(row) for row in record["rows"]] == [len(record["columns"])] * 15
    assert [known["beta"] for known in record["known"]] == [-1, -0.5, 0, 0.5, 1, 1.5, 2]
    panels = [
        TextPanel(
            text["name"],
            *(text[key] for key in ("beta", "stderr", "scale", "positions")),
            np.array(text["histogram"]),
            BetaAlongText(*(np.array(text[key]) for key in ALONG)),
        )
        for text in record["texts"]
    ]
    assert len(text_overview(panels).axes) == 2 * len(panels) == 10


@pytest.mark.slow
def test_known_beta_of_the_demo_model_is_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight texts at each of seven β, pooled: all within 4.5 errors (false alarm 5e-5)."""
    settings = ("--sequences", "8", "--length", "192", "--positions", "40")
    for known in measured(tmp_path, monkeypatch, *settings)["known"]:
        beta, error = known["whole"]
        assert abs(beta - known["beta"]) < 4.5 * error
