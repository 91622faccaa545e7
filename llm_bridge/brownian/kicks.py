"""One draw of weight noise on one tensor: its law and its own stream of random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llm_bridge.brownian.noise import WeightNoise
from llm_bridge.brownian.selection import NoisyTensor
from llm_bridge.errors import UnsupportedNoiseError

if TYPE_CHECKING:
    import torch

__all__ = ["TERNARY_PROBABILITY", "displaced", "kick", "require_kicks", "stream_of"]

TERNARY_PROBABILITY = 1 / 16
"""q: how many of the floating-point weights a ternary draw kicks."""

FloatArray = NDArray[np.floating]


def stream_of(tensor: NoisyTensor, noise: WeightNoise, draw: int) -> np.random.Generator:
    """The random numbers of one tensor in one draw, the same whatever else is drawn."""
    # The same as SeedSequence(seed).spawn(...)[draw].spawn(...)[place], without spawning all.
    key = (draw, tensor.place)
    return np.random.default_rng(np.random.SeedSequence(noise.seed, spawn_key=key))


def kick(tensor: NoisyTensor, noise: WeightNoise, stream: np.random.Generator) -> torch.Tensor:
    """A fresh displacement of one tensor; read again from the same stream, the next one.

    Parameters
    ----------
    tensor : NoisyTensor
        Floating-point, or quantised (`require_kicks`).
    noise : WeightNoise
    stream : numpy.random.Generator
        From `stream_of`; it moves on.

    Returns
    -------
    torch.Tensor, of the tensor's shape
        On its device; float64 for float64 weights, else float32, which 16-bit weights add to
        before they are rounded. Whole steps −m, 0, m of the codes' own type for quantised weights.
    """
    import torch

    weights = tensor.tensor
    if tensor.step is not None:
        return _steps(tensor, stream)
    shape = tuple(weights.shape)
    dtype = np.float64 if weights.dtype == torch.float64 else np.float32
    if noise.law == "multiplicative":
        numbers = _normal(stream, shape, dtype)
        numbers *= noise.sigma
        return torch.from_numpy(numbers).to(weights.device).mul_(weights.detach())
    if noise.law == "ternary":
        numbers = _ternary(stream, shape, dtype)
    elif noise.law == "factorised" and len(shape) > 1:
        numbers = _factorised(stream, shape, dtype)
    elif noise.law == "low_rank" and len(shape) > 1:
        numbers = _low_rank(stream, shape, noise.rank, dtype)
    else:
        numbers = _normal(stream, shape, dtype)
    numbers *= tensor.size
    return torch.from_numpy(numbers).to(weights.device)


def require_kicks(chosen: Sequence[NoisyTensor], noise: WeightNoise) -> None:
    """Raise UnsupportedNoiseError for noise that the codes of a quantised layer cannot take."""
    limits = {tensor.name: _largest_size(tensor) / tensor.size for tensor in _moving(chosen)}
    if limits and noise.law != "ternary":
        raise UnsupportedNoiseError(
            f"law = {noise.law!r}, but the weights of {next(iter(limits))} are quantised and move "
            "in whole steps; accepted: law='ternary', or 'gaussian' with machine='function_space'."
        )
    name = min(limits, key=limits.__getitem__, default="")
    if name and limits[name] < 1:
        raise UnsupportedNoiseError(
            f"sigma = {noise.sigma:g}: its kicks of {name} are longer than half the range of the "
            f"codes, and few could move; accepted: sigma up to "
            f"{_rounded_down(noise.sigma * limits[name])}, or law='gaussian' with "
            "machine='function_space'."
        )


def _moving(chosen: Sequence[NoisyTensor]) -> list[NoisyTensor]:
    """Quantised tensors with noise."""
    return [tensor for tensor in chosen if tensor.step is not None and tensor.size > 0]


def _largest_size(tensor: NoisyTensor) -> float:
    """The noise whose kicks are half the range of the codes, where their step is smallest."""
    assert tensor.step is not None
    steps = tensor.step[tensor.step > 0]
    return float(steps.min()) * max(tensor.largest // 2, 1) if steps.numel() else math.inf


def displaced(
    tensor: NoisyTensor, moved: torch.Tensor, sign: int, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """W + δ, or its mirror image W − δ, in the weights' own type.

    ``out`` may be δ itself, where it is not needed any more.
    """
    import torch

    weights = tensor.tensor
    return torch.add(weights.detach(), moved, alpha=sign, out=out).to(weights.dtype)


def _normal(stream: np.random.Generator, shape: tuple[int, ...], dtype: type) -> FloatArray:
    # standard_normal(()) is a plain number; an array is wanted, also for a weight without axes.
    return np.asarray(stream.standard_normal(shape, dtype=dtype))


def _factorised(stream: np.random.Generator, shape: tuple[int, ...], dtype: type) -> FloatArray:
    """√(π/2) f(ε) f(ε')ᵀ, one such product for every matrix of a stack."""

    def half(length: int) -> FloatArray:
        numbers = _normal(stream, (*shape[:-2], length), dtype)
        return np.copysign(np.sqrt(np.abs(numbers)), numbers)

    rows = half(shape[-2])
    rows *= math.sqrt(math.pi / 2)
    return rows[..., :, None] * half(shape[-1])[..., None, :]


def _low_rank(
    stream: np.random.Generator, shape: tuple[int, ...], rank: int, dtype: type
) -> FloatArray:
    """A Bᵀ/√r, one such product for every matrix of a stack."""
    left = _normal(stream, (*shape[:-2], shape[-2], rank), dtype)
    right = _normal(stream, (*shape[:-2], rank, shape[-1]), dtype)
    left /= math.sqrt(rank)
    return left @ right


def _ternary(stream: np.random.Generator, shape: tuple[int, ...], dtype: type) -> FloatArray:
    """±1/√q with probability q/2 each, else 0: one random byte per weight."""
    share = round(256 * TERNARY_PROBABILITY / 2)
    byte = stream.integers(0, 256, size=shape, dtype=np.uint8)
    sign = (byte < share).astype(np.int8) - ((byte >= share) & (byte < 2 * share)).astype(np.int8)
    return np.multiply(sign, 1 / math.sqrt(TERNARY_PROBABILITY), dtype=dtype)


def _steps(tensor: NoisyTensor, stream: np.random.Generator) -> torch.Tensor:
    """±m with probability q/2 each, m = ⌈size/step⌉ and q = (size/m·step)²: the variance is size².

    A code that is nearer than m to an end of the range could move inwards only: kicked, it would
    have a mean, so it stays. Candidates come by gaps of the geometric law with the largest q, so
    few numbers are drawn where few codes move.
    """
    import torch

    codes, step = tensor.tensor.detach(), tensor.step
    assert step is not None
    units = step.detach().double().cpu().numpy().reshape(-1)
    width = codes.numel() // max(units.size, 1)  # codes that share a step stand side by side
    sizes = np.divide(tensor.size, units, out=np.zeros_like(units), where=units > 0)
    length = np.ceil(sizes)
    chances = np.divide(sizes, length, out=np.zeros_like(units), where=length > 0) ** 2
    most = float(chances.max(initial=0.0))
    moved = np.zeros(codes.numel(), dtype=np.int8)
    if most > 0.0:
        at = _bernoulli_places(stream, codes.numel(), most)
        kept = stream.random(at.size) * most < chances[at // width]
        signs = 1 - 2 * stream.integers(0, 2, size=at.size)
        moved[at] = np.where(kept, signs * length[at // width], 0)
    steps = torch.from_numpy(moved.reshape(tuple(codes.shape))).to(codes)
    return steps.mul_(codes.abs() <= tensor.largest - steps.abs())  # a sum may not fit int8


def _rounded_down(value: float) -> str:
    """Two digits that are accepted where the value itself is."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.floor(value / unit) * unit:.2g}"


def _bernoulli_places(stream: np.random.Generator, number: int, chance: float) -> NDArray[np.int64]:
    """Which of so many places succeed, each with this chance, by the gaps between them."""
    parts: list[NDArray[np.int64]] = []
    last = -1
    while last < number:
        expected = (number - last) * chance
        gaps = stream.geometric(chance, size=int(expected + 4 * math.sqrt(expected) + 16))
        # A gap beyond the end is as good as any; the sum of many would not fit into an integer.
        parts.append(last + np.cumsum(np.minimum(gaps, number + 1)))
        last = int(parts[-1][-1])
    places = np.concatenate(parts)
    return places[places < number]
