"""The jackknife against the known sampling variance of nonlinear functions of means."""

from __future__ import annotations

import numpy as np
import pytest

from thermo.errors import InvalidInputError
from thermo.estimate.jackknife import block_means, jackknife

SEED = 20261120


def test_mean_has_the_textbook_error() -> None:
    blocks = np.random.default_rng(SEED).normal(size=(10, 3))
    value, error = jackknife(lambda x: x, blocks)
    np.testing.assert_allclose(value, blocks.mean(axis=0))
    np.testing.assert_allclose(error, blocks.std(axis=0, ddof=1) / np.sqrt(10))


def test_variance_of_a_normal_has_its_analytic_error() -> None:
    # s² of n normal numbers has variance 2σ⁴/n; n = 32 blocks of 100, 400 repeats.
    energy = 2.0 * np.random.default_rng(SEED).normal(size=(32, 100, 400))
    value, error = jackknife(
        lambda e, e2: e2 - e**2, energy.mean(axis=1), (energy**2).mean(axis=1), bias_corrected=True
    )
    # error² averaged over 400 repeats with 31 degrees of freedom each: relative standard
    # deviation √(2/31/400) = 1.3 %; 4σ = 5.1 % (false alarm < 1e-4).
    assert np.mean(error**2) == pytest.approx(2 * 16.0 / 3200, rel=0.051)
    z = (value - 4.0) / np.sqrt(2 * 16.0 / 3200)
    assert abs(z.mean()) < 4 / np.sqrt(400)
    assert abs(np.sum(z**2) - 400) < 4 * np.sqrt(800)


def test_bias_correction_is_exact_for_the_square_of_a_mean() -> None:
    # E[x̄²] = μ² + σ²/K; the corrected value is x̄² − s²/K, unbiased.
    blocks = np.random.default_rng(SEED).normal(size=12)
    value, _ = jackknife(lambda x: x**2, blocks, bias_corrected=True)
    assert value == pytest.approx(blocks.mean() ** 2 - blocks.var(ddof=1) / 12)


def test_ratio_of_correlated_means() -> None:
    rng = np.random.default_rng(SEED)
    x = rng.normal(3.0, 1.0, size=(50, 2000))
    y = 0.5 * x + rng.normal(2.0, 0.5, size=x.shape)
    _, error = jackknife(lambda a, b: b / a, x, y)
    # delta method: Var(y/x) = Var(y − R x)/(K μx²), R = 3.5/3, Var = (0.5 − R)² + 0.25
    exact = np.sqrt(((0.5 - 3.5 / 3) ** 2 + 0.25) / (50 * 9))
    # 2000 repeats of 49 degrees of freedom: √(1/(2·49·2000)) = 0.23 %; the ratio's own
    # second-order terms are of order 1/(50·9) ≈ 0.5 %.
    assert np.sqrt(np.mean(error**2)) == pytest.approx(exact, rel=0.015)


def test_negative_control_error_without_the_correlation_of_blocks() -> None:
    rng = np.random.default_rng(SEED)
    chain = np.repeat(rng.normal(size=(100, 20)), 50, axis=-1)  # 100 chains, correlated over 50
    exact = 1.0 / np.sqrt(100 * 20)
    right = jackknife(lambda x: x, block_means(chain)).error
    wrong = jackknife(lambda x: x, block_means(chain, 1000)).error
    assert abs(right / exact - 1.0) < 4 / np.sqrt(2 * 99)
    assert abs(wrong / exact - 1.0) > 4 / np.sqrt(2 * 99)


def test_block_means_keep_the_leading_axes_and_drop_the_start() -> None:
    series = np.arange(2 * 3 * 7, dtype=float).reshape(2, 3, 7)
    means = block_means(series, 2)
    assert means.shape == (6, 2)
    np.testing.assert_allclose(means[:2, 0], [2.0, 5.0])  # draws 1–3 and 4–6 of the first chain


@pytest.mark.parametrize("blocks", [(), ([1.0],), ([1.0, 2.0], [1.0, 2.0, 3.0]), (2.0,)])
def test_bad_blocks_are_refused(blocks: tuple) -> None:
    with pytest.raises(InvalidInputError):
        jackknife(lambda *x: x[0], *blocks)


@pytest.mark.parametrize("count", [0, 4])
def test_bad_block_counts_are_refused(count: int) -> None:
    with pytest.raises(InvalidInputError):
        block_means([[1.0, 2.0, 3.0]], count)
    with pytest.raises(InvalidInputError):
        block_means([1.0, 2.0, 3.0])
