"""Predictions for weak noise against Gaussian logits of known covariance, integrated exactly."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax, xlogy

from llm_bridge.brownian.second_order import SecondOrder, second_order_of

SEED = 20261121


def three_tokens(*, cooling: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (2, 3), covariance (2, 3, 3) and shift (2, 3), none of it symmetric in the tokens."""
    logits = np.array([[1.2, 0.1, -0.9], [0.3, -0.6, 0.8]])
    rng = np.random.default_rng(SEED)
    root = rng.normal(size=(2, 3, 3))
    shift = rng.normal(size=(2, 3))
    if cooling:  # the likelier a token, the more it is pushed up
        shift = 2.0 * logits
    return logits, root @ root.swapaxes(1, 2), shift


def gaussian_average(
    logits: np.ndarray, covariance: np.ndarray, shift: np.ndarray, sigma: float, nodes: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Mean distribution (N, V) and mean entropy (N,) over logits z + σ²b + σΣ^{1/2}ξ, exactly."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    tokens = logits.shape[1]
    grid = np.stack(np.meshgrid(*[x] * tokens, indexing="ij")).reshape(tokens, -1)
    weight = np.prod(np.meshgrid(*[w / w.sum()] * tokens, indexing="ij"), axis=0).ravel()
    mean, entropy = np.empty_like(logits), np.empty(len(logits))
    for t, (z, cov, b) in enumerate(zip(logits, covariance, shift, strict=True)):
        root = np.linalg.cholesky(cov + 1e-14 * np.eye(tokens))
        p = softmax((z + sigma**2 * b)[:, None] + sigma * root @ grid, axis=0)
        mean[t] = p @ weight
        entropy[t] = -(xlogy(p, p).sum(axis=0) @ weight)
    return mean, entropy


def measured(logits: np.ndarray, mean: np.ndarray, members: np.ndarray) -> dict[str, float]:
    """What the predictions are of, from the mean distribution itself."""
    energy = (mean * logits).sum(axis=1).mean()
    entropy = -xlogy(mean, mean).sum(axis=1).mean()

    def thermal(beta: float) -> np.ndarray:
        return softmax(beta * logits, axis=1)

    beta = brentq(lambda b: (thermal(b) * logits).sum(1).mean() - energy, 0.05, 5, xtol=1e-15)
    hot = brentq(lambda b: -xlogy(thermal(b), thermal(b)).sum(1).mean() - entropy, 0.05, 5)
    return {
        "temperature": 1 / beta,
        "temperature_entropy": 1 / hot,
        "residual_kl": (mean * (np.log(mean) - log_softmax(beta * logits, axis=1))).sum(1).mean(),
        "disagreement": entropy - members.mean(),
        "entropy_mean": entropy,
        "aleatoric": members.mean(),
    }


@cache
def exactly(cooling: bool, sigma: float) -> dict[str, float]:
    system = three_tokens(cooling=cooling)
    return measured(system[0], *gaussian_average(*system, sigma))


NAMES = ("temperature", "residual_kl", "disagreement", "entropy_mean", "aleatoric")


@pytest.mark.parametrize("cooling", [False, True], ids=["heating", "cooling"])
@pytest.mark.parametrize("name", [*NAMES, "temperature_entropy"])
def test_what_is_left_out_is_of_the_next_order(name: str, cooling: bool) -> None:
    """Richardson: halving σ divides measured − predicted by 16 (σ⁴), of the residual by 64 (σ⁶)."""
    theory = second_order_of(*three_tokens(cooling=cooling))
    predicted = "temperature" if name == "temperature_entropy" else name
    off = [exactly(cooling, s)[name] - getattr(theory.at(s), predicted) for s in (0.08, 0.04, 0.02)]
    order = 64 if name == "residual_kl" else 16
    assert off[0] / off[1] == pytest.approx(order, rel=0.12)
    assert off[1] / off[2] == pytest.approx(order, rel=0.04)
    assert theory.temperature.value < 0 if cooling else theory.temperature.value > 0


def test_mean_distribution() -> None:
    """p̄ = p[1 + σ²(g − ⟨g⟩)] and softmax(z + σ²g): both off by order σ⁴."""
    system = three_tokens()
    theory = second_order_of(*system)
    p = softmax(theory.logits, axis=1)
    gain = theory.shift + 0.5 * theory.spread
    gain -= (p * gain).sum(axis=1, keepdims=True)
    off = []
    for sigma in (0.08, 0.04, 0.02):
        mean, _ = gaussian_average(*system, sigma)
        linear = p * (1 + sigma**2 * gain)
        shifted = softmax(theory.shifted_logits(sigma), axis=1)
        off.append(np.linalg.norm([mean - linear, mean - shifted], axis=-1))
    assert off[0] / off[1] == pytest.approx(16 * np.ones((2, 2)), rel=0.15)
    assert off[1] / off[2] == pytest.approx(16 * np.ones((2, 2)), rel=0.05)


def wrong(theory: SecondOrder, mistake: str) -> SecondOrder:
    """The same predictions with one of three mistakes."""
    logits, covariance, shift = three_tokens()
    if mistake == "no shift":
        return second_order_of(logits, covariance)
    if mistake == "no half":  # g = b + v
        doubled = second_order_of(logits, 2 * covariance, shift)
        return replace(doubled, disagreement=theory.disagreement)
    # Σ_ii in place of (e_i − p)ᵀΣ(e_i − p): the part that all logits share counted as noise
    p = softmax(logits, axis=1)
    plain = np.einsum("tii->ti", covariance)
    u = -np.log(p)
    centred = u - (p * u).sum(axis=1, keepdims=True)
    heat = (p * (shift + 0.5 * plain) * centred).sum(axis=1).mean()
    slope = heat / (p * centred**2).sum(axis=1).mean()
    disagreement = 0.5 * (p * plain).sum(axis=1).mean()
    return replace(
        theory,
        temperature=theory.temperature._replace(value=slope),
        disagreement=theory.disagreement._replace(value=disagreement),
    )


@pytest.mark.parametrize("mistake", ["no shift", "no half", "not centred"])
def test_richardson_sees_mistakes(mistake: str) -> None:
    """Negative controls: with a mistake in the theory the difference is of order σ² (4, not 16)."""
    theory = wrong(second_order_of(*three_tokens()), mistake)
    off = [exactly(False, s)["temperature"] - theory.at(s).temperature for s in (0.04, 0.02)]
    assert off[0] / off[1] == pytest.approx(4, rel=0.15)
    if mistake == "not centred":
        off = [exactly(False, s)["disagreement"] - theory.at(s).disagreement for s in (0.04, 0.02)]
        assert off[0] / off[1] == pytest.approx(4, rel=0.15)


def test_uncentred_moments_are_seen() -> None:
    """⟨g u⟩ in place of Cov(g, u) depends on what is added to all logits, and is wrong."""
    logits, covariance, shift = three_tokens()
    theory = second_order_of(logits, covariance, shift)
    moved = second_order_of(logits + 7.0, covariance, shift + 3.0)
    for name in ("temperature", "residual_kl", "disagreement", "entropy"):
        assert getattr(moved, name).value == pytest.approx(getattr(theory, name).value, rel=1e-9)
    p = softmax(logits, axis=1)
    uncentred = (p * (theory.shift + 0.5 * theory.spread) * -np.log(p)).sum(axis=1).mean()
    change = exactly(False, 0.02)["entropy_mean"] + xlogy(p, p).sum(axis=1).mean()
    assert change / 0.02**2 == pytest.approx(theory.entropy.value, rel=0.01)
    assert abs(change / 0.02**2 - uncentred) > 0.5 * abs(theory.entropy.value)


def test_two_tokens_always_have_a_temperature() -> None:
    """One gap per position, one position: p̄ is a softmax, whatever the noise."""
    logits, covariance = np.array([[0.7, -0.4]]), np.array([[[0.5, 0.2], [0.2, 2.0]]])
    theory = second_order_of(logits, covariance, [[0.3, -0.1]])
    assert abs(theory.residual_kl.value) < 1e-15
    assert theory.temperature_share.value == pytest.approx(1.0)
    mean, members = gaussian_average(logits, covariance, np.array([[0.3, -0.1]]), 0.05, nodes=40)
    found = measured(logits, mean, members)
    assert found["temperature"] - 1 == pytest.approx(0.05**2 * theory.temperature.value, rel=0.01)
    # by hand: gap Δ = z₁ − z₂ has variance s², so δp₁ = p₁p₂[δΔ + ½(p₂ − p₁)s²]
    p = softmax(logits, axis=1)[0]
    variance = 0.5 + 2.0 - 2 * 0.2
    by_hand = (0.4 + 0.5 * (p[1] - p[0]) * variance) / (logits[0, 1] - logits[0, 0])
    assert theory.temperature.value == pytest.approx(by_hand)


def test_independent_noise_on_all_logits_never_cools() -> None:
    """v = s²(1 − 2p + Σp²) falls with p and u = −ln p does too: Cov(v, u) ≥ 0."""
    rng = np.random.default_rng(SEED)
    for _ in range(50):
        logits = rng.normal(size=(3, 12)) * rng.uniform(0.1, 6)
        variance = np.broadcast_to(rng.uniform(0.1, 2, size=(3, 1)), logits.shape)
        assert second_order_of(logits, variance).temperature.value > 0
    # Noise on a single token makes just that one likelier: it cools if that is the likeliest one.
    assert second_order_of([[0.5, 0.0, -0.2]], [[1.0, 0.0, 0.0]]).temperature.value < 0


def test_zipf_vocabulary() -> None:
    """p ∝ 1/rank over 50 000 tokens, the same noise on all logits: almost all disagreement."""
    logits = -np.log(np.arange(1, 50_001))[None]
    theory = second_order_of(logits, np.ones_like(logits))
    assert theory.temperature.value == pytest.approx(0.0054, abs=5e-5)
    assert theory.disagreement.value == pytest.approx(0.494, abs=5e-4)
    weak = theory.at(0.3)
    assert weak.disagreement == pytest.approx(0.09 * theory.disagreement.value)
    assert weak.aleatoric < -(softmax(logits) * log_softmax(logits)).sum()  # members sharpen


def test_levels_cross_where_ranks_swap() -> None:
    """Two tokens 10⁻⁴ apart swap at σ² = ln(p_i/p_j)/(g_j − g_i), and not before."""
    gap = 1e-4
    logits = np.array([[gap, 0.0, -1.0]])
    covariance, shift = np.diag([0.2, 1.5, 0.3])[None], np.zeros((1, 3))
    theory = second_order_of(logits, covariance)
    gain = (theory.shift + 0.5 * theory.spread)[0]
    crossing = np.sqrt(gap / (gain[1] - gain[0]))
    for sigma, swapped in ((0.99 * crossing, False), (1.01 * crossing, True)):
        mean, _ = gaussian_average(logits, covariance, shift, sigma)
        assert (mean[0, 1] > mean[0, 0]) == swapped
        assert theory.at(sigma).rank_swaps == pytest.approx(1 / 3 if swapped else 0.0)
    same = second_order_of(logits, np.ones((1, 3, 3)))  # noise that all share: nothing happens
    assert same.at(5.0).rank_swaps == 0.0
    assert same.at(5.0).temperature == pytest.approx(1.0)
