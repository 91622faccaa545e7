"""Noise of the head to second order in σ: temperature, entropy, disagreement and residual."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax

from llm_bridge.brownian import (
    EffectiveTemperature,
    WeightNoise,
    effective_temperature,
    sample_logits,
)
from llm_bridge.models import LanguageModel

SEED = 20261120


def linear_head() -> tuple[np.ndarray, np.ndarray]:
    """Weights (V, d) and hidden states (N, d) of a small head; logits are their product."""
    rng = np.random.default_rng(SEED)
    return rng.normal(size=(6, 3)), rng.normal(size=(4, 3))


def theory(weights: np.ndarray, hidden: np.ndarray, *, cross_term: bool = True) -> dict[str, float]:
    """Coefficients of σ² (σ⁴ for the residual) for noise of std σ on every weight of a head.

    Σ_t = σ²|h_t|² 1, so v_i = (e_i − p)ᵀΣ(e_i − p) = σ²|h|²(1 − 2p_i + Σp²); no shift of the mean.
    """
    p = softmax(hidden @ weights.T, axis=-1)
    u = -np.log(p)
    norm = (hidden**2).sum(axis=1, keepdims=True)
    v = norm * (1 - 2 * p * cross_term + (p**2).sum(axis=1, keepdims=True))
    g = v / 2

    def covariance(a: np.ndarray, b: np.ndarray) -> float:
        return float(((p * a * b).sum(1) - (p * a).sum(1) * (p * b).sum(1)).mean())

    gu, uu, gg = covariance(g, u), covariance(u, u), covariance(g, g)
    return {
        "temperature": gu / uu,
        "entropy": gu,
        "disagreement": float((p * g).sum(1).mean()),
        "residual": 0.5 * (gg - gu**2 / uu),
    }


def cubature(size: float) -> EffectiveTemperature:
    """Noise replaced by 2n equally likely points ±σ√n e_k: the same moments up to the third.

    A deterministic stand-in for Gaussian noise, exact to second order, without sampling error.
    """
    weights, hidden = linear_head()
    n = weights.size
    points = size * math.sqrt(n) * np.eye(n).reshape(n, *weights.shape)
    draws = np.stack([points, -points], axis=1).reshape(2 * n, *weights.shape)
    return effective_temperature(hidden @ weights.T, hidden @ (weights + draws).swapaxes(1, 2))


def measured(fit: EffectiveTemperature, size: float) -> dict[str, float]:
    """Coefficients from a fit, without the correction for a finite number of random draws."""
    bias = fit.finite_draw_bias
    return {
        "temperature": (fit.temperature - 1) / size**2,
        "entropy": (fit.entropy_mean + bias["entropy_mean"] - fit.entropy_clean) / size**2,
        "disagreement": (fit.disagreement + bias["disagreement"]) / size**2,
        "residual": (fit.residual_kl + bias["residual_kl"]) / size**4,
    }


@pytest.mark.parametrize("name", ["temperature", "entropy", "disagreement", "residual"])
def test_second_order_predictions(name: str) -> None:
    """Deviations from the prediction vanish as σ²: they fall fourfold when σ is halved."""
    predicted = theory(*linear_head())[name]
    sizes = (0.04, 0.02, 0.01)
    deviations = [measured(cubature(s), s)[name] / predicted - 1 for s in sizes]
    assert abs(deviations[2]) < 0.003
    assert deviations[0] / deviations[1] == pytest.approx(4, rel=0.1)
    assert deviations[1] / deviations[2] == pytest.approx(4, rel=0.1)


def test_formula_without_the_cross_term_is_wrong() -> None:
    """Negative control: v_i without −2p_i is the same for all tokens, and then T = 1."""
    wrong, right = theory(*linear_head(), cross_term=False), theory(*linear_head())
    got = measured(cubature(0.01), 0.01)
    assert got["temperature"] == pytest.approx(right["temperature"], rel=0.003)
    assert abs(got["temperature"] - wrong["temperature"]) > 0.5 * abs(got["temperature"])
    assert abs(got["disagreement"] - wrong["disagreement"]) > 0.1 * got["disagreement"]


def gaussian_head(size: float, draws: int, seed: int) -> np.ndarray:
    """Logits (draws, N, V) under Gaussian noise on the head, in antithetic pairs."""
    weights, hidden = linear_head()
    kicks = size * np.random.default_rng(seed).normal(size=(draws // 2, 1, *weights.shape))
    pairs = kicks * np.array([1.0, -1.0])[:, None, None]
    return hidden @ (weights + pairs.reshape(draws, *weights.shape)).swapaxes(1, 2)


def test_gaussian_noise_agrees_within_its_errors() -> None:
    """T, entropy, disagreement and residual from random draws against theory.

    At σ = 0.02 higher orders are 0.3 % of each value or less, the errors of 600 draws about 3 %.
    |z| < 4.5 for four quantities: false alarm 3e-5.
    """
    weights, hidden = linear_head()
    size = 0.02
    fit = effective_temperature(hidden @ weights.T, gaussian_head(size, 600, SEED))
    predicted = theory(weights, hidden)
    scores = {
        "temperature": (1 - fit.beta - predicted["temperature"] * size**2)
        / fit.draw_errors["beta"],
        "disagreement": (fit.disagreement - predicted["disagreement"] * size**2)
        / fit.draw_errors["disagreement"],
        "entropy": (fit.entropy_mean - fit.entropy_clean - predicted["entropy"] * size**2)
        / fit.draw_errors["entropy_mean"],
        "residual": (fit.residual_kl - predicted["residual"] * size**4)
        / fit.draw_errors["residual_kl"],
    }
    assert max(abs(z) for z in scores.values()) < 4.5, scores
    wrong = theory(weights, hidden, cross_term=False)  # negative control
    assert abs(1 - fit.beta - wrong["temperature"] * size**2) > 10 * fit.draw_errors["beta"]


def test_theory_holds_for_the_head_of_a_language_model(
    model: LanguageModel, ids: np.ndarray, hidden: np.ndarray
) -> None:
    """The whole chain: perturbed copies of a transformer's head, T and disagreement measured.

    σ = 0.01 of the head's rms, 200 draws in pairs. |z| < 4.5 for two: false alarm 1.4e-5.
    """
    weights = model.torch_module.lm_head.weight.double().numpy()
    size = 0.01 * math.sqrt((weights**2).mean())
    noise = WeightNoise(0.01, where="head", seed=SEED)
    fit = effective_temperature(model.logits(ids), sample_logits(model, ids, noise, 200))
    predicted = theory(weights, hidden)
    beta = 1 - predicted["temperature"] * size**2
    assert abs(fit.beta - beta) < 4.5 * fit.draw_errors["beta"]
    assert fit.draw_errors["beta"] < 0.2 * abs(1 - beta)
    disagreement = predicted["disagreement"] * size**2
    assert abs(fit.disagreement - disagreement) < 4.5 * fit.draw_errors["disagreement"]
    assert fit.draw_errors["disagreement"] < 0.03 * disagreement
    assert abs(fit.disagreement - disagreement / 2) > 10 * fit.draw_errors["disagreement"]


def test_only_antithetic_pairs_show_the_residual() -> None:
    """Independent draws hide a residual of order σ⁴ under a floor of disagreement/draws."""
    weights, hidden = linear_head()
    clean, size = hidden @ weights.T, 0.02
    pairs = gaussian_head(size, 32, SEED)
    rng = np.random.default_rng(SEED)
    free = hidden @ (weights + size * rng.normal(size=(32, *weights.shape))).swapaxes(1, 2)
    mirrored = effective_temperature(clean, pairs)
    independent = effective_temperature(clean, free, antithetic=False)
    raw = independent.residual_kl + independent.finite_draw_bias["residual_kl"]
    floor = independent.disagreement / 32
    assert 0.3 * floor < raw < 3 * floor
    assert mirrored.residual_kl + mirrored.finite_draw_bias["residual_kl"] < floor / 20
    assert mirrored.draw_errors["beta"] < independent.draw_errors["beta"] / 5
