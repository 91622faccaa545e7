"""Errors of correlated series against AR(1) processes, whose τ is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import (
    MeanWithError,
    autocovariance,
    mean_with_error,
    rounded_to_error,
    split_rhat,
)

SEED = 20261120


def ar1(rho: float, shape: tuple[int, ...], seed: int = SEED) -> np.ndarray:
    """Stationary AR(1) of unit variance: ρ(t) = ρ^t, τ = ½(1+ρ)/(1−ρ)."""
    kicks = np.random.default_rng(seed).normal(size=shape)
    kicks[..., 1:] *= np.sqrt(1.0 - rho**2)
    return lfilter([1.0], [1.0, -rho], kicks)


@pytest.mark.parametrize("rho", [-0.6, -0.3, 0.0, 0.5, 0.9, 0.97])
def test_tau_of_ar1(rho: float) -> None:
    exact = 0.5 * (1 + rho) / (1 - rho)
    tau = mean_with_error(ar1(rho, (100, 8, 4000))).tau
    # The mean over 100 series of 32 000 draws against the exact value: its scatter plus the
    # 2 % that a data-driven window costs (estimated windows end late more often than early).
    assert abs(tau.mean() - exact) < 5 * tau.std() / 10 + 0.02 * exact


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.9])
def test_error_covers_the_true_mean(rho: float) -> None:
    estimate = mean_with_error(ar1(rho, (2000, 8, 1000)))
    z = estimate.mean / estimate.error
    # Σz² of 2000 nearly normal z is χ²(2000): standard deviation 63; 4σ = 253 (false alarm
    # 1e-4 at zero bias), plus 2 % for the error of the error.
    assert abs(np.sum(z**2) - 2000) < 253 + 40
    assert abs(np.mean(abs(z) > 1.959964) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)


def test_negative_control_the_naive_error_is_far_too_small() -> None:
    series = ar1(0.9, (2000, 8, 1000))
    naive = series.std(axis=(-2, -1)) / np.sqrt(8000)
    assert np.sum((series.mean(axis=(-2, -1)) / naive) ** 2) > 10 * (2000 + 293)


def test_strong_anticorrelation_errs_on_the_safe_side() -> None:
    estimate = mean_with_error(ar1(-0.95, (200, 8, 1000)))
    assert np.all(abs(estimate.mean) < 4 * estimate.error)
    assert np.all(estimate.ess > 8000)
    assert np.isfinite(estimate.ess).all()


def test_ess_tau_and_error_are_one_statement() -> None:
    series = 3.0 + 2.0 * ar1(0.8, (5, 4, 3000))
    estimate = mean_with_error(series)
    np.testing.assert_allclose(estimate.ess, 12_000 / (2 * estimate.tau))
    np.testing.assert_allclose(
        estimate.error, series.std(axis=(-2, -1)) / np.sqrt(estimate.ess), rtol=0.01
    )


def test_chains_stuck_apart_have_the_error_of_their_spread() -> None:
    centres = np.array([-1.0, 1.0, -1.0, 1.0])
    estimate = mean_with_error(centres[:, None] + 0.01 * ar1(0.0, (4, 2000)))
    assert 0.3 < estimate.error < 1.0  # the standard error of four values ±1 is 0.58
    assert estimate.ess < 10
    assert split_rhat(centres[:, None] + 0.01 * ar1(0.0, (4, 2000))) > 10


@pytest.mark.parametrize("value", [0.0, 0.1, -2048.0])
def test_series_that_never_changes(value: float) -> None:
    estimate = mean_with_error(np.full((3, 8, 100), value))
    np.testing.assert_array_equal(estimate.mean, np.full(3, value))
    np.testing.assert_array_equal(estimate.error, 0.0)
    np.testing.assert_array_equal(estimate.ess, 800.0)
    np.testing.assert_array_equal(estimate.tau, 0.5)
    np.testing.assert_array_equal(split_rhat(np.full((3, 8, 100), value)), 1.0)


def test_constant_and_moving_series_side_by_side_do_not_disturb_each_other() -> None:
    moving = ar1(0.5, (8, 500))
    both = mean_with_error(np.stack([moving, np.ones((8, 500))]))
    alone = mean_with_error(moving)
    np.testing.assert_allclose(both.error, [alone.error, 0.0], rtol=1e-12)


def test_chains_of_one_draw_are_independent_numbers() -> None:
    values = np.random.default_rng(SEED).normal(size=(1000, 1))
    estimate = mean_with_error(values)
    assert estimate.error == pytest.approx(values.std(ddof=1) / np.sqrt(1000), rel=1e-3)


def test_autocovariance_is_the_direct_sum_whatever_the_slicing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series = ar1(0.7, (5, 3, 50))
    deviation = series - series.mean(axis=(-2, -1), keepdims=True)
    direct = np.stack(
        [
            (deviation[..., : 50 - t] * deviation[..., t:]).sum(axis=-1).mean(axis=-1) / 50
            for t in range(50)
        ],
        axis=-1,
    )
    np.testing.assert_allclose(autocovariance(series), direct, atol=1e-12)
    monkeypatch.setattr("thermo.estimate.slabs.SLAB_NUMBERS", 1)
    np.testing.assert_allclose(autocovariance(series), direct, atol=1e-12)


def test_scale_and_shift() -> None:
    series = ar1(0.6, (4, 1000))
    plain, moved = mean_with_error(series), mean_with_error(1e4 - 7.0 * series)
    assert moved.mean == pytest.approx(1e4 - 7.0 * plain.mean)
    assert moved.error == pytest.approx(7.0 * plain.error)
    assert moved.tau == pytest.approx(plain.tau)


def test_split_rhat_of_good_and_drifting_chains() -> None:
    good = split_rhat(ar1(0.5, (20, 4, 2000)))
    assert np.all(abs(good - 1.0) < 0.01)
    drift = ar1(0.5, (4, 2000)) + np.linspace(0.0, 3.0, 2000)
    assert split_rhat(drift) > 1.1
    assert np.isinf(split_rhat(np.repeat([[0.0], [1.0]], 10, axis=1)))


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (-1.43368, 0.00121, "-1.4337(12)"),
        (0.5, 0.0996, "0.50(10)"),
        (0.5, 0.0994, "0.500(99)"),
        (12.34, 0.98, "12.34(98)"),
        (12.34, 0.996, "12.3(1.0)"),
        (12.34, 9.96, "12(10)"),
        (-1480.3, 23.7, "-1480(24)"),
        (2.0, 0.0, "2"),
        (1e-9, 2e-11, "1.000(20)e-09"),
    ],
)
def test_rounding_to_the_error(mean: float, error: float, text: str) -> None:
    assert rounded_to_error(mean, error) == text


def test_arrays_print_and_index() -> None:
    estimate = MeanWithError(
        *(np.array(row) for row in ([1.234, 5.0], [0.012, 0.0], [9, 9], [1, 1]))
    )
    assert str(estimate) == "[1.234(12) 5]"
    assert str(estimate[0]) == "1.234(12)"


@pytest.mark.parametrize(
    "series", [[1.0, 2.0], [[1.0]], [[1.0, np.nan]], [[1.0, np.inf]], np.empty((3, 0, 5))]
)
def test_bad_series_are_refused(series: object) -> None:
    with pytest.raises(InvalidInputError):
        mean_with_error(series)  # type: ignore[arg-type]


def test_split_rhat_needs_four_draws() -> None:
    with pytest.raises(InvalidInputError, match="at least 4"):
        split_rhat([[1.0, 2.0, 3.0]])
