"""Drawn tokens follow p ∝ exp(βz), tested by χ² against exact probabilities.

Each test draws with a fixed seed and fails at p < 1e-6; with the 20 or so of them here, a correct
sampler fails once in 50 000 seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from llm_bridge.decoding import Decoder, sample
from llm_bridge.decoding.sampling import draw
from thermo.errors import InvalidInputError

INF = math.inf
ALARM = 1e-6
DRAWS = 20_000
LOGITS = [2.0, 1.0, 2.0, 0.0, -1.0, -1.0, 0.5, -INF]
BETAS = [-INF, -2.0, -0.5, -0.0, 0.5, 1.0, INF]
every_beta = pytest.mark.parametrize("beta", BETAS)


def exact(beta: float) -> np.ndarray:
    z = np.array(LOGITS[:-1])
    if math.isinf(beta):
        weight = (z == (z.max() if beta > 0 else z.min())).astype(float)
    else:
        weight = np.exp(beta * z)
    return np.append(weight / weight.sum(), 0.0)


def is_wrong(sampler: Callable[[torch.Tensor, float], torch.Tensor], beta: float) -> bool:
    """Whether χ² tells the sampler's tokens from exact ones, or it cannot draw at all."""
    try:
        ids = sampler(torch.tensor(LOGITS).expand(DRAWS, -1), beta)
    except RuntimeError:  # torch.multinomial on NaN
        return True
    counts, p = np.bincount(ids.numpy(), minlength=len(LOGITS)), exact(beta)
    if counts[p == 0].any():
        return True
    if (p > 0).sum() == 1:
        return False
    return bool(chisquare(counts[p > 0], DRAWS * p[p > 0]).pvalue < ALARM)


@every_beta
def test_sample(beta: float) -> None:
    rng = np.random.default_rng(20261121)
    assert not is_wrong(lambda z, b: sample(z, b, generator=rng), beta)


@every_beta
def test_sample_with_a_generator_of_torch(beta: float) -> None:
    rng = torch.Generator().manual_seed(20261121)
    assert not is_wrong(lambda z, b: sample(z, b, generator=rng), beta)


@pytest.mark.parametrize("beta", [-INF, -1.0, 0.0, 1.0])
def test_decoder_run(beta: float) -> None:
    run = Decoder(beta).begin(20261121)
    decoded = run.distribution(LOGITS)
    ids = [run.draw(decoded) for _ in range(DRAWS)]
    assert not is_wrong(lambda z, b: torch.tensor(ids), beta)


def multinomial(p: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(20261121)
    return torch.multinomial(p, 1, generator=generator)[:, 0]


@pytest.mark.parametrize(
    ("name", "sampler", "fails_at"),
    [
        ("masks times β", lambda z, b: multinomial((z * b).softmax(-1)), [-2.0, -0.5, -0.0]),
        (
            "float16 probabilities of inverted logits",
            lambda z, b: multinomial(((z - 1000).half() * b).exp()),
            [-2.0, -0.5, 0.5],
        ),
        (
            "|β| for β",
            lambda z, b: sample(z, abs(b), generator=np.random.default_rng(1)),
            [-INF, -2.0, -0.5],
        ),
        (
            "greedy for β ≤ 0",
            lambda z, b: sample(z, b if b > 0 else INF, generator=np.random.default_rng(1)),
            [-INF, -2.0, -0.5, -0.0],
        ),
        (
            "lowest id where there are ties",
            lambda z, b: sample(z, b, generator=np.random.default_rng(1), ties="lowest"),
            [-INF, INF],
        ),
        (
            "Gaussian noise for Gumbel noise",
            lambda z, b: (
                b * z + torch.from_numpy(np.random.default_rng(1).normal(size=z.shape))
            ).argmax(-1),
            [0.5, 1.0],
        ),
        (
            "one uniform number for two rows",
            lambda z, b: draw(
                torch.log_softmax(z.double() * b, -1),
                torch.from_numpy(np.random.default_rng(1).random(DRAWS // 200)).repeat(200),
            ),
            [0.5, 1.0],
        ),
    ],
)
def test_negative_control_wrong_samplers_are_caught(
    name: str, sampler: Callable[[torch.Tensor, float], torch.Tensor], fails_at: list[float]
) -> None:
    assert [b for b in fails_at if not is_wrong(sampler, b)] == [], name


def test_the_ends_of_the_unit_interval() -> None:
    """u = 0 and the largest u < 1 give tokens that can come."""
    rows = torch.tensor([[-INF, 0.0, 0.0, -INF]] * 2, dtype=torch.float64).log_softmax(-1)
    last = 1.0 - 2.0**-53
    assert draw(rows, torch.tensor([0.0, last], dtype=torch.float64)).tolist() == [1, 2]
    for seed in range(200):
        z = torch.from_numpy(np.random.default_rng(seed).normal(size=37)).log_softmax(0)
        z = torch.cat([torch.tensor([-INF]), z, torch.tensor([-INF])])
        ids = draw(z.expand(2, -1), torch.tensor([0.0, last], dtype=torch.float64))
        assert ids.tolist() == [1, 37]


def test_shapes_and_seeds() -> None:
    logits = torch.zeros(3, 4, 5)
    first, again = (
        sample(logits, -1.0, generator=np.random.default_rng(3)).tolist() for _ in range(2)
    )
    assert first == again
    assert sample(logits, 1.0, generator=np.random.default_rng(3)).shape == (3, 4)
    assert sample(logits[0, 0], 1.0, generator=np.random.default_rng(3)).shape == ()
    import llm_bridge

    assert llm_bridge.sample is sample
    with pytest.raises(InvalidInputError, match="generator = 5"):
        sample(logits, 1.0, generator=5)  # type: ignore[arg-type]
