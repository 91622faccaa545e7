"""Layers of random weights: variances, laws, divergence.

Statistical tests: two-sided at 4 standard errors, false-alarm rate 6e-5 each, seeds fixed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from llm_bridge.kin import BayesLinear, NoisyLinear, RandomLinear
from thermo.errors import InvalidInputError

DRAWS = 4000
LIMIT = 4.0


@pytest.fixture(autouse=True)
def own_stream():
    with torch.random.fork_rng():
        torch.manual_seed(20261121)
        yield


def moments(layer: RandomLinear, power: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of ε^power over the entries of each draw, for weights and biases, (DRAWS,) each."""
    weights, biases = np.empty(DRAWS), np.empty(DRAWS)
    for k in range(DRAWS):
        layer.redraw()
        weights[k] = layer.weight_noise.double().pow(power).mean()
        biases[k] = layer.bias_noise.double().pow(power).mean()
    return weights, biases


def off_by(values: np.ndarray, expected: float) -> float:
    return abs(values.mean() - expected) / (values.std(ddof=1) / math.sqrt(values.size))


@pytest.mark.parametrize(
    ("layer", "of_weight", "of_bias"),
    [
        (NoisyLinear(8, 6), 1.0, 1.0),
        (NoisyLinear(8, 6, corrected=False), 2 / math.pi, math.sqrt(2 / math.pi)),
        (NoisyLinear(8, 6, law="independent"), 1.0, 1.0),
        (BayesLinear(8, 6), 1.0, 1.0),
    ],
    ids=["corrected", "as published", "independent", "Bayes"],
)
def test_variance_of_the_noise(layer: RandomLinear, of_weight: float, of_bias: float) -> None:
    """Experiment 12: the product of two f has variance 2/π, unless corrected."""
    weights, biases = moments(layer, 2)
    assert layer.noise_variance() == pytest.approx((of_weight, of_bias), rel=1e-15)
    assert off_by(weights, of_weight) < LIMIT
    assert off_by(biases, of_bias) < LIMIT
    if of_weight != 1.0:  # negative control: the variance that one would think
        assert off_by(weights, 1.0) > 10
        assert off_by(biases, 1.0) > 10


def test_fourth_moments() -> None:
    """E f⁴ = E ξ² = 1, so a product has kurtosis (π/2)², less than a Gaussian's 3."""
    weights, biases = moments(NoisyLinear(8, 6), 4)
    assert off_by(weights, (math.pi / 2) ** 2) < LIMIT
    assert off_by(biases, math.pi / 2) < LIMIT
    assert off_by(weights, 3.0) > LIMIT


@pytest.mark.parametrize("law", ["factorised", "independent"])
def test_output_variance(law: str) -> None:
    layer = NoisyLinear(5, 3, law=law, corrected=False, spread=0.3)
    with torch.no_grad():
        layer.weight_sigma.uniform_(-0.5, 0.5)
        layer.bias_sigma.uniform_(0.0, 0.5)
    x = torch.randn(4, 5)
    with torch.no_grad():
        mean = layer.rest()(x)
        y = torch.stack([layer.redraw()(x) - mean for _ in range(DRAWS)]).double()
    expected = layer.output_variance(x).double()
    # 12 variances and 12 means at 4.5 errors: false-alarm rate 24 · 7e-6.
    z = (y.square().mean(0) - expected) / (y.square().std(0) / math.sqrt(DRAWS))
    assert z.abs().max() < 4.5
    assert (y.mean(0) / (y.std(0) / math.sqrt(DRAWS))).abs().max() < 4.5
    # Outputs are uncorrelated in both laws, although a factorised draw is a matrix of rank 1.
    products = y[:, :, 0] * y[:, :, 1]
    assert (products.mean(0) / (products.std(0) / math.sqrt(DRAWS))).abs().max() < 4.5
    rank = int(torch.linalg.matrix_rank(layer.weight_noise.double(), rtol=1e-4))
    assert rank == (1 if law == "factorised" else 3)


def test_sigma_learns() -> None:
    """∂L/∂σ = ε ∘ ∂L/∂W."""
    layer = NoisyLinear(4, 3).redraw()
    x = torch.randn(7, 4)
    layer(x).square().sum().backward()
    assert torch.allclose(layer.weight_sigma.grad, layer.weight_noise * layer.weight.grad)
    assert torch.allclose(layer.bias_sigma.grad, layer.bias_noise * layer.bias.grad)


def test_starts_as_published() -> None:
    factorised, independent = NoisyLinear(100, 7), NoisyLinear(100, 7, law="independent")
    assert factorised.weight_sigma.unique().tolist() == pytest.approx([0.05])
    assert independent.weight_sigma.unique().tolist() == pytest.approx([0.017])
    assert 0.09 < factorised.weight.abs().max() <= 0.1
    assert 0.15 < independent.weight.abs().max() <= math.sqrt(0.03)


def test_a_loss_over_several_draws_has_a_gradient() -> None:
    layer, x = NoisyLinear(4, 3), torch.randn(5, 4)
    sum(layer.redraw()(x).square().sum() for _ in range(3)).backward()
    assert layer.weight_sigma.grad.abs().sum() > 0


def test_rests_with_its_means_and_keeps_no_draw() -> None:
    plain = torch.nn.Linear(4, 3)
    layer = NoisyLinear(4, 3).take_means(plain)
    x = torch.randn(5, 4)
    assert torch.equal(layer(x), plain(x))
    assert not torch.equal(layer.redraw()(x), plain(x))
    assert torch.equal(layer.rest()(x), plain(x))
    assert set(layer.state_dict()) == {"weight", "bias", "weight_sigma", "bias_sigma"}
    assert NoisyLinear(4, 3, bias=False).redraw()(x).shape == (5, 3)
    assert NoisyLinear(4, 3, bias=False).output_variance(x).shape == (5, 3)


def test_divergence_is_that_of_normal_laws() -> None:
    layer = BayesLinear(4, 3, spread=0.2, prior_spread=0.7)
    assert layer.weight_spread().unique().tolist() == pytest.approx([0.2], rel=1e-6)
    with torch.no_grad():
        layer.weight_rho.uniform_(-3, 1)
    normal = torch.distributions.Normal
    expected = sum(
        torch.distributions.kl_divergence(normal(mean, spread), normal(0.0, 0.7)).sum()
        for mean, spread in (
            (layer.weight, layer.weight_spread()),
            (layer.bias, layer.bias_spread()),
        )
    )
    assert layer.divergence().item() == pytest.approx(expected.item(), rel=1e-5)


def test_best_spread_of_a_quadratic_loss() -> None:
    """σ = 1/√(nh + 1/s²), exactly: ε = ±1 have the first three moments of a normal law."""
    n, h, prior = 50.0, 2.0, 0.5
    layer = BayesLinear(1, 1, bias=False, prior_spread=prior, dtype=torch.float64)
    descent = torch.optim.LBFGS(
        layer.parameters(), max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        descent.zero_grad()
        total = layer.divergence()
        for sign in (1.0, -1.0):
            layer.weight_noise = torch.full((1, 1), sign, dtype=torch.float64)
            w = layer(torch.ones(1, 1, dtype=torch.float64))
            total = total + 0.5 * n * 0.5 * h * (w - 1.0).square().sum()
        total.backward()
        return total

    descent.step(loss)
    precision = n * h + 1 / prior**2
    assert layer.weight_spread().item() == pytest.approx(precision**-0.5, rel=1e-6)
    assert layer.weight.item() == pytest.approx(n * h / precision, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: NoisyLinear(4, 3, law="gaussian"), "law"),
        (lambda: NoisyLinear(4, 3, spread=0.0), "spread"),
        (lambda: NoisyLinear(4, 3, spread=math.nan), "spread"),
        (lambda: NoisyLinear(4, 3, corrected=2), "corrected"),
        (lambda: BayesLinear(4, 3, spread=-1.0), "spread"),
        (lambda: BayesLinear(4, 3, prior_spread=0.0), "prior_spread"),
        (lambda: BayesLinear(4, 3).take_means(torch.nn.Linear(3, 4)), "accepted"),
        (lambda: BayesLinear(4, 3).take_means(torch.nn.Linear(4, 3, bias=False)), "accepted"),
    ],
)
def test_bad_input(make, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        make()
