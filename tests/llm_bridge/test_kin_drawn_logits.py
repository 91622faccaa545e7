"""Draws of logits from random layers and dropout, beside what theory foretells of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax, xlogy
from torch import nn

from llm_bridge.brownian import effective_temperature
from llm_bridge.brownian.second_order import second_order_of
from llm_bridge.kin import NoisyLinear, drawn_logits, dropping, shot_noise
from llm_bridge.kin.dropout import dropout_covariance
from thermo.errors import InvalidInputError


@pytest.fixture(autouse=True)
def own_stream():
    with torch.random.fork_rng():
        torch.manual_seed(20261121)
        yield


def test_draws_extend_and_leave_no_trace() -> None:
    layer = NoisyLinear(6, 4).redraw()
    network = nn.Sequential(nn.Dropout(0.3), layer).train()
    x = torch.randn(5, 6)
    before, state = layer.weight_noise.clone(), torch.random.get_rng_state()
    few, many = (drawn_logits(network, x, draws=k, seed=3) for k in (2, 5))
    assert np.array_equal(few.noisy, many.noisy[:2])
    assert not np.array_equal(few.noisy, drawn_logits(network, x, draws=2, seed=4).noisy)
    with torch.no_grad():
        plain = nn.functional.linear(x, layer.weight, layer.bias).numpy()
    assert np.array_equal(few.clean, plain)
    assert torch.equal(layer.weight_noise, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(module.training for module in network.modules())


def test_put_back_after_an_exception() -> None:
    layer = NoisyLinear(6, 4).redraw()

    class Stops(nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return x

    network = nn.Sequential(layer, Stops(), nn.Dropout(0.5)).train()
    x = torch.randn(5, 6)
    before, state = layer.weight_noise.clone(), torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        drawn_logits(network, x, draws=9)
    assert torch.equal(layer.weight_noise, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(module.training for module in network.modules())


def test_only_dropout_is_in_training() -> None:
    network = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    network[0].eval()
    with dropping(network):
        assert [m.training for m in network] == [False, True, False]
    assert [m.training for m in network] == [False, True, True]


def test_bad_input() -> None:
    x = torch.randn(5, 6)
    for network in (nn.Linear(6, 4), nn.Sequential(nn.Dropout(0.0), nn.Linear(6, 4))):
        with pytest.raises(InvalidInputError, match="nothing is random"):
            drawn_logits(network, x, draws=2)
    with pytest.raises(InvalidInputError, match=r"shape \(6,\)"):
        drawn_logits(nn.Sequential(NoisyLinear(6, 6)), x[0], draws=2)
    for number in (0, -1, 1.5):
        with pytest.raises(InvalidInputError, match="draws"):
            drawn_logits(NoisyLinear(6, 4), x, draws=number)
    for p in (-0.1, 1.0, math.nan):
        with pytest.raises(InvalidInputError, match="probability"):
            dropout_covariance(np.ones((2, 3)), np.ones((1, 3)), p)
    with pytest.raises(InvalidInputError, match="accepted"):
        dropout_covariance(np.ones((2, 3)), np.ones((1, 4)), 0.1)
    with pytest.raises(InvalidInputError, match="accepted"):
        shot_noise(np.ones((2, 3)), np.ones((1, 3)), np.ones(3))
    with pytest.raises(InvalidInputError, match="equal"):
        shot_noise(np.ones((2, 3)), np.ones((1, 3)))


@pytest.mark.parametrize("corrected", [True, False])
def test_weak_noise_is_foretold(corrected: bool) -> None:
    """T and disagreement to order σ²; the variance without 2/π must fail. 4 errors: 6e-5 each."""
    layer = NoisyLinear(12, 5, spread=0.03, corrected=corrected)
    with torch.no_grad():
        layer.weight.normal_()
    x = torch.randn(60, 12)
    drawn = drawn_logits(layer, x, draws=1500, seed=1)
    fit = effective_temperature(*drawn, antithetic=False)
    variance = layer.output_variance(x).numpy()
    theory = second_order_of(drawn.clean, variance).at(1.0)

    # The text is the same on both sides: only the draws err. σ⁴ is a percent of the σ² here.
    def off_by(name: str, expected: float) -> float:
        key = {"temperature": "beta"}.get(name, name)
        slack = 0.02 * abs(expected - (name == "temperature"))
        return (abs(getattr(fit, name) - expected) - slack) / fit.draw_errors[key]

    assert off_by("temperature", theory.temperature) < 4
    assert off_by("disagreement", theory.disagreement) < 4
    if not corrected:
        naive = second_order_of(drawn.clean, variance * math.pi / 2).at(1.0)
        assert off_by("disagreement", naive.disagreement) > 4


def test_covariance_of_dropout() -> None:
    """Means and covariances over draws; 4 outputs, 4.5 errors: rate 20 · 7e-6."""
    network = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 4)).eval()
    x = torch.randn(1, 6)
    drawn = drawn_logits(network, x, draws=6000, seed=2)
    y = drawn.noisy[:, 0].astype(float) - drawn.clean[0]
    expected = dropout_covariance(network[1].weight.detach().numpy(), x.numpy(), 0.2)[0]
    products = y[:, :, None] * y[:, None, :]
    error = products.std(axis=0) / math.sqrt(len(y))
    assert (np.abs(products.mean(axis=0) - expected) < 4.5 * error).all()
    assert (np.abs(y.mean(axis=0)) < 4.5 * y.std(axis=0) / math.sqrt(len(y))).all()
    assert (np.abs(expected) > 4.5 * error).sum() > 4  # control: no diagonal matrix


def by_enumeration(w: np.ndarray, x: np.ndarray, b: np.ndarray, p: float):
    """Mean distribution (N, V) and disagreement of dropout, exactly: a sum over all masks."""
    mean, aleatoric = np.zeros((len(x), len(w))), 0.0
    for mask in itertools.product((0, 1), repeat=x.shape[1]):
        chance = p ** mask.count(0) * (1 - p) ** mask.count(1)
        q = softmax((x * mask) @ w.T / (1 - p) + b, axis=-1)
        mean += chance * q
        aleatoric -= chance * xlogy(q, q).sum(axis=-1).mean()
    return mean, -xlogy(mean, mean).sum(axis=-1).mean() - aleatoric


def test_shot_noise_is_the_limit_of_rare_dropout() -> None:
    """Against exact sums: what is left falls as p, and the Gaussian formula stays wrong."""
    rng = np.random.default_rng(5)
    w, x, b = 1.5 * rng.normal(size=(4, 7)), rng.normal(size=(3, 7)), rng.normal(size=4)
    theory = shot_noise(w, x, b)
    z = x @ w.T + b
    q = np.exp(log_softmax(z, axis=-1))
    left = []
    for p in (1e-3, 5e-4):
        mean, disagreement = by_enumeration(w, x, b, p)
        u = z - (q * z).sum(-1, keepdims=True)
        heat = -((mean - q) * u).sum(-1).mean() / (q * u**2).sum(-1).mean()
        kl = (mean * np.log(mean / q)).sum(-1).mean()
        residual = kl - 0.5 * heat**2 * (q * u**2).sum(-1).mean()
        left.append(
            [heat / p - theory.temperature, disagreement / p - theory.disagreement,
             residual / p**2 - theory.residual_kl]
        )  # fmt: skip
    scale = np.abs([theory.temperature, theory.disagreement, theory.residual_kl])
    assert (np.abs(left[0]) < 0.05 * scale).all()
    assert np.divide(*left) == pytest.approx([2.0, 2.0, 2.0], rel=0.05)
    assert abs(theory.gaussian_disagreement / theory.disagreement - 1) > 0.1


def test_shot_noise_of_small_units_is_gaussian() -> None:
    rng = np.random.default_rng(6)
    w, x, b = 1e-3 * rng.normal(size=(4, 7)), rng.normal(size=(3, 7)), rng.normal(size=4)
    found = shot_noise(w, x, b)
    assert found.disagreement == pytest.approx(found.gaussian_disagreement, rel=1e-2)
    covariance = dropout_covariance(w, x, 1e-3)
    weak = second_order_of(x @ w.T + b, covariance).at(1.0)
    assert weak.disagreement == pytest.approx(1e-3 / 0.999 * found.gaussian_disagreement, rel=1e-9)
