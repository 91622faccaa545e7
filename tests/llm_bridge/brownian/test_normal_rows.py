"""Normal numbers by the row: their bits, their law, and that a row is the same whenever asked."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2, norm

torch = pytest.importorskip("torch")

from llm_bridge.brownian import normal_rows  # noqa: E402
from llm_bridge.brownian.normal_rows import NormalRows  # noqa: E402

SEED = 20261120
CPU = torch.device("cpu")


def squares(counter: int, key: int) -> int:
    """The paper's squares64, by Python's integers."""
    low = 2**64 - 1

    def turn(x: int) -> int:
        return ((x >> 32) | (x << 32)) & low

    y = counter * key & low
    z = (y + key) & low
    x = turn((y * y + y) & low)
    x = turn((x * x + z) & low)
    x = turn((x * x + y) & low)
    x = (x * x + z) & low
    return x ^ (((turn(x) ** 2 + y) & low) >> 32)


def numbers(count: int, width: int, *, place: int = 0, seed: int = SEED) -> np.ndarray:
    rows = NormalRows(seed, place, range(1), False, width)
    return rows.next(count, 0, CPU)[0].double().numpy()


def test_bits_are_those_of_the_paper() -> None:
    rng = np.random.default_rng(SEED)
    for key in rng.integers(2**63, size=4, dtype=np.uint64) * np.uint64(2) + np.uint64(1):
        for counter in (0, 1, 2**32 - 1, 5 << 32, (2**32 - 1) << 32):
            word = normal_rows.random_word(np.uint64(counter), key)
            assert int(word) == squares(counter, int(key))


def test_a_pair_is_that_of_box_and_muller() -> None:
    """Against float64, at random words and at the ends of both of its halves."""
    ends = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
    words = [a + (b << 32) for a in ends for b in ends]
    words += np.random.default_rng(SEED).integers(2**63, size=2000).tolist()
    for word in words:
        pair = normal_rows.normal_pair(np.uint64(word))
        low, high = word % 2**32, word >> 32
        radius = math.sqrt(-2 * math.log(min(np.float32(low) + 0.5, 2**32) / 2**32))
        signed = (high & ~3) - (2**32 if high >= 2**31 else 0)
        angle = signed / 2**31 * math.pi / 4
        cosine, sine = math.cos(angle), math.sin(angle)
        if high & 2:
            cosine, sine = sine, cosine
        if high & 1:
            radius = -radius
        assert pair == pytest.approx((radius * cosine, radius * sine), rel=2e-6, abs=4e-6), word


def test_law() -> None:
    """2²² numbers: moments, 4096 cells of equal probability, tails. Rate of false alarms 2e-5.

    Moments and tails by |z| < 5 (6e-7 each, 8 of them), the cells by p > 1e-5.
    """
    x = numbers(1024, 4096).ravel()
    n = x.size
    exact = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96), 6: (15, 10170)}
    for power, (mean, variance) in exact.items():
        assert abs((x**power).mean() - mean) < 5 * math.sqrt(variance / n), power
    for bound in (2.0, 3.0, 4.0):
        expected = 2 * norm.sf(bound) * n
        assert abs((np.abs(x) > bound).sum() - expected) < 5 * math.sqrt(expected), bound
    assert np.abs(x).max() < math.sqrt(2 * math.log(2**33))
    cells = np.bincount((norm.cdf(x) * 4096).astype(int), minlength=4096)
    square = ((cells - n / 4096) ** 2).sum() / (n / 4096)
    assert chi2.sf(square, 4095) > 1e-5
    # Negative control: numbers of 16 bits have the moments, but not the cells.
    rough = np.round(x * 512) / 512
    cells = np.bincount((norm.cdf(rough) * 4096).astype(int), minlength=4096)
    assert chi2.sf(((cells - n / 4096) ** 2).sum() / (n / 4096), 4095) < 1e-9


def largest_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Largest of |z| for correlations of numbers, of their squares, and of either with other."""
    powers = [(x, (x * x - 1) / math.sqrt(2)) for x in (a.ravel(), b.ravel())]
    return max(abs((p * q).sum()) / math.sqrt(a.size) for p in powers[0] for q in powers[1])


def test_rows_places_streams_and_halves_are_independent() -> None:
    """Largest of 24 |z| below 5.5: rate of false alarms 1e-6."""
    x = numbers(512, 512)
    streams = NormalRows(SEED, 0, range(2), False, 512).next(512, 0, CPU).double().numpy()
    others = [
        (x[1:], x[:-1]),
        (x[:, 1:], x[:, :-1]),
        (x[:, :256], x[:, 256:]),  # cosines and sines
        (x, numbers(512, 512, place=1)),
        (x, numbers(512, 512, seed=SEED + 1)),
        (streams[0], streams[1]),
    ]
    for one, other in others:
        assert largest_correlation(one, other) < 5.5
    assert largest_correlation(x, numbers(512, 512)) > 100  # negative control: the same rows
    assert np.array_equal(x, streams[0])


@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_a_row_is_the_same_whenever_it_is_asked_for(width: int) -> None:
    rows = NormalRows(SEED, 3, range(4, 7), False, width)
    whole = rows.next(10, 0, CPU)
    assert whole.shape == (3, 10, width)
    assert torch.equal(rows.next(4, 6, CPU), whole[:, 6:])
    buffer = torch.zeros(3, 12, width)
    rows.fill(buffer, 1, 10, 0)
    assert torch.equal(buffer[:, 1:11], whole)
    assert not buffer[:, [0, 11]].any()
    order = np.array([[3, 3, 0]])
    assert torch.equal(rows.numbered(order, CPU), whole[:, [3, 3, 0]])
    apart = np.array([[0, 1], [2, 3], [4, 5]])
    picked = rows.numbered(apart, CPU)
    assert all(torch.equal(picked[b], whole[b, apart[b].tolist()]) for b in range(3))
    alone = NormalRows(SEED, 3, range(5, 6), False, width)
    assert torch.equal(alone.next(10, 0, CPU)[0], whole[1])


def test_mirror_images() -> None:
    rows = NormalRows(SEED, 3, range(3, 8), True, 9).next(4, 0, CPU)
    assert torch.equal(rows[1], -rows[2])
    assert torch.equal(rows[3], -rows[4])
    plain = NormalRows(SEED, 3, range(4), False, 9).next(4, 0, CPU)
    assert torch.equal(
        rows[[0, 1, 3]], plain[[1, 2, 3]] * torch.tensor([-1.0, 1, 1])[:, None, None]
    )


@pytest.mark.parametrize("width", [1, 8, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_are_added_with_the_lengths_of_inputs(width: int, dtype: torch.dtype) -> None:
    """The loop for float32 does what tensors of any type do."""
    rows = NormalRows(SEED, 3, range(4), True, width)
    generator = torch.Generator().manual_seed(SEED)
    inputs, before = (torch.randn(4, 5, n, generator=generator).to(dtype) for n in (33, width))
    output = before.clone()
    rows.add(output, inputs.transpose(1, 2).contiguous().transpose(1, 2), 0.3, 7)
    lengths = inputs.double().norm(dim=-1, keepdim=True)
    expected = before.double() + 0.3 * lengths * rows.next(5, 7, CPU).double()
    rough = 0.02 if dtype == torch.bfloat16 else 2e-6
    torch.testing.assert_close(output.double(), expected, rtol=rough, atol=rough)
