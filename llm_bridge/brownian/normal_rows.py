"""Standard normal numbers by the row: row r of a stream is the same whenever it is asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["NormalRows"]

_HALF_WORD = np.uint64(32)
_SIGN = np.uint32(31)
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_MANTISSA = np.int32(0x7FFFFF)
_EXPONENT = np.int32(23)
_WORD_BITS = np.int32(32)
_LN2 = np.float32(math.log(2.0))
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_EIGHTH_TURN = np.float32(math.pi / 4 * 2.0**-31)

# ln(1 + f) = f − f²/2 + f³ (…), cos a = 1 − a²/2 + a⁴ (…) and sin a = a + a³ (…), highest power
# first, within 2⁻²⁴ for √½ ≤ 1 + f < √2 and |a| ≤ π/4: the least largest errors, from S. L.
# Moshier, "Methods and Programs for Mathematical Functions" (1989), single precision.
_LN = tuple(
    np.float32(c)
    for c in (
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
        -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    )
)  # fmt: skip
_COS = tuple(np.float32(c) for c in (2.443315711809948e-5, -1.388731625493765e-3, 4.1666645683e-2))
_SIN = tuple(np.float32(c) for c in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1))


@njit(nogil=True, error_model="numpy")
def random_word(counter, key):
    """64 random bits, a function of a counter and an odd key.

    Squares: B. Widynski, "Squares: a fast counter-based RNG", arXiv:2004.06278 (2020), version 64.
    """
    y = counter * key
    z = y + key
    x = y * y + y
    x = (x >> _HALF_WORD) | (x << _HALF_WORD)
    x = x * x + z
    x = (x >> _HALF_WORD) | (x << _HALF_WORD)
    x = x * x + y
    x = (x >> _HALF_WORD) | (x << _HALF_WORD)
    x = x * x + z
    swapped = (x >> _HALF_WORD) | (x << _HALF_WORD)
    return x ^ ((swapped * swapped + y) >> _HALF_WORD)


@njit(nogil=True, error_model="numpy")
def normal_pair(word):
    """Two independent standard normal numbers, float32, from 64 random bits.

    The transformation of Box and Muller without a call into a library, so that a loop over it
    becomes vector instructions. Both numbers are bounded by √(2 ln 2³³) = 6.76: the law's tail
    beyond, 10⁻¹¹ of it, is missing.
    """
    uniform = np.float32(np.uint32(word)) + _HALF  # 2³² times a number in (0, 1]
    bits = np.int32(np.float32(uniform).view(np.int32) - _SQRT_HALF_BITS)
    exponent = np.float32(np.int32(np.int32(bits >> _EXPONENT) - _WORD_BITS))
    f = np.int32(np.int32(bits & _MANTISSA) + _SQRT_HALF_BITS).view(np.float32) - _ONE
    series = _LN[0]
    for coefficient in _LN[1:]:
        series = series * f + coefficient
    square = f * f
    logarithm = (series * f * square - _HALF * square + f) + exponent * _LN2
    radius = np.sqrt(np.float32(-2.0) * logarithm)

    high = np.uint32(word >> _HALF_WORD)  # 30 bits place the angle around 0, two choose a quarter
    angle = np.float32(np.int32(high & np.uint32(0xFFFFFFFC))) * _EIGHTH_TURN
    square = angle * angle
    cosine = (_COS[0] * square + _COS[1]) * square + _COS[2]
    cosine = cosine * square * square - _HALF * square + _ONE
    sine = (_SIN[0] * square + _SIN[1]) * square + _SIN[2]
    sine = sine * square * angle + angle
    sign = np.uint32(high << _SIGN)
    radius = np.uint32(np.float32(radius).view(np.uint32) ^ sign).view(np.float32)
    turned = (high & np.uint32(2)) != np.uint32(0)
    return (
        radius * (sine if turned else cosine),
        radius * (cosine if turned else sine),
    )


@njit(nogil=True, error_model="numpy")
def _fill_row(row, number, key, sign):
    """Write a row of a stream, times the sign; number is 0 … 2³² − 1."""
    pairs = row.size // 2
    first = row[:pairs]
    second = row[row.size - pairs :]
    counter = np.uint64(number) << _HALF_WORD
    for j in range(pairs):
        one, other = normal_pair(random_word(counter + np.uint64(j), key))
        first[j] = sign * one
        second[j] = sign * other
    if row.size > 2 * pairs:
        one, other = normal_pair(random_word(counter + np.uint64(pairs), key))
        row[pairs] = sign * one


@njit(cache=True, nogil=True, error_model="numpy")
def fill_next(buffer, start, count, number, keys, signs):
    """Write so many rows, from a number on, to ``buffer[:, start : start + count]``.

    buffer (k, n, d) float32; keys (k,), odd uint64, and signs (k,), float32, of the streams.
    """
    for b in range(buffer.shape[0]):
        for i in range(count):
            _fill_row(buffer[b, start + i], number + i, keys[b], signs[b])


@njit(cache=True, nogil=True, error_model="numpy")
def fill_numbered(buffer, numbers, keys, signs):
    """Write rows of any numbers (k, m), or (1, m) for all streams, to buffer (k, m, d)."""
    for b in range(buffer.shape[0]):
        own = numbers[b] if numbers.shape[0] > 1 else numbers[0]
        for i in range(own.size):
            _fill_row(buffer[b, i], own[i], keys[b], signs[b])


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _square(row):
    total = np.float32(0.0)
    for i in range(row.size):
        total += row[i] * row[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def add_next(output, inputs, size, number, keys, signs):
    """Add rows, from a number on, times size and the lengths of the inputs, to output (k, m, d)."""
    width = output.shape[2]
    pairs = width // 2
    for b in range(output.shape[0]):
        key = keys[b]
        for i in range(output.shape[1]):
            scale = np.float32(signs[b] * size * math.sqrt(_square(inputs[b, i])))
            first = output[b, i, :pairs]
            second = output[b, i, width - pairs :]
            counter = np.uint64(number + i) << _HALF_WORD
            for j in range(pairs):
                one, other = normal_pair(random_word(counter + np.uint64(j), key))
                first[j] += scale * one
                second[j] += scale * other
            if width > 2 * pairs:
                one, other = normal_pair(random_word(counter + np.uint64(pairs), key))
                output[b, i, pairs] += scale * one


class NormalRows:
    """Rows of independent standard normal numbers for one tensor, one stream per draw.

    Row r of draw k depends on the seed, the tensor's place, k and r alone: reading in pieces, once
    more, or with other draws beside it gives the same numbers, on every device.

    Parameters
    ----------
    seed : int
    place : int
        Number of the tensor, `llm_bridge.brownian.selection.NoisyTensor.place`.
    draws : range
        Numbers of the draws.
    mirrored : bool
        Draw 2k + 1 has the numbers of draw 2k with the opposite sign.
    width : int
        Numbers in a row.
    part : int
        A tensor that needs rows of several kinds numbers them.

    Notes
    -----
    A number is made from 32 random bits in about 0.8 ns, a quarter of what ``torch.randn`` takes
    on the same processor; see `normal_pair` for the bound of its tail.
    """

    def __init__(
        self, seed: int, place: int, draws: range, mirrored: bool, width: int, part: int = 0
    ) -> None:
        self.width = width
        streams = [draw // 2 if mirrored else draw for draw in draws]
        self.keys = np.array([_key(seed, stream, place, part) for stream in streams])
        self.signs = np.array(
            [-1.0 if mirrored and draw % 2 else 1.0 for draw in draws], dtype=np.float32
        )

    def fill(self, buffer: torch.Tensor, start: int, count: int, number: int) -> None:
        """Write so many rows, from a number on, to ``buffer[:, start : start + count]``.

        ``buffer`` is float32 (k, n, width), contiguous, on any device.
        """
        import torch

        if buffer.is_cpu:
            fill_next(buffer.numpy(), start, count, number, self.keys, self.signs)
            return
        host = np.empty((self.keys.size, count, self.width), dtype=np.float32)
        fill_next(host, 0, count, number, self.keys, self.signs)
        buffer[:, start : start + count] = torch.from_numpy(host).to(buffer.device)

    def next(self, count: int, number: int, device: torch.device) -> torch.Tensor:
        """So many rows, from a number on: float32 (k, count, width)."""
        import torch

        out = torch.empty((self.keys.size, count, self.width), device=device)
        self.fill(out, 0, count, number)
        return out

    def add(self, output: torch.Tensor, inputs: torch.Tensor, size: float, number: int) -> None:
        """Add so many rows as output (k, m, width) has, times size and the length of each input."""
        import torch

        if output.is_cpu and output.dtype == inputs.dtype == torch.float32:
            rows = inputs.contiguous().numpy()
            add_next(output.numpy(), rows, size, number, self.keys, self.signs)
            return
        kind = None if inputs.dtype.itemsize > 2 else torch.float32
        lengths = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True, dtype=kind)
        output.addcmul_(lengths, self.next(output.shape[1], number, output.device), value=size)

    def numbered(self, numbers: NDArray[np.int64], device: torch.device) -> torch.Tensor:
        """Rows of any numbers (k, m), or (1, m) for all draws: float32 (k, m, width)."""
        import torch

        host = np.empty((self.keys.size, numbers.shape[1], self.width), dtype=np.float32)
        fill_numbered(host, numbers, self.keys, self.signs)
        return torch.from_numpy(host).to(device)


def _key(seed: int, stream: int, place: int, part: int) -> np.uint64:
    sequence = np.random.SeedSequence(seed, spawn_key=(stream, place, part))
    return sequence.generate_state(1, np.uint64)[0] | np.uint64(1)
