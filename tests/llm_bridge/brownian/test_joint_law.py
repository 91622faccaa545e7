"""Three machines, one law: the final logits of a whole model under noise on all its weights."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from llm_bridge.brownian import WeightNoise, sample_logits
from llm_bridge.models import LanguageModel

SEED = 20261121
SIGMA = 0.05
OUTPUTS, DRAWS = 3, 150
TAU = 2.0
PATHS = {
    "quenched": {},
    "annealed": {"correlation": "annealed"},
    "ou": {"correlation": "ou", "tau": TAU},
}


@pytest.fixture(scope="module")
def features(model: LanguageModel, text: str):
    """Change of the logits along some directions, (draws, N·outputs).

    Two tokens take turns, so that frozen weights do much the same to a token each time; what is
    compared is the change at its first time, and how it differs from that at each next time.
    """
    ids = model.encode(text)[[0, 1, 0, 1, 0]]
    directions = np.random.default_rng(SEED).normal(size=(model.vocabulary_size, OUTPUTS))
    clean = model.logits(ids).astype(np.float64)

    @cache
    def drawn(machine: str, path: str, *, sigma: float = SIGMA, seed: int = 0, law="gaussian"):
        noise = WeightNoise(sigma, law=law, seed=seed, **PATHS[path])
        noisy = sample_logits(model, ids, noise, DRAWS, machine, antithetic=False)
        change = (noisy - clean) @ directions
        change[:, 2:] -= change[:, :-2].copy()
        return change.reshape(DRAWS, -1)

    return drawn


def energy_test(one: np.ndarray, other: np.ndarray, permutations: int = 12_000) -> float:
    """Share of relabellings whose energy distance is as large: uniform if the laws are equal.

    The features are taken in units of their pooled standard deviation. Exact for any sample size
    (G. Székely and M. Rizzo, "Energy statistics", J. Stat. Plan. Inference, 2013).
    """
    pooled = np.concatenate([one, other])
    scaled = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    square = (scaled**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * scaled @ scaled.T, 0.0))
    label = np.repeat([1.0, -1.0], [len(one), len(other)])
    rng = np.random.default_rng(SEED)
    labels = rng.permuted(np.tile(label, (permutations, 1)), axis=1)
    # Equal sizes: the energy distance is −labelᵀ·distance·label up to a constant factor.
    random = -((labels @ distance) * labels).sum(axis=1)
    return float((1 + (random >= -label @ distance @ label).sum()) / (1 + permutations))


def worst_moment(one: np.ndarray, other: np.ndarray) -> float:
    """Largest |z| between the means and all second moments of two samples."""

    def products(x: np.ndarray) -> np.ndarray:
        rows, columns = np.triu_indices(x.shape[1])
        return np.concatenate([x, x[:, rows] * x[:, columns]], axis=1)

    first, second = products(one), products(other)
    error = np.sqrt(first.var(axis=0, ddof=1) / len(one) + second.var(axis=0, ddof=1) / len(other))
    return float(np.abs((first.mean(axis=0) - second.mean(axis=0)) / error).max())


@pytest.mark.parametrize("path", PATHS)
def test_function_space_has_the_law_of_copies(features, path: str) -> None:
    """Energy distance at 1e-4; largest of 135 |z| of means and covariances below 6: 3e-7.

    Negative controls: frozen noise for what is not frozen and the reverse, noise of twice the size.
    (A wrong correlation time is less plain here; the covariance of the head's noise shows it.)
    """
    copies = features("copies", path)
    ours = features("function_space", path, seed=1)
    assert energy_test(copies, ours) > 1e-4
    assert worst_moment(copies, ours) < 6.0
    confused = features("function_space", "annealed" if path == "quenched" else "quenched", seed=1)
    assert energy_test(copies, confused) < 1e-4
    assert worst_moment(copies, confused) > 6.0
    doubled = features("function_space", path, sigma=2 * SIGMA, seed=1)
    assert energy_test(copies, doubled) < 1e-4
    assert worst_moment(copies, doubled) > 6.0


@pytest.mark.parametrize("law", ["factorised", "low_rank"])
def test_factors_in_function_space(features, law: str) -> None:
    copies = features("copies", "quenched", law=law)
    ours = features("function_space", "quenched", law=law, seed=1)
    assert energy_test(copies, ours) > 1e-4
    assert worst_moment(copies, ours) < 6.0


def test_the_test_accepts_the_same_law(features) -> None:
    """Two seeds of the reference: what equal laws give."""
    one, other = features("copies", "quenched"), features("copies", "quenched", seed=1)
    assert energy_test(one, other) > 1e-4
    assert worst_moment(one, other) < 6.0


def test_regenerated_noise_is_that_of_copies(features) -> None:
    assert np.array_equal(features("copies", "quenched"), features("regenerate", "quenched"))
