"""What rounding leaves of noise on a grid: the closed forms against sums, integrals and a table."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import erfc, ndtr

from llm_bridge.brownian.rounding_law import (
    ROUNDINGS,
    code_transitions,
    flip_probability,
    nearest_threshold,
    step_of_normal_weights,
    variance_kept,
)
from llm_bridge.quantised import quantise
from thermo.errors import InvalidInputError

RATIOS = (0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 1.7, 2.5, 40.0)


def gaussian_mean(of: Callable[[np.ndarray], np.ndarray], ratio: float, cells: int = 2) -> float:
    """⟨f(x)⟩ for x ~ N(0, ratio²) and f smooth between multiples of 1/cells: Gauss–Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    pieces = 16  # of a cell, so that a narrow density is resolved
    reach = math.ceil(12 * ratio) + 1
    edges = np.arange(-reach * cells * pieces, reach * cells * pieces) / (cells * pieces)
    width = 1 / (cells * pieces)
    x = edges[:, None] + width * (nodes + 1) / 2
    density = np.exp(-((x / ratio) ** 2) / 2) / (ratio * math.sqrt(2 * math.pi))
    return float((of(x) * density * weights).sum() * width / 2)


def nearest(x: np.ndarray) -> np.ndarray:
    return np.floor(x + 0.5)


# --- the table of the literature ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "flips", "kept", "stochastic"),
    [
        (0.05, 1.5e-23, 0.0, 15.96),
        (0.1, 5.7e-7, 5.7e-5, 7.98),
        (0.2, 0.0124, 0.31, 3.99),
        (0.25, 0.046, 0.73, 3.19),
        (0.3, 0.096, 1.06, 2.66),
        (0.5, 0.317, 1.30, 1.66),
        (1.0, 0.617, 1.08, 1.17),
    ],
)
def test_the_table(ratio: float, flips: float, kept: float, stochastic: float) -> None:
    """Weights that lie on the grid; each number to half of its last digit."""
    assert float(flip_probability(ratio, "nearest")) == pytest.approx(flips, rel=0.02)
    assert float(variance_kept(ratio, "nearest")) == pytest.approx(kept, abs=0.0051, rel=0.01)
    assert float(variance_kept(ratio, "stochastic")) == pytest.approx(stochastic, abs=0.0051)


def test_threshold_and_steps() -> None:
    assert nearest_threshold() == pytest.approx(0.29, abs=0.005)
    assert float(variance_kept(nearest_threshold(), "nearest")) == pytest.approx(1, abs=1e-12)
    assert step_of_normal_weights(4, 128) == pytest.approx(0.40, abs=0.005)
    assert 0.29 * step_of_normal_weights(8, 4096) == pytest.approx(0.0086, abs=0.0001)


# --- against sums and integrals -------------------------------------------------------------------


@pytest.mark.parametrize("ratio", RATIOS)
def test_moments_by_integration(ratio: float) -> None:
    def up(x: np.ndarray) -> np.ndarray:
        return x - np.floor(x)

    flips = {
        "nearest": gaussian_mean(lambda x: 1.0 * (nearest(x) != 0), ratio),
        "stochastic": gaussian_mean(lambda x: np.minimum(np.abs(x), 1), ratio),
    }
    kept = {
        "nearest": gaussian_mean(lambda x: nearest(x) ** 2, ratio) / ratio**2,
        "stochastic": gaussian_mean(lambda x: x**2 + up(x) * (1 - up(x)), ratio) / ratio**2,
    }
    for rounding in ("nearest", "stochastic"):
        assert float(flip_probability(ratio, rounding)) == pytest.approx(
            flips[rounding], rel=1e-9, abs=1e-15
        )
        assert float(variance_kept(ratio, rounding)) == pytest.approx(
            kept[rounding], rel=1e-9, abs=1e-13
        )


@pytest.mark.parametrize("ratio", RATIOS)
def test_moments_by_the_sum_over_the_lattice(ratio: float) -> None:
    """The chance of each step as a difference of the normal law; nothing of the closed forms."""
    steps = np.arange(-600, 601)
    chance = ndtr((steps + 0.5) / ratio) - ndtr((steps - 0.5) / ratio)
    variance = float((steps**2 * chance).sum()) / ratio**2
    assert float(variance_kept(ratio, "nearest")) == pytest.approx(variance, rel=1e-8, abs=1e-11)
    moved = 1 - float(chance[600])
    assert float(flip_probability(ratio, "nearest")) == pytest.approx(moved, abs=1e-14)


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.9, 1.4, 1.9])
def test_moments_by_poissons_sum(ratio: float) -> None:
    k = np.arange(1, 40)
    wave = np.exp(-2 * (math.pi * k * ratio) ** 2)
    spread = 1 / (math.pi * k * ratio) ** 2
    nearest_sum = 1 + 1 / (12 * ratio**2) + ((-1.0) ** k * (4 + spread) * wave).sum()
    assert float(variance_kept(ratio, "nearest")) == pytest.approx(nearest_sum, rel=1e-12)
    stochastic_sum = 1 + 1 / (6 * ratio**2) - (spread * wave).sum()
    assert float(variance_kept(ratio, "stochastic")) == pytest.approx(stochastic_sum, rel=1e-12)


def test_the_two_branches_meet() -> None:
    for rounding in ("nearest", "stochastic"):
        below, above = variance_kept([2 - 1e-12, 2.0], rounding)
        assert abs(below - above) < 1e-11


def test_limits() -> None:
    tiny = 1e-4
    assert float(variance_kept(tiny, "nearest")) == 0.0
    assert float(variance_kept(tiny, "stochastic")) == pytest.approx(
        math.sqrt(2 / math.pi) / tiny, rel=1e-12
    )
    assert float(flip_probability(tiny, "ternary")) == pytest.approx(1e-8)
    assert variance_kept(np.array([[0.1, 1.0]]), "ternary").tolist() == [[1.0, 1.0]]
    assert float(flip_probability(1e6, "nearest")) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5, 1.0])
def test_weights_anywhere_in_their_cells_move_as_under_stochastic_rounding(ratio: float) -> None:
    """Rounded to nearest from offset u, averaged over u in a cell: the other column of the table.

    Which of the two the table means is thus decided: weights on the grid. Offsets by the midpoint
    rule, whose error is that of a smooth periodic function: none.
    """
    offsets = (np.arange(4000) + 0.5) / 4000 - 0.5
    steps = np.arange(-12, 13)[:, None]
    chance = ndtr((steps + 0.5 - offsets) / ratio) - ndtr((steps - 0.5 - offsets) / ratio)
    variance = float((steps**2 * chance).sum(axis=0).mean()) / ratio**2
    assert variance == pytest.approx(float(variance_kept(ratio, "stochastic")), rel=1e-6)
    moved = 1 - float(chance[12].mean())
    assert moved == pytest.approx(float(flip_probability(ratio, "stochastic")), rel=1e-6)
    assert abs(variance - float(variance_kept(ratio, "nearest"))) > 0.05  # negative control


# --- ranges with ends -----------------------------------------------------------------------------


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("ratio", [0.1, 0.4, 1.0, 3.0])
def test_transitions_by_integration(rounding: str, ratio: float) -> None:
    largest = 3
    codes = np.arange(-largest, largest + 1)
    found = code_transitions(ratio, rounding, largest)
    for start, row in zip(codes, found, strict=True):
        for end, chance in zip(codes, row, strict=True):

            def arrives(x: np.ndarray, start: int = start, end: int = end) -> np.ndarray:
                if rounding == "nearest":
                    return 1.0 * (np.clip(start + nearest(x), -largest, largest) == end)
                low, up = np.floor(x), x - np.floor(x)
                down = np.clip(start + low, -largest, largest) == end
                higher = np.clip(start + low + 1, -largest, largest) == end
                return (1 - up) * down + up * higher

            assert chance == pytest.approx(gaussian_mean(arrives, ratio), abs=1e-12)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("ratio", [0.05, 0.3, 1.0])
def test_transitions_keep_what_they_should(rounding: str, ratio: float) -> None:
    largest = 30
    found = code_transitions(ratio, rounding, largest)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-15)
    codes = np.arange(-largest, largest + 1)
    step = codes[None, :] - codes[:, None]
    mean, square = (found * step).sum(axis=1), (found * step**2).sum(axis=1)
    middle = slice(12, -12)
    kept = float(variance_kept(ratio, rounding)) * ratio**2
    np.testing.assert_allclose(mean[middle], 0, atol=1e-14)
    np.testing.assert_allclose(square[middle], kept, rtol=1e-12)
    moved = float(flip_probability(ratio, rounding))
    np.testing.assert_allclose(1 - found.diagonal()[middle], moved, atol=1e-14)
    if rounding == "ternary":
        np.testing.assert_allclose(mean, 0, atol=1e-16)  # also at the ends
        assert (square[1:-1] == square[1]).all()
        assert square[0] == square[-1] == 0
    elif ratio >= 0.3:
        assert mean[0] > 0.01  # negative control: rounding draws the ends inwards
        assert mean[-1] < -0.01


@pytest.mark.parametrize("ratio", [1.0, 1.01, 1.7, 2.0, 3.0, 4.3])
def test_ternary_kicks_of_several_steps(ratio: float) -> None:
    """⌈r⌉ steps either way: the variance is r² for every code that has room on both sides."""
    length = math.ceil(ratio)
    found = code_transitions(ratio, "ternary", 9)
    codes = np.arange(-9, 10)
    step = codes[None, :] - codes[:, None]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose((found * step).sum(axis=1), 0, atol=1e-15)
    expected = np.where(np.abs(codes) + length <= 9, ratio**2, 0.0)
    np.testing.assert_allclose((found * step**2).sum(axis=1), expected, rtol=1e-14)
    assert found[9, 9] == pytest.approx(1 - flip_probability(ratio, "ternary"))
    assert set(np.flatnonzero(found[9])) <= {9 - length, 9, 9 + length}


# --- steps of normal weights ----------------------------------------------------------------------


def test_largest_of_one_and_of_two_by_hand() -> None:
    assert 7 * step_of_normal_weights(4, 1) == pytest.approx(math.sqrt(2 / math.pi), rel=1e-10)
    assert 7 * step_of_normal_weights(4, 2) == pytest.approx(2 / math.sqrt(math.pi), rel=1e-10)


@pytest.mark.parametrize(("bits", "group"), [(4, 32), (8, 256)])
def test_steps_of_a_quantised_normal_matrix(bits: int, group: int) -> None:
    """2000 groups; |z| below 5: false alarm 6e-7. Negative control: groups of twice the size."""
    numbers = np.random.default_rng(20261121).normal(size=(2000, group))
    steps = quantise(torch.from_numpy(numbers), bits=bits).scale.double().numpy()
    error = steps.std() / math.sqrt(2000)
    assert abs(steps.mean() - step_of_normal_weights(bits, group)) < 5 * error
    assert abs(steps.mean() - step_of_normal_weights(bits, 2 * group)) > 5 * error


def test_tail_of_a_large_group() -> None:
    """The integral does not lose its end: median and mean of the largest are close together."""
    group = 10**7
    mean = 127 * step_of_normal_weights(8, group)
    middle = math.log(2) / group  # chance of a weight beyond the median of the largest
    low, high = 4.0, 7.0
    for _ in range(60):
        t = (low + high) / 2
        low, high = (t, high) if erfc(t / math.sqrt(2)) > middle else (low, t)
    assert mean == pytest.approx(low, abs=0.1)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.0, -0.1, math.nan, math.inf, [0.1, 0.0], "0.1", None])
def test_bad_ratios(ratio: object) -> None:
    for function in (flip_probability, variance_kept):
        with pytest.raises(InvalidInputError, match="ratio = "):
            function(ratio, "nearest")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="ratio = "):
        code_transitions(ratio, "nearest", 7)  # type: ignore[arg-type]


def test_other_bad_input() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'nearest'"):
        variance_kept(0.1, "neerest")
    with pytest.raises(InvalidInputError, match="a single number"):
        code_transitions([0.1, 0.2], "nearest", 7)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="largest = 0"):
        code_transitions(0.1, "nearest", 0)
    with pytest.raises(InvalidInputError, match="bits = 5"):
        step_of_normal_weights(5, 128)
    with pytest.raises(InvalidInputError, match="group = 0"):
        step_of_normal_weights(4, 0)
