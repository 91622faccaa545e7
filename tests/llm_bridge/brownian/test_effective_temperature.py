"""The temperature of weight noise where the answer is known, and the size of its errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax, xlogy

from llm_bridge.brownian import effective_temperature
from thermo.errors import InvalidInputError, TautologyWarning

SEED = 20261120


def random_clean(positions: int = 12, tokens: int = 9) -> np.ndarray:
    return 1.5 * np.random.default_rng(SEED).normal(size=(positions, tokens))


@pytest.mark.parametrize("factor", [0.3, 0.9, 1.0 + 1e-9, 4.0, -0.7, -2.5])
def test_scaled_logits_are_a_temperature(factor: float) -> None:
    """Every draw is the same softmax at another T: β = factor, nothing left over."""
    clean = random_clean()
    fit = effective_temperature(
        clean, np.stack([factor * clean + c for c in (0.0, 3.0, -1.0, 9.0)])
    )
    assert fit.beta == pytest.approx(factor, rel=1e-9)
    assert fit.temperature == pytest.approx(1 / factor, rel=1e-9)
    assert fit.beta_entropy == pytest.approx(factor if factor > 0 else fit.beta_entropy, rel=1e-8)
    assert abs(fit.residual_kl) < 1e-12
    assert abs(fit.disagreement) < 1e-12
    assert fit.draw_errors["beta"] < 1e-12
    assert fit.top1_flips == (0.0 if factor > 0 else 1.0)


def test_a_common_shift_is_no_noise() -> None:
    clean = random_clean()
    shifts = np.random.default_rng(SEED).normal(size=(6, 12, 1))
    fit = effective_temperature(clean, clean + shifts)
    assert fit.temperature == pytest.approx(1.0, abs=1e-12)
    assert max(abs(fit.residual_kl), abs(fit.disagreement), fit.draw_errors["beta"]) < 1e-13
    assert fit.entropy_mean == pytest.approx(fit.entropy_clean, abs=1e-13)


def test_ends_of_the_scale() -> None:
    clean = random_clean()
    flat = effective_temperature(clean, np.zeros((2, *clean.shape)))
    assert abs(flat.beta) < 1e-12
    assert flat.beta_entropy == pytest.approx(0.0, abs=1e-6)
    greedy = effective_temperature(clean, np.stack([5000.0 * clean] * 2))
    assert greedy.beta > 100
    assert greedy.residual_kl == pytest.approx(0.0, abs=1e-9)
    inverted = effective_temperature(clean, np.stack([-5000.0 * clean] * 2))
    assert inverted.beta < -100


def brute_force(clean: np.ndarray, noisy: np.ndarray) -> tuple[float, float, float, float]:
    """β, residual, disagreement, aleatoric by definition, with a numerical minimum."""
    p = softmax(noisy, axis=-1)
    mean = p.mean(axis=0)

    def divergence(beta: float) -> float:
        return float((xlogy(mean, mean) - mean * log_softmax(beta * clean, axis=-1)).sum(-1).mean())

    best = minimize_scalar(divergence, bracket=(0.2, 1.5), tol=1e-10)
    aleatoric = float(-xlogy(p, p).sum(-1).mean())
    return best.x, best.fun, float(-xlogy(mean, mean).sum(-1).mean()) - aleatoric, aleatoric


@pytest.mark.parametrize("size", [0.1, 1.0, 4.0])
def test_definition(size: float) -> None:
    clean = random_clean()
    noisy = clean + size * np.random.default_rng(SEED).normal(size=(8, *clean.shape))
    fit = effective_temperature(clean, noisy)
    beta, residual, disagreement, aleatoric = brute_force(clean, noisy)
    bias = fit.finite_draw_bias
    assert fit.beta == pytest.approx(beta, abs=1e-6)
    assert fit.residual_kl + bias["residual_kl"] == pytest.approx(residual, abs=1e-10)
    assert fit.disagreement + bias["disagreement"] == pytest.approx(disagreement, abs=1e-12)
    assert fit.aleatoric == pytest.approx(aleatoric, abs=1e-12)
    assert fit.entropy_mean == pytest.approx(fit.aleatoric + fit.disagreement, abs=1e-12)
    flips = (noisy.argmax(-1) != clean.argmax(-1)).mean()
    assert fit.top1_flips == pytest.approx(flips, abs=1e-12)
    assert "T = " in str(fit)


def test_draw_jackknife_is_the_refitted_one() -> None:
    """The shortcut (a parabola instead of refitting) gives the errors of refitting."""
    clean = random_clean()
    noisy = clean + 0.5 * np.random.default_rng(SEED).normal(size=(12, *clean.shape))
    fit = effective_temperature(clean, noisy)
    left = [brute_force(clean, np.delete(noisy, [2 * j, 2 * j + 1], axis=0)) for j in range(6)]
    errors = np.sqrt(5 / 6 * ((np.array(left) - np.mean(left, axis=0)) ** 2).sum(axis=0))
    names = ("beta", "residual_kl", "disagreement", "aleatoric")
    for name, error, accuracy in zip(names, errors, (0.05, 0.05, 1e-6, 1e-6), strict=True):
        assert fit.draw_errors[name] == pytest.approx(error, rel=accuracy), name
    whole = brute_force(clean, noisy)
    bias = 5 * (np.mean(left, axis=0) - whole)
    assert fit.finite_draw_bias["residual_kl"] == pytest.approx(bias[1], rel=0.02)
    assert fit.finite_draw_bias["disagreement"] == pytest.approx(bias[2], rel=1e-6)


def test_masks_and_padding_are_left_out() -> None:
    clean = random_clean().astype(np.float32)
    noisy = clean + 0.3 * np.random.default_rng(SEED).normal(size=(4, *clean.shape)).astype("f4")
    plain = effective_temperature(clean, noisy)
    valid = np.insert(np.ones(9, dtype=bool), [0, 4], False)
    padded = [np.insert(x, [0, 4], np.float32(50), axis=-1) for x in (clean, noisy)]
    masked = [np.insert(x, [0, 4], -np.inf, axis=-1) for x in (clean, noisy)]
    for other in (effective_temperature(*padded, valid), effective_temperature(*masked)):
        assert other.beta == plain.beta
        assert other.residual_kl == pytest.approx(plain.residual_kl, abs=1e-14)
        assert other.top1_flips == plain.top1_flips


def test_many_positions_are_cut_into_blocks() -> None:
    rng = np.random.default_rng(SEED)
    clean = rng.normal(size=(300, 2000)).astype(np.float32)
    noisy = clean + 0.2 * rng.normal(size=(4, 300, 2000)).astype(np.float32)
    fit = effective_temperature(clean, noisy)
    p = softmax(noisy.astype(float), axis=-1)
    mean = p.mean(axis=0)
    expected = (-xlogy(mean, mean).sum(-1) + xlogy(p, p).sum(-1).mean(0)).mean()
    assert fit.disagreement + fit.finite_draw_bias["disagreement"] == pytest.approx(expected)


def test_bad_comparisons() -> None:
    clean = random_clean()
    with pytest.warns(TautologyWarning, match="β = 1, which was put in"):
        assert effective_temperature(clean, np.stack([clean] * 2)).beta == pytest.approx(1.0)
    noisy = clean + np.random.default_rng(SEED).normal(size=(3, *clean.shape))
    with pytest.raises(InvalidInputError, match="antithetic=False"):
        effective_temperature(clean, noisy)
    assert effective_temperature(clean, noisy, antithetic=False).independent_draws == 3
    with pytest.raises(InvalidInputError, match="same text and vocabulary"):
        effective_temperature(clean[:3], noisy, antithetic=False)
    with pytest.raises(InvalidInputError, match="3 axes"):
        effective_temperature(clean, clean)
    broken = noisy.copy()
    broken[1, 4, 2] = np.nan
    with pytest.raises(InvalidInputError, match="nan at position 4 of draw 1, token 2"):
        effective_temperature(clean, broken, antithetic=False)
    with pytest.raises(InvalidInputError, match="all equal"):
        effective_temperature(np.zeros_like(clean), noisy, antithetic=False)
    apart = clean.copy(), np.stack([clean, clean])
    apart[0][3, 0] = -np.inf
    apart[1][:, 3, 1:] = -np.inf
    with pytest.raises(InvalidInputError, match="position 3"):
        effective_temperature(*apart)


def test_one_draw_has_a_temperature_but_no_error() -> None:
    """A quantised copy of a model is one frozen draw: it can be read, errors are unknown."""
    clean = random_clean()
    fit = effective_temperature(clean, np.round(clean * 2)[None] / 2)
    assert np.isfinite(fit.beta)
    assert math.isnan(fit.stderr)
    assert np.isfinite(fit.text_errors["beta"])
    assert fit.disagreement == pytest.approx(0.0, abs=1e-14)
    assert "error unknown" in str(fit)
    assert math.isnan(
        effective_temperature(clean[:1], clean[:1] * 1.1 + np.zeros((4, 1, 1))).stderr
    )


def finite_population() -> tuple[np.ndarray, np.ndarray]:
    """A clean model and seven equally likely noisy ones: every average is a finite sum."""
    clean = random_clean(5, 6)
    noisy = clean + 0.4 * np.random.default_rng(SEED + 1).normal(size=(7, *clean.shape))
    return clean, noisy


def test_bias_of_few_draws_is_taken_off() -> None:
    """Disagreement and residual of 8 random draws, 400 times, against the exact values.

    The mean of 400 corrected estimates lies within 4.5 of its error (false alarm 1.4e-5 for two);
    the uncorrected means (negative control) are off by many errors.
    """
    clean, population = finite_population()
    _, residual, disagreement, _ = brute_force(clean, population)
    rng = np.random.default_rng(SEED)
    fits = [
        effective_temperature(clean, population[rng.integers(7, size=8)], antithetic=False)
        for _ in range(400)
    ]
    for name, truth in (("disagreement", disagreement), ("residual_kl", residual)):
        corrected = np.array([getattr(fit, name) for fit in fits])
        raw = corrected + [fit.finite_draw_bias[name] for fit in fits]

        def score(x: np.ndarray, truth: float = truth) -> float:
            return float((x.mean() - truth) / (x.std(ddof=1) / math.sqrt(x.size)))

        assert abs(score(corrected)) < 4.5
        assert abs(score(raw)) > 10


def test_draw_errors_are_of_the_right_size() -> None:
    """Spread of 300 independent estimates against the error each of them states.

    The relative uncertainty of the spread of 300 is 4 %, the jackknife's own bias with 12 draws
    about 5 %: a ratio within 25 % of 1. The residual has no linear term in the draws where it is
    small; there the jackknife's variance is up to twice too large (Efron 1982), never too small.
    """
    clean, population = finite_population()
    rng = np.random.default_rng(SEED + 2)
    fits = [
        effective_temperature(clean, population[rng.integers(7, size=12)], antithetic=False)
        for _ in range(300)
    ]
    for name in ("beta", "disagreement", "residual_kl", "aleatoric", "entropy_mean"):
        spread = np.std([getattr(fit, name) for fit in fits], ddof=1)
        stated = math.sqrt(np.mean([fit.draw_errors[name] ** 2 for fit in fits]))
        most = math.sqrt(2) if name == "residual_kl" else 1.0
        assert 0.75 < stated / spread < 1.25 * most, name


def test_text_errors_are_of_the_right_size() -> None:
    """Many texts of 40 positions under one set of frozen draws: spread against stated error.

    200 texts: 5 % on the spread, 5 of them: ratio within 25 % of 1. Positions are independent.
    """
    rng = np.random.default_rng(SEED)
    weights = 1.2 * rng.normal(size=(8, 4))
    draws = weights + 0.3 * rng.normal(size=(4, 8, 4))
    fits = []
    for _ in range(200):
        hidden = rng.normal(size=(40, 4))
        fits.append(effective_temperature(hidden @ weights.T, hidden @ draws.swapaxes(1, 2)))
    for name in ("beta", "disagreement", "residual_kl", "entropy_clean", "beta_entropy"):
        values = [
            getattr(fit, name) + fit.finite_draw_bias.get(name, 0.0) * (name != "beta_entropy")
            for fit in fits
        ]
        stated = math.sqrt(np.mean([fit.text_errors[name] ** 2 for fit in fits]))
        assert stated / np.std(values, ddof=1) == pytest.approx(1.0, abs=0.25), name
