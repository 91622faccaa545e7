"""Which tokens overtake which: pairs counted by hand, and in the fit of a temperature."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.special import softmax

from llm_bridge.brownian import effective_temperature
from llm_bridge.brownian.rank_swaps import RANKED, rank_swaps, swaps_of_mean

SEED = 20261121


def counted(clean: np.ndarray, noisy: np.ndarray) -> float:
    """One position, pair by pair."""
    top = np.argsort(-clean)[:RANKED]
    pairs = [(i, j) for i, j in combinations(top, 2) if clean[i] > clean[j] > -np.inf]
    return sum(noisy[i] < noisy[j] for i, j in pairs) / max(len(pairs), 1)


@pytest.mark.parametrize("tokens", [2, 7, 60])
def test_pairs_are_counted(tokens: int) -> None:
    rng = np.random.default_rng(SEED)
    clean, noisy = rng.normal(size=(2, 8, tokens))
    assert rank_swaps(clean, 3 * clean - 1).tolist() == [0.0] * 8
    assert rank_swaps(clean, -clean).tolist() == [1.0] * 8
    clean[3, 1] = clean[3, 0]  # a tie
    expected = [counted(c, n) for c, n in zip(clean, noisy, strict=True)]
    assert rank_swaps(clean, noisy) == pytest.approx(expected)


def test_ties_and_masks_are_no_swaps() -> None:
    assert rank_swaps(np.zeros((1, 4)), np.arange(4.0)[None]).tolist() == [0.0]
    assert rank_swaps(np.arange(4.0)[None], np.zeros((1, 4))).tolist() == [0.0]
    clean = np.array([[2.0, 1.0, -np.inf, -np.inf]])
    assert rank_swaps(clean, np.array([[1.0, 2.0, 3.0, 4.0]])).tolist() == [1.0]


def test_fit_counts_swaps_of_the_mean_distribution() -> None:
    """Not of the draws: each of these swaps half of all pairs, their mean almost none."""
    rng = np.random.default_rng(SEED)
    clean = rng.normal(size=(30, 40))
    kicks = rng.normal(size=(40, *clean.shape))
    noisy = clean + np.stack([kicks, -kicks], axis=1).reshape(80, *clean.shape)
    fit = effective_temperature(clean, noisy)
    mean = softmax(noisy, axis=-1).mean(axis=0)
    counted = rank_swaps(clean, mean).mean()
    assert fit.rank_swaps + fit.finite_draw_bias["rank_swaps"] == pytest.approx(counted)
    assert set(fit.draw_errors) == set(fit.text_errors)
    single = np.mean([rank_swaps(clean, each).mean() for each in noisy])
    assert single > 3 * counted
    valid = np.insert(np.ones(40, dtype=bool), 3, False)
    padded = [np.insert(x, 3, 50.0, axis=-1) for x in (clean, noisy)]
    assert effective_temperature(*padded, valid).rank_swaps == fit.rank_swaps
    hot = effective_temperature(clean, np.stack([0.1 * clean, 0.3 * clean] * 2))
    assert hot.rank_swaps == hot.rank_swaps_error == 0.0
    inverted = effective_temperature(clean, np.stack([-clean, -2 * clean]))
    assert inverted.rank_swaps == 1.0


@pytest.mark.parametrize("draws", [4, 8, 16, 32, 64, 128])
def test_noise_that_swaps_none_in_the_mean(draws: int) -> None:
    """The same independent noise on all logits: what is counted is far from 0, what is said not.

    Within 3 of its errors for every number of draws (which are conservative: a false alarm is
    rarer than 1e-4), where the count alone is further off than 3 of the errors that it would have.
    """
    rng = np.random.default_rng([SEED, draws])
    clean = 1.5 * rng.normal(size=(200, 40))
    kicks = rng.normal(size=(draws // 2, *clean.shape))
    noisy = clean + np.stack([kicks, -kicks], axis=1).reshape(draws, *clean.shape)
    fit = effective_temperature(clean, noisy)
    assert abs(fit.rank_swaps) < 3 * fit.rank_swaps_error
    bias = fit.finite_draw_bias["rank_swaps"]
    counted = fit.rank_swaps + bias
    assert abs(fit.rank_swaps) < 0.8 * counted
    jackknife = np.sqrt(fit.rank_swaps_error**2 - bias**2)
    assert counted > 3 * jackknife or draws > 16  # negative control: without the correction


@pytest.mark.parametrize("blocks", [2, 3, 4, 7, 32])
def test_swaps_that_are_there_stay(blocks: int) -> None:
    """Known from means far better than the gaps are: the count itself, however many draws."""
    rng = np.random.default_rng(SEED)
    clean = rng.normal(size=(20, 10))
    shifted = np.exp(clean + 0.5 * rng.normal(size=clean.shape))
    means = shifted * (1 + 1e-9 * rng.normal(size=(blocks, *clean.shape)))
    swaps = swaps_of_mean(clean, means)
    expected = rank_swaps(clean, shifted)
    assert expected.mean() > 0.05
    for found in (swaps.counted, swaps.value, *swaps.without):
        assert found == pytest.approx(expected)
