"""What greedy decoding of noisy logits draws: the multinomial probit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, ndtr, softmax
from scipy.stats import chi2, norm

from llm_bridge.brownian.probit import (
    MINIMAX_RATIO,
    SLOPE_RATIO,
    VARIANCE_RATIO,
    probit_probabilities,
)
from thermo.errors import InvalidInputError


@pytest.mark.parametrize("gap", [0.0, 0.3, 2.0, 7.0, 20.0, 30.0])
@pytest.mark.parametrize("deviation", [0.5, 1.0, 3.0])
def test_two_tokens_in_closed_form(gap: float, deviation: float) -> None:
    p = probit_probabilities([5.0, 5.0 - gap * deviation, -np.inf], deviation)
    expected = ndtr(np.array([gap, -gap]) / np.sqrt(2))
    np.testing.assert_allclose(p[:2], expected, rtol=1e-12)
    assert p[2] == 0.0


def test_three_tokens_by_quadrature() -> None:
    z, s = np.array([0.0, -0.7, -4.0]), 0.9

    def density(y: float, i: int) -> float:
        others = np.delete(z, i)
        return norm.pdf(y, z[i], s) * norm.cdf(y, others, s).prod()

    expected = [quad(density, -12, 12, args=(i,), epsabs=1e-14)[0] for i in range(3)]
    np.testing.assert_allclose(probit_probabilities(z, s), expected, rtol=1e-9)


def test_rows_shifts_sums_and_symmetry() -> None:
    z = np.random.default_rng(1).normal(size=(2, 3, 500)) * 3
    p = probit_probabilities(z, 1.3)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(probit_probabilities(10 * z + 7, 13.0), p, rtol=1e-11)
    np.testing.assert_allclose(probit_probabilities(np.zeros(5000), 1.0), 1 / 5000, rtol=1e-10)
    assert (np.argsort(p[0, 0]) == np.argsort(z[0, 0])).all()  # no rank swaps: all noises are alike


def test_simulation_and_softmax() -> None:
    """Counts of 200 000 draws: χ² at 1e-4. Negative control: the softmax of equal slope."""
    rng = np.random.default_rng(20261122)
    z = np.linspace(0.0, -3.0, 12)
    counts = np.bincount((z + rng.normal(size=(200_000, 12))).argmax(axis=1), minlength=12)

    def p_value(p: np.ndarray) -> float:
        expected = 200_000 * p
        return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), 11))

    assert p_value(probit_probabilities(z, 1.0)) > 1e-4
    assert p_value(softmax(z * SLOPE_RATIO)) < 1e-12
    # Gumbel noise is softmax.
    gumbel = z + rng.gumbel(size=(200_000, 12))
    counts = np.bincount(gumbel.argmax(axis=1), minlength=12)
    assert p_value(softmax(z)) > 1e-4
    assert p_value(probit_probabilities(z, SLOPE_RATIO)) < 1e-12


def test_what_temperature_it_is_like() -> None:
    """The three ratios s/T, and the tail −Δ²/4s² that no temperature has."""
    gap = np.linspace(0.0, 30.0, 3001)

    def probit(ratio: float) -> np.ndarray:  # for T = 1
        return ndtr(gap / (np.sqrt(2) * ratio))

    p = probit_probabilities([1e-4, 0.0], SLOPE_RATIO)
    assert np.log(p[0] / p[1]) == pytest.approx(1e-4, rel=1e-6)

    def distance(ratio: float) -> float:
        return float(np.abs(probit(ratio) - expit(gap)).max())

    assert distance(MINIMAX_RATIO) == pytest.approx(0.00946, abs=1e-4)
    assert distance(MINIMAX_RATIO) < min(distance(r * MINIMAX_RATIO) for r in (0.995, 1.005))
    logistic = np.pi**2 / 3  # variance of the difference of two Gumbel numbers
    assert pytest.approx(logistic) == 2 * VARIANCE_RATIO**2
    logs = [np.log(probit_probabilities([d, 0.0], 1.0)[1]) / (-(d**2) / 4) for d in (10, 20, 40)]
    assert 1 < logs[2] < logs[1] < logs[0] < 1.15


@pytest.mark.parametrize("deviation", [0.0, -1.0, np.nan, np.inf, "1", None])
def test_bad_deviations(deviation: object) -> None:
    with pytest.raises(InvalidInputError, match="deviation"):
        probit_probabilities([1.0, 0.0], deviation)  # type: ignore[arg-type]


@pytest.mark.parametrize("logits", [1.0, [], [np.nan, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]])
def test_bad_logits(logits: object) -> None:
    with pytest.raises(InvalidInputError, match="logits"):
        probit_probabilities(logits, 1.0)  # type: ignore[arg-type]
